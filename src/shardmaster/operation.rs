//! What can be asked of the shard controller, and what comes of it.

use super::types::{ConfigNum, GroupId, ShardId};
use crate::rsm::machine::TooLarge;
use labrpc::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most groups that one command names.
pub const MAX_GROUPS_AT_ONCE: usize = 1 << 6;
/// Most servers of a group.
pub const MAX_SERVERS: usize = 1 << 6;
/// Most groups that a configuration has.
pub const MAX_GROUPS: usize = 1 << 10;

/// What makes a new configuration. It is done as a whole, or refused as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Command {
    /// These groups are new, and get their share of the shards.
    Join {
        /// Each with its servers. The number of a group that was there before is for servers that have its state, and for no
        /// others.
        groups: BTreeMap<GroupId, Vec<NodeId>>,
    },
    /// These groups go, and their shards are given to the others.
    Leave {
        /// Which.
        groups: BTreeSet<GroupId>,
    },
    /// This shard goes to that group, and no other shard anywhere. What is out of balance by that stays so until the
    /// next join or leave.
    Move {
        /// Which shard.
        shard: ShardId,
        /// To whom; it may have it already.
        to: GroupId,
    },
    /// This group consists of other servers by now, who have its state: its Raft has replaced some. All shards stay where
    /// they are.
    Servers {
        /// Which group.
        group: GroupId,
        /// All its servers.
        servers: Vec<NodeId>,
    },
}

impl Command {
    /// Whether it names as many groups and servers as are allowed.
    ///
    /// # Errors
    /// [`TooLarge`], with how many there are.
    pub fn check(&self) -> Result<(), TooLarge> {
        match self {
            Command::Join { groups } => {
                within(groups.len(), MAX_GROUPS_AT_ONCE)?;
                groups.values().try_for_each(|servers| within(servers.len(), MAX_SERVERS))
            }
            Command::Leave { groups } => within(groups.len(), MAX_GROUPS_AT_ONCE),
            Command::Move { .. } => Ok(()),
            Command::Servers { servers, .. } => within(servers.len(), MAX_SERVERS),
        }
    }
}

fn within(size: usize, limit: usize) -> Result<(), TooLarge> {
    let (size, limit) = (size as u64, limit as u64);
    if size > limit { Err(TooLarge { size, limit }) } else { Ok(()) }
}

/// What comes of a [`Command`].
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// This is the configuration that it has made.
    Configured(ConfigNum),
    /// All is as it was, and there is no new configuration.
    Refused(Refusal),
}

/// Why a command was refused: the first reason, by the order of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The command names no group.
    #[error("no group is named")]
    NoGroups,
    /// A group with the number 0 would join, which no group may have.
    #[error("0 is the number of no group")]
    Reserved,
    /// This group would join without servers.
    #[error("{0} has no servers")]
    NoServers(GroupId),
    /// This group would join, and is there.
    #[error("{0} has joined already")]
    AlreadyJoined(GroupId),
    /// There would be more than [`MAX_GROUPS`].
    #[error("there would be too many groups: more than {MAX_GROUPS}")]
    TooManyGroups,
    /// There is no such group.
    #[error("{0} is not there")]
    UnknownGroup(GroupId),
    /// There is no such shard.
    #[error("there is no {0}")]
    UnknownShard(ShardId),
}

/// Asks for a configuration: the one with that number; none, or a number that is not given yet: the latest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Query(pub Option<ConfigNum>);
