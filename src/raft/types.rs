//! The nouns of Raft: where an entry stands, what it carries, who is a member.

use bytes::Bytes;
use labrpc::NodeId;
pub use labrpc::{Index, Role, Term};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names an entry. Two logs that hold an entry with the same id hold the same entry there, and the same ones
/// in front of it (Log Matching, §5.3).
///
/// The order is that of §5.4.1: the later term is more up-to-date, and at equal terms the longer log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct EntryId {
    /// The term of the leader that made it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
}

impl EntryId {
    /// In front of the first entry.
    pub const ZERO: EntryId = EntryId { term: Term(0), index: Index(0) };

    /// The entry of `term` at `index`.
    pub const fn new(term: Term, index: Index) -> EntryId {
        EntryId { term, index }
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What an entry carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing. A leader opens its term with it, since it may not commit older entries on their own (§8).
    Noop,
    /// A command of the service; opaque here.
    Command(Bytes),
    /// A new membership of the cluster, in force from the moment it is in the log (thesis 4.1).
    Membership(Membership),
}

impl Payload {
    /// Bytes it takes, roughly: for limits on messages.
    pub fn size(&self) -> usize {
        match self {
            Payload::Noop => 0,
            Payload::Command(command) => command.len(),
            Payload::Membership(membership) => 4 * (membership.voters.len() + membership.learners.len()),
        }
    }
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it carries.
    pub payload: Payload,
}

/// Who belongs to the cluster. Both lists are in ascending order and have no node in common.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Membership {
    /// Those whose votes and acknowledgements count.
    pub voters: Vec<NodeId>,
    /// Those who receive the log and do not count (thesis 4.2.1).
    pub learners: Vec<NodeId>,
}

impl Membership {
    /// A cluster of voters.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Membership {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        Membership { voters, learners: Vec::new() }
    }

    /// Whether the node belongs to it.
    pub fn contains(&self, node: NodeId) -> bool {
        self.members().any(|member| member == node)
    }

    /// Every member, voters first.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }
}

impl From<Membership> for labrpc::Members {
    fn from(Membership { voters, learners }: Membership) -> labrpc::Members {
        labrpc::Members { voters, learners }
    }
}

/// What a snapshot stands for: the log up to its last entry, and the membership there (§7, thesis 5.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry that it covers; [`EntryId::ZERO`] where there is no snapshot.
    pub last: EntryId,
    /// The latest membership at or in front of that entry.
    pub membership: Membership,
}

/// What must survive a crash besides log and snapshot (Figure 2, persistent state).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this server has seen.
    pub term: Term,
    /// The candidate that received its vote in that term.
    pub vote: Option<NodeId>,
}

/// What a server finds on its disk when it starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// Term and vote.
    pub hard: HardState,
    /// The snapshot, if there is one.
    pub snapshot: Option<SnapshotMeta>,
    /// The log behind the snapshot, without a gap.
    pub entries: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_term_is_more_up_to_date_and_then_the_longer_log() {
        let id = |term, index| EntryId::new(Term(term), Index(index));
        assert!(id(3, 1) > id(2, 9), "a later term beats a longer log (§5.4.1)");
        assert!(id(2, 9) > id(2, 8));
    }
}
