//! The log by itself.

use super::*;
use crate::raft::types::Payload;

fn entry(index: u64, term: u64) -> Entry {
    Entry { id: EntryId::new(Term(term), Index(index)), payload: Payload::Noop }
}

/// A log whose entries have these terms; entry 1 first.
fn log(terms: &[u64]) -> Log {
    let entries = terms.iter().zip(1..).map(|(&term, index)| entry(index, term)).collect();
    Log::restore(EntryId::ZERO, entries)
}

fn terms(log: &Log) -> Vec<u64> {
    log.entries.iter().map(|entry| entry.id.term.0).collect()
}

#[test]
fn what_is_read_from_the_disk_is_durable_and_needs_no_write() {
    let mut log = log(&[1, 1, 2]);
    assert_eq!((log.last(), log.durable()), (EntryId::new(Term(2), Index(3)), Index(3)));
    assert_eq!(log.take_write(), None);
}

#[test]
fn a_write_is_durable_up_to_what_it_held_and_not_what_came_later() {
    let mut log = log(&[1]);
    log.append(entry(2, 1));
    let write = log.take_write().unwrap();
    assert_eq!((write.after, write.entries.len()), (Index(1), 1));
    log.append(entry(3, 1));
    log.saved(EntryId::new(Term(1), Index(2)));
    assert_eq!(log.durable(), Index(2));
}

#[test]
fn a_cut_voids_what_was_said_about_older_writes() {
    let mut log = log(&[1]);
    log.append(entry(2, 1));
    log.append(entry(3, 1));
    log.take_write();
    log.truncate(Index(2));
    log.append(entry(2, 2));
    log.append(entry(3, 2));
    log.saved(EntryId::new(Term(1), Index(3)));
    assert_eq!(log.durable(), Index(1), "3@1 is durable, but 3@2 is what stands there now");
    assert_eq!(log.take_write().unwrap().after, Index(1));
    log.saved(EntryId::new(Term(2), Index(3)));
    assert_eq!(log.durable(), Index(3));
}

#[test]
fn an_entry_that_was_cut_and_put_back_is_durable_again_only_when_it_was_written_again() {
    let mut log = log(&[1]);
    log.append(entry(2, 1));
    log.take_write();
    log.truncate(Index(2));
    log.append(entry(2, 1));
    log.saved(EntryId::new(Term(1), Index(2)));
    assert_eq!(log.durable(), Index(1), "a later write cuts it off the disk first");
    log.take_write();
    log.saved(EntryId::new(Term(1), Index(2)));
    assert_eq!(log.durable(), Index(2));
}

#[test]
fn a_cut_alone_is_written_too() {
    let mut log = log(&[1, 1]);
    log.truncate(Index(2));
    let write = log.take_write().unwrap();
    assert_eq!((write.after, write.entries), (Index(1), vec![]));
    assert_eq!(log.take_write(), None);
}

#[test]
fn the_term_of_a_compacted_entry_stands_in_for_it() {
    let mut log = log(&[1, 2, 3]);
    log.compact(EntryId::new(Term(2), Index(2)));
    assert_eq!((log.term_at(Index(2)), log.term_at(Index(1))), (Some(Term(2)), None));
    assert_eq!((terms(&log), log.durable()), (vec![3], Index(3)));
    log.compact(EntryId::new(Term(3), Index(3)));
    assert_eq!(log.last(), EntryId::new(Term(3), Index(3)), "an empty log still has a last entry");
}

#[test]
fn a_reset_forgets_the_log_and_keeps_what_agrees() {
    let mut log = log(&[1, 1, 1, 1]);
    log.reset(EntryId::new(Term(5), Index(9)), Index(2));
    assert_eq!((log.last().index, log.durable()), (Index(9), Index(2)));
    log.saved_snapshot(Index(9));
    assert_eq!(log.durable(), Index(9));
    log.append(entry(10, 5));
    assert_eq!(log.take_write().unwrap().after, Index(9));
}

#[test]
fn runs_of_terms_are_found() {
    let log = log(&[1, 2, 2, 2, 4]);
    assert_eq!(log.first_of_term_at(Index(4)), Index(2));
    assert_eq!(log.first_of_term_at(Index(1)), Index(1));
    assert_eq!(log.last_not_above(Term(3), Index(5)), EntryId::new(Term(2), Index(4)));
    assert_eq!(log.last_not_above(Term(0), Index(5)), EntryId::ZERO);
}

#[test]
fn a_slice_is_bounded_by_count_and_bytes_but_never_empty() {
    let mut log = log(&[]);
    for index in 1..=5 {
        let payload = Payload::Command(vec![0; 10].into());
        log.append(Entry { payload, ..entry(index, 1) });
    }
    assert_eq!(log.slice(Index(2), 2, 1_000).len(), 2);
    assert_eq!(log.slice(Index(1), 10, 25).len(), 2);
    assert_eq!(log.slice(Index(1), 10, 1).len(), 1);
    assert_eq!(log.slice(Index(6), 10, 1_000).len(), 0);
}

#[test]
#[should_panic(expected = "leaves a gap")]
fn a_gap_is_an_error_of_the_program() {
    log(&[1]).append(entry(3, 1));
}
