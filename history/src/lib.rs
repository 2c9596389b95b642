//! What clients asked for and what they were told: the only thing that a judge of linearizability may know.
//!
//! The order of a history is the number of each event in the run, never a clock: the clocks of the machines are wrong.
//! An operation whose outcome nobody knows stays open for ever: it may take effect at any time after it was invoked,
//! or never.
//!
//! Nothing here knows who judges a history, nor which system its clients talked to.

mod json;

pub use json::{ParseError, Vocabulary};

use bytes::Bytes;

/// What values are kept under.
pub type Key = Bytes;
/// What is kept.
pub type Value = Bytes;

/// Where an event stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct At {
    /// Its number among all events. Two operations are ordered if one returned at a smaller number than the other
    /// was invoked at.
    pub nth: u64,
    /// When it happened, in nanoseconds of virtual time. For people: nothing is decided by it.
    pub nanos: u64,
}

/// What a compare-and-set demands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expect {
    /// This value; `None`: that there is none.
    Value(Option<Value>),
    /// This version; 0: that there is no value.
    Version(u64),
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Call {
    /// The value of a key.
    Get { key: Key },
    /// Make this the value of a key.
    Put { key: Key, value: Value },
    /// Add this to the end of a key's value; where there is none, it counts as empty.
    Append { key: Key, value: Value },
    /// Remove the key. Its versions begin at 1 again.
    Delete { key: Key },
    /// Make this the value of a key if what is there is as expected.
    Cas { key: Key, expect: Expect, value: Value },
    /// The first keys, in order, that begin with a prefix, with their values; `limit` of them at most.
    Scan { prefix: Key, limit: u32 },
}

impl Call {
    /// The key, or the prefix of the keys, that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Call::Get { key }
            | Call::Put { key, .. }
            | Call::Append { key, .. }
            | Call::Delete { key }
            | Call::Cas { key, .. }
            | Call::Scan { prefix: key, .. } => key,
        }
    }
}

/// What a client is told.
///
/// A key that is there has a version of at least 1: 1 when it is created, one more with each write. A version of 0
/// beside a value, or of a write, says that the version was not told; nothing is then demanded of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Reply {
    /// To a Get: what is there, and its version.
    Value { value: Option<Value>, version: u64 },
    /// To a Put, an Append, or a Cas that found what it expected: the version that it made.
    Written { version: u64 },
    /// To a Delete: whether there was something to remove.
    Deleted { existed: bool },
    /// To a Cas that found something else: what it found.
    CasFailed { value: Option<Value>, version: u64 },
    /// To a Scan: keys with values and versions; whether some were cut off; the index of the log that it shows.
    Entries { items: Vec<(Key, Value, u64)>, more: bool, index: u64 },
}

/// What came of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was executed, and this was the answer.
    Ok {
        /// The answer.
        reply: Reply,
        /// When the client had it.
        at: At,
    },
    /// It surely was not executed and never will be.
    Fail {
        /// When the client knew.
        at: At,
    },
    /// Nobody knows. It may be executed at any later time.
    Unknown,
}

/// An operation of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Whose it is.
    pub process: u32,
    /// What was asked for.
    pub call: Call,
    /// When.
    pub invoked: At,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// When the client knew what came of it, if it ever did.
    pub fn returned(&self) -> Option<At> {
        match self.outcome {
            Outcome::Ok { at, .. } | Outcome::Fail { at } => Some(at),
            Outcome::Unknown => None,
        }
    }
}

/// An operation's place in its history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OpId(pub usize);

/// Something that happened meanwhile: a fault, or its end. Nothing is decided by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Annotation {
    /// When.
    pub at: At,
    /// What, in a word: `crash`.
    pub what: String,
    /// Of whom, or how.
    pub detail: String,
}

/// All operations of a run, in the order in which they were invoked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct History {
    /// The operations. Each is [`Outcome::Unknown`] until something else is known.
    pub operations: Vec<Operation>,
    /// Faults, for those who look at it.
    pub annotations: Vec<Annotation>,
}

impl History {
    /// An empty one.
    pub fn new() -> History {
        History::default()
    }

    /// A client asks for something. Its outcome is unknown until [`History::ret`].
    pub fn invoke(&mut self, process: u32, call: Call, at: At) -> OpId {
        self.operations.push(Operation { process, call, invoked: at, outcome: Outcome::Unknown });
        OpId(self.operations.len() - 1)
    }

    /// What came of it.
    pub fn ret(&mut self, op: OpId, outcome: Outcome) {
        self.operations[op.0].outcome = outcome;
    }

    /// A fault, or its end.
    pub fn annotate(&mut self, at: At, what: impl Into<String>, detail: impl Into<String>) {
        self.annotations.push(Annotation { at, what: what.into(), detail: detail.into() });
    }
}

/// Bytes as text, for people: in quotes, with what is not printable escaped.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
