//! A node's clock: nanoseconds since its host has started, by the machine's monotonic clock.

use super::env::NetEnv;
use crate::time::Time;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The clock of one boot.
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    pub fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// When the clock will show that. What is centuries away is a day away, and looked at again then.
    fn instant(&self, at: Time) -> Instant {
        let span = at.since(Time::ZERO);
        self.start.checked_add(span).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400))
    }
}

/// Waits until the node's clock shows a time, and never less: the runtime's timers ring in whole milliseconds, the next
/// one after the time.
pub(crate) struct NetSleep {
    env: Arc<NetEnv>,
    until: Time,
    /// Made when it is first needed; a deadline that is put off all the time moves the timer and makes no new one.
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    armed: Time,
}

impl NetSleep {
    pub fn new(env: Arc<NetEnv>, until: Time) -> NetSleep {
        NetSleep { env, until, timer: None, armed: Time::NEVER }
    }

    pub fn reset(&mut self, until: Time) {
        self.until = until;
    }

    pub fn until(&self) -> Time {
        self.until
    }

    /// The timer, set for `until`.
    fn arm(&mut self) -> Pin<&mut tokio::time::Sleep> {
        let at = tokio::time::Instant::from_std(self.env.clock.instant(self.until));
        let is_new = self.timer.is_none();
        let timer = self.timer.get_or_insert_with(|| {
            // A timer belongs to the runtime of the host, whoever polls it.
            let _inside = self.env.runtime.enter();
            Box::pin(tokio::time::sleep_until(at))
        });
        if !is_new && self.armed != self.until {
            timer.as_mut().reset(at);
        }
        self.armed = self.until;
        timer.as_mut()
    }
}

impl Future for NetSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let sleep = &mut *self;
        if !sleep.env.lives() {
            return Poll::Pending;
        }
        if sleep.env.now() >= sleep.until {
            return Poll::Ready(());
        }
        if sleep.until == Time::NEVER {
            return Poll::Pending;
        }
        while sleep.arm().poll(context).is_ready() {
            if sleep.env.now() >= sleep.until {
                return Poll::Ready(());
            }
            // It rang early: it is set again, as for another time.
            sleep.timer = None;
        }
        Poll::Pending
    }
}
