//! What servers ask each other, with the fields of Figures 2 and 13.

use bytes::Bytes;
use labrpc::{Index, Kind, NodeId, Term};
use serde::{Deserialize, Serialize};

/// Requests for votes and their answers.
pub const VOTE: Kind = Kind::new("vote");
/// Entries, heartbeats, and their answers.
pub const APPEND: Kind = Kind::new("append");
/// Snapshots and their answers.
pub const INSTALL: Kind = Kind::new("install");

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When it was received by a leader.
    pub term: Term,
    /// For the service.
    pub command: Bytes,
}

/// A candidate asks for a vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestVoteArgs {
    /// The candidate's term.
    pub term: Term,
    /// Who asks.
    pub candidate: NodeId,
    /// The last entry of its log.
    pub last_log_index: Index,
    /// The term of that entry.
    pub last_log_term: Term,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestVoteReply {
    /// The voter's term.
    pub term: Term,
    /// Yes or no.
    pub vote_granted: bool,
}

/// A leader replicates entries, or shows that it is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppendEntriesArgs {
    /// The leader's term.
    pub term: Term,
    /// Who leads.
    pub leader: NodeId,
    /// The entry in front of the new ones.
    pub prev_log_index: Index,
    /// The term of that entry.
    pub prev_log_term: Term,
    /// The new ones; none for a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: Index,
}

impl AppendEntriesArgs {
    /// The last entry that the follower has in common with the leader if it takes these.
    pub fn last_new(&self) -> Index {
        Index(self.prev_log_index.0 + self.entries.len() as u64)
    }
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppendEntriesReply {
    /// The follower's term.
    pub term: Term,
    /// Whether the entry in front of the new ones was there.
    pub success: bool,
    /// If it was not: where the logs may part.
    pub conflict: Option<Conflict>,
}

/// How far a leader may step back at once (§5.3, last paragraphs).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conflict {
    /// The term of the follower's entry in the place in question; none if its log ends in front of that.
    pub term: Option<Term>,
    /// The follower's first entry of that term; without one, the place behind its last entry.
    pub index: Index,
}

/// A leader sends its snapshot, in one piece as in the course.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallSnapshotArgs {
    /// The leader's term.
    pub term: Term,
    /// Who leads.
    pub leader: NodeId,
    /// The last entry that it covers.
    pub last_included_index: Index,
    /// The term of that entry.
    pub last_included_term: Term,
    /// The service's state.
    pub data: Bytes,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallSnapshotReply {
    /// The follower's term.
    pub term: Term,
}
