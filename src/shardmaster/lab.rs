//! The shard controller as the laboratory sees it.

use super::bugs::Bug;
use super::clerk::Clerk;
use super::operation::{Command, Reply};
use super::server::{Config, KINDS, Server, digest_of_snapshot};
use super::settings::Settings;
use super::types::{ConfigNum, GroupId, ShardConfig, ShardId};
use crate::raft::lab::ShardlabRaft;
use crate::rsm::lab as shown;
use crate::rsm::{Failure, Patience};
use futures::future::BoxFuture;
use futures::stream::pending;
use labrpc::persister::Directory;
use labrpc::{Direction, Env, Kind, NodeId, Time};
use sim::kv::{ClerkSetup, Lost};
use sim::raft::{Abilities, Booted, BugCard, Follow, Part, PeerSetup, RaftSystem, Recovered, WireFacts};
use sim::shard::{Answer, Ask, Controller, ControllerSystem};
use std::sync::Arc;

/// This repository's shard controller, for the laboratory.
pub struct ShardlabMaster;

/// How many shards there are in the laboratory: no multiple of most numbers of groups.
pub const SHARDS: u32 = 10;

fn config(setup: &PeerSetup) -> Config {
    let (raft, options, service) = shown::config(setup);
    let settings = Settings { shards: SHARDS, ..Settings::default() };
    let mut config = Config { raft, options, service, settings };
    config.plant(setup.bug.as_deref().and_then(Bug::of_name));
    config
}

impl RaftSystem for ShardlabMaster {
    fn name(&self) -> &'static str {
        "shardmaster"
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            let observer = shown::observer(setup.tell.clone());
            let server =
                Server::boot(env, config(&setup), Some(observer)).await.map_err(|error| error.to_string())?;
            Ok(Booted { peer: Arc::new(shown::Peer(server.node().clone())), applies: Box::pin(pending()) })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        shown::recover(node, disk, digest_of_snapshot)
    }

    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        shown::follow(node, digest_of_snapshot)
    }

    fn explains(&self) -> bool {
        true
    }

    fn inspect(&self, kind: Kind, direction: Direction, body: &[u8]) -> Option<WireFacts> {
        let of_clients = self.kinds(Part::ClientRequest).contains(&kind);
        if of_clients { None } else { ShardlabRaft.inspect(kind, direction, body) }
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        match part {
            Part::ClientRequest | Part::ClientReply => &[KINDS.register, KINDS.operate, KINDS.query],
            _ => ShardlabRaft.kinds(part),
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { own_state: true, ..ShardlabRaft.abilities() }
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
        Bug::RebalanceNondeterministic => ("master-groups-come-and-go", "state-digest"),
        Bug::RebalanceNotMinimal => ("master-groups-come-and-go", "configurations"),
        Bug::MoveUndone => ("master-a-move-stays", "configurations"),
        Bug::DupJoin => ("master-a-group-joins-twice", "configurations"),
        Bug::HistoryAliasing => ("master-old-configurations", "configurations"),
        Bug::QueryLatestStale => ("master-query-at-a-deposed-leader", "configurations"),
    }
}

impl ControllerSystem for ShardlabMaster {
    fn controller(&self, env: Env, setup: ClerkSetup) -> Box<dyn Controller> {
        let patience = shown::patience(&setup.knobs);
        Box::new(LabClerk { clerk: Clerk::new(env.clone(), setup.servers, patience), env, patience })
    }
}

/// The controller's clerk in the laboratory.
struct LabClerk {
    clerk: Clerk,
    env: Env,
    patience: Patience,
}

impl Controller for LabClerk {
    fn ask<'a>(&'a mut self, ask: &'a Ask, deadline: Time) -> BoxFuture<'a, Result<Answer, Lost>> {
        Box::pin(async move {
            self.patience.deadline = deadline.since(self.env.now());
            self.clerk.set_patience(self.patience);
            self.work(ask).await.map_err(|failure| match failure {
                Failure::Unknown => Lost::Unknown,
                Failure::Unavailable | Failure::TooLarge(_) => Lost::Refused,
            })
        })
    }
}

impl LabClerk {
    async fn work(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let group = |number: &u32| GroupId(u64::from(*number));
        let command = match ask {
            Ask::Join(groups) => {
                Command::Join { groups: groups.iter().map(|number| (group(number), servers_of(*number))).collect() }
            }
            Ask::Leave(groups) => Command::Leave { groups: groups.iter().map(group).collect() },
            Ask::Move(shard, to) => Command::Move { shard: ShardId(*shard), to: group(to) },
            Ask::Config(num) => return Ok(Answer::Config(told(self.clerk.query(num.map(ConfigNum)).await?))),
        };
        Ok(match self.clerk.command(command).await?.1 {
            Reply::Configured(num) => Answer::Made(num.0),
            Reply::Refused(_) => Answer::Senseless,
        })
    }
}

/// Where a group's servers are said to be: nobody looks for them there.
fn servers_of(group: u32) -> Vec<NodeId> {
    (0..3).map(|nth| NodeId(1_000 + group * 3 + nth)).collect()
}

fn told(config: ShardConfig) -> sim::shard::Config {
    let number = |group: GroupId| u32::try_from(group.0).unwrap_or(u32::MAX);
    sim::shard::Config {
        num: config.num.0,
        shards: config.shards.iter().map(|owner| owner.map(number)).collect(),
        groups: config.groups.keys().copied().map(number).collect(),
    }
}
