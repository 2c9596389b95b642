//! Bugs that can be planted in this Raft, one at a time, for the laboratory to find.
//!
//! Each is one line at the place where the mistake is usually made: `bug!(self, Name)` is true when the node's
//! configuration names the bug. Without the feature `zoo` it is the constant `false`, and nothing of it is left
//! in the program.

use crate::bugs::bugs;

bugs! { ($) raft ALL
    // Elections.
    /// A vote leaves before it is durable (Figure 2: persistent state is updated before responding).
    VoteNotDurable = "vote-not-durable",
    /// A candidate asks for votes before its own term and vote are durable.
    SelfVoteNotDurable = "self-vote-not-durable",
    /// A vote is granted whatever the candidate's log holds (§5.4.1).
    VoteIgnoresLog = "vote-ignores-log",
    /// Logs are compared by length first and by term second (§5.4.1 says the other way round).
    VoteIndexBeforeTerm = "vote-index-before-term",
    /// A vote is denied if the voter's last term or its last index is greater: safe, but not live.
    VoteRejectsIfEitherGreater = "vote-rejects-if-either-greater",
    /// A vote given for an older term is counted in the current one.
    StaleVoteCounted = "stale-vote-counted",
    /// Votes are counted by message and not by server, so that a duplicate counts twice.
    DuplicateVoteCounted = "duplicate-vote-counted",
    /// The vote is forgotten when a leader of the same term shows up (§5.2: at most one vote in a term).
    VoteClearedSameTerm = "vote-cleared-same-term",
    /// Half of an even number of servers passes for a majority in elections (§5.2).
    ElectionQuorumEven = "election-quorum-even",
    /// The election timer is reset by messages of deposed leaders (Figure 2, followers).
    TimerResetByStaleRpc = "timer-reset-by-stale-rpc",

    // Replication.
    /// A leader commits an entry of an older term by counting its copies (§5.4.2, Figure 8).
    CommitOldTerm = "commit-old-term",
    /// Every append cuts the log behind its previous entry, conflict or not (AppendEntries rule 3).
    AeTruncatesAlways = "ae-truncates-always",
    /// A new leader believes that every log matches its own (Figure 2: matchIndex starts at 0).
    MatchGuessOnElection = "match-guess-on-election",
    /// An acknowledgement is taken for the log as it is now, and not for what the message carried.
    MatchFromCurrentLog = "match-from-current-log",
    /// A follower commits up to the leader's commit index, bounded by its own log and not by what it was sent
    /// (AppendEntries rule 5).
    CommitUnclamped = "commit-unclamped",
    /// A heartbeat is accepted without looking at the entry in front of it (AppendEntries rule 2).
    HeartbeatSkipsPrevCheck = "heartbeat-skips-prev-check",
    /// Entries of a deposed leader are taken (AppendEntries rule 1).
    StaleLeaderAeAccepted = "stale-leader-ae-accepted",
    /// An acknowledgement of an earlier term of leadership moves the match index.
    StaleAppendReplyAccepted = "stale-append-reply-accepted",
    /// An entry counts as committed one server short of a majority (§5.3).
    CommitQuorumShort = "commit-quorum-short",
    /// A follower that refuses an append speaks of the end of its own log instead of the entry it was asked for,
    /// so that the leader never steps back.
    BacktrackStuck = "backtrack-stuck",
    /// A refusal of an append of an older term confirms reads of this one: the number that it echoes was given by
    /// another leader, or by this one before it restarted.
    StaleRoundConfirmsReads = "stale-round-confirms-reads",
    /// A read is answered when it is confirmed, whatever the service has applied (thesis 6.4, step 4).
    ReadBeforeApply = "read-before-apply",
    /// Match and next indexes are kept from an earlier term of leadership (Figure 2: reinitialised after
    /// election).
    LeaderStateNotReset = "leader-state-not-reset",

    // Persistence.
    /// A follower acknowledges entries before they are durable.
    AckBeforeDurable = "ack-before-durable",
    /// A leader counts its own copy of an entry before that is durable (thesis 10.2.1).
    LeaderCountsUndurableSelf = "leader-counts-undurable-self",
    /// The log is cut before the snapshot that replaces it is durable (§7).
    SnapLogNotAtomic = "snap-log-not-atomic",
    /// The log is rewritten in place, and a log that cannot be read is taken for a fresh server.
    TornStateFile = "torn-state-file",
    /// In one write, the snapshot goes in front of the term that it is of: torn, it leaves a log above the term.
    SnapshotBeforeTerm = "snapshot-before-term",
    /// Writes are taken for durable without a sync.
    NoFsync = "no-fsync",

    // Snapshots and the service.
    /// A follower installs a snapshot that is older than what it has (Figure 13).
    StaleInstallRollsBack = "stale-install-rolls-back",
    /// The service's snapshot for an old index replaces a newer one that was installed.
    OlderLocalSnapshotWins = "older-local-snapshot-wins",
    /// Entries behind a snapshot are kept although the entry at its end conflicts with it (Figure 13, rule 7).
    InstallKeepsConflict = "install-keeps-conflict",
    /// The term at the end of the snapshot is reported as 0.
    BoundaryTermWrong = "boundary-term-wrong",
    /// A snapshot overtakes entries that wait to be applied.
    ApplyRacesInstall = "apply-races-install",
    /// A leader whose log is all compacted has nothing to send to a follower that lags.
    SnapshotNeverSentWhenIdle = "snapshot-never-sent-when-idle",
    /// Entries are applied when they are in the log, committed or not.
    ApplyUncommitted = "apply-uncommitted",

    ; OF_READS
    /// A leader gives its commit index to a read before an entry of its own term is committed (thesis 6.4, step 1).
    ReadIndexBeforeTermCommit = "read-index-before-term-commit",
    /// A lease counts from when the answers to a heartbeat came, and not from when the heartbeat was sent (thesis
    /// 6.4.1).
    LeaseFromReceipt = "lease-from-receipt",

    ; OF_MEMBERSHIP
    /// A leader changes the membership before it has committed an entry of its own term (Ongaro's correction to thesis
    /// 4.1).
    ChangeBeforeTermCommit = "change-before-term-commit",
    /// A change of the membership is begun before the one in front of it is committed (thesis 4.1).
    ChangesOverlap = "changes-overlap",
    /// Learners are counted as voters are (thesis 4.2.1).
    LearnersCounted = "learners-counted",
    /// A leader that takes itself out counts its own copy until that is committed (thesis 4.2.2).
    RemovedLeaderCountsItself = "removed-leader-counts-itself",
    /// A server that is being taken out stands in no election, needed or not (thesis 4.2.2).
    LeavingServerKeepsStill = "leaving-server-keeps-still",
    /// A membership stays in force when its entry is cut off (thesis 4.1).
    CutMembershipInForce = "cut-membership-in-force",
    /// A snapshot names the membership of the one in front of it (thesis 5.1: the latest membership is part of it).
    MembershipNotInSnapshot = "membership-not-in-snapshot",
}

impl Bug {
    /// Every bug that can be planted in Raft: [`Bug::ALL`], which its own suite is asked to find, those that only
    /// the reads of a service show, and those that only changes of the membership do.
    pub fn every() -> impl Iterator<Item = Bug> {
        Bug::ALL.iter().chain(Bug::OF_READS).chain(Bug::OF_MEMBERSHIP).copied()
    }
}
