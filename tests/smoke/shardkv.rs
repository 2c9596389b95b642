//! The sharded store: groups join and leave, shards move, and values stay.

use super::load::{judge, work};
use super::{Machine, nodes, on_a_machine, options, until_it_is};
use crate::record::{Lost, Record, Store, command, lost, written};
use bytes::Bytes;
use labrpc::NodeId;
use shardlab::shardkv::{self, Clerk, Failure, Patience, Timing};
use shardlab::shardmaster::{self, GroupId, ShardConfig, ShardId};
use shardlab::{raft, rsm};
use sim::history::{self, Call};

const SHARDS: u32 = 8;

fn masters() -> Vec<NodeId> {
    nodes(1..=3)
}

fn servers(group: GroupId) -> Vec<NodeId> {
    let first = group.0 as u32 * 100;
    nodes(first + 1..=first + 3)
}

/// A controller and two groups, which have not joined yet.
async fn begin(machine: &mut Machine) -> shardmaster::Clerk {
    for id in masters() {
        let settings = shardmaster::Settings { shards: SHARDS, ..shardmaster::Settings::default() };
        let (raft, service) = (raft::Config::new(id, masters()), rsm::Config::default());
        let config = shardmaster::Config { raft, options: options(id), service, settings };
        shardmaster::Server::boot(machine.start(id), config, None).await.unwrap();
    }
    for group in [GroupId(1), GroupId(2)] {
        for id in servers(group) {
            let settings = shardkv::Settings { group, shards: SHARDS, ..shardkv::Settings::default() };
            let (raft, service) = (raft::Config::new(id, servers(group)), rsm::Config::default());
            let (masters, timing) = (masters(), Timing::default());
            let config =
                shardkv::Config { raft, options: options(id), service, settings, masters: masters.into(), timing };
            shardkv::Server::boot(machine.start(id), config, None).await.unwrap();
        }
    }
    shardmaster::Clerk::new(machine.client(), masters(), Patience::default())
}

fn clerk(machine: &mut Machine) -> Clerk {
    Clerk::new(machine.client(), masters(), Patience::default())
}

/// Waits until both groups are where the controller is, and have what is theirs and nothing else.
async fn at_rest(clerk: &mut Clerk, master: &mut shardmaster::Clerk) -> ShardConfig {
    let latest = master.query(None).await.unwrap();
    for group in [GroupId(1), GroupId(2)] {
        let due = (0..).zip(&latest.shards).filter(|(_, owner)| **owner == Some(group));
        let due: Vec<ShardId> = due.map(|(shard, _)| ShardId(shard)).collect();
        until_it_is(&format!("{group} has {due:?}"), async || {
            let status = clerk.status(servers(group)).await.ok()?;
            let settled = status.config == latest.num && status.coming.is_empty() && status.frozen.is_empty();
            (settled && status.owned == due).then_some(())
        })
        .await;
    }
    latest
}

struct Recorded(Clerk);

impl Recorded {
    async fn work(&mut self, call: &Call) -> Result<Result<history::Reply, Lost>, Failure> {
        match command(call) {
            Some(command) => Ok(written(self.0.command(command).await?.1)),
            None => {
                let (_, value, version) = self.0.read(call.key().clone()).await?;
                Ok(Ok(history::Reply::Value { value, version }))
            }
        }
    }
}

impl Store for Recorded {
    async fn call(&mut self, call: &Call) -> Result<history::Reply, Lost> {
        self.work(call).await.unwrap_or_else(|failure| Err(lost(failure)))
    }
}

#[test]
fn values_stay_while_groups_join_and_leave_and_shards_move() {
    on_a_machine("shard-values", async |machine| {
        let mut master = begin(machine).await;
        let mut clerk = clerk(machine);
        master.join([(GroupId(1), servers(GroupId(1)))]).await.unwrap();
        let keys: Vec<(Bytes, Bytes)> =
            (0..40).map(|nth| (format!("k{nth}").into(), format!("v{nth}").into())).collect();
        for (key, value) in &keys {
            clerk.put(key.clone(), value.clone()).await.unwrap();
        }
        let owned =
            |config: &ShardConfig, group| config.shards.iter().filter(|owner| **owner == Some(group)).count();
        master.join([(GroupId(2), servers(GroupId(2)))]).await.unwrap();
        // At once, while shards are on their way, and when they have come.
        all_are_there(&mut clerk, &keys).await;
        let config = at_rest(&mut clerk, &mut master).await;
        assert_eq!((owned(&config, GroupId(1)), owned(&config, GroupId(2))), (4, 4));
        all_are_there(&mut clerk, &keys).await;
        let moved = ShardId(config.shards.iter().position(|owner| *owner == Some(GroupId(1))).unwrap() as u32);
        master.move_shard(moved, GroupId(2)).await.unwrap();
        let config = at_rest(&mut clerk, &mut master).await;
        assert_eq!((config.owner(moved), owned(&config, GroupId(2))), (Some(GroupId(2)), 5));
        all_are_there(&mut clerk, &keys).await;
        master.leave([GroupId(1)]).await.unwrap();
        let config = at_rest(&mut clerk, &mut master).await;
        assert_eq!(owned(&config, GroupId(2)), 8);
        all_are_there(&mut clerk, &keys).await;
    });
}

async fn all_are_there(clerk: &mut Clerk, keys: &[(Bytes, Bytes)]) {
    for (key, value) in keys {
        assert_eq!(clerk.get(key.clone()).await.unwrap(), Some(value.clone()), "{key:?}");
    }
}

#[test]
fn what_many_clients_are_told_is_linearizable_while_shards_move() {
    on_a_machine("shard-clients", async |machine| {
        let mut master = begin(machine).await;
        master.join([(GroupId(1), servers(GroupId(1)))]).await.unwrap();
        let record = Record::begin();
        let keys: Vec<Bytes> = (0..8).map(|nth| format!("k{nth}").into()).collect();
        let clients: Vec<_> = (0..6)
            .map(|number| {
                let (store, keys, record) = (Recorded(clerk(machine)), keys.clone(), record.clone());
                tokio::spawn(async move { work(number, store, 100, &keys, record).await })
            })
            .collect();
        master.join([(GroupId(2), servers(GroupId(2)))]).await.unwrap();
        for (shard, group) in (0..SHARDS).map(ShardId).zip([2, 1].into_iter().cycle().map(GroupId)) {
            master.move_shard(shard, group).await.unwrap();
        }
        master.leave([GroupId(2)]).await.unwrap();
        master.join([(GroupId(2), servers(GroupId(2)))]).await.unwrap();
        for client in clients {
            client.await.unwrap();
        }
        at_rest(&mut clerk(machine), &mut master).await;
        judge(&record, 500);
    });
}
