//! What is fixed about a group when it is made.

use super::bugs::Bug;
use crate::shardmaster::types::GroupId;

/// Most bytes of a shard that one message, and one entry of the log, carries.
pub const MAX_PIECE: u64 = 4 << 20;

/// What is fixed about a group when it is made: the same on all its servers, always.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Which group it is.
    pub group: GroupId,
    /// How many shards there are. It must be what the shard controller says.
    pub shards: u32,
    /// Most sessions that are remembered in each shard. Beyond, the oldest end there.
    pub sessions: u64,
    /// Bytes of a shard that are asked for at once: from 1 to [`MAX_PIECE`]. Clients of other shards wait behind so many on the
    /// network.
    pub piece: u64,
    /// A planted bug.
    pub bug: Option<Bug>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { group: GroupId(0), shards: 16, sessions: 1_024, piece: 64 << 10, bug: None }
    }
}
