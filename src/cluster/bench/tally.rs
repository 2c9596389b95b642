//! What clients count for themselves, and how it is put together. Pure.

use super::settings::Kind;
use hdrhistogram::Histogram;
use labrpc::Time;
use std::ops::AddAssign;
use std::time::Duration;

/// The time in which operations count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// From here on.
    pub from: Time,
    /// Until before this.
    pub to: Time,
}

impl Window {
    /// Whether that is within.
    pub fn has(&self, at: Time) -> bool {
        self.from <= at && at < self.to
    }
}

/// What came of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// It was done.
    Done,
    /// A read brought no answer.
    Unanswered,
    /// A write surely was not executed.
    Refused,
    /// A write may have been executed, or may be yet.
    Unknown,
}

/// What came of operations of one kind.
#[derive(Clone, Debug)]
pub struct Count {
    /// How long those took that were done, in microseconds. It is as exact as three digits.
    pub latency: Histogram<u64>,
    /// Those that were done within the window, whenever they were due.
    pub finished: u64,
    /// Reads without an answer.
    pub unanswered: u64,
    /// Writes that surely were not executed.
    pub refused: u64,
    /// Writes of which nobody knows.
    pub unknown: u64,
}

impl Default for Count {
    fn default() -> Count {
        let latency = Histogram::new(3).expect("three digits can be had");
        Count { latency, finished: 0, unanswered: 0, refused: 0, unknown: 0 }
    }
}

impl Count {
    /// Those that were due within the window and are over.
    pub fn ended(&self) -> u64 {
        self.latency.len() + self.unanswered + self.refused + self.unknown
    }

    /// The latency of so many of a hundred.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(percent / 100.0))
    }
}

impl AddAssign<&Count> for Count {
    fn add_assign(&mut self, other: &Count) {
        self.latency.add(&other.latency).expect("a histogram that grows takes all");
        self.finished += other.finished;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        self.unknown += other.unknown;
    }
}

/// What one client has counted, or several together.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Of reads.
    pub reads: Count,
    /// Of writes.
    pub writes: Count,
    /// Operations that were due within the window and have begun.
    pub begun: u64,
}

impl Tally {
    /// An operation that was due then begins.
    pub fn begins(&mut self, due: Time, window: Window) {
        self.begun += u64::from(window.has(due));
    }

    /// One is over. Its latency is counted from when it was due: whatever it had to wait before it was sent, its user has waited.
    pub fn ends(&mut self, kind: Kind, came: Came, due: Time, now: Time, window: Window) {
        let count = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        };
        count.finished += u64::from(came == Came::Done && window.has(now));
        if !window.has(due) {
            return;
        }
        match came {
            Came::Done => {
                let micros = u64::try_from(now.since(due).as_micros()).unwrap_or(u64::MAX);
                // The histogram tells nothing below its smallest step apart.
                count.latency.record(micros.max(1)).expect("a histogram that grows takes all");
            }
            Came::Unanswered => count.unanswered += 1,
            Came::Refused => count.refused += 1,
            Came::Unknown => count.unknown += 1,
        }
    }

    /// Operations that have begun and are not over.
    pub fn under_way(&self) -> u64 {
        self.begun - self.reads.ended() - self.writes.ended()
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.reads += &other.reads;
        self.writes += &other.writes;
        self.begun += other.begun;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    const WINDOW: Window = Window { from: Time::from_nanos(1_000_000_000), to: Time::from_nanos(2_000_000_000) };

    fn one(tally: &mut Tally, kind: Kind, came: Came, due: u64, now: u64) {
        tally.begins(at(due), WINDOW);
        tally.ends(kind, came, at(due), at(now), WINDOW);
    }

    #[test]
    fn latency_counts_from_when_it_was_due_and_throughput_when_it_was_done() {
        let mut tally = Tally::default();
        one(&mut tally, Kind::Read, Came::Done, 999, 1_000);
        one(&mut tally, Kind::Read, Came::Done, 1_000, 1_040);
        one(&mut tally, Kind::Read, Came::Done, 1_999, 2_500);
        one(&mut tally, Kind::Read, Came::Done, 2_000, 2_001);
        assert_eq!((tally.reads.finished, tally.reads.latency.len(), tally.begun), (2, 2, 2));
        let close =
            |got: Duration, wanted: u64| got.as_micros().abs_diff(u128::from(wanted)) <= u128::from(wanted) / 500;
        assert!(close(tally.reads.percentile(50.0), 40_000), "{:?}", tally.reads.percentile(50.0));
        assert!(close(tally.reads.percentile(100.0), 501_000), "{:?}", tally.reads.percentile(100.0));
        assert_eq!(tally.writes.ended(), 0);
    }

    #[test]
    fn what_failed_is_counted_by_kind_and_has_no_latency() {
        let mut tally = Tally::default();
        one(&mut tally, Kind::Read, Came::Unanswered, 1_000, 1_001);
        one(&mut tally, Kind::Write, Came::Refused, 1_000, 1_001);
        one(&mut tally, Kind::Write, Came::Unknown, 1_000, 1_001);
        one(&mut tally, Kind::Write, Came::Unknown, 1_500, 9_000);
        tally.begins(at(1_900), WINDOW);
        assert_eq!((tally.reads.unanswered, tally.writes.refused, tally.writes.unknown), (1, 1, 2));
        assert_eq!((tally.reads.latency.len(), tally.writes.latency.len()), (0, 0));
        assert_eq!((tally.reads.finished, tally.writes.finished, tally.under_way()), (0, 0, 1));
    }

    #[test]
    fn tallies_together_are_one_of_all_their_operations() {
        let (mut all, mut parts) = (Tally::default(), vec![Tally::default(); 3]);
        for nth in 0..300 {
            let kind = if nth % 5 == 0 { Kind::Write } else { Kind::Read };
            let came = if nth % 7 == 0 && kind == Kind::Write { Came::Unknown } else { Came::Done };
            // From a millisecond to an hour.
            let (due, took) = (1_000 + nth, 1 + nth * nth * 40);
            one(&mut all, kind, came, due, due + took);
            one(&mut parts[nth as usize % 3], kind, came, due, due + took);
        }
        let mut sum = Tally::default();
        parts.iter().for_each(|part| sum += part);
        assert_eq!((sum.reads.latency, sum.writes.latency), (all.reads.latency, all.writes.latency));
        assert_eq!(
            (sum.begun, sum.reads.finished, sum.writes.unknown),
            (300, all.reads.finished, all.writes.unknown)
        );
        assert!(sum.writes.unknown > 0 && all.reads.finished > 0);
    }
}
