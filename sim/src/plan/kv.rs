//! What a client of a key/value service does, as data.
//!
//! What a client expects of a key cannot be known before the run: a compare-and-set compares with what this client
//! has seen there last.

use serde::{Deserialize, Serialize};

/// One operation on a key/value service.
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
}
