//! Bugs that can be planted in a replicated service and its clients, one at a time, for the laboratory to find.

use crate::bugs::bugs;
use crate::raft::bugs as raft;

bugs! { ($) rsm ALL
    // Sessions.
    /// A command that comes twice is executed twice (§8: track the latest serial number of each client).
    NoDedup = "no-dedup",
    /// Snapshots hold the sessions and not what those have done (§8; Students' Guide: duplicate detection belongs
    /// to the state).
    DedupNotInSnapshot = "dedup-not-in-snapshot",
    /// Duplicates are looked for when a command is put into the log, and not when it is applied: both of two that
    /// are under way are executed (thesis 6.3: the state machine decides).
    DedupOnlyAtSubmit = "dedup-only-at-submit",
    /// What a session has done is forgotten after ten entries of the log (thesis 6.3: until the client goes on).
    DedupWindowTooSmall = "dedup-window-too-small",
    /// A duplicate is recognised and gets the reply of a command that found nothing, not the one that the first
    /// got (§8: along with the associated response).
    DedupLosesReply = "dedup-loses-reply",
    /// A client that tries again takes a new serial number (thesis 6.3: the number is the operation's).
    RetryNewSeq = "retry-new-seq",

    // Answers.
    /// Each retry of a command that is under way, and each read, goes into the log again: all is well but for the cluster,
    /// which becomes slower the more its clients insist.
    EachRetryIsLogged = "each-retry-is-logged",
    /// Whatever is applied at the index where a command was to stand answers it, though it be another's (thesis
    /// 3.5: an entry is named by index and term).
    ReplyByIndexOnly = "reply-by-index-only",
    /// A command is acknowledged when it is in the leader's log, committed or not (§5.3).
    AckOnAppend = "ack-on-append",

    // Reads.
    /// A server that takes itself for the leader answers from its state at once (§8: it might be deposed).
    LocalRead = "local-read",
    /// A leader gives its commit index to a read before an entry of its own term is committed (thesis 6.4, step 1).
    ReadIndexBeforeTermCommit = "read-index-before-term-commit",
    /// A lease counts from when the answers to a heartbeat came, and not from when the heartbeat was sent (thesis
    /// 6.4.1).
    LeaseFromReceipt = "lease-from-receipt",
    ;
    // Of services that have errands; others do not have these bugs.
    OF_ERRANDS
    /// What a service has to do by itself its leader does at once, in its own copy of the state, and nobody else hears
    /// of it (§2: replicas that process the same commands in the same order).
    ErrandNotInLog = "errand-not-in-log",
}

impl Bug {
    /// The bug of Raft that it is, for those that are made further down.
    pub fn in_raft(self) -> Option<raft::Bug> {
        match self {
            Bug::ReadIndexBeforeTermCommit => Some(raft::Bug::ReadIndexBeforeTermCommit),
            Bug::LeaseFromReceipt => Some(raft::Bug::LeaseFromReceipt),
            _ => None,
        }
    }

    /// The bug of that name.
    pub fn of_name(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}
