//! Changes of the membership, one server at a time (thesis 4).
//!
//! A membership is an entry of the log, and in force on a server from the moment that it is in the log there, committed
//! or not (4.1). Two memberships that differ by one voter have no majorities without a voter in common, so that both may
//! be in force in different places. That holds for neighbours only, whence two rules: a leader begins no change before
//! the one in front of it is committed, and none before it has committed an entry of its own term, since an earlier
//! leader's change that it never saw may still be in a log somewhere (Ongaro's correction of 2015 to 4.1).
//!
//! A server that is added begins as a *learner*: it receives the log and does not count, until it has caught up (4.2.1).
//! A leader that is taken out goes on without counting itself until that is committed, and then steps down (4.2.2).
//! One that was taken out and does not know it yet can do no more than ask for votes, which pre-vote and check-quorum keep
//! from doing harm (4.2.3).

use super::bugs::bug;
use super::core::Raft;
use super::message::{Message, TimeoutNow};
use super::progress::{CatchingUp, Progress};
use super::quorum::Quorum;
use super::ready::Unavailable;
use super::types::{Entry, EntryId, Index, Membership, Payload, Role, SnapshotMeta};
use labrpc::NodeId;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;

/// A change by one server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// It receives the log from now on, and does not count.
    AddLearner(NodeId),
    /// A learner counts from now on.
    Promote(NodeId),
    /// It does not belong to the cluster any more, voter or learner.
    Remove(NodeId),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::AddLearner(node) => write!(f, "adding {node} as a learner"),
            Change::Promote(node) => write!(f, "making {node} a voter"),
            Change::Remove(node) => write!(f, "taking {node} out"),
        }
    }
}

/// Why a leader does not begin a change. The first four pass by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// See the module.
    #[error("no entry of this term is committed yet: try again")]
    TermNotCommitted,
    /// See the module.
    #[error("another change of the membership is not committed yet: try again")]
    InProgress,
    /// As a voter it would be missed at once (thesis 4.2.1).
    #[error("{0} has not caught up with the log: try again")]
    Behind(NodeId),
    /// Too few of those who would then be voters were heard of within an election timeout: what is begun might never be
    /// committed, nor be undone.
    #[error("too few of those who would be voters then are heard of: try again when they are")]
    TooFewHeard,
    /// Only learners are promoted.
    #[error("{0} is no learner: add it first")]
    NotALearner(NodeId),
    /// It is one already.
    #[error("{0} is a member already")]
    Member(NodeId),
    /// It is none.
    #[error("{0} is no member")]
    NotAMember(NodeId),
    /// A cluster without voters could never decide anything again.
    #[error("{0} is the last voter")]
    LastVoter(NodeId),
}

impl ChangeRefused {
    /// Whether it passes by itself.
    pub fn passes(self) -> bool {
        use ChangeRefused::{Behind, InProgress, TermNotCommitted, TooFewHeard};
        matches!(self, TermNotCommitted | InProgress | Behind(_) | TooFewHeard)
    }
}

impl Membership {
    /// The membership after a change.
    ///
    /// # Errors
    /// [`ChangeRefused`]: the change makes no sense.
    pub fn with(&self, change: Change) -> Result<Membership, ChangeRefused> {
        let Membership { mut voters, mut learners } = self.clone();
        match change {
            Change::AddLearner(node) if self.contains(node) => return Err(ChangeRefused::Member(node)),
            Change::AddLearner(node) => learners.push(node),
            Change::Promote(node) if !learners.contains(&node) => return Err(ChangeRefused::NotALearner(node)),
            Change::Promote(node) => {
                learners.retain(|&learner| learner != node);
                voters.push(node);
            }
            Change::Remove(node) if !self.contains(node) => return Err(ChangeRefused::NotAMember(node)),
            Change::Remove(node) if voters == [node] => return Err(ChangeRefused::LastVoter(node)),
            Change::Remove(node) => {
                voters.retain(|&voter| voter != node);
                learners.retain(|&learner| learner != node);
            }
        }
        voters.sort_unstable();
        learners.sort_unstable();
        Ok(Membership { voters, learners })
    }

    /// The next change on the way to these voters and no other members, as `leader` would go it: who is to come comes
    /// before who is to go, and the leader itself goes last. None: there is nothing to change.
    pub fn step_towards(&self, voters: &[NodeId], leader: NodeId) -> Option<Change> {
        let wanted = |node: &NodeId| voters.contains(node);
        let strayed = self.learners.iter().find(|node| !wanted(node)).map(|&node| Change::Remove(node));
        let comes = || {
            let missing = voters.iter().filter(|node| !self.voters.contains(node)).min()?;
            let learns = self.learners.contains(missing);
            Some(if learns { Change::Promote(*missing) } else { Change::AddLearner(*missing) })
        };
        let goes = || {
            let leaving = self.voters.iter().filter(|node| !wanted(node));
            leaving.min_by_key(|&&node| (node == leader, node)).map(|&node| Change::Remove(node))
        };
        strayed.or_else(comes).or_else(goes)
    }
}

/// The memberships that snapshot and log hold, with the index from which each is in force. The first is that of the
/// snapshot, or the one that the cluster was set up with; the last one counts.
#[derive(Debug)]
pub(super) struct Memberships(Vec<(Index, Membership)>);

impl Memberships {
    pub fn new(base: &SnapshotMeta) -> Memberships {
        Memberships(vec![(base.last.index, base.membership.clone())])
    }

    /// The one in force.
    pub fn latest(&self) -> &(Index, Membership) {
        self.0.last().expect("there is always the first one")
    }

    /// The one that was in force at `index`.
    pub fn at(&self, index: Index) -> &Membership {
        let in_force = self.0.iter().rev().find(|(from, _)| *from <= index);
        &in_force.unwrap_or(&self.0[0]).1
    }

    /// An entry has come to the end of the log.
    pub fn take_in(&mut self, entry: &Entry) {
        if let Payload::Membership(membership) = &entry.payload {
            self.0.push((entry.id.index, membership.clone()));
        }
    }

    /// The log is cut: what was behind that is not in force any more.
    pub fn cut(&mut self, from: Index) {
        self.0.retain(|(index, _)| *index < from);
    }

    /// A snapshot is the base of a log that goes on up to `last`.
    pub fn rebase(&mut self, base: &SnapshotMeta, last: Index) {
        let covered = base.last.index;
        self.0.retain(|(index, _)| *index > covered && *index <= last);
        self.0.insert(0, (covered, base.membership.clone()));
    }
}

impl Raft {
    /// Somebody wants to change the membership. The answer says where the change stands in the log; it is made when that
    /// entry is committed.
    pub(super) fn on_change(&mut self, id: u64, change: Change) {
        let answer = self.change(change);
        self.answers.proposals.push((id, answer));
    }

    fn change(&mut self, change: Change) -> Result<EntryId, Unavailable> {
        if self.role != Role::Leader {
            return Err(Unavailable::NotLeader(self.leader));
        }
        self.may_change(change)?;
        let changed = self.membership().with(change)?;
        let (now, timeout) = (self.now, self.config.election_timeout.0);
        let is_heard = |node: NodeId| {
            node == self.config.me || self.progress.get(&node).is_some_and(|known| now < known.heard + timeout)
        };
        if changed.voters != self.membership().voters && !Quorum::of(&changed).reached(is_heard) {
            return Err(ChangeRefused::TooFewHeard.into());
        }
        self.propose(Payload::Membership(changed))
    }

    /// Whether this server takes part in elections. A voter does. So does one that is being taken out, until it knows that to be
    /// committed: the others may need its log, which has the entry that takes it out, to come to a leader at all. It does not
    /// count its own vote then (thesis 4.2.2).
    pub(super) fn may_campaign(&self) -> bool {
        let me = self.config.me;
        let (since, membership) = self.memberships.latest();
        let is_leaving = || *since > self.commit && self.memberships.at(since.prev()).voters.contains(&me);
        membership.voters.contains(&me) || (is_leaving() && !bug!(self, LeavingServerKeepsStill))
    }

    fn may_change(&self, change: Change) -> Result<(), ChangeRefused> {
        let leads_safely = self.term_at(self.commit) == Some(self.hard.term) || bug!(self, ChangeBeforeTermCommit);
        if !leads_safely {
            return Err(ChangeRefused::TermNotCommitted);
        }
        let (since, membership) = self.memberships.latest();
        if *since > self.commit && !bug!(self, ChangesOverlap) {
            return Err(ChangeRefused::InProgress);
        }
        let (last, timeout) = (self.log.last().index, self.config.election_timeout.0);
        let is_behind = |node: NodeId| {
            self.progress.get(&node).is_none_or(|known| !known.has_caught_up(last, self.now, timeout))
        };
        match change {
            Change::Promote(node) if membership.learners.contains(&node) && is_behind(node) => {
                Err(ChangeRefused::Behind(node))
            }
            _ => Ok(()),
        }
    }

    /// A leader follows each member's log. Those that were taken out it keeps until that is committed: they should hear
    /// of it (thesis 4.2.2).
    pub(super) fn follow_members(&mut self) {
        let (next, now) = (self.log.last().index, self.now);
        let membership = self.membership().clone();
        for peer in membership.members().filter(|&node| node != self.config.me) {
            let progress = self.progress.entry(peer).or_insert_with(|| Progress::new(next, now));
            let learns = membership.learners.contains(&peer);
            match (learns, &progress.catching_up) {
                (true, None) => progress.catching_up = Some(CatchingUp::begin(next, now)),
                (false, Some(_)) => progress.catching_up = None,
                _ => {}
            }
        }
    }

    /// The membership that this leader follows is committed: it says so to those who are out of it now, once, and forgets
    /// them. If it is out of it itself, it is done (thesis 4.2.2), and has the voter with the longest log take over.
    pub(super) fn on_membership_committed(&mut self) {
        let membership = self.membership().clone();
        let gone: Vec<NodeId> = self.progress.keys().copied().filter(|&peer| !membership.contains(peer)).collect();
        for peer in gone {
            self.heartbeat(peer);
            self.progress.remove(&peer);
        }
        if membership.voters.contains(&self.config.me) {
            return;
        }
        self.broadcast_heartbeat();
        let matched = |node: &&NodeId| (self.progress.get(node).map(|known| known.matched), Reverse(**node));
        if let Some(&successor) = membership.voters.iter().max_by_key(matched) {
            let request = TimeoutNow { term: self.hard.term };
            self.outbox.send_now(successor, Message::TimeoutNow(request));
        }
        self.become_follower(self.hard.term, None);
    }
}
