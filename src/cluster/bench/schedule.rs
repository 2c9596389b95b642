//! When operations are due in an open loop: decided beforehand, whatever becomes of them. Pure.

use super::keys::fraction;
use labrpc::Rng;
use std::time::Duration;

/// When clients begin operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As soon as their last one is over: a *closed loop*.
    Closed,
    /// So many a second in equal distances: an *open loop*.
    Fixed(u64),
    /// So many a second on average, each whenever it likes, as those of many independent users: an *open loop*.
    Poisson(u64),
}

/// How long after the beginning each operation of an open loop is due, in their order, for ever.
pub struct Schedule {
    pace: Pace,
    /// How many there were.
    nth: u64,
    /// When the last one was due, in seconds, if the distances are drawn.
    at: f64,
    rng: Rng,
}

impl Schedule {
    /// The schedule of this pace. That of a closed loop is empty: there the answers decide.
    pub fn new(pace: Pace, seed: u64) -> Schedule {
        Schedule { pace, nth: 0, at: 0.0, rng: Rng::new(seed, "arrivals") }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let nth = self.nth;
        self.nth += 1;
        match self.pace {
            Pace::Closed => None,
            Pace::Fixed(rate) => {
                let nanos = u128::from(nth) * 1_000_000_000 / u128::from(rate);
                Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
            Pace::Poisson(rate) => {
                // Distances of a Poisson process are distributed exponentially.
                self.at -= (1.0 - fraction(&mut self.rng)).ln() / rate as f64;
                Some(Duration::from_secs_f64(self.at))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_distances_do_not_drift() {
        let due: Vec<Duration> = Schedule::new(Pace::Fixed(3), 1).take(3_001).collect();
        assert_eq!(due[..2], [Duration::ZERO, Duration::from_nanos(333_333_333)]);
        assert_eq!(due[3_000], Duration::from_secs(1_000));
    }

    #[test]
    fn drawn_distances_have_the_rate_and_its_spread_and_come_from_the_seed() {
        let due = |seed| Schedule::new(Pace::Poisson(100), seed).take(20_000).collect::<Vec<_>>();
        let first = due(1);
        assert!(first.is_sorted());
        let rate = 20_000.0 / first[19_999].as_secs_f64();
        assert!((rate - 100.0).abs() < 3.0, "{rate}");
        // As many distances are longer than the mean as there must be: one in e.
        let long = first.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(10)).count();
        assert!((0.35..0.39).contains(&(long as f64 / 20_000.0)), "{long}");
        assert_eq!(first, due(1));
        assert_ne!(first, due(2));
    }

    #[test]
    fn a_closed_loop_has_none() {
        assert_eq!(Schedule::new(Pace::Closed, 1).next(), None);
    }
}
