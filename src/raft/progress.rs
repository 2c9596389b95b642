//! What a leader knows of one follower.

use super::types::{EntryId, Index, SnapshotMeta};
use labrpc::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// A leader's view of one follower (Figure 2, volatile state on leaders).
#[derive(Clone, Debug)]
pub struct Progress {
    /// Highest entry known to be in the follower's log, durably. A measurement: it only ever rises.
    pub matched: Index,
    /// Next entry to send. A guess: it may rise and fall, but stays above `matched`.
    pub next: Index,
    /// How entries are sent to it just now.
    pub mode: Mode,
    /// When it was last heard of in this term.
    pub heard: Time,
    /// The latest round of reads that it has answered.
    pub round: u64,
    /// It was sent a snapshot and has not caught up with the log since: what it needs next is kept for it.
    pub trailing: bool,
    /// Of a learner: how it comes along.
    pub catching_up: Option<CatchingUp>,
}

/// A learner catches up in rounds: each goes up to where the log ended when it began. One that takes less than an election
/// timeout shows that the learner would not be missed as a voter for longer than an election takes (thesis 4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CatchingUp {
    /// Where this round ends.
    until: Index,
    /// When it began.
    since: Time,
    /// It is over, and waits for the log to go on.
    over: bool,
    /// The latest round that is over was quick enough.
    quick: bool,
}

impl CatchingUp {
    /// The first round.
    pub fn begin(until: Index, since: Time) -> CatchingUp {
        CatchingUp { until, since, over: false, quick: false }
    }
}

/// How entries are sent.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Where the logs part is not known: one append at a time, until one is accepted.
    Probe {
        /// One is on its way.
        waiting: bool,
    },
    /// The logs agree up to `next`: appends follow each other without waiting.
    Replicate {
        /// Last index of each append that is on its way.
        inflight: VecDeque<Index>,
    },
    /// What it needs next is compacted: it gets a snapshot, piece by piece.
    Snapshot {
        /// The snapshot. Entries behind it are kept until it has arrived.
        snapshot: SnapshotMeta,
        /// The piece that begins here is on its way.
        offset: u64,
        /// Heartbeats since the last answer.
        silent: u32,
    },
}

impl Progress {
    /// A follower of whose log nothing is known, at the start of a term: `nextIndex` is one behind the leader's
    /// last entry, `matchIndex` 0.
    pub fn new(next: Index, now: Time) -> Progress {
        Progress {
            matched: Index(0),
            next,
            mode: Mode::Probe { waiting: false },
            heard: now,
            round: 0,
            trailing: false,
            catching_up: None,
        }
    }

    /// Of a learner that was just heard: whether a round is over. `last` is the end of the log.
    pub fn catch_up(&mut self, last: Index, now: Time, timeout: Duration) {
        let Some(round) = &mut self.catching_up else { return };
        if !round.over && self.matched >= round.until {
            (round.over, round.quick) = (true, now < round.since + timeout);
        }
        if round.over && self.matched < last {
            *round = CatchingUp { quick: round.quick, ..CatchingUp::begin(last, now) };
        }
    }

    /// Whether it would be no burden as a voter.
    pub fn has_caught_up(&self, last: Index, now: Time, timeout: Duration) -> bool {
        let Some(round) = &self.catching_up else { return false };
        let in_time = round.over || now < round.since + timeout;
        now < self.heard + timeout && (self.matched >= last || (round.quick && in_time))
    }

    /// The follower has everything up to `index`.
    pub fn acknowledge(&mut self, index: Index) {
        let probed = index.next() >= self.next;
        self.matched = self.matched.max(index);
        self.next = self.next.max(self.matched.next());
        match &mut self.mode {
            // The entry in front of `next` is there, or one behind it: the logs agree up to here.
            Mode::Probe { .. } if probed => self.mode = Mode::Replicate { inflight: VecDeque::new() },
            Mode::Probe { .. } => {}
            Mode::Replicate { inflight } => {
                while inflight.front().is_some_and(|&sent| sent <= index) {
                    inflight.pop_front();
                }
            }
            Mode::Snapshot { .. } => {}
        }
    }

    /// The follower's log does not hold `prev`; it can agree at best in front of `conflict`.
    /// False: this answers an append of long ago.
    pub fn step_back(&mut self, prev: Index, conflict: Index) -> bool {
        let current = match self.mode {
            Mode::Probe { .. } => prev.next() == self.next,
            Mode::Replicate { .. } => prev < self.next,
            Mode::Snapshot { .. } => false,
        };
        if prev <= self.matched || !current {
            return false;
        }
        self.next = conflict.min(prev).max(self.matched.next());
        self.mode = Mode::Probe { waiting: false };
        true
    }

    /// Whether another append may leave now.
    pub fn is_open(&self, max_inflight: usize) -> bool {
        match &self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate { inflight } => inflight.len() < max_inflight,
            Mode::Snapshot { .. } => false,
        }
    }

    /// An append up to `last` has left.
    pub fn sent(&mut self, last: Index) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate { inflight } => {
                inflight.push_back(last);
                self.next = last.next();
            }
            Mode::Snapshot { .. } => {}
        }
    }

    /// The last entry that it needs no more, if what follows must be kept for it.
    pub fn holds_back(&self) -> Option<Index> {
        match &self.mode {
            Mode::Snapshot { snapshot, .. } => Some(snapshot.last.index),
            _ => self.trailing.then_some(self.matched),
        }
    }

    /// The snapshot that is being sent to it, if one is.
    pub fn pinned(&self) -> Option<EntryId> {
        match &self.mode {
            Mode::Snapshot { snapshot, .. } => Some(snapshot.last),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(matched: u64, next: u64) -> Progress {
        let mut progress = Progress::new(Index(matched + 1), Time::ZERO);
        progress.acknowledge(Index(matched));
        progress.next = Index(next);
        progress
    }

    #[test]
    fn matched_never_falls_and_next_stays_above_it() {
        let mut progress = replicating(5, 9);
        progress.acknowledge(Index(3));
        assert_eq!(progress.matched, Index(5), "a late acknowledgement changes nothing");
        assert!(progress.step_back(Index(8), Index(2)));
        assert_eq!(progress.next, Index(6), "what is known to match is not asked for again");
        assert!(!progress.step_back(Index(5), Index(1)), "a refusal of what is known to match is an old one");
    }

    #[test]
    fn a_probe_listens_only_to_the_answer_to_itself() {
        let mut progress = Progress::new(Index(10), Time::ZERO);
        assert!(!progress.step_back(Index(6), Index(3)));
        assert!(progress.step_back(Index(9), Index(4)));
        assert_eq!(progress.next, Index(4));
    }

    #[test]
    fn stepping_back_always_moves_back() {
        let mut progress = Progress::new(Index(10), Time::ZERO);
        assert!(progress.step_back(Index(9), Index(40)), "a nonsensical hint is bounded by what was refused");
        assert_eq!(progress.next, Index(9));
    }

    #[test]
    fn a_learner_has_caught_up_when_a_round_was_quick_and_it_is_still_heard() {
        let (at, timeout) = (|millis| Time::ZERO + Duration::from_millis(millis), Duration::from_millis(300));
        let mut learner = Progress::new(Index(101), Time::ZERO);
        learner.catching_up = Some(CatchingUp::begin(Index(100), Time::ZERO));
        let mut hear = |matched, last, now| {
            learner.heard = at(now);
            learner.acknowledge(Index(matched));
            learner.catch_up(Index(last), at(now), timeout);
            learner.has_caught_up(Index(last), at(now), timeout)
        };
        assert!(!hear(50, 150, 200), "the first round is not over");
        assert!(!hear(120, 180, 400), "it was slow");
        assert!(!hear(150, 190, 500), "the second ends at 180");
        assert!(hear(185, 200, 600), "it took 200 ms");
        assert!(!hear(190, 300, 950), "the third has taken too long already");
        assert!(hear(300, 300, 2_000), "it has all there is");
        assert!(!learner.has_caught_up(Index(300), at(2_300), timeout), "nobody has heard of it since");
        learner.catching_up = None;
        assert!(!learner.has_caught_up(Index(0), at(0), timeout), "it is no learner");
    }

    #[test]
    fn the_window_fills_and_empties() {
        let mut progress = replicating(5, 6);
        progress.sent(Index(7));
        progress.sent(Index(9));
        assert!(!progress.is_open(2) && progress.is_open(3));
        progress.acknowledge(Index(8));
        assert!(progress.is_open(2), "everything up to 7 has arrived");
        assert_eq!((progress.matched, progress.next), (Index(8), Index(10)));
    }
}
