//! Figure 13, InstallSnapshot RPC, and log compaction (§7).

use crate::rule;
use crate::server::{
    Id, Sent, Server, accepted, append, install, one_of, outcomes, receivers, request_vote, wanted,
};
use shardlab::raft::message::{Message, Outcome};
use shardlab::raft::{Bug, Content, EntryId, Index, Input, Term};
use std::time::Duration;

// --- receiver implementation

/// Rule 1: reply immediately if the term is older than one's own.
#[test]
fn rule_1_a_snapshot_of_an_older_term_is_refused() {
    let mut server = one_of(3).term(3).start(None);
    let sent = server.hear(2, install(2, (9, 2), 0, true));
    assert_eq!((wanted(&sent), server.view().last, server.given().1), (vec![Some(0)], EntryId::ZERO, vec![]));
}

/// Rules 2 to 4: the first piece begins the snapshot, each goes where it belongs, and until the last one there
/// is only an answer. A piece that comes out of its turn is not taken.
#[test]
fn rules_2_to_4_pieces_are_taken_in_order() {
    let mut server = one_of(3).start(None);
    let mut piece = |offset, done| wanted(&server.hear(2, install(1, (5, 1), offset, done)));
    assert_eq!(piece(4, false), [Some(0)], "it has not begun");
    assert_eq!(piece(0, false), [Some(4)]);
    assert_eq!(piece(8, true), [Some(4)], "one is missing");
    assert_eq!(piece(4, false), [Some(8)]);
    assert_eq!(piece(0, false), [Some(4)], "it begins anew");
    assert_eq!(piece(4, true), [None]);
    assert_eq!(server.view().last, EntryId::new(Term(1), Index(5)));
}

/// Rule 5: a snapshot with a smaller index than what is there is of no use. A service never goes back.
#[test]
fn rule_5_an_older_snapshot_does_not_roll_back() {
    rule((vec![1, 2, 3], vec![]), &[(Bug::StaleInstallRollsBack, (vec![1, 2, 3, 3], vec![2]))], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
        server.hear(2, append(1, (3, 1), &[], 3));
        let sent = server.hear(2, install(1, (2, 1), 0, true));
        assert_eq!(wanted(&sent), [None], "it has what the snapshot covers");
        server.given()
    });
}

/// Rule 5, for a snapshot of its own service: one that was taken before another was installed comes too late.
#[test]
fn rule_5_an_older_snapshot_of_its_own_does_not_replace_one_that_was_installed() {
    let received = Content::Received(EntryId::new(Term(1), Index(5)));
    rule(vec![received], &[(Bug::OlderLocalSnapshotWins, vec![received, Content::FromService(Index(2))])], |bug| {
        let mut server = one_of(3).log(&[1, 1]).start(bug);
        server.hear(2, append(1, (2, 1), &[], 2));
        server.hear(2, install(1, (5, 1), 0, true));
        server.step(Input::Compact { index: Index(2) });
        server.snapshots_written().to_vec()
    });
}

/// Rule 6: if the log has the snapshot's last entry, what follows it stays. It was acknowledged and may be
/// committed.
#[test]
fn rule_6_entries_behind_a_snapshot_that_agrees_stay() {
    let mut server = one_of(3).log(&[1, 1, 1]).start(None);
    server.hear(2, install(1, (2, 1), 0, true));
    assert_eq!((server.log(), server.commit()), (vec![1], 2));
    // And it is still known to match.
    assert_eq!(outcomes(&server.hear(2, append(1, (3, 1), &[], 3))), [Outcome::Accepted { matched: Index(3) }]);
    assert_eq!(server.given(), (vec![3], vec![2]));
}

/// Rule 7: if not, the whole log is another leader's and goes, also what is behind.
#[test]
fn rule_7_entries_behind_a_snapshot_that_conflicts_go() {
    rule(vec![], &[(Bug::InstallKeepsConflict, vec![1])], |bug| {
        let mut server = one_of(3).log(&[1, 1, 1]).start(bug);
        server.hear(2, install(2, (2, 2), 0, true));
        server.log()
    });
}

/// Rule 8: the service becomes what the snapshot says; and is given it, as the leader is its acknowledgement,
/// when it is durable.
#[test]
fn rule_8_the_service_becomes_what_the_snapshot_says() {
    let mut server = one_of(3).term(1).start(None);
    server.slow_disk = true;
    assert_eq!(wanted(&server.hear(2, install(1, (5, 1), 0, true))), []);
    assert!(server.given().1.is_empty());
    assert_eq!(wanted(&server.sync()), [None]);
    assert_eq!(server.given(), (vec![], vec![5]));
    server.restart();
    assert_eq!(server.given(), (vec![], vec![5]), "a server that starts begins with its snapshot");
}

// --- the leader's side

/// S1 leads term 1; S2 has its only entry, S3 does not, and S1 has compacted it.
fn compacted(bug: Option<Bug>) -> Server {
    let mut server = one_of(3).start(bug);
    server.lead();
    server.propose();
    server.hear(2, accepted(1, 1));
    server.step(Input::Compact { index: Index(1) });
    assert_eq!((server.log(), server.view().snapshot), (vec![], EntryId::new(Term(1), Index(1))));
    server
}

/// §7: a leader that has discarded the next entry of a follower sends it the snapshot. Also when there is
/// nothing behind.
#[test]
fn leaders_send_a_snapshot_in_place_of_discarded_entries() {
    rule(vec![3], &[(Bug::SnapshotNeverSentWhenIdle, vec![])], |bug| {
        receivers("install", &compacted(bug).wait(Duration::from_millis(100)))
    });
}

/// §7: the snapshot keeps index and term of its last entry, for whoever asks what stands in front of the next
/// one, or what the last one is.
#[test]
fn a_snapshot_stands_for_its_last_entry() {
    fn last_of_request(sent: &Sent) -> Vec<Id> {
        let last = |(_, message): &(u32, Message)| match message {
            Message::RequestVote(request) => Some((request.last.index.0, request.last.term.0)),
            _ => None,
        };
        sent.iter().filter_map(last).collect()
    }
    rule(vec![(1, 1), (1, 1)], &[(Bug::BoundaryTermWrong, vec![(1, 0), (1, 0)])], |bug| {
        let mut server = compacted(bug);
        server.hear(3, request_vote(5, (0, 0)));
        last_of_request(&server.time_out())
    });
}
