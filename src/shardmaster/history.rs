//! All configurations that there ever were.
//!
//! Whoever follows the configurations one by one may be far behind, so none is ever forgotten. Each is kept as what
//! changed from the one before, and one in [`WHOLE_EVERY`] also as a whole; a snapshot has the changes alone. So a move
//! costs 72 bytes and a small part of a whole configuration, and to look one up costs a whole one and at most as many
//! changes as are between two. Kept whole, each would cost all its groups with their servers: some 800 bytes with 16
//! shards and 8 groups of three, and a hundred times that with as many groups as there can be.

use super::bugs::bug;
use super::settings::{MAX_SHARDS, Settings};
use super::types::{ConfigNum, GroupId, ShardConfig, ShardId};
use crate::rsm::chunks;
use crate::rsm::digest;
use crate::rsm::machine::Malformed;
use labrpc::NodeId;
use serde::{Deserialize, Serialize};

/// From one configuration that is kept whole to the next.
const WHOLE_EVERY: usize = 64;

/// What is different in a configuration from the one before it.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
struct Change {
    /// Groups that have come or have other servers, and, with none, groups that are gone.
    groups: Vec<(GroupId, Option<Vec<NodeId>>)>,
    /// Shards that have another owner.
    shards: Vec<(ShardId, Option<GroupId>)>,
}

impl Change {
    fn between(old: &ShardConfig, new: &ShardConfig) -> Change {
        let gone = old.groups.keys().filter(|group| !new.groups.contains_key(group));
        let come = new.groups.iter().filter(|(group, servers)| old.groups.get(group) != Some(servers));
        let come = come.map(|(group, servers)| (*group, Some(servers.clone())));
        let owners = (0..).map(ShardId).zip(old.shards.iter().zip(&new.shards));
        Change {
            groups: gone.map(|group| (*group, None)).chain(come).collect(),
            shards: owners.filter(|(_, (old, new))| old != new).map(|(shard, (_, new))| (shard, *new)).collect(),
        }
    }

    /// Makes the next configuration of one.
    ///
    /// # Errors
    /// [`Malformed`]: it speaks of a shard that is not there.
    fn advance(&self, config: &mut ShardConfig) -> Result<(), Malformed> {
        config.num = config.num.next();
        for (group, servers) in &self.groups {
            match servers {
                Some(servers) => _ = config.groups.insert(*group, servers.clone()),
                None => _ = config.groups.remove(group),
            }
        }
        for (shard, owner) in &self.shards {
            *config.shards.get_mut(shard.slot()).ok_or(Malformed)? = *owner;
        }
        Ok(())
    }
}

/// The configurations from 0 on.
#[derive(Clone, Debug)]
pub struct History {
    config: Settings,
    latest: ShardConfig,
    /// `changes[n]` leads from configuration n to the next.
    changes: Vec<Change>,
    /// `wholes[n]` is configuration n * [`WHOLE_EVERY`].
    wholes: Vec<ShardConfig>,
    /// Of the number of shards and all changes, one after the other.
    digest: u64,
}

impl History {
    /// Configuration 0 alone.
    ///
    /// # Panics
    /// If there are no shards, or more than [`MAX_SHARDS`].
    pub fn new(config: Settings) -> History {
        let shards = config.shards;
        assert!((1..=MAX_SHARDS).contains(&shards), "there are {shards} shards: 1 to {MAX_SHARDS} are possible");
        let first = ShardConfig::first(shards);
        let digest = digest::of(&shards);
        History { config, wholes: vec![first.clone()], latest: first, changes: Vec::new(), digest }
    }

    /// The last one.
    pub fn latest(&self) -> &ShardConfig {
        &self.latest
    }

    /// The one with that number, or the latest.
    pub fn get(&self, num: Option<ConfigNum>) -> ShardConfig {
        let Some(num) = num.filter(|num| *num < self.latest.num) else { return self.latest.clone() };
        let num = num.0 as usize;
        let whole = num / WHOLE_EVERY;
        let mut config = self.wholes[whole].clone();
        for change in &self.changes[whole * WHOLE_EVERY..num] {
            change.advance(&mut config).expect("it is between two configurations of these shards");
        }
        config
    }

    /// The next configuration is this one, but for the number, which is given here.
    pub fn push(&mut self, next: &ShardConfig) -> ConfigNum {
        let change = Change::between(&self.latest, next);
        if let Some(before) = self.changes.last_mut().filter(|_| bug!(self, HistoryAliasing)) {
            before.groups.extend_from_slice(&change.groups);
            before.shards.extend_from_slice(&change.shards);
        }
        self.advance(change).expect("it is between two configurations of these shards");
        self.latest.num
    }

    fn advance(&mut self, change: Change) -> Result<(), Malformed> {
        change.advance(&mut self.latest)?;
        self.digest = digest::mix(self.digest, digest::of(&change));
        self.changes.push(change);
        if self.changes.len().is_multiple_of(WHOLE_EVERY) {
            self.wholes.push(self.latest.clone());
        }
        Ok(())
    }

    /// Equal for equal histories.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// All of it, without what can be made again.
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        chunks::put(&mut bytes, &self.config.shards);
        for change in &self.changes {
            chunks::put(&mut bytes, change);
        }
        bytes
    }

    /// What [`History::save`] has made. The number of shards is the one that was saved.
    ///
    /// # Errors
    /// [`Malformed`]: these bytes are nothing of the kind.
    pub fn load(config: Settings, mut bytes: &[u8]) -> Result<History, Malformed> {
        let shards = chunks::take(&mut bytes)?;
        if !(1..=MAX_SHARDS).contains(&shards) {
            return Err(Malformed);
        }
        let mut history = History::new(Settings { shards, ..config });
        while !bytes.is_empty() {
            history.advance(chunks::take(&mut bytes)?)?;
        }
        Ok(history)
    }
}
