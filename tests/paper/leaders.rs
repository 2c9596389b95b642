//! Figure 2, rules for servers: leaders, and their volatile state (§5.3, §5.4.2).

use crate::rule;
use crate::server::{TIMEOUT, accepted, appends_to, one_of, receivers, refused, request_vote};
use shardlab::raft::{Bug, Role};
use std::time::Duration;

/// First rule (§5.2): upon election, an empty append to each server, and again in idle times, so that no
/// election timeout goes by.
#[test]
fn leaders_let_themselves_be_heard_at_once_and_again() {
    let mut server = one_of(3).log(&[1]).start(None);
    let sent = server.lead();
    assert_eq!(server.view().role, Role::Leader);
    assert_eq!((appends_to(2, &sent), appends_to(3, &sent)), (vec![((1, 1), 0)], vec![((1, 1), 0)]));
    let mut waited = Duration::ZERO;
    while waited < TIMEOUT / 2 {
        waited += Duration::from_millis(10);
        if receivers("append", &server.wait(Duration::from_millis(10))) == [2, 3] {
            return;
        }
    }
    panic!("a follower that misses one heartbeat would time out");
}

/// Second rule (§5.3): a command goes into the log, and is answered when it is applied: when a majority has it.
#[test]
fn leaders_apply_a_command_when_a_majority_has_it() {
    // What was applied when it was appended; when two of five had it; when three had.
    rule(
        [vec![], vec![], vec![1]],
        &[
            (Bug::ApplyUncommitted, [vec![1], vec![1], vec![1]]),
            (Bug::CommitQuorumShort, [vec![], vec![1], vec![1]]),
        ],
        |bug| {
            let mut server = one_of(5).start(bug);
            server.lead();
            server.propose();
            let alone = server.given().0;
            server.hear(2, accepted(1, 1));
            let two = server.given().0;
            server.hear(3, accepted(1, 1));
            [alone, two, server.given().0]
        },
    );
}

/// Volatile state on leaders: nextIndex begins behind the last entry, which is a guess; matchIndex at 0, since
/// nothing is known. So where the guess was wrong, the leader goes back.
#[test]
fn leaders_begin_with_a_guess_and_no_knowledge() {
    let guess = vec![((3, 1), 0)];
    rule((guess.clone(), vec![((1, 1), 2)]), &[(Bug::MatchGuessOnElection, (guess.clone(), vec![]))], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
        let heartbeat = appends_to(2, &server.lead());
        (heartbeat, appends_to(2, &server.hear(2, refused(2, 3, 1))))
    });
}

/// Volatile state on leaders: *reinitialized after election*. What a follower had in an earlier term may have
/// been cut off by another leader since.
#[test]
fn leaders_forget_what_they_knew_in_an_earlier_term() {
    rule(vec![((1, 1), 2)], &[(Bug::LeaderStateNotReset, vec![])], |bug| {
        let mut server = one_of(5).log(&[1, 1, 1]).start(bug);
        server.lead();
        server.hear(2, accepted(2, 3));
        // S3 led term 3, and cut the log of S2 behind entry 1.
        server.hear(3, request_vote(3, (1, 1)));
        server.lead();
        appends_to(2, &server.hear(2, refused(4, 3, 1)))
    });
}

/// Third rule (§5.3): where the log goes on behind nextIndex, an append with the entries from there on; and a
/// success moves nextIndex and matchIndex.
#[test]
fn leaders_send_each_follower_what_it_lacks() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.lead();
    server.hear(2, accepted(2, 1));
    assert_eq!(appends_to(2, &server.propose()), [((1, 1), 1)]);
    server.hear(2, accepted(2, 2));
    assert_eq!(server.commit(), 2);
    assert_eq!(appends_to(2, &server.propose()), [((2, 2), 1)]);
}

/// Third rule, success: matchIndex becomes what *that append* carried (its previous entry and its entries), and
/// not what the log holds by now.
#[test]
fn leaders_learn_from_an_answer_what_its_append_carried() {
    rule(1, &[(Bug::MatchFromCurrentLog, 2)], |bug| {
        let mut server = one_of(3).start(bug);
        server.lead();
        server.propose();
        server.propose();
        server.hear(2, accepted(1, 1));
        server.commit()
    });
}

/// Third rule, success *in this term*: an answer to an append of an earlier leadership speaks of another log.
#[test]
fn leaders_take_no_answer_of_an_earlier_term() {
    rule(0, &[(Bug::StaleAppendReplyAccepted, 3)], |bug| {
        let mut server = one_of(3).log(&[1, 1]).start(bug);
        server.lead();
        server.propose();
        server.hear(2, accepted(1, 3));
        server.commit()
    });
}

/// Third rule, failure because of log inconsistency: decrement nextIndex and retry, until the logs agree.
#[test]
fn leaders_go_back_until_the_logs_agree() {
    let mut server = one_of(3).log(&[1, 1, 1, 1]).start(None);
    server.lead();
    assert_eq!(appends_to(2, &server.hear(2, refused(2, 4, 3))), [((3, 1), 1)]);
    assert_eq!(appends_to(2, &server.hear(2, refused(2, 4, 3))), [], "a duplicate says nothing about this retry");
    assert_eq!(appends_to(2, &server.hear(2, refused(2, 3, 1))), [((1, 1), 3)]);
    server.hear(2, accepted(2, 4));
    assert_eq!(appends_to(2, &server.propose()), [((4, 1), 1)]);
}

/// Fourth rule (§5.3): what a majority matches is committed. The leader itself is one of them, and no follower
/// counts for another.
#[test]
fn leaders_commit_what_a_majority_matches() {
    rule([0, 1, 2], &[(Bug::CommitQuorumShort, [2, 2, 2])], |bug| {
        let mut server = one_of(5).start(bug);
        server.lead();
        server.propose();
        server.propose();
        server.hear(2, accepted(1, 2));
        let two = server.commit();
        server.hear(3, accepted(1, 1));
        let three = server.commit();
        server.hear(4, accepted(1, 2));
        [two, three, server.commit()]
    });
}

/// Fourth rule, `log[N].term == currentTerm` (§5.4.2, Figure 8): an entry of an older term is not committed by
/// counting its copies, but by one of this term behind it.
#[test]
fn leaders_commit_entries_of_an_older_term_only_with_one_of_their_own() {
    rule([0, 3], &[(Bug::CommitOldTerm, [2, 3])], |bug| {
        let mut server = one_of(3).log(&[1, 1]).start(bug);
        server.lead();
        server.hear(2, accepted(2, 2));
        let copied = server.commit();
        server.propose();
        server.hear(2, accepted(2, 3));
        [copied, server.commit()]
    });
}
