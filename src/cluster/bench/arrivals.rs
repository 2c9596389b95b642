//! The operations of an open loop as they come, one after the other, at their times.
//!
//! Timers of the runtime are as coarse as an operation takes, and latency is counted from when an operation was due: who waits for
//! it is woken by a thread.

use super::schedule::Schedule;
use super::settings::{Asked, Mix};
use super::tally::Window;
use futures::channel::oneshot;
use labrpc::{Env, Time};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// For so long at most nobody looks whether all is over.
const LOOK: Duration = Duration::from_millis(50);

/// All operations that are due one day.
pub struct Arrivals {
    env: Env,
    schedule: Schedule,
    mix: Mix,
    start: Time,
    window: Window,
    stop: Arc<AtomicBool>,
    alarm: Alarm,
    /// Operations that were taken when time was up.
    late: u64,
}

impl Arrivals {
    /// Those of a schedule that begins at `start`.
    pub fn new(
        env: Env,
        schedule: Schedule,
        mix: Mix,
        start: Time,
        window: Window,
        stop: Arc<AtomicBool>,
    ) -> Arrivals {
        Arrivals { env, schedule, mix, start, window, alarm: Alarm::new(stop.clone()), stop, late: 0 }
    }

    /// The next operation, when it is due; none when time is up. What is due already is there at once, in its order.
    pub async fn next(&mut self) -> Option<(Asked, Time)> {
        let due = self.start + self.schedule.next()?;
        if due >= self.window.to {
            return None;
        }
        let asked = self.mix.draw();
        while self.env.now() < due && !self.stop.load(Relaxed) {
            self.alarm.ring_in(due.since(self.env.now())).await;
        }
        let now = self.env.now();
        if now >= self.window.to || self.stop.load(Relaxed) {
            self.late += u64::from(self.window.has(due) && due <= now);
            return None;
        }
        Some((asked, due))
    }

    /// How many operations that count were due before `until` and were given to nobody.
    pub fn not_begun(&mut self, until: Time) -> u64 {
        let (start, window) = (self.start, self.window);
        let until = until.min(window.to);
        let rest = self.schedule.by_ref().map(|offset| start + offset).take_while(|due| *due < until);
        self.late + rest.filter(|due| window.has(*due)).count() as u64
    }
}

/// Rings on time.
struct Alarm(mpsc::Sender<(Instant, oneshot::Sender<()>)>);

impl Alarm {
    fn new(stop: Arc<AtomicBool>) -> Alarm {
        let (set, setting) = mpsc::channel::<(Instant, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            for (at, bell) in setting {
                while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
                    && !stop.load(Relaxed)
                {
                    std::thread::sleep(left.min(LOOK));
                }
                // Nobody may wait any more.
                let _ = bell.send(());
            }
        });
        Alarm(set)
    }

    async fn ring_in(&self, span: Duration) {
        let (bell, rings) = oneshot::channel();
        // Its thread ends after this does.
        let _ = self.0.send((Instant::now() + span, bell));
        let _ = rings.await;
    }
}
