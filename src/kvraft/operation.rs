//! What can be asked of the key/value service, and what comes of it.
//!
//! A key is absent, with version 0, or present, with a value and a version from 1 on. Every write gives the next
//! version; a key that was deleted begins again at 1.

use crate::rsm::machine::TooLarge;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Most bytes of a key.
pub const MAX_KEY: usize = 1 << 10;
/// Most bytes of a value.
pub const MAX_VALUE: usize = 1 << 20;
/// Most entries that one scan returns.
pub const MAX_SCAN: u64 = 1 << 10;
/// A scan that has so many bytes together returns no further entry.
pub const MAX_SCAN_BYTES: usize = 4 << 20;

/// What changes the map.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Command {
    /// The key has this value.
    Put {
        /// Which key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// The key's value has this at its end. An absent key counts as empty.
    Append {
        /// Which key.
        key: Bytes,
        /// What is added.
        value: Bytes,
    },
    /// The key is absent.
    Delete {
        /// Which key.
        key: Bytes,
    },
    /// The key has this value, if it is as expected.
    Cas {
        /// Which key.
        key: Bytes,
        /// What it must be like.
        expect: Expect,
        /// Its new value.
        value: Bytes,
    },
}

impl Command {
    /// The key that it is about.
    pub fn key(&self) -> &Bytes {
        match self {
            Command::Put { key, .. }
            | Command::Append { key, .. }
            | Command::Delete { key }
            | Command::Cas { key, .. } => key,
        }
    }

    /// Whether key and values have a size that is allowed.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn check(&self) -> Result<(), TooLarge> {
        within(self.key(), MAX_KEY)?;
        match self {
            Command::Put { value, .. } | Command::Append { value, .. } => within(value, MAX_VALUE),
            Command::Cas { expect: Expect::Value(Some(expected)), value, .. } => {
                within(expected, MAX_VALUE)?;
                within(value, MAX_VALUE)
            }
            Command::Cas { value, .. } => within(value, MAX_VALUE),
            Command::Delete { .. } => Ok(()),
        }
    }
}

fn within(bytes: &[u8], limit: usize) -> Result<(), TooLarge> {
    let (size, limit) = (bytes.len() as u64, limit as u64);
    if size > limit { Err(TooLarge { size, limit }) } else { Ok(()) }
}

/// What a key must be like for [`Command::Cas`].
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Expect {
    /// It has this value; none: it is absent.
    Value(Option<Bytes>),
    /// It has this version; 0: it is absent.
    Version(u64),
}

/// What comes of a [`Command`].
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// The key has the value.
    Written {
        /// The version that it has now.
        version: u64,
    },
    /// The key is absent.
    Deleted {
        /// Whether it was there.
        existed: bool,
    },
    /// The key was not as expected, and is as it was.
    CasFailed {
        /// Its value, if it has one.
        value: Option<Bytes>,
        /// Its version.
        version: u64,
    },
    /// The value would have become larger than [`MAX_VALUE`], and is as it was.
    TooLarge(TooLarge),
}

/// What asks about the map.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Query {
    /// The value of a key.
    Get {
        /// Which key.
        key: Bytes,
    },
    /// The first keys that begin with a prefix, and their values.
    Scan {
        /// How they begin.
        prefix: Bytes,
        /// At most so many, and at most [`MAX_SCAN`].
        limit: u64,
    },
}

/// What comes of a [`Query`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Query::Get`].
    Value {
        /// The value; none: the key is absent.
        value: Option<Bytes>,
        /// Its version.
        version: u64,
    },
    /// To [`Query::Scan`].
    Entries {
        /// Keys and values, in the order of the keys.
        items: Vec<(Bytes, Bytes)>,
        /// Whether there are more such keys behind them.
        more: bool,
    },
}
