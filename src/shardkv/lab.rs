//! The sharded store as the laboratory sees it: group 1 of a plan is the shard controller, and each further one a group of
//! the store under the same number.

use super::bugs::Bug;
use super::clerk::Clerk;
use super::errands::Timing;
use super::server::{Config, KINDS, MIGRATION_KINDS, Server, digest_of_snapshot};
use super::settings::Settings;
use crate::kvraft::lab::{command, written};
use crate::raft::lab::ShardlabRaft;
use crate::rsm::lab as shown;
use crate::rsm::{Failure, Kinds, Malformed, Patience};
use crate::shardmaster::lab::{MasterClerk, SHARDS, boot_master};
use crate::shardmaster::{self, GroupId};
use futures::future::BoxFuture;
use futures::stream::pending;
use labrpc::persister::Directory;
use labrpc::{Direction, Env, Index, Kind, NodeId, Time};
use sim::history::{Call, Reply};
use sim::kv::{ClerkSetup, KvClerk, KvSystem, Lost, Told};
use sim::plan::Knobs;
use sim::raft::{Abilities, Booted, BugCard, Follow, Part, PeerSetup, RaftSystem, Recovered, WireFacts};
use sim::shard::{Controller, ControllerSystem};
use std::sync::Arc;
use std::time::Duration;

/// This repository's sharded store, for the laboratory.
pub struct ShardlabShards;

/// The group of a plan that is the controller.
const MASTER: u32 = 1;

/// Bytes of a shard that move at once, so that most moves take several.
const PIECE: u64 = 200;

fn config(setup: &PeerSetup) -> Config {
    let (raft, options, service) = shown::config(setup);
    let settings = Settings {
        group: GroupId(setup.group.into()),
        shards: SHARDS,
        sessions: setup.knobs.max_sessions.into(),
        piece: PIECE,
        bug: None,
    };
    let masters = setup.groups[MASTER as usize - 1].clone();
    let patience = Patience { deadline: Duration::from_secs(1), ..shown::patience(&setup.knobs) };
    let timing = Timing { patience, ..Timing::default() };
    let mut config = Config { raft, options, service, settings, masters, timing };
    config.plant(setup.bug.as_deref().and_then(Bug::of_name));
    config
}

/// Snapshots say whose they are.
fn digest(content: &[u8]) -> Result<u64, Malformed> {
    digest_of_snapshot(content).or_else(|_| shardmaster::digest_of_snapshot(content))
}

impl RaftSystem for ShardlabShards {
    fn name(&self) -> &'static str {
        "shardkv"
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            if setup.group == MASTER {
                return boot_master(env, setup).await;
            }
            let observer = shown::observer(setup.tell.clone());
            let server =
                Server::boot(env, config(&setup), Some(observer)).await.map_err(|error| error.to_string())?;
            Ok(Booted { peer: Arc::new(shown::Peer(server.node().clone())), applies: Box::pin(pending()) })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        shown::recover(node, disk, digest)
    }

    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        shown::follow(node, digest)
    }

    fn explains(&self) -> bool {
        true
    }

    fn inspect(&self, kind: Kind, direction: Direction, body: &[u8]) -> Option<WireFacts> {
        let migrates = [MIGRATION_KINDS.operate, MIGRATION_KINDS.query].contains(&kind);
        let of_clients = migrates || self.kinds(Part::ClientRequest).contains(&kind);
        if of_clients { None } else { ShardlabRaft.inspect(kind, direction, body) }
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        const OF_MASTER: Kinds = shardmaster::KINDS;
        match part {
            Part::ClientRequest | Part::ClientReply => &[
                KINDS.register,
                KINDS.operate,
                KINDS.query,
                OF_MASTER.register,
                OF_MASTER.operate,
                OF_MASTER.query,
            ],
            _ => ShardlabRaft.kinds(part),
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { own_state: true, groups: true, ..ShardlabRaft.abilities() }
    }

    fn kv(&self) -> Option<&dyn KvSystem> {
        Some(self)
    }

    fn controller(&self) -> Option<&dyn ControllerSystem> {
        Some(self)
    }

    fn bugs(&self) -> Vec<BugCard> {
        if !cfg!(feature = "zoo") {
            return Vec::new();
        }
        let card = |bug: &Bug| BugCard { name: bug.name(), about: bug.about(), directed: Some(directed(*bug)) };
        Bug::ALL.iter().map(card).collect()
    }
}

/// The scenario that is made for a bug, and the check that sees it there first.
fn directed(bug: Bug) -> (&'static str, &'static str) {
    match bug {
        Bug::ServeBeforeData | Bug::WriteRevivesDeletedShard => ("shard-moves-under-load", "linearizability"),
        Bug::DedupNotMigrated | Bug::DeleteBeforeInstall => ("shard-moves-under-load", "shard-ownership"),
        Bug::ShardNeverGced => ("shard-moves-under-load", "convergence"),
        Bug::ConfigNotInLog => ("shard-moves-under-load", "state-digest"),
        Bug::PullFromUnreadySource => ("shard-asked-for-too-early", "shard-ownership"),
        Bug::MutualPullDeadlock => ("shard-exchanged-at-once", "convergence"),
        Bug::SkipConfigs => ("shard-configurations-missed", "shard-ownership"),
        Bug::MigrationTaskLost => ("shard-restart-while-it-waits", "convergence"),
        Bug::ServeAfterHandoff => ("shard-write-behind-a-configuration", "linearizability"),
        Bug::StaleDelete => ("shard-back-before-the-deletion", "linearizability"),
        Bug::StopTheWorld => ("shard-unaffected", "progress"),
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
        let patience = patience(&setup.knobs);
        Box::new(LabClerk { clerk: Clerk::new(env.clone(), masters, patience), env, patience })
    }
}

fn patience(knobs: &Knobs) -> Patience {
    shown::patience(knobs)
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
            let reply = self.work(call).await.map_err(|failure| match failure {
                Failure::Unknown => Lost::Unknown,
                Failure::Unavailable | Failure::TooLarge(_) => Lost::Refused,
            })?;
            // Of which group's log an entry would be, the laboratory does not ask.
            Ok(Told { reply, index: None::<Index> })
        })
    }
}

impl LabClerk {
    async fn work(&mut self, call: &Call) -> Result<Reply, Failure> {
        match call.clone() {
            Call::Get { key } => {
                let (_, value, version) = self.clerk.read(key).await?;
                Ok(Reply::Value { value, version })
            }
            Call::Scan { prefix, limit } => {
                let found = self.clerk.scan(prefix, limit.into()).await?;
                // A scan does not tell versions.
                let items = found.items.into_iter().map(|(key, value)| (key, value, 0)).collect();
                Ok(Reply::Entries { items, more: found.more, index: 0 })
            }
            call => {
                let command = command(call).expect("what does not look writes");
                written(self.clerk.command(command).await?.1)
            }
        }
    }
}
