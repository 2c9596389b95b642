//! Figure 2, AppendEntries RPC, receiver implementation (§5.3).

use crate::rule;
use crate::server::{append, one_of, outcomes};
use shardlab::raft::message::Outcome;
use shardlab::raft::{Bug, Index, Term};

fn accepted(matched: u64) -> Vec<Outcome> {
    vec![Outcome::Accepted { matched: Index(matched) }]
}

fn rejected(prev: u64, conflict: u64, conflict_term: Option<u64>) -> Vec<Outcome> {
    let (prev, conflict, conflict_term) = (Index(prev), Index(conflict), conflict_term.map(Term));
    vec![Outcome::Rejected { prev, conflict, conflict_term }]
}

/// Rule 1 (§5.1): reply false if the term is older than one's own. Its leader was deposed, and its entry may
/// stand where another is committed.
#[test]
fn rule_1_an_append_of_an_older_term_is_refused() {
    rule(
        (vec![Outcome::StaleTerm], vec![1, 1]),
        &[(Bug::StaleLeaderAeAccepted, (accepted(3), vec![1, 1, 2]))],
        |bug| {
            let mut server = one_of(3).log(&[1, 1]).term(3).start(bug);
            let sent = server.hear(2, append(2, (2, 1), &[2], 0));
            (outcomes(&sent), server.log())
        },
    );
}

/// Rule 2 (§5.3): reply false if the log does not contain an entry at prevLogIndex whose term matches
/// prevLogTerm. This is the induction step of Log Matching, and holds for an append without entries too: it says
/// what is committed.
#[test]
fn rule_2_an_append_behind_an_entry_of_another_term_is_refused() {
    rule(
        (rejected(2, 1, Some(1)), 0),
        &[
            (Bug::HeartbeatSkipsPrevCheck, (accepted(2), 2)),
            // Who asked for entry 2 learns nothing about entry 2.
            (Bug::BacktrackStuck, (rejected(3, 3, None), 0)),
        ],
        |bug| {
            let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
            let sent = server.hear(2, append(2, (2, 2), &[], 2));
            (outcomes(&sent), server.commit())
        },
    );
}

/// Rule 2, where there is no entry at prevLogIndex at all: an append never leaves a gap.
#[test]
fn rule_2_an_append_behind_the_end_of_the_log_is_refused() {
    let mut server = one_of(3).log(&[1]).start(None);
    let sent = server.hear(2, append(1, (2, 1), &[1], 2));
    assert_eq!((outcomes(&sent), server.log()), (rejected(2, 2, None), vec![1]));
}

/// Rule 3 (§5.3): if an existing entry conflicts with a new one, it goes, and all that follow it.
#[test]
fn rule_3_a_conflicting_entry_goes_and_all_that_follow_it() {
    let mut server = one_of(3).log(&[1, 1, 1, 1]).start(None);
    let sent = server.hear(2, append(2, (1, 1), &[2], 0));
    assert_eq!((outcomes(&sent), server.log()), (accepted(2), vec![1, 2]));
}

/// Rule 3, the other way round: *if* it conflicts. An append that comes late must not take back what a later one
/// brought, which was acknowledged and may be committed.
#[test]
fn rule_3_without_a_conflict_nothing_goes() {
    rule((accepted(2), vec![1, 1, 1, 1]), &[(Bug::AeTruncatesAlways, (accepted(2), vec![1, 1]))], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1, 1]).start(bug);
        let sent = server.hear(2, append(1, (1, 1), &[1], 0));
        (outcomes(&sent), server.log())
    });
}

/// Rule 4: append any new entries not already in the log.
#[test]
fn rule_4_only_entries_that_are_not_there_are_appended() {
    let mut server = one_of(3).log(&[1, 1]).start(None);
    let sent = server.hear(2, append(1, (0, 0), &[1, 1, 1, 1], 0));
    assert_eq!((outcomes(&sent), server.log()), (accepted(4), vec![1, 1, 1, 1]));
}

/// Rule 5: the commit index becomes the leader's, but no more than the index of the last new entry. What the log
/// has behind that was not compared with the leader's.
#[test]
fn rule_5_commit_goes_no_further_than_what_the_append_has_shown() {
    rule((1, vec![1]), &[(Bug::CommitUnclamped, (3, vec![1, 2, 3]))], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
        server.hear(2, append(2, (1, 1), &[], 3));
        (server.commit(), server.given().0)
    });
}

/// Rule 5, the other bound: entries that are not committed are not.
#[test]
fn rule_5_commit_goes_no_further_than_the_leaders() {
    let mut server = one_of(3).log(&[1]).start(None);
    server.hear(2, append(1, (1, 1), &[1, 1], 2));
    assert_eq!((server.commit(), server.log()), (2, vec![1, 1, 1]));
}

/// Volatile state: commitIndex increases monotonically. A late append knows less, and takes nothing back.
#[test]
fn commit_never_falls() {
    let mut server = one_of(3).log(&[1, 1]).start(None);
    server.hear(2, append(1, (2, 1), &[], 2));
    server.hear(2, append(1, (2, 1), &[], 1));
    assert_eq!(server.commit(), 2);
}
