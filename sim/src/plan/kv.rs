//! What a client of a key/value service, or of a shard controller, does, as data.
//!
//! What a client expects of a key cannot be known before the run: a compare-and-set compares with what this client
//! has seen there last.

use serde::{Deserialize, Serialize};

/// One operation on a key/value service, or on the controller of one that is sharded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum KvOp {
    /// Read a key.
    Get {
        /// Which.
        key: String,
    },
    /// Write a key.
    Put {
        /// Which.
        key: String,
        /// What.
        value: String,
    },
    /// Write behind what a key has.
    Append {
        /// Which.
        key: String,
        /// What.
        value: String,
    },
    /// Remove a key.
    Delete {
        /// Which.
        key: String,
    },
    /// Write a key if it is as this client has seen it last.
    Cas {
        /// Which.
        key: String,
        /// Compare versions, not values.
        #[serde(default)]
        by_version: bool,
        /// What.
        value: String,
    },
    /// Read all keys that begin with this.
    Scan {
        /// With what.
        prefix: String,
        /// At most so many.
        limit: u32,
    },
    /// Of a shard controller: these groups join.
    Join {
        /// By their numbers in the plan.
        groups: Vec<u32>,
    },
    /// Of a shard controller: these groups leave.
    Leave {
        /// By their numbers in the plan.
        groups: Vec<u32>,
    },
    /// Of a shard controller: a shard goes to a group.
    Move {
        /// Which shard.
        shard: u32,
        /// To whom.
        group: u32,
    },
    /// Of a shard controller: what is, or was, the configuration?
    Config {
        /// Of which number; none: the latest.
        #[serde(default)]
        num: Option<u64>,
    },
}

impl KvOp {
    /// Whether it is asked of a shard controller.
    pub fn is_of_controller(&self) -> bool {
        matches!(self, KvOp::Join { .. } | KvOp::Leave { .. } | KvOp::Move { .. } | KvOp::Config { .. })
    }
}
