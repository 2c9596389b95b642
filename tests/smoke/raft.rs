//! Raft by itself: it elects, agrees on a log, goes on without one, and brings back who was away.

use super::{Machine, nodes, on_a_machine, options, until};
use bytes::Bytes;
use labrpc::NodeId;
use shardlab::raft::{Config, Delivery, EntryId, Index, Node, Payload, SnapshotMeta};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What one start of a server has delivered.
#[derive(Default)]
struct Delivered {
    entries: BTreeMap<Index, (EntryId, Payload)>,
    snapshots: Vec<(SnapshotMeta, Bytes)>,
}

struct Server {
    node: Node,
    delivered: Arc<Mutex<Delivered>>,
}

impl Server {
    fn applied(&self) -> Index {
        let delivered = self.delivered.lock().unwrap();
        let snapshot = delivered.snapshots.last().map(|(meta, _)| meta.last.index);
        delivered.entries.keys().last().copied().max(snapshot).unwrap_or(Index(0))
    }
}

struct Cluster<'m> {
    machine: &'m mut Machine,
    all: Vec<NodeId>,
    running: BTreeMap<NodeId, Server>,
}

impl Cluster<'_> {
    async fn begin(machine: &mut Machine, servers: u32) -> Cluster<'_> {
        let all = nodes(1..=servers);
        let mut cluster = Cluster { machine, all: all.clone(), running: BTreeMap::new() };
        for id in all {
            cluster.start(id).await;
        }
        cluster
    }

    async fn start(&mut self, id: NodeId) {
        let env = self.machine.start(id);
        let config = Config::new(id, self.all.iter().copied());
        let node = Node::start_up(env.clone(), config, options(id)).await.unwrap();
        let server = Server { node: node.clone(), delivered: Arc::default() };
        let delivered = server.delivered.clone();
        env.spawn(async move {
            loop {
                let index = match node.deliver().await {
                    Delivery::Entry(entry) => {
                        delivered.lock().unwrap().entries.insert(entry.id.index, (entry.id, entry.payload));
                        entry.id.index
                    }
                    Delivery::Snapshot { meta, content } => {
                        let index = meta.last.index;
                        delivered.lock().unwrap().snapshots.push((meta, content));
                        index
                    }
                };
                node.applied(index);
            }
        });
        self.running.insert(id, server);
    }

    async fn stop(&mut self, id: NodeId) {
        self.running.remove(&id);
        self.machine.stop(id).await;
    }

    /// The one that leads all that run, who know it.
    async fn leader(&self) -> NodeId {
        until("one leads and all know it", || {
            let views: Vec<_> = self.running.values().map(|server| server.node.view()).collect();
            let leader = views[0].leader?;
            let agreed = views.iter().all(|view| view.leader == Some(leader) && view.term == views[0].term);
            (agreed && self.running.get(&leader)?.node.state().1).then_some(leader)
        })
        .await
    }

    /// Has all that run apply a command. Returns where.
    async fn agree(&self, command: &'static str) -> Index {
        loop {
            let leader = &self.running[&self.leader().await];
            let Ok(id) = leader.node.start(command.into()).await else { continue };
            // If it is lost with its leader, another entry comes to stand there.
            until("all have applied so much", || {
                self.running.values().all(|server| server.applied() >= id.index).then_some(())
            })
            .await;
            if leader.delivered.lock().unwrap().entries.get(&id.index).is_some_and(|(there, _)| *there == id) {
                return id.index;
            }
        }
    }

    /// What stands where, which is the same on all that run; `from` is the first that all of them have.
    fn log(&self, from: Index) -> Vec<(EntryId, Payload)> {
        let logs = self.running.values().map(|server| {
            let delivered = server.delivered.lock().unwrap();
            delivered.entries.range(from..).map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
        });
        let logs: Vec<_> = logs.collect();
        let shortest = logs.iter().map(Vec::len).min().unwrap();
        for log in &logs {
            assert_eq!(log[..shortest], logs[0][..shortest], "servers apply the same");
        }
        logs[0][..shortest].to_vec()
    }

    fn commands(&self, from: Index) -> Vec<Bytes> {
        let commands = self.log(from).into_iter().filter_map(|(_, payload)| match payload {
            Payload::Command(command) => Some(command),
            _ => None,
        });
        commands.collect()
    }
}

#[test]
fn three_servers_elect_one_and_agree_on_a_log() {
    on_a_machine("raft-agree", async |machine| {
        let cluster = Cluster::begin(machine, 3).await;
        for command in ["a", "b", "c", "d", "e"] {
            cluster.agree(command).await;
        }
        let agreed = cluster.commands(Index(0));
        // Each was asked for again only when it was lost for good.
        assert_eq!(agreed, ["a", "b", "c", "d", "e"]);
        let terms: Vec<_> = cluster.log(Index(0)).iter().map(|(id, _)| id.term).collect();
        assert!(terms.is_sorted(), "{terms:?}");
    });
}

#[test]
fn commands_that_come_at_once_are_all_there_in_one_order() {
    on_a_machine("raft-at-once", async |machine| {
        let cluster = Cluster::begin(machine, 5).await;
        let leader = cluster.leader().await;
        let node = &cluster.running[&leader].node;
        let starts = (0..100).map(|nth| node.start(format!("{nth}").into()));
        let places = futures::future::join_all(starts).await;
        let accepted = places.iter().filter(|place| place.is_ok()).count();
        cluster.agree("last").await;
        let mut agreed = cluster.commands(Index(0));
        assert_eq!(agreed.pop().unwrap(), "last");
        let mut different = agreed.clone();
        different.sort();
        different.dedup();
        assert!(different.len() == agreed.len() && agreed.len() <= accepted, "{agreed:?} of {accepted}");
        // On a machine that is busy beyond measure it may be deposed meanwhile; then what it was given may be lost.
        if cluster.leader().await == leader
            && cluster.log(Index(0)).last().unwrap().0.term == places[0].unwrap().term
        {
            assert_eq!(agreed.len(), 100);
        }
    });
}

#[test]
fn a_leader_that_is_gone_is_replaced_and_catches_up_when_it_is_back() {
    on_a_machine("raft-replaced", async |machine| {
        let mut cluster = Cluster::begin(machine, 3).await;
        cluster.agree("a").await;
        let (old, term) = (cluster.leader().await, cluster.running.values().next().unwrap().node.state().0);
        cluster.stop(old).await;
        cluster.agree("b").await;
        let new = cluster.leader().await;
        assert!(new != old && cluster.running[&new].node.state().0 > term);
        cluster.start(old).await;
        cluster.agree("c").await;
        assert_eq!(cluster.commands(Index(0)), ["a", "b", "c"]);
        // All of them, and all at once: what was applied is on disks.
        for id in cluster.all.clone() {
            cluster.stop(id).await;
        }
        for id in cluster.all.clone() {
            cluster.start(id).await;
        }
        cluster.agree("d").await;
        assert_eq!(cluster.commands(Index(0)), ["a", "b", "c", "d"]);
    });
}

#[test]
fn whoever_was_away_when_the_log_was_compacted_is_sent_the_snapshot() {
    on_a_machine("raft-snapshot", async |machine| {
        let mut cluster = Cluster::begin(machine, 3).await;
        cluster.agree("a").await;
        let leader = cluster.leader().await;
        let away = *cluster.all.iter().find(|id| **id != leader).unwrap();
        cluster.stop(away).await;
        let last = cluster.agree("b").await;
        // Larger than one piece.
        let state = Bytes::from(vec![7; 300_000]);
        for server in cluster.running.values() {
            server.node.snapshot(last, state.clone());
        }
        until("both have let go of the log", || {
            cluster.running.values().all(|server| server.node.view().snapshot.index == last).then_some(())
        })
        .await;
        cluster.start(away).await;
        cluster.agree("c").await;
        let delivered = &cluster.running[&away].delivered;
        let (meta, content) = delivered.lock().unwrap().snapshots.last().cloned().expect("it was sent one");
        assert_eq!((meta.last.index, content), (last, state));
        assert_eq!(cluster.commands(Index(last.0 + 1)), ["c"]);
    });
}
