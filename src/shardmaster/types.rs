//! Shards, groups, and who has what: the vocabulary of the shard controller and of those who follow it.

use labrpc::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// A part of all keys. Shards are numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl ShardId {
    /// The number as an index into a table of all shards.
    pub const fn slot(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A group of servers that keep shards together. Its number is given to it by whoever lets it join, from 1 on: 0 is no
/// group's. (In the course 0 means that nobody has a shard; here that is `None`.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of a configuration. The first is 0, and each new one has the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigNum(pub u64);

impl ConfigNum {
    /// That of the next configuration.
    #[must_use]
    pub const fn next(self) -> ConfigNum {
        ConfigNum(self.0 + 1)
    }
}

impl fmt::Display for ConfigNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration {}", self.0)
    }
}

impl fmt::Debug for ConfigNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A configuration: which group has which shard, and of which servers it consists.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct ShardConfig {
    /// Which one it is.
    pub num: ConfigNum,
    /// Who has each shard, one of `groups`. None: nobody, which is so if there are no groups, and else never.
    pub shards: Vec<Option<GroupId>>,
    /// All groups, also those that have no shard, each with at least one server.
    pub groups: BTreeMap<GroupId, Vec<NodeId>>,
}

impl ShardConfig {
    /// Configuration 0: no groups, and nobody has a shard.
    pub fn first(shards: u32) -> ShardConfig {
        ShardConfig { num: ConfigNum(0), shards: vec![None; shards as usize], groups: BTreeMap::new() }
    }

    /// Whether it is one: it has shards, whoever has one is there, and every group has servers. The controller makes no other,
    /// but what comes over the network may be anything.
    pub fn is_sound(&self) -> bool {
        let is_there = |owner: &GroupId| self.groups.contains_key(owner);
        !self.shards.is_empty()
            && self.shards.iter().flatten().all(is_there)
            && self.groups.values().all(|servers| !servers.is_empty())
    }

    /// Who has the shard. None: nobody, or there is no such shard.
    pub fn owner(&self, shard: ShardId) -> Option<GroupId> {
        self.shards.get(shard.slot()).copied().flatten()
    }
}

/// The shard that a key belongs to: XXH3 (64 bits, seed 0) of the key's bytes, modulo the number of shards. This is for
/// ever: with another hash, keys would be looked for where they are not.
///
/// # Panics
/// If there are no shards.
pub fn shard_of(key: &[u8], shards: u32) -> ShardId {
    ShardId((xxh3_64(key) % u64::from(shards)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this changes, keys of services that run are lost.
    #[test]
    fn the_shards_of_keys_are_pinned() {
        let shards: Vec<u32> = ["", "a", "b", "key-17", "\0"].map(|key| shard_of(key.as_bytes(), 1_000).0).into();
        // XXH3 of nothing is 0x2d06800538d394c2, as its specification has it.
        assert_eq!(shards[0], (0x2d06_8005_38d3_94c2_u64 % 1_000) as u32);
        assert_eq!(shards, [138, 719, 615, 180, 883]);
    }

    #[test]
    fn a_configuration_names_whom_it_gives_shards_to_and_where_they_are() {
        let group = |servers: &[u32]| (GroupId(1), servers.iter().copied().map(NodeId).collect());
        let config = |owner, groups| ShardConfig { num: ConfigNum(1), shards: vec![owner], groups };
        assert!(ShardConfig::first(3).is_sound() && !ShardConfig::first(0).is_sound());
        assert!(config(Some(GroupId(1)), BTreeMap::from([group(&[7])])).is_sound());
        assert!(!config(Some(GroupId(2)), BTreeMap::from([group(&[7])])).is_sound());
        assert!(!config(Some(GroupId(1)), BTreeMap::from([group(&[])])).is_sound());
    }

    #[test]
    fn keys_that_differ_little_are_spread_over_all_shards() {
        for shards in [2, 10, 16] {
            let mut counts = vec![0u32; shards as usize];
            (0..16_000).for_each(|key| counts[shard_of(format!("k{key}").as_bytes(), shards).slot()] += 1);
            let fair = 16_000 / shards;
            assert!(counts.iter().all(|count| count.abs_diff(fair) < fair / 5), "{counts:?}");
        }
    }
}
