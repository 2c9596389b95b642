//! What is asked of a group, by clients, by other groups and by itself, and what comes of it.

use super::shard::Done;
use crate::kvraft::operation as kv;
use crate::shardmaster::types::{ConfigNum, ShardConfig, ShardId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What changes the state of a group. Only [`Command::Client`] belongs to a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// A client's. Whether the group has the key's shard is decided when it is applied.
    Client(kv::Command),
    /// The next configuration. Shards that the group loses are frozen, and those that it gets are fetched. Ignored unless
    /// its number is the next one and everything that the last one gave has come.
    Adopt(ShardConfig),
    /// A part of a shard has come. Ignored unless it is the part that is missing next.
    Install {
        /// Which shard.
        shard: ShardId,
        /// The group's configuration, with which it gets the shard.
        config: ConfigNum,
        /// How many bytes of the content come before these.
        offset: u64,
        /// How many there are altogether.
        total: u64,
        /// These bytes.
        piece: Bytes,
    },
    /// Whoever has got this shard has it for good: the copy that was frozen with this configuration is not needed.
    Delete {
        /// Which shard.
        shard: ShardId,
        /// The configuration that took it away from here.
        config: ConfigNum,
    },
    /// The group that a shard came from has deleted its copy.
    Confirm {
        /// Which shard.
        shard: ShardId,
        /// The configuration that took it away from there.
        config: ConfigNum,
    },
}

/// What comes of a [`Command`].
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// The client's command was executed.
    Done(Done),
    /// It was not: the shard is not this group's.
    WrongGroup {
        /// According to this configuration.
        config: ConfigNum,
        /// How many shards the group was made for. With another number than the controller's it follows no configuration.
        shards: u32,
    },
    /// It was not: the shard is this group's, and has not come yet. Or it is about a configuration that the group has not
    /// adopted.
    NotReady {
        /// According to this configuration.
        config: ConfigNum,
    },
    /// Of the other commands: whether anything has changed by it.
    Changed(bool),
}

/// What asks about the state of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Query {
    /// The value of a key.
    Get {
        /// Which key.
        key: Bytes,
    },
    /// The first keys of one shard that begin with a prefix, and their values.
    Scan {
        /// In which shard.
        shard: ShardId,
        /// How they begin.
        prefix: Bytes,
        /// At most so many.
        limit: u64,
    },
    /// How far the group is, and what it has.
    Status,
    /// A part of a shard that was frozen.
    Pull {
        /// Which shard.
        shard: ShardId,
        /// With which configuration.
        config: ConfigNum,
        /// From which byte of its content on.
        offset: u64,
        /// At most so many bytes.
        most: u64,
    },
}

/// How far a group is, and what it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The configuration that it has adopted.
    pub config: ConfigNum,
    /// What it serves.
    pub owned: Vec<ShardId>,
    /// What it waits for.
    pub coming: Vec<ShardId>,
    /// What it keeps for others, by the configurations that took it away.
    pub frozen: Vec<(ShardId, ConfigNum)>,
    /// What has come from groups that may still keep it, by the configurations that took it away from them.
    pub unconfirmed: Vec<(ShardId, ConfigNum)>,
}

impl Status {
    /// Whether nothing is on its way, from here or to here.
    pub fn rests(&self) -> bool {
        self.coming.is_empty() && self.frozen.is_empty() && self.unconfirmed.is_empty()
    }
}

/// What comes of a [`Query`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What the shard says.
    Found(kv::Answer),
    /// The shard is not this group's.
    WrongGroup {
        /// According to this configuration.
        config: ConfigNum,
        /// How many shards the group was made for. With another number than the controller's it follows no configuration.
        shards: u32,
    },
    /// The shard is this group's, and has not come yet; or, to [`Query::Pull`], the group has not adopted that
    /// configuration.
    NotReady {
        /// According to this configuration.
        config: ConfigNum,
    },
    /// To [`Query::Status`].
    Status(Status),
    /// A part of a frozen shard.
    Piece {
        /// How many bytes the content has altogether.
        total: u64,
        /// Those that were asked for.
        piece: Bytes,
    },
    /// There is no such frozen shard any more: it was deleted, so whoever has got it has it for good.
    Gone,
}
