//! The messages of Raft, of replicated services and of the two stores: bytes to values and back.
//!
//! * A message that was encoded is decoded as what it was, and not if its last byte is missing.
//! * Whatever decodes encodes to bytes that are no longer and that decode to the same.
//! * What is decoded, or looked at and refused, takes memory in proportion to its bytes: see [`bound`].

use super::draw::draw;
use super::gauge::cost_of;
use super::tape::Tape;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shardlab::raft::message::Message;
use shardlab::raft::storage::Record;
use shardlab::rsm::{LogCommand, Request, Response};
use shardlab::{kvraft, shardkv, shardmaster};
use std::fmt::Debug;

type Case = (&'static str, fn(&mut Tape<'_>));

/// All that comes over sockets for protocols and services, and what Raft keeps in its log.
const CASES: [Case; 11] = [
    ("a message of Raft", check::<Message>),
    ("a record of Raft", check::<Record>),
    ("a request to kvraft", check::<Request<kvraft::Command, kvraft::Query>>),
    ("a response of kvraft", check::<Response<kvraft::Reply, kvraft::Answer>>),
    ("a command of kvraft", check::<LogCommand<kvraft::Command>>),
    ("a request to shardmaster", check::<Request<shardmaster::Command, shardmaster::Query>>),
    ("a response of shardmaster", check::<Response<shardmaster::Reply, shardmaster::ShardConfig>>),
    ("a command of shardmaster", check::<LogCommand<shardmaster::Command>>),
    ("a request to shardkv", check::<Request<shardkv::Command, shardkv::Query>>),
    ("a response of shardkv", check::<Response<shardkv::Reply, shardkv::Answer>>),
    ("a command of shardkv", check::<LogCommand<shardkv::Command>>),
];

/// Holds for whatever tape.
pub fn holds(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (_, case) = CASES[tape.below(CASES.len())];
    case(&mut tape);
}

/// What so many bytes may cost. An empty pair of strings is two bytes and becomes 64, in a vector that grows by doubling and is
/// in two places while it is moved. And serde reserves up to a megabyte on the word of a length, once for each level of collections in
/// collections.
pub fn bound(bytes: usize) -> usize {
    128 * bytes + (3 << 20)
}

fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(tape: &mut Tape<'_>) {
    if tape.below(4) == 0 {
        return settles::<T>(&tape.all());
    }
    let value: T = draw(tape);
    let mut bytes = labgob::encode(&value).expect("what is drawn is small");
    assert_eq!(labgob::decode::<T>(&bytes).expect("it was just encoded"), value);
    let cut = labgob::decode::<T>(&bytes[..bytes.len() - 1]);
    assert!(cut.is_err(), "{value:?} is {cut:?} without its last byte");
    let other = labgob::encode(&draw::<T>(tape)).expect("what is drawn is small");
    tape.damage(&mut bytes, &other);
    settles::<T>(&bytes);
}

/// Whatever these bytes are.
fn settles<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    let (decoded, cost) = cost_of(|| labgob::decode::<T>(bytes));
    assert!(cost <= bound(bytes.len()), "{} bytes cost {cost}", bytes.len());
    let Ok(value) = decoded else { return };
    let again = labgob::encode(&value).expect("what was decoded is within the limit");
    assert!(again.len() <= bytes.len(), "{value:?} was {} bytes and is {}", bytes.len(), again.len());
    assert_eq!(labgob::decode::<T>(&again).expect("it was just encoded"), value);
}
