//! The one place where virtual time meets madsim's.
//!
//! All timers of all nodes are events in the world's own queue; each has one timer of madsim, which rings when
//! the event is due. It rings *inside* madsim's clock, as the clock is moved, and the world takes its turn right
//! there ([`super::world::Shared::rung`]): no task has to be scheduled for it. Two things follow from the place:
//!
//! * madsim's list of timers is locked while one rings, so nothing can be added to it during a turn; what is
//!   queued then is given its timer by the pump, which is a task and runs before time goes on;
//! * the clock has not been moved yet when it rings, so the time of a turn is the time of its event.
//!
//! madsim's timers cannot be taken back. Where an event happens before its timer has rung (two due at the same
//! nanosecond share a turn), that timer's ring is owed, and passed over when it comes.

use madsim::time::{Instant, Sleep, TimeHandle};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// madsim's clock and the bell that rings when an event is due.
pub(crate) struct Timer {
    clock: TimeHandle,
    start: Instant,
    alarm: Pin<Box<Sleep>>,
    bell: Waker,
    pump: Waker,
}

impl Timer {
    pub fn new() -> Timer {
        let clock = TimeHandle::current();
        let start = clock.now_instant() - clock.elapsed();
        let alarm = Box::pin(clock.sleep(Duration::ZERO));
        Timer { clock, start, alarm, bell: Waker::noop().clone(), pump: Waker::noop().clone() }
    }

    /// Whom a timer calls.
    pub fn set_bell(&mut self, bell: Waker) {
        self.bell = bell;
    }

    /// Whom to wake for what cannot be done under the lock.
    pub fn set_pump(&mut self, pump: &Waker) {
        if !self.pump.will_wake(pump) {
            self.pump = pump.clone();
        }
    }

    pub fn wake_pump(&self) {
        self.pump.wake_by_ref();
    }

    /// True time in nanoseconds since the start of the run.
    pub fn now(&self) -> u64 {
        let elapsed = self.clock.elapsed();
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }

    /// Sets a timer for `at`. False: that is now or past, and none was set.
    pub fn set(&mut self, at: u64) -> bool {
        // `reset` keeps the nanosecond; a new sleep would be rounded up to a millisecond.
        self.alarm.as_mut().reset(self.start + Duration::from_nanos(at));
        self.alarm.as_mut().poll(&mut Context::from_waker(&self.bell)).is_pending()
    }
}
