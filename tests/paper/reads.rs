//! §8: reads that do not go through the log must not return what is stale. (Thesis 6.4 says how: ReadIndex.)

use crate::rule;
use crate::server::{Server, accepted, append, append_reply, appends_to, one_of};
use shardlab::raft::message::{Message, Outcome};
use shardlab::raft::{Bug, Index};

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
    let mut server = one_of(3).log(&[1]).start(None);
    server.lead();
    server.hear(2, accepted(2, 1));
    server.read();
    assert_eq!(server.answers(), [None]);
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
