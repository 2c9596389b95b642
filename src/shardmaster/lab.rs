//! The shard controller as the laboratory sees it.

use super::bugs::Bug;
use super::clerk::Clerk;
use super::operation::{Command, Reply};
use super::server::{Config, KINDS, Server, digest_of_snapshot};
use super::settings::Settings;
use super::types::{ConfigNum, GroupId, ShardConfig, ShardId};
use crate::raft::{Node, StartError};
use crate::rsm::lab::{self as shown, Service};
use crate::rsm::{Failure, Malformed, Observer, Patience};
use futures::future::BoxFuture;
use labrpc::{Env, Kind, NodeId, Time};
use sim::kv::{ClerkSetup, Lost};
use sim::plan::Knobs;
use sim::raft::{BugCard, PeerSetup};
use sim::shard::{Answer, Ask, Controller, ControllerSystem};

/// This repository's shard controller, for [`shown::Lab`].
pub struct ShardlabMaster;

impl Service for ShardlabMaster {
    const NAME: &'static str = "shardmaster";
    const OF_CLIENTS: &'static [Kind] = &shown::kinds(KINDS);

    fn boot(env: Env, setup: PeerSetup, observer: Observer) -> BoxFuture<'static, Result<Node, StartError>> {
        let (raft, options, service) = shown::config(&setup);
        let settings = Settings { shards: setup.knobs.shards, ..Settings::default() };
        let mut config = Config { raft, options, service, settings };
        config.plant(setup.bug.as_deref().and_then(Bug::of_name));
        Box::pin(async move { Ok(Server::boot(env, config, Some(observer)).await?.node().clone()) })
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        digest_of_snapshot(content)
    }

    fn bugs() -> Vec<BugCard> {
        shown::cards(Bug::ALL, Bug::name, Bug::about, |bug| Some(directed(bug)), super::zoo::study)
    }

    fn controller(&self) -> Option<&dyn ControllerSystem> {
        Some(self)
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
        Box::new(MasterClerk::new(env, setup.servers, &setup.knobs, None))
    }
}

/// The controller's clerk in the laboratory.
pub(crate) struct MasterClerk {
    clerk: Clerk,
    env: Env,
    patience: Patience,
    /// Who is in each group of the plan; none: there are no such groups.
    groups: Option<Vec<Vec<NodeId>>>,
}

impl MasterClerk {
    /// A clerk of a controller with these servers.
    pub fn new(env: Env, masters: Vec<NodeId>, knobs: &Knobs, groups: Option<Vec<Vec<NodeId>>>) -> MasterClerk {
        let patience = shown::patience(knobs);
        MasterClerk { clerk: Clerk::new(env.clone(), masters, patience), env, patience, groups }
    }

    /// A group's servers, which may be none of the plan's: nobody looks for them then.
    fn servers_of(&self, group: u32) -> Vec<NodeId> {
        let known = self.groups.as_ref().and_then(|groups| groups.get(group.checked_sub(1)? as usize));
        known.cloned().unwrap_or_else(|| (0..3).map(|nth| NodeId(1_000 + group * 3 + nth)).collect())
    }
}

impl Controller for MasterClerk {
    fn ask<'a>(&'a mut self, ask: &'a Ask, deadline: Time) -> BoxFuture<'a, Result<Answer, Lost>> {
        Box::pin(async move {
            self.patience.deadline = deadline.since(self.env.now());
            self.clerk.set_patience(self.patience);
            self.work(ask).await.map_err(shown::lost)
        })
    }
}

impl MasterClerk {
    async fn work(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let group = |number: &u32| GroupId(u64::from(*number));
        let command = match ask {
            Ask::Join(groups) => Command::Join {
                groups: groups.iter().map(|number| (group(number), self.servers_of(*number))).collect(),
            },
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

fn told(config: ShardConfig) -> sim::shard::Config {
    let number = |group: GroupId| u32::try_from(group.0).unwrap_or(u32::MAX);
    sim::shard::Config {
        num: config.num.0,
        shards: config.shards.iter().map(|owner| owner.map(number)).collect(),
        groups: config.groups.keys().copied().map(number).collect(),
    }
}
