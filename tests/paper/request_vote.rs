//! Figure 2, RequestVote RPC, receiver implementation (§5.2, §5.4.1).

use crate::rule;
use crate::server::{append, one_of, request_vote, votes};
use labrpc::NodeId;
use shardlab::raft::Bug;

/// Rule 1 (§5.1): reply false if the term is older than one's own.
#[test]
fn rule_1_a_candidate_of_an_older_term_gets_no_vote() {
    let mut server = one_of(3).term(3).start(None);
    let sent = server.hear(2, request_vote(2, (9, 2)));
    assert_eq!((votes(&sent), server.view().vote), (vec![false], None));
}

/// Rule 2 (§5.2): grant the vote if it is free or was given to the same candidate. At most one a term, until the
/// term ends: not only until the election is decided.
#[test]
fn rule_2_there_is_one_vote_a_term() {
    rule(vec![true, false, true], &[(Bug::VoteClearedSameTerm, vec![true, true, false])], |bug| {
        let mut server = one_of(5).start(bug);
        let first = server.hear(2, request_vote(1, (0, 0)));
        server.hear(2, append(1, (0, 0), &[], 0));
        let second = server.hear(3, request_vote(1, (0, 0)));
        // The first answer may have been lost: whoever asks again has the vote still.
        let again = server.hear(2, request_vote(1, (0, 0)));
        [first, second, again].iter().flat_map(votes).collect()
    });
}

/// Rule 2: a new term has a new vote.
#[test]
fn rule_2_a_later_term_has_its_own_vote() {
    let mut server = one_of(3).start(None);
    server.hear(2, request_vote(1, (0, 0)));
    let sent = server.hear(3, request_vote(2, (0, 0)));
    assert_eq!((votes(&sent), server.view().vote), (vec![true], Some(NodeId(3))));
}

/// Rule 2 (§5.4.1): and if the candidate's log is at least as up-to-date. The later last term decides, and at
/// equal terms the length: so whoever wins has every committed entry.
#[test]
fn rule_2_a_candidate_whose_log_is_behind_gets_no_vote() {
    // The voter's last entry is 3@2.
    let candidates = [(5, 1), (2, 2), (3, 2), (2, 3)];
    rule(
        vec![false, false, true, true],
        &[
            (Bug::VoteIgnoresLog, vec![true, true, true, true]),
            (Bug::VoteIndexBeforeTerm, vec![true, false, true, false]),
            (Bug::VoteRejectsIfEitherGreater, vec![false, false, true, false]),
        ],
        |bug| {
            let ask = |last| votes(&one_of(3).log(&[1, 2, 2]).start(bug).hear(2, request_vote(4, last)));
            candidates.into_iter().flat_map(ask).collect()
        },
    );
}
