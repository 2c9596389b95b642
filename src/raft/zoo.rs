//! Which directed scenario is made for which planted bug, and which check sees it there first.

use super::bugs::Bug;

/// The scenario, and the check. None: bugs that only a service shows.
pub fn directed(bug: Bug) -> Option<(&'static str, &'static str)> {
    let directed = match bug {
        Bug::VoteNotDurable => ("vote-lost-with-the-power", "persist-before-send"),
        Bug::SelfVoteNotDurable => ("candidacy-lost-with-the-power", "persist-before-send"),
        Bug::VoteIgnoresLog => ("candidate-without-the-last-commit", "leader-completeness"),
        Bug::VoteIndexBeforeTerm => ("long-log-of-an-old-term", "leader-completeness"),
        Bug::VoteRejectsIfEitherGreater => ("longer-log-against-later-term", "progress"),
        Bug::StaleVoteCounted => ("vote-that-comes-a-term-late", "election-safety"),
        Bug::DuplicateVoteCounted => ("vote-that-comes-twice", "election-safety"),
        Bug::VoteClearedSameTerm => ("second-candidate-of-a-term", "monotonic"),
        Bug::ElectionQuorumEven => ("halves-of-an-even-cluster", "election-safety"),
        Bug::TimerResetByStaleRpc => ("deaf-deposed-leader", "progress"),
        Bug::CommitOldTerm => ("figure-8-step-by-step", "commit-quorum"),
        Bug::AeTruncatesAlways => ("append-that-comes-twice", "no-un-append"),
        Bug::MatchGuessOnElection => ("leader-again-with-entries-of-its-own", "replication-match"),
        Bug::MatchFromCurrentLog => ("acknowledgement-while-the-log-grows", "replication-match"),
        Bug::CommitUnclamped => ("heartbeat-over-a-stale-suffix", "committed-immutable"),
        Bug::HeartbeatSkipsPrevCheck => ("heartbeat-beyond-a-stale-suffix", "committed-immutable"),
        Bug::StaleLeaderAeAccepted => ("append-of-a-deposed-leader", "no-un-append"),
        Bug::StaleAppendReplyAccepted => ("acknowledgement-of-an-earlier-leadership", "replication-match"),
        Bug::CommitQuorumShort => ("one-follower-of-four", "commit-quorum"),
        Bug::BacktrackStuck => ("follower-with-a-longer-stale-log", "progress"),
        Bug::StaleRoundConfirmsReads => ("refusal-of-an-append-from-before-a-restart", "read-index"),
        Bug::ReadBeforeApply => ("read-from-a-slow-service", "read-index"),
        Bug::LeaderStateNotReset => ("leader-again-after-an-overwrite", "replication-match"),
        Bug::AckBeforeDurable => ("acknowledged-from-memory", "persist-before-send"),
        Bug::LeaderCountsUndurableSelf => ("leader-with-a-stalled-disk", "commit-quorum"),
        Bug::SnapLogNotAtomic => ("power-lost-between-log-and-snapshot", "recovery"),
        Bug::TornStateFile => ("crash-while-the-log-is-rewritten", "recovery"),
        Bug::SnapshotBeforeTerm => ("power-lost-with-half-an-install", "log-well-formed"),
        Bug::NoFsync => ("power-lost-by-all", "persist-before-send"),
        Bug::StaleInstallRollsBack => ("snapshot-that-comes-twice", "monotonic"),
        Bug::OlderLocalSnapshotWins => ("snapshot-of-a-slow-service", "snapshot-honest"),
        Bug::InstallKeepsConflict => ("snapshot-over-a-stale-suffix", "persist-before-send"),
        Bug::BoundaryTermWrong => ("followers-compacted-to-the-end", "progress"),
        Bug::ApplyRacesInstall => ("snapshot-behind-a-queue", "apply-order"),
        Bug::SnapshotNeverSentWhenIdle => ("laggard-of-an-idle-leader", "agreement"),
        Bug::ApplyUncommitted => ("commands-at-an-isolated-leader", "commit-quorum"),
        Bug::ReadIndexBeforeTermCommit | Bug::LeaseFromReceipt => return None,
    };
    Some(directed)
}
