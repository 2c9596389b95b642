//! What servers say to each other: one-way messages, each of which says whose term it is of.
//!
//! There are no calls. A reply is a message like any other and carries what it speaks of, so that one that
//! comes late can be told from one that is due.

use super::types::{Entry, EntryId, Index, SnapshotMeta, Term};
use bytes::Bytes;
use labrpc::Kind;
use serde::{Deserialize, Serialize};

/// Sent by candidates to gather votes (Figure 2, RequestVote).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestVote {
    /// The candidate's term.
    pub term: Term,
    /// The last entry of its log.
    pub last: EntryId,
    /// The leader asked for this election, so servers that hear from it should answer all the same (thesis
    /// 3.10).
    pub transfer: bool,
}

/// The answer to [`RequestVote`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoteReply {
    /// The voter's term; a granted vote is for the candidate's election of this term.
    pub term: Term,
    /// Whether the candidate has the vote.
    pub granted: bool,
}

/// Sent by those who would be candidates (thesis 9.6). It changes nobody's term or vote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PreVote {
    /// The term that the sender would campaign for.
    pub term: Term,
    /// The last entry of its log.
    pub last: EntryId,
}

/// The answer to [`PreVote`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PreVoteReply {
    /// If granted, the term that was asked for; else the term of the one who refuses, which may be news.
    pub term: Term,
    /// Whether the sender would have the vote.
    pub granted: bool,
}

/// Sent by leaders to replicate entries, and as a heartbeat (Figure 2, AppendEntries).
///
/// The entries stand last, so that an observer can read the rest without them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Append {
    /// The leader's term.
    pub term: Term,
    /// The entry in front of the new ones.
    pub prev: EntryId,
    /// The leader's commit index.
    pub commit: Index,
    /// The leader's latest round of reads: an answer, except one that refuses the term, confirms that it was the
    /// leader when it sent this.
    pub round: u64,
    /// The new entries; none in a heartbeat.
    pub entries: Vec<Entry>,
}

/// The answer to [`Append`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppendReply {
    /// The follower's term. If it accepts, it is the term of the append.
    pub term: Term,
    /// The round of the append.
    pub round: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl AppendReply {
    /// Whether this acceptance tells the leader everything that an earlier one does.
    pub(super) fn says_all_of(&self, earlier: &AppendReply) -> bool {
        let (Outcome::Accepted { matched }, Outcome::Accepted { matched: said }) =
            (&self.outcome, &earlier.outcome)
        else {
            return false;
        };
        self.term == earlier.term && said <= matched && earlier.round <= self.round
    }
}

/// What became of an append.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The follower's log is the leader's up to here, durably: the last entry of *this* append, not of the log.
    Accepted {
        /// Index of the last entry of the append, or of the one in front if it had none.
        matched: Index,
    },
    /// The entry in front of the new ones is not in the follower's log.
    Rejected {
        /// Index of the entry that is not there: which append this answers.
        prev: Index,
        /// Where the follower's log can agree at best: behind its end, or at the first entry of the term that
        /// is in the way (§5.3, last paragraphs).
        conflict: Index,
        /// The term that is in the way, if any is.
        conflict_term: Option<Term>,
    },
    /// The append is of an older term: there is another leader or will be one.
    StaleTerm,
}

/// Sent by leaders to followers that lag behind the log's start (Figure 13, InstallSnapshot).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Install {
    /// The leader's term.
    pub term: Term,
    /// What the snapshot stands for.
    pub snapshot: SnapshotMeta,
    /// Where this piece begins, in bytes.
    pub offset: u64,
    /// Whether it is the last.
    pub done: bool,
    /// The piece.
    pub data: Bytes,
}

/// The answer to [`Install`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstallReply {
    /// The follower's term.
    pub term: Term,
    /// The last entry of the snapshot that it speaks of.
    pub snapshot: EntryId,
    /// Which piece it answers.
    pub offset: u64,
    /// Which byte the follower wants next. Not of use if `done`.
    pub next: u64,
    /// The follower has everything that the snapshot covers, durably.
    pub done: bool,
}

/// Sent by a leader to the one that shall follow it: campaign now (thesis 3.10).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
}

/// Everything that servers say to each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // each is documented where it is defined
pub enum Message {
    PreVote(PreVote),
    PreVoteReply(PreVoteReply),
    RequestVote(RequestVote),
    VoteReply(VoteReply),
    Append(Append),
    AppendReply(AppendReply),
    Install(Install),
    InstallReply(InstallReply),
    TimeoutNow(TimeoutNow),
}

/// The kinds, as traces and faults name them.
pub mod kind {
    use labrpc::Kind;

    /// [`super::PreVote`].
    pub const PRE_VOTE: Kind = Kind::new("pre-vote");
    /// [`super::PreVoteReply`].
    pub const PRE_VOTE_REPLY: Kind = Kind::new("pre-vote-reply");
    /// [`super::RequestVote`].
    pub const VOTE: Kind = Kind::new("vote");
    /// [`super::VoteReply`].
    pub const VOTE_REPLY: Kind = Kind::new("vote-reply");
    /// [`super::Append`].
    pub const APPEND: Kind = Kind::new("append");
    /// [`super::AppendReply`].
    pub const APPEND_REPLY: Kind = Kind::new("append-reply");
    /// [`super::Install`].
    pub const INSTALL: Kind = Kind::new("install");
    /// [`super::InstallReply`].
    pub const INSTALL_REPLY: Kind = Kind::new("install-reply");
    /// [`super::TimeoutNow`].
    pub const TIMEOUT_NOW: Kind = Kind::new("timeout-now");
}

impl Message {
    /// The kind that it travels under.
    pub fn kind(&self) -> Kind {
        match self {
            Message::PreVote(_) => kind::PRE_VOTE,
            Message::PreVoteReply(_) => kind::PRE_VOTE_REPLY,
            Message::RequestVote(_) => kind::VOTE,
            Message::VoteReply(_) => kind::VOTE_REPLY,
            Message::Append(_) => kind::APPEND,
            Message::AppendReply(_) => kind::APPEND_REPLY,
            Message::Install(_) => kind::INSTALL,
            Message::InstallReply(_) => kind::INSTALL_REPLY,
            Message::TimeoutNow(_) => kind::TIMEOUT_NOW,
        }
    }

    /// The term of its sender. `None` where the term is one that nobody has yet: a pre-vote's, and that of its
    /// granted answer. Those must not move anybody's term.
    pub fn term(&self) -> Option<Term> {
        match self {
            Message::PreVote(_) | Message::PreVoteReply(PreVoteReply { granted: true, .. }) => None,
            Message::PreVoteReply(PreVoteReply { term, .. })
            | Message::RequestVote(RequestVote { term, .. })
            | Message::VoteReply(VoteReply { term, .. })
            | Message::Append(Append { term, .. })
            | Message::AppendReply(AppendReply { term, .. })
            | Message::Install(Install { term, .. })
            | Message::InstallReply(InstallReply { term, .. })
            | Message::TimeoutNow(TimeoutNow { term }) => Some(*term),
        }
    }
}
