//! Reads without the log (thesis 6.4).
//!
//! A leader may answer a read from its state if it knows that it is still the leader, and that its state holds
//! everything that was committed when the read arrived. It notes its commit index, makes sure with a round of
//! heartbeats that a majority still follows it, and waits until the service has applied that much.
//!
//! With a *lease* (thesis 6.4.1) an answered round counts for a while: those who have answered take part in no election
//! for the shortest election timeout after they have heard the leader. They heard it no earlier than it spoke, so the
//! lease runs from when the round began, and not from when it was answered; and it ends early enough that the fastest
//! of their clocks is still within its timeout.

use super::bugs::bug;
use super::core::Raft;
use super::ready::Unavailable;
use super::types::{Index, Role};
use labrpc::{Event, NodeId, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// Reads that were asked for and not answered.
#[derive(Debug, Default)]
pub struct Reads {
    /// The latest round of heartbeats. An answer to one confirms every read of an earlier or equal round.
    round: u64,
    /// Reads that came since: the next round is theirs.
    next_round: bool,
    /// Reads that wait for the first commit of the term.
    early: Vec<u64>,
    /// (id, round, index): reads whose index is known.
    waiting: Vec<(u64, u64, Index)>,
    /// (id, index): reads that are confirmed and wait for the service.
    confirmed: Vec<(u64, Index)>,
    /// With leases: rounds that a majority has not answered, and when each began.
    begun: VecDeque<(u64, Time)>,
    /// Until then no read has to be confirmed.
    lease: Time,
    /// Leadership was offered to somebody in this term: whoever votes for that one does not wait.
    given_away: bool,
}

impl Reads {
    /// The latest round.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Begins the next round, if reads wait for one.
    pub fn begin_round(&mut self) -> bool {
        let due = std::mem::take(&mut self.next_round);
        self.round += u64::from(due);
        due
    }

    /// A round of heartbeats leaves now, for the sake of a lease of that length. Rounds that could make none any more
    /// are forgotten.
    pub fn begin_lease_round(&mut self, now: Time, length: Duration) {
        while self.begun.front().is_some_and(|&(_, began)| began + length <= now) {
            self.begun.pop_front();
        }
        self.round += 1;
        self.begun.push_back((self.round, now));
    }

    /// A term of leadership begins: there is no lease.
    pub fn begin_term(&mut self) {
        self.begun.clear();
        (self.lease, self.given_away) = (Time::ZERO, false);
    }

    /// Leadership is about to be handed over: the lease ends for the rest of the term. The message that tells the
    /// successor to campaign may be late, and come when the handing over has long been given up.
    pub fn give_lease_away(&mut self) {
        (self.lease, self.given_away) = (Time::ZERO, true);
    }

    /// Whether reads are confirmed and wait for the service.
    pub fn wait_for_service(&self) -> bool {
        !self.confirmed.is_empty()
    }

    fn register(&mut self, id: u64, index: Index) {
        // Several reads at once share a round, which leaves with the next messages.
        self.next_round = true;
        self.waiting.push((id, self.round + 1, index));
    }
}

impl Raft {
    /// The service wants to read.
    pub(super) fn on_read(&mut self, id: u64) {
        if self.role != Role::Leader {
            self.answers.reads.push((id, Err(Unavailable::NotLeader(self.leader))));
        } else if self.term_at(self.commit) == Some(self.hard.term) || bug!(self, ReadIndexBeforeTermCommit) {
            if self.now < self.reads.lease {
                self.confirm(id, self.commit);
                return self.answer_reads();
            }
            self.reads.register(id, self.commit);
            self.confirm_reads();
        } else if self.config.noop_on_election {
            // Until an entry of its own term is committed a leader does not know what is (thesis 6.4, step 1).
            self.reads.early.push(id);
        } else {
            self.answers.reads.push((id, Err(Unavailable::NoEntryOfTerm)));
        }
    }

    /// An entry of this term is committed: reads that waited for that may begin.
    pub(super) fn start_waiting_reads(&mut self) {
        if self.term_at(self.commit) == Some(self.hard.term) {
            for id in std::mem::take(&mut self.reads.early) {
                self.reads.register(id, self.commit);
            }
            self.confirm_reads();
        }
    }

    /// Which rounds has a majority answered?
    pub(super) fn confirm_reads(&mut self) {
        self.renew_lease();
        // Rounds rise along the list: where the first is not answered, none is.
        if !self.reads.waiting.first().is_some_and(|&(_, round, _)| self.is_answered(round)) {
            return;
        }
        let mut waiting = std::mem::take(&mut self.reads.waiting);
        waiting.retain(|&(id, round, index)| {
            let answered = self.is_answered(round);
            if answered {
                self.confirm(id, index);
            }
            !answered
        });
        self.reads.waiting = waiting;
        self.answer_reads();
    }

    /// Whether a majority has answered that round, or a later one.
    fn is_answered(&self, round: u64) -> bool {
        let has = |node: NodeId| {
            node == self.config.me || self.progress.get(&node).is_some_and(|known| known.round >= round)
        };
        self.quorum().reached(has)
    }

    fn confirm(&mut self, id: u64, index: Index) {
        self.events.push(Event::ReadIndex { index });
        self.reads.confirmed.push((id, index));
    }

    /// A round that a majority has answered makes a lease, from when that round began.
    fn renew_lease(&mut self) {
        let Some(drift) = self.config.lease else { return };
        let length = drift.lease(self.config.election_timeout.0);
        while let Some(&(round, began)) = self.reads.begun.front()
            && self.is_answered(round)
        {
            self.reads.begun.pop_front();
            let from = if bug!(self, LeaseFromReceipt) { self.now } else { began };
            if !self.reads.given_away {
                self.reads.lease = self.reads.lease.max(from + length);
            }
        }
    }

    /// Which reads has the service caught up with?
    pub(super) fn answer_reads(&mut self) {
        let applied = if bug!(self, ReadBeforeApply) { self.commit } else { self.applied };
        let answers = &mut self.answers.reads;
        self.reads.confirmed.retain(|&(id, index)| {
            let due = index <= applied;
            if due {
                answers.push((id, Ok(index)));
            }
            !due
        });
    }

    /// No longer the leader: what is not confirmed cannot be any more. (What is confirmed was read in time.)
    pub(super) fn fail_reads(&mut self, leader: Option<NodeId>) {
        self.reads.next_round = false;
        let early = std::mem::take(&mut self.reads.early);
        let waiting = std::mem::take(&mut self.reads.waiting).into_iter().map(|(id, _, _)| id);
        for id in early.into_iter().chain(waiting) {
            self.answers.reads.push((id, Err(Unavailable::NotLeader(leader))));
        }
    }
}
