//! What Raft says and writes, byte for byte.
//!
//! A message is read by servers of another build, and a record by the next version of this one. A change of
//! either is fine when it is meant; this file is for the other case: a field that was moved, a variant put in
//! the middle, a new codec. The golden files beside it show each value and its bytes. Values are written out
//! field by field and variant by variant, so that what is new does not compile here until it has a sample.

use bytes::Bytes;
use labrpc::NodeId;
use shardlab::raft::message::{
    Append, AppendReply, Install, InstallReply, Message, Outcome, PreVote, PreVoteReply, RequestVote, TimeoutNow,
    VoteReply,
};
use shardlab::raft::storage::{self, Record};
use shardlab::raft::{Entry, EntryId, HardState, Index, Membership, Payload, Saved, SnapshotMeta, Term};
use std::fmt::{Debug, Write};

/// Samples of each variant of an enum. The `match` has no other arm: a variant that is not listed is an error.
macro_rules! samples {
    ($enum:ident { $($variant:ident: [$($sample:expr),+ $(,)?],)+ }) => {{
        fn name(value: &$enum) -> &'static str {
            match value { $($enum::$variant { .. } => stringify!($variant),)+ }
        }
        let samples = vec![$($((stringify!($variant), $sample)),+),+];
        for (variant, sample) in &samples {
            assert_eq!(name(sample), *variant, "this is a sample of another variant");
        }
        samples.into_iter().map(|(_, sample)| sample).collect::<Vec<$enum>>()
    }};
}

fn id(index: u64, term: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

fn membership() -> Membership {
    Membership { voters: vec![NodeId(1), NodeId(2), NodeId(3)], learners: vec![NodeId(4)] }
}

fn snapshot() -> SnapshotMeta {
    SnapshotMeta { last: id(300, 5), membership: membership() }
}

/// One entry with each payload, from index 301 on.
fn entries() -> Vec<Entry> {
    let payloads = samples!(Payload {
        Noop: [Payload::Noop],
        Command: [Payload::Command(Bytes::from_static(b"put x 1")), Payload::Command(Bytes::new())],
        Membership: [Payload::Membership(membership())],
    });
    payloads.into_iter().zip(301..).map(|(payload, index)| Entry { id: id(index, 7), payload }).collect()
}

fn outcomes() -> Vec<Outcome> {
    let rejected = |conflict_term| Outcome::Rejected { prev: Index(300), conflict: Index(251), conflict_term };
    samples!(Outcome {
        Accepted: [Outcome::Accepted { matched: Index(304) }],
        Rejected: [rejected(None), rejected(Some(Term(5)))],
        StaleTerm: [Outcome::StaleTerm],
    })
}

/// Numbers up to 250 take one byte; 300 and 70,000 stand for those that take more.
fn messages() -> Vec<Message> {
    let term = Term(7);
    let append =
        |entries| Message::Append(Append { term, prev: id(300, 5), commit: Index(299), round: 70_000, entries });
    let reply = |outcome| Message::AppendReply(AppendReply { term, round: 70_000, outcome });
    let piece = |offset, done, data: &'static [u8]| {
        let data = Bytes::from_static(data);
        Message::Install(Install { term, snapshot: snapshot(), offset, done, data })
    };
    let has =
        |offset, next, done| Message::InstallReply(InstallReply { term, snapshot: id(300, 5), offset, next, done });
    let [accepted, rejected, rejected_by_term, stale] =
        <[Outcome; 4]>::try_from(outcomes()).expect("four outcomes");
    samples!(Message {
        PreVote: [Message::PreVote(PreVote { term, last: id(300, 5) })],
        PreVoteReply: [
            Message::PreVoteReply(PreVoteReply { term, granted: true }),
            Message::PreVoteReply(PreVoteReply { term, granted: false }),
        ],
        RequestVote: [
            Message::RequestVote(RequestVote { term, last: id(300, 5), transfer: false }),
            Message::RequestVote(RequestVote { term, last: id(300, 5), transfer: true }),
        ],
        VoteReply: [
            Message::VoteReply(VoteReply { term, granted: true }),
            Message::VoteReply(VoteReply { term, granted: false }),
        ],
        Append: [append(Vec::new()), append(entries())],
        AppendReply: [reply(accepted), reply(rejected), reply(rejected_by_term), reply(stale)],
        Install: [piece(0, false, b"four"), piece(70_000, true, b"")],
        InstallReply: [has(0, 4, false), has(70_000, 70_000, true)],
        TimeoutNow: [Message::TimeoutNow(TimeoutNow { term })],
    })
}

fn records() -> Vec<Record> {
    let mut records = samples!(Record {
        Snapshot: [Record::Snapshot(snapshot())],
        Hard: [
            Record::Hard(HardState { term: Term(7), vote: None }),
            Record::Hard(HardState { term: Term(7), vote: Some(NodeId(2)) }),
        ],
        Cut: [Record::Cut(Index(300))],
        Entry: [Record::Entry(Entry { id: id(301, 7), payload: Payload::Noop })],
    });
    records.extend(entries().into_iter().skip(1).map(Record::Entry));
    records
}

/// Each value, and its bytes in hexadecimal, sixteen a line.
fn dump<T: Debug>(values: &[T], encode: impl Fn(&T) -> Vec<u8>) -> String {
    let mut text = String::new();
    for value in values {
        writeln!(text, "{value:?}").expect("a string takes everything");
        for row in encode(value).chunks(16) {
            let row: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "    {}", row.join(" ")).expect("a string takes everything");
        }
    }
    text
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn messages_are_the_bytes_that_they_were() {
    golden("messages", &dump(&messages(), |message| labgob::encode(message).expect("it is small")));
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for message in messages() {
        let bytes = labgob::encode(&message).expect("it is small");
        assert_eq!(labgob::decode::<Message>(&bytes).expect("it was just written"), message);
        assert!(labgob::decode::<Message>(&bytes[..bytes.len() - 1]).is_err(), "{message:?} cut short");
    }
}

#[test]
fn records_are_the_bytes_that_they_were() {
    golden("records", &dump(&records(), |record| labgob::encode(record).expect("it is small")));
}

#[test]
fn every_record_is_read_as_it_was_written() {
    for record in records() {
        assert_eq!(storage::decode(&labgob::encode(&record).expect("it is small")), Ok(record));
    }
}

/// The samples above are what really goes to the disk, and not only what would if somebody wrote them.
#[test]
fn a_log_is_written_as_its_records_in_order() {
    let hard = HardState { term: Term(7), vote: Some(NodeId(2)) };
    let saved = Saved { hard, snapshot: Some(snapshot()), entries: entries() };
    let head = [Record::Hard(hard), Record::Snapshot(snapshot())];
    let records = head.into_iter().chain(entries().into_iter().map(Record::Entry));
    let expected: Vec<Vec<u8>> = records.map(|record| labgob::encode(&record).expect("it is small")).collect();
    let written = storage::records_of(&saved);
    assert_eq!(written.iter().collect::<Vec<_>>(), expected);
    assert_eq!(Saved::recover(written.iter()).expect("it has no hole"), saved);
}
