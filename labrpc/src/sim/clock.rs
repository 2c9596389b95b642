//! Crooked clocks: each node's clock has a rate and an offset of its own, and never goes back.

use crate::time::Time;

/// A rate of one second per second, in parts per million.
pub const TRUE_RATE: u32 = 1_000_000;

/// How a node's clock relates to true time (both in nanoseconds).
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// True time of the last change of rate or offset.
    since: u64,
    /// What the clock showed then.
    showed: u64,
    /// Local nanoseconds per million true ones.
    rate: u32,
}

impl NodeClock {
    pub fn new(offset: u64, rate: u32) -> NodeClock {
        assert!(rate > 0, "a clock that stands still would never fire a timer");
        NodeClock { since: 0, showed: offset, rate }
    }

    /// What the clock shows at true time `now`.
    pub fn local(&self, now: u64) -> Time {
        let passed = now - self.since;
        Time::from_nanos(self.showed + scale(passed, self.rate, TRUE_RATE))
    }

    /// The first true time at which the clock shows `local` or more; `now` if it does already.
    pub fn when(&self, local: Time, now: u64) -> u64 {
        let Some(ahead) = local.nanos().checked_sub(self.showed) else {
            return now;
        };
        if self.rate == TRUE_RATE {
            return self.since.saturating_add(ahead).max(now);
        }
        let passed = (u128::from(ahead) * u128::from(TRUE_RATE)).div_ceil(u128::from(self.rate));
        self.since.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)).max(now)
    }

    /// From `now` on the clock runs at `rate`.
    pub fn set_rate(&mut self, rate: u32, now: u64) {
        let showed = self.local(now).nanos();
        *self = NodeClock { since: now, ..NodeClock::new(showed, rate) };
    }

    /// At `now` the clock jumps ahead.
    pub fn jump(&mut self, by: u64, now: u64) {
        let showed = self.local(now).nanos().saturating_add(by);
        *self = NodeClock { since: now, showed, rate: self.rate };
    }
}

fn scale(n: u64, by: u32, per: u32) -> u64 {
    if by == per { n } else { (u128::from(n) * u128::from(by) / u128::from(per)) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_for_a_local_time_fires_when_the_clock_shows_it_and_not_before() {
        for rate in [500_000, 999_999, TRUE_RATE, 1_000_001, 2_000_000] {
            let mut clock = NodeClock::new(77, rate);
            clock.set_rate(rate, 1_000);
            for ahead in [0, 1, 2, 3, 1_000_003] {
                let goal = Time::from_nanos(clock.local(1_000).nanos() + ahead);
                let at = clock.when(goal, 1_000);
                assert!(clock.local(at) >= goal);
                assert!(at == 1_000 || clock.local(at - 1) < goal, "rate {rate}: too late");
            }
        }
    }

    #[test]
    fn no_change_of_rate_takes_the_clock_back() {
        let mut clock = NodeClock::new(0, 2_000_000);
        let before = clock.local(1_000);
        clock.set_rate(500_000, 1_000);
        assert_eq!(clock.local(1_000), before);
        clock.jump(50, 1_000);
        assert_eq!(clock.local(1_000).nanos(), before.nanos() + 50);
        assert_eq!(clock.when(before, 1_000), 1_000, "a time that was jumped over is now");
    }
}
