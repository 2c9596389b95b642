//! Figure 2, persistent state on all servers: updated on stable storage *before* responding to RPCs. What a
//! server has said it must still know after a crash.

use crate::rule;
use crate::server::{
    accepted, append, appends_to, install, one_of, outcomes, receivers, request_vote, votes, wanted,
};
use shardlab::raft::message::{Message, Outcome, PreVote, PreVoteReply};
use shardlab::raft::{Bug, EntryId, Index, Term};

fn matched(index: u64) -> Vec<Outcome> {
    vec![Outcome::Accepted { matched: Index(index) }]
}

/// votedFor: a vote leaves when it is durable.
#[test]
fn a_vote_is_durable_before_it_is_given() {
    rule((vec![], vec![true]), &[(Bug::VoteNotDurable, (vec![true], vec![]))], |bug| {
        let mut server = one_of(3).start(bug);
        server.slow_disk = true;
        let before = votes(&server.hear(2, request_vote(1, (0, 0))));
        (before, votes(&server.sync()))
    });
}

/// The same, and what it is for: a server that crashes does not vote twice in a term.
#[test]
fn a_crash_gives_no_second_vote() {
    rule(vec![3], &[(Bug::VoteNotDurable, vec![2, 3])], |bug| {
        let mut server = one_of(3).start(bug);
        server.slow_disk = true;
        let mut voted = receivers("vote-reply", &server.hear(2, request_vote(1, (0, 0))));
        server.restart();
        server.slow_disk = false;
        voted.extend(receivers("vote-reply", &server.hear(3, request_vote(1, (0, 0)))));
        voted
    });
}

/// votedFor, of a candidate: it has given its vote to itself before it asks for others.
#[test]
fn a_candidates_own_vote_is_durable_before_it_asks() {
    rule((vec![], vec![2, 3]), &[(Bug::SelfVoteNotDurable, (vec![2, 3], vec![]))], |bug| {
        let mut server = one_of(3).start(bug);
        server.slow_disk = true;
        let before = receivers("vote", &server.time_out());
        (before, receivers("vote", &server.sync()))
    });
}

/// log[]: entries are acknowledged when they are durable.
#[test]
fn entries_are_durable_before_they_are_acknowledged() {
    rule((vec![], matched(2)), &[(Bug::AckBeforeDurable, (matched(2), vec![]))], |bug| {
        let mut server = one_of(3).log(&[1]).start(bug);
        server.slow_disk = true;
        let before = outcomes(&server.hear(2, append(1, (1, 1), &[1], 0)));
        (before, outcomes(&server.sync()))
    });
}

/// currentTerm: whatever a server says in a term, if only that it refuses, it says when the term is durable.
#[test]
fn a_term_is_durable_before_anything_is_said_in_it() {
    let mut server = one_of(3).start(None);
    server.slow_disk = true;
    assert_eq!(server.hear(2, append(5, (9, 5), &[], 0)), []);
    let refused = Outcome::Rejected { prev: Index(9), conflict: Index(1), conflict_term: None };
    assert_eq!(outcomes(&server.sync()), [refused]);
}

/// All three: a server starts with what it had said.
#[test]
fn a_server_starts_with_what_it_had_said() {
    let mut server = one_of(3).start(None);
    server.hear(2, request_vote(2, (0, 0)));
    server.hear(2, append(2, (0, 0), &[1, 2, 2], 0));
    server.hear(2, append(2, (1, 1), &[2], 0));
    server.restart();
    let view = server.view();
    assert_eq!((view.term, view.vote.map(|node| node.0), server.log()), (Term(2), Some(2), vec![1, 2, 2]));
    assert_eq!(votes(&server.hear(3, request_vote(2, (9, 2)))), [false]);
}

/// A write that was on its way when the log was cut says nothing about what stands there now.
#[test]
fn a_write_of_entries_that_were_cut_acknowledges_nothing() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.slow_disk = true;
    server.hear(2, append(1, (1, 1), &[1], 0));
    server.hear(2, append(1, (2, 1), &[1], 0));
    server.hear(3, request_vote(2, (3, 1)));
    server.sync();
    // Entry 3 of term 1 and the vote for S3 are on their way to the disk, in one write. S3 leads term 2 and
    // cuts that entry off: when the write is done, the term is durable, and entry 2 of term 2 is not.
    server.hear(3, append(2, (1, 1), &[2], 0));
    let sent = server.sync();
    assert_eq!((votes(&sent), outcomes(&sent)), (vec![true], vec![]));
    assert_eq!(outcomes(&server.sync()), matched(2));
}

/// A leader's appends promise nothing, and need not wait (thesis 10.2.1). But it counts its own copy only when
/// that is durable, as it does everybody's.
#[test]
fn a_leader_counts_its_own_copy_when_it_is_durable() {
    rule([0, 1], &[(Bug::LeaderCountsUndurableSelf, [1, 1])], |bug| {
        let mut server = one_of(3).start(bug);
        server.lead();
        server.hear(2, accepted(1, 0));
        server.slow_disk = true;
        assert_eq!(appends_to(2, &server.propose()), [((0, 0), 1)], "it leaves at once");
        server.hear(2, accepted(1, 1));
        let before = server.commit();
        server.sync();
        [before, server.commit()]
    });
}

/// A service is given nothing that this server could forget: not even what is committed, since others have it.
#[test]
fn nothing_is_applied_before_it_is_durable_here() {
    rule((vec![], vec![1]), &[(Bug::ApplyUncommitted, (vec![1], vec![1]))], |bug| {
        let mut server = one_of(3).term(1).start(bug);
        server.slow_disk = true;
        server.hear(2, append(1, (0, 0), &[1], 1));
        assert_eq!(server.commit(), 1);
        let before = server.given().0;
        server.sync();
        (before, server.given().0)
    });
}

/// votedFor, where the vote is all that is new: the term was durable long before.
#[test]
fn a_vote_waits_for_the_disk_also_in_an_old_term() {
    rule((vec![], vec![true]), &[(Bug::VoteNotDurable, (vec![true], vec![]))], |bug| {
        let mut server = one_of(3).term(1).start(bug);
        server.slow_disk = true;
        let before = votes(&server.hear(2, request_vote(1, (0, 0))));
        (before, votes(&server.sync()))
    });
}

/// currentTerm, of every other answer that is a refusal: to a candidate whose log is behind, to a server that would
/// be a candidate, and to a leader of an older term that sends a snapshot.
#[test]
fn a_refusal_says_a_term_that_is_durable() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.slow_disk = true;
    assert_eq!(server.hear(2, request_vote(5, (0, 0))), []);
    assert_eq!(server.hear(3, Message::PreVote(PreVote { term: Term(4), last: EntryId::ZERO })), []);
    assert_eq!(server.hear(3, install(4, (9, 4), 0, true)), []);
    let sent = server.sync();
    assert_eq!((votes(&sent), wanted(&sent)), (vec![false], vec![Some(0)]));
    let refusal = Message::PreVoteReply(PreVoteReply { term: Term(5), granted: false });
    assert!(sent.contains(&(3, refusal)), "{sent:?}");
}

/// An acknowledgement of an older term dies with it: entry 2 of term 1, which it speaks of, was cut off for another
/// before it was said.
#[test]
fn an_acknowledgement_of_an_older_term_is_not_given() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.slow_disk = true;
    server.hear(2, append(1, (1, 1), &[1], 0));
    server.hear(3, append(2, (1, 1), &[2], 0));
    assert_eq!(server.sync(), []);
    assert_eq!(server.sync(), [(3, accepted(2, 2))]);
    assert_eq!(server.log(), [1, 2]);
}

/// Acknowledgements that wait for the same write are one. What a write releases does not wait for the next.
#[test]
fn a_slow_disk_gathers_acknowledgements_and_puts_none_off() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.slow_disk = true;
    for index in 2..=100 {
        server.hear(2, append(1, (index - 1, 1), &[1], 0));
    }
    // Entry 2 was on its way to the disk when the others came.
    assert_eq!(outcomes(&server.sync()), matched(2));
    server.hear(2, append(1, (100, 1), &[1], 0));
    assert_eq!(outcomes(&server.sync()), matched(100));
    server.hear(2, append(1, (3, 1), &[1], 0));
    assert_eq!(outcomes(&server.sync()), matched(101), "of a copy that came late, the later one says all");
}
