//! §8: reads that do not go through the log must not return what is stale. (Thesis 6.4 says how: ReadIndex.)

use crate::rule;
use crate::server::{
    Server, TIMEOUT, accepted, append, append_reply, appends_to, one_of, receivers, request_vote, votes,
};
use labrpc::NodeId;
use shardlab::raft::message::{Message, Outcome};
use shardlab::raft::{Bug, Index, Input};
use std::time::Duration;

/// S2 has everything up to `index`, and says so in this round of reads.
fn confirmed(term: u64, round: u64, index: u64) -> Message {
    append_reply(term, round, Outcome::Accepted { matched: Index(index) })
}

/// S1 leads term 2, and its only entry of that term, entry 2, is committed.
fn leader(bug: Option<Bug>) -> Server {
    let mut server = one_of(3).log(&[1]).start(bug);
    server.lead();
    server.propose();
    server.hear(2, accepted(2, 2));
    assert_eq!(server.commit(), 2);
    server
}

/// First precaution: a leader must know what is committed, and at the start of its term it does not.
#[test]
fn leaders_do_not_read_before_an_entry_of_their_term_is_committed() {
    rule(vec![None], &[(Bug::ReadIndexBeforeTermCommit, vec![Some(0)])], |bug| {
        let mut server = one_of(3).log(&[1]).start(bug);
        server.lead();
        server.hear(2, accepted(2, 1));
        server.read();
        server.hear(2, confirmed(2, 1, 1));
        server.answers().to_vec()
    });
}

/// Second precaution: a leader must make sure that it was not deposed. It exchanges heartbeats with a majority,
/// and what it heard before the read came says nothing about now.
#[test]
fn leaders_read_when_a_majority_has_answered_a_later_heartbeat() {
    let mut server = leader(None);
    let sent = server.read();
    assert_eq!(appends_to(2, &sent).len() + appends_to(3, &sent).len(), 2, "a heartbeat to each");
    server.hear(2, confirmed(2, 0, 2));
    assert_eq!(server.answers(), [], "this one was sent before");
    server.hear(2, confirmed(2, 1, 2));
    assert_eq!(server.answers(), [Some(2)]);
}

/// The same: whoever hears of a later term was deposed, and its reads fail.
#[test]
fn leaders_that_are_deposed_fail_their_reads() {
    let mut server = leader(None);
    server.read();
    server.hear(3, append(3, (2, 2), &[], 2));
    assert_eq!(server.answers(), [None]);
    assert_eq!(server.given().0, [1, 2]);
}

/// The same: answers to *this* leadership. Rounds are counted from 1 by each process, so the round of an append
/// that S1 sent before a crash, in an older term, is of another count.
#[test]
fn leaders_read_on_answers_to_their_own_term_only() {
    rule(vec![], &[(Bug::StaleRoundConfirmsReads, vec![Some(2)])], |bug| {
        let mut server = leader(bug);
        server.hear(2, append_reply(2, 9, Outcome::StaleTerm));
        server.read();
        server.answers().to_vec()
    });
}

/// And the state that is read must be as old as that: a read is answered when the service has applied its index.
#[test]
fn leaders_answer_a_read_when_the_service_has_applied_its_index() {
    rule((vec![], vec![Some(3)]), &[(Bug::ReadBeforeApply, (vec![Some(3)], vec![Some(3)]))], |bug| {
        let mut server = leader(bug);
        server.slow_service = true;
        server.propose();
        server.hear(2, accepted(2, 3));
        server.read();
        server.hear(2, confirmed(2, 1, 3));
        assert_eq!(server.given().0, [1, 2, 3]);
        let before = server.answers().to_vec();
        server.apply();
        (before, server.answers().to_vec())
    });
}

const STEP: Duration = Duration::from_millis(100);

/// S1 leads term 2 with a lease: a round of heartbeats left now, and S2 answers it so much later.
fn leader_with_lease(bug: Option<Bug>, answered_after: Duration) -> Server {
    let mut server = one_of(3).log(&[1]).leases().start(bug);
    server.lead();
    server.propose();
    server.hear(2, accepted(2, 2));
    // Being elected was the first round, and this is the second.
    server.wait(STEP);
    server.wait(answered_after);
    server.hear(2, confirmed(2, 2, 2));
    server
}

/// Thesis 6.4.1: for an election timeout after it *sent* what a majority has answered, a leader reads without asking.
#[test]
fn leaders_with_a_lease_read_at_once_until_it_ends() {
    let rest = TIMEOUT - STEP - STEP;
    rule(vec![Some(2)], &[(Bug::LeaseFromReceipt, vec![Some(2), Some(2)])], |bug| {
        let mut server = leader_with_lease(bug, STEP + STEP);
        server.wait(rest - Duration::from_nanos(1));
        server.read();
        server.wait(Duration::from_nanos(1));
        server.read();
        server.answers().to_vec()
    });
}

/// Thesis 6.4.1: a leader that hands its leadership over has no lease for the rest of its term, also when nothing
/// comes of it.
#[test]
fn leaders_that_hand_over_give_up_their_lease() {
    let mut server = leader_with_lease(None, Duration::ZERO);
    server.step(Input::Transfer { to: NodeId(2) });
    server.read();
    server.time_out();
    server.read();
    assert_eq!(server.answers(), [], "both ask a majority");
}

/// Thesis 6.4.1, 4.2.3: whoever has heard a leader takes part in no election for an election timeout. Also one that was
/// started again meanwhile, or that follows nobody any more.
#[test]
fn servers_keep_out_of_elections_while_a_lease_may_run() {
    let mut server = one_of(3).log(&[1]).leases().start(None);
    assert_eq!(votes(&server.hear(3, request_vote(5, (9, 4)))), [false; 0], "it has just started");
    server.wait(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(votes(&server.hear(3, request_vote(5, (9, 4)))), [false; 0]);
    server.hear(2, append(2, (1, 1), &[2], 0));
    server.wait(TIMEOUT - Duration::from_nanos(1));
    server.hear(3, append_reply(4, 0, shardlab::raft::message::Outcome::StaleTerm));
    assert_eq!(server.view().leader, None, "the term of its leader is over");
    assert_eq!(votes(&server.hear(3, request_vote(5, (9, 4)))), [false; 0], "its promise is not");
    server.restart();
    server.wait(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(votes(&server.hear(3, request_vote(5, (9, 4)))), [false; 0]);
    assert_eq!(receivers("vote", &server.wait(Duration::from_nanos(1))), [2, 3], "its own timer waits as long");
    assert_eq!(votes(&server.hear(3, request_vote(6, (9, 4)))), [true]);
}
