//! Figure 2, rules for servers: all servers, followers, candidates (§5.1, §5.2).

use crate::rule;
use crate::server::{
    TIMEOUT, accepted, append, append_reply, install, one_of, outcomes, receivers, request_vote, vote_reply, votes,
};
use labrpc::NodeId;
use shardlab::raft::message::{Message, Outcome, PreVote, PreVoteReply, TimeoutNow};
use shardlab::raft::{Bug, EntryId, Role, Term};
use std::time::Duration;

// --- all servers

/// All servers, first rule (§5.3): if commitIndex > lastApplied, apply. In order, and nothing else.
#[test]
fn all_servers_apply_what_is_committed_and_no_more() {
    rule(vec![1, 2], &[(Bug::ApplyUncommitted, vec![1, 2, 3])], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
        server.hear(2, append(1, (3, 1), &[], 2));
        server.given().0
    });
}

/// All servers, second rule (§5.1): a later term in any request or answer makes a follower of that term, and
/// gives it a new vote.
#[test]
fn all_servers_follow_a_later_term() {
    let refusal = PreVoteReply { term: Term(5), granted: false };
    let news = [
        append(5, (0, 0), &[], 0),
        append_reply(5, 0, Outcome::StaleTerm),
        // From one that is behind, so that it is not granted: the term counts all the same.
        request_vote(5, (0, 0)),
        vote_reply(5),
        install(5, (9, 1), 0, false),
        Message::PreVoteReply(refusal),
    ];
    for message in news {
        let mut server = one_of(3).log(&[1]).start(None);
        server.lead();
        assert_eq!((server.view().role, server.view().term), (Role::Leader, Term(2)));
        server.hear(3, message.clone());
        let view = server.view();
        assert_eq!((view.role, view.term, view.vote), (Role::Follower, Term(5), None), "after {message:?}");
    }
}

/// The same rule, where it must not apply (thesis 9.6): the term of a pre-vote is one that nobody has yet.
#[test]
fn all_servers_stay_in_their_term_at_a_pre_vote() {
    let mut server = one_of(3).start(None);
    server.lead();
    server.hear(3, Message::PreVote(PreVote { term: Term(5), last: EntryId::ZERO }));
    assert_eq!((server.view().role, server.view().term), (Role::Leader, Term(1)));
}

/// The same rule (thesis 3.10): a message of an older term is of a leader that was deposed, and what it asks for is
/// not done.
#[test]
fn all_servers_campaign_only_at_the_wish_of_their_own_terms_leader() {
    let mut server = one_of(3).term(3).start(None);
    let wish = |term| Message::TimeoutNow(TimeoutNow { term: Term(term) });
    assert_eq!(server.hear(2, wish(2)), []);
    assert_eq!((server.view().role, server.view().term), (Role::Follower, Term(3)));
    server.hear(2, wish(3));
    assert_eq!((server.view().role, server.view().term), (Role::Candidate, Term(4)));
}

// --- followers

/// Followers, first rule (§5.2): respond to requests from candidates and leaders, and issue none.
#[test]
fn followers_answer_and_do_not_ask() {
    let mut server = one_of(3).start(None);
    let sent = server.hear(2, request_vote(1, (0, 0)));
    assert_eq!((sent.len(), votes(&sent)), (1, vec![true]));
    let sent = server.hear(2, append(1, (0, 0), &[], 0));
    assert_eq!((sent.len(), outcomes(&sent).len()), (1, 1));
    assert_eq!(server.wait(TIMEOUT - Duration::from_millis(1)), []);
}

/// Followers, second rule (§5.2): the election timeout begins anew when the current leader is heard, or a vote
/// is granted. Nothing else is a reason to wait: least of all a leader that was deposed, or a candidate that
/// cannot win.
#[test]
fn followers_wait_anew_only_for_the_current_leader_or_a_vote() {
    let heard = [
        ("the current leader", append(2, (2, 2), &[], 0)),
        ("a candidate that gets the vote", request_vote(3, (2, 2))),
        ("a candidate that does not", request_vote(3, (1, 1))),
        ("a leader of an older term", append(1, (0, 0), &[], 0)),
        ("a candidate of an older term", request_vote(1, (9, 1))),
    ];
    let kept = vec!["the current leader", "a candidate that gets the vote"];
    rule(kept, &[(Bug::TimerResetByStaleRpc, heard.iter().map(|(who, _)| *who).collect())], |bug| {
        let waits_anew = |message: &Message| {
            let mut server = one_of(3).log(&[1, 2]).start(bug);
            let before = server.deadline();
            server.wait(Duration::from_millis(10));
            server.hear(2, message.clone());
            server.deadline() > before
        };
        heard.iter().filter(|(_, message)| waits_anew(message)).map(|(who, _)| *who).collect()
    });
}

// --- candidates

/// Followers, second rule, and candidates, first rule (§5.2): a follower that hears nobody for an election
/// timeout begins an election. It increments its term, votes for itself, resets its timer and asks all others.
#[test]
fn candidates_begin_a_term_vote_for_themselves_and_ask_everybody() {
    let mut server = one_of(5).log(&[1]).start(None);
    let before = server.deadline();
    let sent = server.time_out();
    let view = server.view();
    assert_eq!((view.role, view.term, view.vote), (Role::Candidate, Term(2), Some(NodeId(1))));
    assert_eq!(receivers("vote", &sent), [2, 3, 4, 5]);
    assert!(sent.contains(&(2, request_vote(2, (1, 1)))), "it says what its log is: {sent:?}");
    assert_eq!(server.deadline(), before + TIMEOUT);
}

/// Candidates, second rule (§5.2): votes of a majority make a leader, and a majority is more than half.
#[test]
fn candidates_lead_with_more_than_half_of_the_votes() {
    rule(
        vec![Role::Candidate, Role::Leader],
        &[(Bug::ElectionQuorumEven, vec![Role::Leader, Role::Leader])],
        |bug| {
            let mut server = one_of(4).start(bug);
            server.time_out();
            let mut role = |from| {
                server.hear(from, vote_reply(1));
                server.view().role
            };
            vec![role(2), role(3)]
        },
    );
}

/// The same rule: a majority of *servers*. The network may deliver a vote twice.
#[test]
fn candidates_count_a_vote_once() {
    rule(Role::Candidate, &[(Bug::DuplicateVoteCounted, Role::Leader)], |bug| {
        let mut server = one_of(5).start(bug);
        server.time_out();
        server.hear(2, vote_reply(1));
        server.hear(2, vote_reply(1));
        server.view().role
    });
}

/// The same rule: votes *of this term*. One that comes late was for another election, and its voter is free
/// again.
#[test]
fn candidates_count_votes_of_their_own_term_only() {
    rule(Role::Candidate, &[(Bug::StaleVoteCounted, Role::Leader)], |bug| {
        let mut server = one_of(3).start(bug);
        server.time_out();
        server.time_out();
        server.hear(2, vote_reply(1));
        server.view().role
    });
}

/// Candidates, third rule (§5.2): an append from the new leader of the same term makes a follower. The vote
/// stays, for it is for the whole term.
#[test]
fn candidates_follow_the_leader_of_their_term() {
    rule(
        (Role::Follower, Term(1), Some(NodeId(1))),
        &[(Bug::VoteClearedSameTerm, (Role::Follower, Term(1), None))],
        |bug| {
            let mut server = one_of(3).start(bug);
            server.time_out();
            server.hear(2, append(1, (0, 0), &[], 0));
            let view = server.view();
            (view.role, view.term, view.vote)
        },
    );
}

/// The same rule (§5.2): a leader of an older term is not a new one, and the candidate goes on.
#[test]
fn candidates_do_not_follow_a_leader_of_an_older_term() {
    rule(Role::Candidate, &[(Bug::StaleLeaderAeAccepted, Role::Follower)], |bug| {
        let mut server = one_of(3).log(&[1]).start(bug);
        server.time_out();
        server.hear(2, append(1, (1, 1), &[], 0));
        server.view().role
    });
}

/// Candidates, fourth rule (§5.2): if the election timeout elapses, a new election. Votes are asked for again.
#[test]
fn candidates_begin_again_after_an_election_timeout() {
    let mut server = one_of(3).start(None);
    server.time_out();
    assert_eq!(server.wait(TIMEOUT - Duration::from_millis(1)), []);
    let sent = server.wait(Duration::from_millis(1));
    assert_eq!((server.view().role, server.view().term), (Role::Candidate, Term(2)));
    assert_eq!(receivers("vote", &sent), [2, 3]);
}

/// A server that leads nothing has nothing to do with answers to appends.
#[test]
fn candidates_do_not_count_acknowledgements() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.time_out();
    server.hear(2, accepted(2, 1));
    assert_eq!((server.view().role, server.commit()), (Role::Candidate, 0));
}
