//! What clients of a key/value service did and were told.

use bytes::Bytes;

/// A key.
pub type Key = Bytes;
/// A value.
pub type Value = Bytes;

/// Where an event stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At {
    /// Its number: the order.
    pub nth: u64,
    /// Virtual time in nanoseconds, for people.
    pub nanos: u64,
}

/// What a compare-and-set expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// This value; none: that the key is absent.
    Value(Option<Value>),
    /// This version; 0: that the key is absent.
    Version(u64),
}

/// What a client asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Read a key.
    Get {
        /// Which.
        key: Key,
    },
    /// Write a key.
    Put {
        /// Which.
        key: Key,
        /// What.
        value: Value,
    },
    /// Write behind what a key has.
    Append {
        /// Which.
        key: Key,
        /// What.
        value: Value,
    },
    /// Remove a key.
    Delete {
        /// Which.
        key: Key,
    },
    /// Write a key if it is as expected.
    Cas {
        /// Which.
        key: Key,
        /// As what.
        expect: Expect,
        /// What.
        value: Value,
    },
    /// Read all keys that begin with this.
    Scan {
        /// With what.
        prefix: Key,
        /// At most so many.
        limit: u32,
    },
}

/// What a client was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// What a key has.
    Value {
        /// None: it is absent.
        value: Option<Value>,
        /// 0: it is absent.
        version: u64,
    },
    /// It is written.
    Written {
        /// The version of what is there now.
        version: u64,
    },
    /// It is removed.
    Deleted {
        /// Whether it was there.
        existed: bool,
    },
    /// It was not as expected.
    CasFailed {
        /// What is there.
        value: Option<Value>,
        /// And its version.
        version: u64,
    },
    /// What keys have.
    Entries {
        /// Key, value and version, in the order of keys.
        items: Vec<(Key, Value, u64)>,
        /// Whether there are more.
        more: bool,
        /// The entry of the log after which it was so.
        index: u64,
    },
}

/// What became of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took effect.
    Ok {
        /// What the client was told.
        reply: Reply,
        /// When.
        at: At,
    },
    /// It surely did not take effect.
    Fail {
        /// When the client knew.
        at: At,
    },
    /// It may have taken effect, or will.
    Unknown,
}

/// One operation of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who: one that does one operation at a time.
    pub process: u32,
    /// What it asked for.
    pub call: Call,
    /// When.
    pub invoked: At,
    /// What became of it.
    pub outcome: Outcome,
}

/// What clients did and were told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// In the order in which they began.
    pub operations: Vec<Operation>,
}
