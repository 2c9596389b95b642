//! Changes of the membership (thesis 4), which go one server at a time.

use crate::rule;
use crate::server::{Server, TIMEOUT, accepted, append, append_members, one_of, receivers};
use labrpc::NodeId;
use shardlab::raft::{Bug, Change, ChangeRefused, Index, Input, Role, Unavailable};

const ADD_4: Change = Change::AddLearner(NodeId(4));
const ADD_5: Change = Change::AddLearner(NodeId(5));
const REMOVE_1: Change = Change::Remove(NodeId(1));
const REMOVE_3: Change = Change::Remove(NodeId(3));

/// S1 leads term 1 of three, and its first entry is committed.
fn leader(bug: Option<Bug>) -> Server {
    let mut server = one_of(3).start(bug);
    server.lead();
    server.propose();
    server.hear(2, accepted(1, 1));
    server
}

fn refused(why: ChangeRefused) -> Result<u64, Unavailable> {
    Err(Unavailable::Change(why))
}

/// A leader of which no entry is committed may lack a change that another one has begun (Ongaro's correction to 4.1).
#[test]
fn a_leader_changes_nothing_before_it_has_committed_an_entry_of_its_term() {
    rule(refused(ChangeRefused::TermNotCommitted), &[(Bug::ChangeBeforeTermCommit, Ok(3))], |bug| {
        let mut server = one_of(3).log(&[1]).start(bug);
        server.lead();
        server.propose();
        server.change(REMOVE_3);
        server.proposals()[1]
    });
}

/// Two changes together may make majorities that have nobody in common (4.1).
#[test]
fn a_change_waits_for_the_one_in_front_of_it() {
    rule([Ok(2), refused(ChangeRefused::InProgress)], &[(Bug::ChangesOverlap, [Ok(2), Ok(3)])], |bug| {
        let mut server = leader(bug);
        server.change(ADD_4);
        server.change(ADD_5);
        [server.proposals()[1], server.proposals()[2]]
    });
}

/// A membership is in force as soon as it is in the log (4.1): a new server is sent the log at once.
#[test]
fn a_learner_receives_the_log_and_does_not_count() {
    rule((true, [2, 2, 3]), &[(Bug::LearnersCounted, (true, [2, 3, 3]))], |bug| {
        let mut server = leader(bug);
        let is_sent = receivers("append", &server.change(ADD_4)).contains(&4);
        server.hear(2, accepted(1, 2));
        let added = server.commit();
        server.propose();
        server.hear(4, accepted(1, 3));
        let learnt = server.commit();
        server.hear(3, accepted(1, 3));
        (is_sent, [added, learnt, server.commit()])
    });
}

/// Until it has caught up (4.2.1): a voter that lags would be missed.
#[test]
fn a_learner_becomes_a_voter_when_it_has_caught_up() {
    let mut server = leader(None);
    server.change(ADD_4);
    server.hear(2, accepted(1, 2));
    server.change(Change::Promote(NodeId(4)));
    assert_eq!(server.proposals()[2], refused(ChangeRefused::Behind(NodeId(4))));
    server.hear(4, accepted(1, 2));
    server.change(Change::Promote(NodeId(4)));
    assert_eq!((server.proposals()[3], server.members()), (Ok(3), (vec![1, 2, 3, 4], vec![])));
}

/// What is begun cannot be undone before it is committed, so it must be possible to commit it.
#[test]
fn a_change_that_those_who_are_heard_could_not_commit_is_not_begun() {
    let mut server = leader(None);
    server.wait(TIMEOUT);
    server.hear(2, accepted(1, 1));
    server.change(Change::Remove(NodeId(2)));
    assert_eq!(
        server.proposals()[1],
        refused(ChangeRefused::TooFewHeard),
        "S3 would be needed, and nobody hears it"
    );
    server.change(REMOVE_3);
    assert_eq!(server.proposals()[2], Ok(2));
}

/// What makes no sense is refused, and nothing is written.
#[test]
fn senseless_changes_are_refused() {
    let mut server = leader(None);
    let [one, four] = [1, 4].map(NodeId);
    for (change, why) in [
        (Change::AddLearner(one), ChangeRefused::Member(one)),
        (Change::Promote(one), ChangeRefused::NotALearner(one)),
        (Change::Promote(four), ChangeRefused::NotALearner(four)),
        (Change::Remove(four), ChangeRefused::NotAMember(four)),
    ] {
        server.change(change);
        assert_eq!(server.proposals().last(), Some(&refused(why)), "{change}");
    }
    let mut alone = one_of(1).start(None);
    alone.lead();
    alone.propose();
    alone.change(REMOVE_1);
    assert_eq!(alone.proposals().last(), Some(&refused(ChangeRefused::LastVoter(one))));
    let mut follower = one_of(3).start(None);
    follower.change(ADD_4);
    assert_eq!(follower.proposals(), [Err(Unavailable::NotLeader(None))]);
}

/// A leader that takes itself out leads until that is committed, without counting itself; then it steps down (4.2.2), and has
/// another one take over at once.
#[test]
fn a_leader_that_is_taken_out_does_not_count_itself_and_goes_when_it_is_committed() {
    let gone = (2, Role::Follower, vec![2]);
    let kept = ((1, Role::Leader, vec![]), gone.clone());
    rule(kept, &[(Bug::RemovedLeaderCountsItself, (gone, (2, Role::Follower, vec![])))], |bug| {
        let mut server = leader(bug);
        server.change(REMOVE_1);
        let mut hear = |from| {
            let sent = server.hear(from, accepted(1, 2));
            (server.commit(), server.view().role, receivers("timeout-now", &sent))
        };
        (hear(2), hear(3))
    });
}

/// One that was taken out is told so once, since nobody speaks to it any more.
#[test]
fn one_that_is_taken_out_hears_of_it() {
    let mut server = leader(None);
    server.hear(3, accepted(1, 1));
    assert_eq!(receivers("append", &server.change(REMOVE_3)), [2, 3], "it is sent the change");
    assert!(receivers("append", &server.hear(2, accepted(1, 2))).contains(&3), "and that it is committed");
    assert!(!receivers("append", &server.propose()).contains(&3));
    assert!(!receivers("append", &server.wait(TIMEOUT / 2)).contains(&3));
}

/// A membership is in force as long as it is in the log, and no longer (4.1).
#[test]
fn a_membership_that_is_cut_off_is_not_in_force() {
    let (before, after) = ((vec![1, 2], vec![]), (vec![1, 2, 3], vec![]));
    let breach = (Bug::CutMembershipInForce, [before.clone(), before.clone()]);
    rule([before.clone(), after], &[breach], |bug| {
        let mut server = one_of(3).log(&[1]).start(bug);
        server.hear(2, append_members(1, (1, 1), &[1, 2]));
        let held = server.members();
        server.hear(3, append(2, (1, 1), &[2], 0));
        [held, server.members()]
    });
}

/// A server that is being taken out may be needed to lead until that is committed: its log may be the longest (4.2.2, Figure
/// 4.6). It does not count its own vote.
#[test]
fn a_server_that_leaves_stands_in_elections_until_it_has_left() {
    let leads = Role::Leader;
    rule(
        [Role::Candidate, Role::Candidate, leads, Role::Follower],
        &[(Bug::LeavingServerKeepsStill, [Role::Follower; 4])],
        |bug| {
            let mut server = one_of(3).log(&[1]).start(bug);
            server.hear(2, append_members(1, (1, 1), &[2, 3]));
            server.time_out();
            let mut seen = vec![server.view().role];
            for from in [2, 3] {
                server.hear(from, crate::server::vote_reply(2));
                seen.push(server.view().role);
            }
            let mut gone = one_of(3).log(&[1]).start(bug);
            gone.hear(2, append_members(1, (1, 1), &[2, 3]));
            gone.hear(2, append(1, (2, 1), &[], 2));
            gone.time_out();
            seen.push(gone.view().role);
            <[Role; 4]>::try_from(seen).expect("four were looked at")
        },
    );
}

/// A snapshot has the latest membership in front of its end (5.1).
#[test]
fn a_snapshot_carries_the_membership_at_its_end() {
    rule(vec![1, 2], &[(Bug::MembershipNotInSnapshot, vec![1, 2, 3])], |bug| {
        let mut server = leader(bug);
        server.change(REMOVE_3);
        server.hear(2, accepted(1, 2));
        server.step(Input::Compact { index: Index(2) });
        server.restart();
        server.members().0
    });
}
