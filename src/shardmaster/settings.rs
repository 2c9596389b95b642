//! What is fixed about a shard controller when it is made.

use super::bugs::Bug;

/// Most shards that there can be.
pub const MAX_SHARDS: u32 = 1 << 12;

/// What is fixed about a shard controller when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many shards there are: from 1 to [`MAX_SHARDS`], the same on all servers, for ever. A snapshot says it again, and
    /// who goes on from one goes by that.
    pub shards: u32,
    /// What the hash tables of this server are keyed with. The server draws it when it boots. Only
    /// [`Bug::RebalanceNondeterministic`] looks at it: nothing replicated may depend on it.
    pub hash_key: u64,
    /// A planted bug.
    pub bug: Option<Bug>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { shards: 16, hash_key: 0, bug: None }
    }
}
