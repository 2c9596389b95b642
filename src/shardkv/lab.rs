//! The sharded store as the laboratory sees it: group 1 of a plan is the shard controller, and each further one a group of
//! the store under the same number.

use super::bugs::Bug;
use super::clerk::Clerk;
use super::errands::Timing;
use super::operation::{Command, Query};
use super::server::{Config, KINDS, MIGRATION_KINDS, Server, digest_of_snapshot};
use super::settings::Settings;
use crate::kvraft::lab::{call, command, written};
use crate::raft::{Node, StartError};
use crate::rsm::lab::{self as shown, Service};
use crate::rsm::{Failure, LogCommand, Malformed, Observer, Patience};
use crate::shardmaster::lab::{MasterClerk, ShardlabMaster};
use crate::shardmaster::{self, GroupId, shard_of};
use futures::future::BoxFuture;
use labrpc::{Env, Kind, Time};
use sim::history::{Call, Reply};
use sim::kv::{ClerkSetup, Entry, KvClerk, KvSystem, Lost, Place, Told};
use sim::plan::Knobs;
use sim::raft::{BugCard, PeerSetup};
use sim::shard::{Controller, ControllerSystem};
use std::time::Duration;

/// This repository's sharded store, for [`shown::Lab`].
pub struct ShardlabShards;

/// The group of a plan that is the controller.
const MASTER: u32 = 1;

fn config(setup: &PeerSetup) -> Config {
    let (raft, options, service) = shown::config(setup);
    let settings = Settings {
        group: GroupId(setup.group.into()),
        shards: setup.knobs.shards,
        sessions: setup.knobs.max_sessions.into(),
        piece: setup.knobs.piece.into(),
        bug: None,
    };
    let masters = setup.groups[MASTER as usize - 1].clone();
    let patience = Patience { deadline: Duration::from_secs(1), ..shown::patience(&setup.knobs) };
    let timing = Timing { patience, ..Timing::default() };
    let mut config = Config { raft, options, service, settings, masters: masters.into(), timing };
    config.plant(setup.bug.as_deref().and_then(Bug::of_name));
    config
}

/// What clients say to the groups and to the controller.
const OF_CLIENTS: [Kind; 6] = {
    let ([register, operate, query], [to_register, change, look]) =
        (shown::kinds(KINDS), shown::kinds(shardmaster::KINDS));
    [register, operate, query, to_register, change, look]
};

impl Service for ShardlabShards {
    const NAME: &'static str = "shardkv";
    const OF_CLIENTS: &'static [Kind] = &OF_CLIENTS;
    const OF_SERVICE: &'static [Kind] = &shown::kinds(MIGRATION_KINDS);
    const GROUPS: bool = true;

    fn boot(env: Env, setup: PeerSetup, observer: Observer) -> BoxFuture<'static, Result<Node, StartError>> {
        if setup.group == MASTER {
            return ShardlabMaster::boot(env, setup, observer);
        }
        let config = config(&setup);
        Box::pin(async move { Ok(Server::boot(env, config, Some(observer)).await?.node().clone()) })
    }

    /// Snapshots say whose they are.
    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        digest_of_snapshot(content).or_else(|_| shardmaster::digest_of_snapshot(content))
    }

    fn bugs() -> Vec<BugCard> {
        shown::cards(Bug::ALL, Bug::name, Bug::about, |bug| Some(directed(bug)), super::zoo::study)
    }

    fn kv(&self) -> Option<&dyn KvSystem> {
        Some(self)
    }

    fn controller(&self) -> Option<&dyn ControllerSystem> {
        Some(self)
    }
}

/// The scenario that is made for a bug, and the check that sees it there first.
fn directed(bug: Bug) -> (&'static str, &'static str) {
    match bug {
        Bug::ServeBeforeData | Bug::WriteRevivesDeletedShard => ("shard-moves-under-load", "ack-honest"),
        Bug::DedupNotMigrated | Bug::DeleteBeforeInstall => ("shard-moves-under-load", "shard-ownership"),
        Bug::ShardNeverGced => ("shard-moves-under-load", "shard-storage"),
        Bug::ConfigNotInLog => ("shard-moves-under-load", "state-digest"),
        Bug::PullFromUnreadySource => ("shard-asked-for-too-early", "shard-ownership"),
        Bug::MutualPullDeadlock => ("shard-exchanged-at-once", "convergence"),
        Bug::SkipConfigs => ("shard-configurations-missed", "shard-ownership"),
        Bug::MigrationTaskLost => ("shard-restart-while-it-waits", "convergence"),
        Bug::ServeAfterHandoff => ("shard-write-behind-a-configuration", "ack-honest"),
        Bug::StaleDelete => ("shard-back-before-the-deletion", "ack-honest"),
        Bug::StopTheWorld => ("shard-unaffected", "shard-available"),
    }
}

impl ControllerSystem for ShardlabShards {
    fn controller(&self, env: Env, setup: ClerkSetup) -> Box<dyn Controller> {
        let masters = setup.groups[MASTER as usize - 1].clone();
        Box::new(MasterClerk::new(env, masters, &setup.knobs, Some(setup.groups)))
    }
}

impl KvSystem for ShardlabShards {
    fn clerk(&self, env: Env, setup: ClerkSetup) -> Box<dyn KvClerk> {
        let masters = setup.groups[MASTER as usize - 1].clone();
        let patience = shown::patience(&setup.knobs);
        Box::new(LabClerk { clerk: Clerk::new(env.clone(), masters, patience), env, patience })
    }

    fn explains(&self) -> bool {
        true
    }

    fn explain(&self, group: u32, bytes: &[u8]) -> Option<Entry> {
        // The controller's commands are none of the store's, whatever their bytes look like.
        if group == MASTER {
            return None;
        }
        match labgob::decode(bytes) {
            Ok(LogCommand::Operate { session, seq, command: Command::Client(command) }) => {
                Some(Entry { by: [session.0, seq], call: call(command) })
            }
            _ => None,
        }
    }

    fn explain_read(&self, group: u32, bytes: &[u8]) -> Option<Call> {
        match labgob::decode(bytes) {
            Ok(Query::Get { key }) if group != MASTER => Some(Call::Get { key }),
            _ => None,
        }
    }

    fn shard_of(&self, knobs: &Knobs, key: &[u8]) -> Option<u32> {
        Some(shard_of(key, knobs.shards).0)
    }
}

struct LabClerk {
    clerk: Clerk,
    env: Env,
    patience: Patience,
}

impl KvClerk for LabClerk {
    fn call<'a>(&'a mut self, call: &'a Call, deadline: Time) -> BoxFuture<'a, Result<Told, Lost>> {
        Box::pin(async move {
            self.patience.deadline = deadline.since(self.env.now());
            self.clerk.set_patience(self.patience);
            self.work(call).await.map_err(shown::lost)
        })
    }
}

impl LabClerk {
    async fn work(&mut self, call: &Call) -> Result<Told, Failure> {
        match call.clone() {
            Call::Get { key } => {
                let (place, value, version) = self.clerk.read(key).await?;
                Ok(Told { reply: Reply::Value { value, version }, places: vec![shown_place(place)] })
            }
            Call::Scan { prefix, limit } => {
                let found = self.clerk.scan(prefix, limit.into()).await?;
                // A scan does not tell versions.
                let items = found.items.into_iter().map(|(key, value)| (key, value, 0)).collect();
                let places = found.places.into_values().map(shown_place).collect();
                Ok(Told { reply: Reply::Entries { items, more: found.more, index: 0 }, places })
            }
            call => {
                let command = command(call).expect("what does not look writes");
                let (place, reply) = self.clerk.command(command).await?;
                Ok(Told { reply: written(reply)?, places: vec![shown_place(place)] })
            }
        }
    }
}

/// Groups have the numbers that they have in the plan.
fn shown_place(place: super::Place) -> Place {
    Place { group: u32::try_from(place.group.0).unwrap_or(u32::MAX), index: place.index }
}
