//! Which directed scenario is made for which planted bug, which check sees it there first, and how hard each was expected to
//! be before anybody measured.

use super::bugs::Bug;
use sim::raft::{Class, Layer, Study};

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
        Bug::ChangeBeforeTermCommit => ("change-that-nobody-saw", "membership-change"),
        Bug::ChangesOverlap => ("two-changes-at-once", "membership-change"),
        Bug::LearnersCounted => ("learner-in-place-of-a-voter", "commit-quorum"),
        Bug::RemovedLeaderCountsItself => ("leader-taken-out-alone", "commit-quorum"),
        Bug::LeavingServerKeepsStill => ("leader-needed-until-it-is-gone", "progress"),
        Bug::CutMembershipInForce => ("change-that-is-cut-off", "election-safety"),
        Bug::MembershipNotInSnapshot => ("snapshot-behind-a-change", "commit-quorum"),
    };
    Some(directed)
}

/// What is to be expected of a bug.
///
/// # Panics
/// If a bug is of no layer; a test goes through all of them.
pub fn study(bug: Bug) -> Study {
    let layers = [election(bug), replication(bug), persistence(bug), snapshot(bug), membership(bug)];
    layers.into_iter().flatten().next().expect("each bug is of a layer")
}

fn election(bug: Bug) -> Option<Study> {
    let study = |class, rule| Study::of(Layer::Election, class, rule);
    Some(match bug {
        Bug::VoteNotDurable => study(Class::Easy, "Figure 2, persistent state; thesis 3.8"),
        Bug::SelfVoteNotDurable => study(Class::Easy, "Figure 2, persistent state; thesis 3.8"),
        Bug::VoteIgnoresLog => study(Class::Easy, "Figure 2, RequestVote rule 2; §5.4.1"),
        Bug::VoteIndexBeforeTerm => study(Class::Medium, "§5.4.1: which of two logs is more up-to-date"),
        Bug::VoteRejectsIfEitherGreater => study(Class::Medium, "§5.4.1: which of two logs is more up-to-date"),
        Bug::StaleVoteCounted => study(Class::Easy, "Figure 2, candidates; Students' Guide, term confusion"),
        Bug::DuplicateVoteCounted => study(Class::Easy, "Figure 2, candidates: votes from a majority of servers"),
        Bug::VoteClearedSameTerm => study(Class::Easy, "§5.2: at most one vote in a term"),
        Bug::ElectionQuorumEven => study(Class::Easy, "§5.2: a majority of the servers"),
        Bug::TimerResetByStaleRpc => study(Class::Medium, "Figure 2, followers; Students' Guide, livelocks"),
        _ => return None,
    })
}

fn replication(bug: Bug) -> Option<Study> {
    let study = |class, rule| Study::of(Layer::Replication, class, rule);
    Some(match bug {
        Bug::CommitOldTerm => study(Class::Medium, "Figure 2, leaders, last rule; §5.4.2"),
        Bug::AeTruncatesAlways => study(Class::Easy, "Figure 2, AppendEntries rule 3"),
        Bug::MatchGuessOnElection => study(Class::Easy, "Figure 2, volatile state of leaders; Students' Guide"),
        Bug::MatchFromCurrentLog => study(Class::Easy, "Figure 2, leaders; Students' Guide"),
        Bug::CommitUnclamped => study(Class::Medium, "Figure 2, AppendEntries rule 5"),
        Bug::HeartbeatSkipsPrevCheck => study(Class::Easy, "Figure 2, AppendEntries rule 2"),
        Bug::StaleLeaderAeAccepted => study(Class::Easy, "Figure 2, AppendEntries rule 1"),
        Bug::StaleAppendReplyAccepted => study(Class::Medium, "Students' Guide, term confusion"),
        Bug::CommitQuorumShort => study(Class::Easy, "§5.3: a majority of the servers"),
        Bug::BacktrackStuck => study(Class::Medium, "§5.3, end: nextIndex comes to where the logs match"),
        Bug::StaleRoundConfirmsReads => study(Class::Medium, "thesis 6.4, step 3").because("what outlives a term must be taken for one of a later term, as with an acknowledgement of an earlier leadership"),
        Bug::ReadBeforeApply => study(Class::Easy, "thesis 6.4, step 4").because("as with a read at an index that is too low, one look at the answer is enough"),
        Bug::LeaderStateNotReset => study(Class::Easy, "Figure 2, volatile state of leaders"),
        Bug::ReadIndexBeforeTermCommit => study(Class::Easy, "thesis 6.4, step 1; §8"),
        Bug::LeaseFromReceipt => study(Class::Medium, "thesis 6.4.1"),
        _ => return None,
    })
}

fn persistence(bug: Bug) -> Option<Study> {
    let study = |class, rule| Study::of(Layer::Persistence, class, rule);
    Some(match bug {
        Bug::AckBeforeDurable => study(Class::Easy, "Figure 2, persistent state; thesis 3.8"),
        Bug::LeaderCountsUndurableSelf => study(Class::Easy, "thesis 10.2.1"),
        Bug::SnapLogNotAtomic => study(Class::Easy, "§7: the log goes when the snapshot is durable"),
        Bug::TornStateFile => {
            study(Class::Easy, "thesis 3.8: what is durable is replaced in one step or not at all")
        }
        Bug::SnapshotBeforeTerm => study(Class::Easy, "Figure 2: no entry is of a later term than the server")
            .because("a crash inside a write shows it, as with a log that is rewritten in place"),
        Bug::NoFsync => study(Class::Easy, "Figure 2, persistent state: on stable storage"),
        _ => return None,
    })
}

fn snapshot(bug: Bug) -> Option<Study> {
    let study = |class, rule| Study::of(Layer::Snapshot, class, rule);
    Some(match bug {
        Bug::StaleInstallRollsBack => {
            study(Class::Easy, "Figure 13; Figure 2: commitIndex and lastApplied only grow")
        }
        Bug::OlderLocalSnapshotWins => study(Class::Easy, "§7; the course's Snapshot call"),
        Bug::InstallKeepsConflict => study(Class::Easy, "Figure 13, rule 7"),
        Bug::BoundaryTermWrong => study(Class::Medium, "§7: the last included term stands for the entry"),
        Bug::ApplyRacesInstall => study(Class::Easy, "Figure 2: entries are applied in the order of the log"),
        Bug::SnapshotNeverSentWhenIdle => study(Class::Medium, "§7: leaders send snapshots to followers that lag"),
        Bug::ApplyUncommitted => study(Class::Easy, "Figure 2, all servers: applied up to commitIndex"),
        _ => return None,
    })
}

fn membership(bug: Bug) -> Option<Study> {
    let study = |class, rule| Study::of(Layer::Membership, class, rule);
    let guess = "as with Figure 8: two leaders and an entry that comes back";
    Some(match bug {
        Bug::ChangeBeforeTermCommit => {
            study(Class::Medium, "Ongaro's correction of 2015 to thesis 4.1").because(guess)
        }
        Bug::ChangesOverlap => {
            study(Class::Easy, "thesis 4.1: one change at a time").because("one look at the log is enough")
        }
        Bug::LearnersCounted => study(Class::Easy, "thesis 4.2.1").because("as with a majority that is one short"),
        Bug::RemovedLeaderCountsItself => {
            study(Class::Medium, "thesis 4.2.2").because("only a leader that takes itself out shows it")
        }
        Bug::LeavingServerKeepsStill => study(Class::Medium, "thesis 4.2.2")
            .because("nobody is harmed but by waiting, as with votes refused for a longer log"),
        Bug::CutMembershipInForce => study(Class::Medium, "thesis 4.1: the latest in the log").because(guess),
        Bug::MembershipNotInSnapshot => study(Class::Easy, "thesis 5.1; §7").because(
            "as with a term that is wrong at the end of a snapshot, and any election after a restart shows it",
        ),
        _ => return None,
    })
}
