//! What travels between nodes: bytes, under a header that names them.

use crate::id::NodeId;
use bytes::Bytes;
use std::fmt;

/// The name of a sort of message: `append`, `vote`, ... One constant per sort, beside the message it names.
///
/// Traces print it, faults select by it, and the simulated network draws the fate of a message by it.
#[derive(Clone, Copy)]
pub struct Kind {
    name: &'static str,
    hash: u64,
}

impl Kind {
    /// The kind called `name`. Two kinds of one name are the same kind.
    pub const fn new(name: &'static str) -> Kind {
        // FNV-1a, since it can be computed while compiling.
        let bytes = name.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        Kind { name, hash }
    }

    /// The kind whose name has this hash, where only the hash has travelled. It is equal to the one that was sent.
    #[cfg(feature = "net")]
    pub(crate) const fn of_hash(hash: u64) -> Kind {
        Kind { name: "a kind from elsewhere", hash }
    }

    /// The name. Of a kind that came over a socket only the hash is known, and this is none; compare kinds, not names.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// A hash of the name: the same in every build.
    pub const fn hash(self) -> u64 {
        self.hash
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Kind {}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Nobody waits for an answer ([`crate::Env::send`]).
    OneWay,
    /// The first half of a [`crate::Env::call`].
    Request,
    /// The second half.
    Reply,
}

/// A one-way message that has arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who sent it.
    pub from: NodeId,
    /// What sort of message it is.
    pub kind: Kind,
    /// labgob bytes.
    pub body: Bytes,
}

/// A request that has arrived and may be answered with [`crate::Env::reply`]. Dropping it answers nothing:
/// the caller's deadline passes.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who calls.
    pub from: NodeId,
    /// What sort of request it is.
    pub kind: Kind,
    /// labgob bytes.
    pub body: Bytes,
    /// Which call of which boot of the caller this is.
    pub(crate) call: u64,
    /// Which way the answer goes; nothing in the simulator, whose network knows.
    #[cfg(feature = "net")]
    pub(crate) back: Option<crate::net::Back>,
}

#[cfg(feature = "sim")]
impl Request {
    /// A request in the simulated network.
    pub(crate) fn simulated(from: NodeId, kind: Kind, body: Bytes, call: u64) -> Request {
        Request {
            from,
            kind,
            body,
            call,
            #[cfg(feature = "net")]
            back: None,
        }
    }
}

/// Why a call brought no answer. The request may have been executed all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The deadline passed.
    #[error("no answer before the deadline")]
    Deadline,
}
