//! The shard controller: a pure state machine.

use super::bugs::bug;
use super::history::History;
use super::operation::{Command, MAX_GROUPS, Query, Refusal, Reply};
use super::rebalance::{in_order, rebalance};
use super::settings::Settings;
use super::types::{GroupId, ShardConfig, ShardId};
use crate::rsm::machine::{Malformed, StateMachine, TooLarge};
use labrpc::{Index, NodeId, NodeMap};
use std::collections::{BTreeMap, BTreeSet};

/// The configurations, and how new ones are made.
#[derive(Clone, Debug)]
pub struct ShardMaster {
    config: Settings,
    history: History,
}

impl ShardMaster {
    fn join(&self, groups: &BTreeMap<GroupId, Vec<NodeId>>) -> Result<ShardConfig, Refusal> {
        let mut next = self.history.latest().clone();
        if groups.is_empty() {
            return Err(Refusal::NoGroups);
        }
        for (group, servers) in groups {
            if *group == GroupId(0) {
                return Err(Refusal::Reserved);
            }
            if servers.is_empty() {
                return Err(Refusal::NoServers(*group));
            }
            let is_there = next.groups.insert(*group, servers.clone()).is_some();
            if is_there && !bug!(self, DupJoin) {
                return Err(Refusal::AlreadyJoined(*group));
            }
        }
        if next.groups.len() > MAX_GROUPS {
            return Err(Refusal::TooManyGroups);
        }
        self.rebalance(&mut next);
        Ok(next)
    }

    fn leave(&self, groups: &BTreeSet<GroupId>) -> Result<ShardConfig, Refusal> {
        let mut next = self.history.latest().clone();
        if groups.is_empty() {
            return Err(Refusal::NoGroups);
        }
        for group in groups {
            next.groups.remove(group).ok_or(Refusal::UnknownGroup(*group))?;
        }
        self.rebalance(&mut next);
        Ok(next)
    }

    fn move_shard(&self, shard: ShardId, to: GroupId) -> Result<ShardConfig, Refusal> {
        let mut next = self.history.latest().clone();
        if !next.groups.contains_key(&to) {
            return Err(Refusal::UnknownGroup(to));
        }
        *next.shards.get_mut(shard.slot()).ok_or(Refusal::UnknownShard(shard))? = Some(to);
        if bug!(self, MoveUndone) {
            self.rebalance(&mut next);
        }
        Ok(next)
    }

    fn name_servers(&self, group: GroupId, servers: &[NodeId]) -> Result<ShardConfig, Refusal> {
        let mut next = self.history.latest().clone();
        if servers.is_empty() {
            return Err(Refusal::NoServers(group));
        }
        *next.groups.get_mut(&group).ok_or(Refusal::UnknownGroup(group))? = servers.to_vec();
        Ok(next)
    }

    fn rebalance(&self, config: &mut ShardConfig) {
        if bug!(self, RebalanceNotMinimal) {
            config.shards.fill(None);
        }
        config.shards = if bug!(self, RebalanceNondeterministic) {
            let mut table = NodeMap::new(self.config.hash_key);
            config.groups.keys().for_each(|group| _ = table.insert(*group, ()));
            in_order(&config.shards, table.iter().map(|(group, ())| *group).collect())
        } else {
            rebalance(&config.shards, config.groups.keys().copied())
        };
    }
}

impl StateMachine for ShardMaster {
    const TAG: u8 = b'm';

    type Settings = Settings;
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = ShardConfig;

    fn new(settings: &Settings) -> ShardMaster {
        ShardMaster { config: *settings, history: History::new(*settings) }
    }

    fn apply(&mut self, _: Index, command: &Command) -> Reply {
        let next = match command {
            Command::Join { groups } => self.join(groups),
            Command::Leave { groups } => self.leave(groups),
            Command::Move { shard, to } => self.move_shard(*shard, *to),
            Command::Servers { group, servers } => self.name_servers(*group, servers),
        };
        match next {
            Ok(next) => Reply::Configured(self.history.push(&next)),
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn query(&self, Query(num): &Query) -> ShardConfig {
        self.history.get(*num)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.history.save()
    }

    fn restore(settings: &Settings, bytes: &[u8]) -> Result<ShardMaster, Malformed> {
        Ok(ShardMaster { config: *settings, history: History::load(*settings, bytes)? })
    }

    fn digest(&self) -> u64 {
        self.history.digest()
    }

    fn admit(command: &Command) -> Result<(), TooLarge> {
        command.check()
    }
}
