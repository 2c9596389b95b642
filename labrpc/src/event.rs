//! The one vocabulary of observation: what a protocol says has happened to it.
//!
//! A protocol calls [`crate::Env::emit`] at the moment a fact becomes true, and nothing else instruments it.
//! In the simulator the events feed the oracle, the trace and the marks; over real sockets they feed logs and
//! metrics. Events are plain data and promises: "I have done this". The oracle believes none of them by
//! itself; it holds them against the disk and the wire.

use crate::id::NodeId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A Raft term (§5.1): a logical clock that numbers elections. 0 is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    pub const fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("T{}", self.0))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position in a Raft log. The first entry has index 1; 0 is the empty log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub u64);

impl Index {
    /// The position behind this one.
    pub const fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The position in front of this one; 0 stays 0.
    pub const fn prev(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("#{}", self.0))
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The part a server plays in its term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// Answers others.
    Follower,
    /// Asks whether an election could be won, without disturbing anyone's term (thesis 9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Orders the log.
    Leader,
}

/// Why a vote was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Refusal {
    /// The request is of an older term.
    StaleTerm,
    /// The vote of this term went to somebody else (§5.2).
    AlreadyVoted,
    /// The candidate's log is behind the voter's (§5.4.1).
    LogBehind,
    /// A leader was heard of within the election timeout (§6, thesis 4.2.3).
    LeaderHeard,
}

/// What a log entry carries.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Content {
    /// Nothing: the entry with which a leader opens its term (§8).
    Noop,
    /// A command of the service.
    Command(Bytes),
    /// A membership of the cluster.
    Membership(Box<Members>),
}

/// Who belongs to a cluster (thesis 4). Both lists are in ascending order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Members {
    /// Those whose votes and acknowledgements count.
    pub voters: Vec<NodeId>,
    /// Those who receive the log and do not count.
    pub learners: Vec<NodeId>,
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "{}", names(&self.voters))?;
        if self.learners.is_empty() { Ok(()) } else { write!(f, ", learns: {}", names(&self.learners)) }
    }
}

/// What has happened to a shard of a sharded service. A `hash` is a digest of all that moves with the shard.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum ShardChange {
    /// Nobody ever had it: it begins, empty, and is served.
    Created,
    /// It is not served any more, and kept as it is until whoever gets it has it.
    Frozen {
        /// The group that gets it. None: nobody, until a later configuration says who.
        to: Option<u64>,
        /// Of its content.
        hash: u64,
    },
    /// It has come as it was frozen elsewhere, and is served.
    Installed {
        /// The group that had it: it may be the same one.
        from: u64,
        /// The configuration with which it was frozen there.
        frozen: u64,
        /// Of its content.
        hash: u64,
    },
    /// The frozen copy of this configuration is gone.
    Deleted,
    /// It has come, and what came cannot be read. It is not served, and will be fetched again.
    Unreadable {
        /// The group that keeps it.
        from: u64,
        /// The configuration with which it was frozen there.
        frozen: u64,
    },
}

/// What a protocol says has happened to it.
///
/// Field names: `index` and `term` name an entry; `from` a sender; `to` a receiver.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Event {
    /// The node has read its disk and begins with this state.
    Recovered {
        /// Current term.
        term: Term,
        /// Vote in that term.
        vote: Option<NodeId>,
        /// Last entry that the snapshot covers; index 0 if there is no snapshot.
        snapshot: (Index, Term),
        /// Last entry of the log.
        last: (Index, Term),
    },
    /// Current term or vote changed, in memory.
    Term {
        /// Current term.
        term: Term,
        /// Vote in that term.
        vote: Option<NodeId>,
    },
    /// The role changed.
    Role {
        /// The new role.
        role: Role,
        /// Current term.
        term: Term,
    },
    /// A request for a vote was answered with no.
    VoteRefused {
        /// Who asked.
        to: NodeId,
        /// The term it asked for.
        term: Term,
        /// Why.
        why: Refusal,
    },
    /// A message was dropped unread because a leader was heard of within the election timeout.
    Ignored {
        /// Who sent it.
        from: NodeId,
        /// Its term.
        term: Term,
    },
    /// An entry was put at the end of the log, in memory.
    Appended {
        /// Where.
        index: Index,
        /// Its term.
        term: Term,
        /// What it carries.
        content: Content,
    },
    /// The log was cut, in memory: this entry and all behind it are gone.
    Truncated {
        /// The first entry that is gone.
        from: Index,
    },
    /// A leader's knowledge of a follower changed.
    Progress {
        /// The follower.
        peer: NodeId,
        /// Highest entry known to be replicated there.
        matched: Index,
        /// Next entry to send there.
        next: Index,
    },
    /// The commit index rose.
    Committed {
        /// The new commit index.
        index: Index,
    },
    /// A snapshot of the service at `index` replaces the log up to there, in memory.
    Compacted {
        /// Last entry covered.
        index: Index,
        /// Its term.
        term: Term,
    },
    /// A snapshot received from the leader was adopted, in memory.
    Installed {
        /// Last entry covered.
        index: Index,
        /// Its term.
        term: Term,
        /// Whether entries behind it were kept (Figure 13, rule 6) or the whole log discarded (rule 7).
        kept_suffix: bool,
    },
    /// A snapshot received from a leader was of no use: older than what is known.
    InstallRefused {
        /// Last entry that it covers.
        index: Index,
    },
    /// A leader has begun to send a snapshot.
    SnapshotSent {
        /// To whom.
        to: NodeId,
        /// Last entry covered.
        index: Index,
    },
    /// The service was handed everything up to here.
    Applied {
        /// Last entry or snapshot handed over.
        index: Index,
    },
    /// A leader confirmed that it may answer reads at this index (thesis 6.4).
    ReadIndex {
        /// The service must have applied this before it answers.
        index: Index,
    },
    /// A leader began to hand over its leadership (thesis 3.10).
    Transfer {
        /// To whom.
        to: NodeId,
    },
    /// A server of a group of a sharded service has applied the next configuration. Said again when the log is applied
    /// again, after a restart; so is [`Event::Shard`].
    ConfigAdopted {
        /// Of which group it is.
        group: u64,
        /// The number of the configuration.
        config: u64,
    },
    /// The leader of such a group has found the next configuration, and the group cannot follow it. It stays where it is, and so
    /// do its shards, until whoever has set it up has seen to that.
    ConfigRefused {
        /// Of which group it is.
        group: u64,
        /// The number of the configuration.
        config: u64,
        /// What is wrong.
        why: String,
    },
    /// A server of such a group has applied what changes a shard.
    Shard {
        /// Of which group it is.
        group: u64,
        /// Which shard.
        shard: u32,
        /// With which configuration.
        config: u64,
        /// What has happened to it.
        change: ShardChange,
    },
    /// The leader of such a group waits for a shard, and whoever should have it has said for a while that it has not: it has
    /// lost its state, or is another group.
    ShardMissing {
        /// Of which group the leader is.
        group: u64,
        /// Which shard.
        shard: u32,
        /// The group that should have it.
        from: u64,
        /// The configuration that took it away from there.
        frozen: u64,
    },
    /// The node stops itself: its disk failed, or it found damage.
    Halted {
        /// What happened and what to do.
        why: String,
    },
}

impl Event {
    /// The name of the sort of event: what a crash point selects by.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Recovered { .. } => "recovered",
            Event::Term { .. } => "term",
            Event::Role { .. } => "role",
            Event::VoteRefused { .. } => "vote-refused",
            Event::Ignored { .. } => "ignored",
            Event::Appended { .. } => "appended",
            Event::Truncated { .. } => "truncated",
            Event::Progress { .. } => "progress",
            Event::Committed { .. } => "committed",
            Event::Compacted { .. } => "compacted",
            Event::Installed { .. } => "installed",
            Event::InstallRefused { .. } => "install-refused",
            Event::SnapshotSent { .. } => "snapshot-sent",
            Event::Applied { .. } => "applied",
            Event::ReadIndex { .. } => "read-index",
            Event::Transfer { .. } => "transfer",
            Event::ConfigAdopted { .. } => "config-adopted",
            Event::ConfigRefused { .. } => "config-refused",
            Event::Shard { change: ShardChange::Created, .. } => "shard-created",
            Event::Shard { change: ShardChange::Frozen { .. }, .. } => "shard-frozen",
            Event::Shard { change: ShardChange::Installed { .. }, .. } => "shard-installed",
            Event::Shard { change: ShardChange::Deleted, .. } => "shard-deleted",
            Event::Shard { change: ShardChange::Unreadable { .. }, .. } => "shard-unreadable",
            Event::ShardMissing { .. } => "shard-missing",
            Event::Halted { .. } => "halted",
        }
    }
}
