//! The key/value service: its operations, and many clients at a time while servers come and go.

use super::load::{judge, work};
use super::{Machine, nodes, on_a_machine, options, until};
use crate::record::{Lost, Record, Store, command, lost, written};
use bytes::Bytes;
use labrpc::NodeId;
use shardlab::kvraft::{Answer, Clerk, Config, Expect, Failure, Patience, Query, Reply, Server};
use shardlab::rsm::Reads;
use shardlab::{raft, rsm};
use sim::history::{self, Call};
use std::collections::BTreeMap;

const SERVERS: u32 = 3;

async fn start(machine: &mut Machine, id: NodeId) -> Server {
    start_with(machine, id, Reads::Confirmed).await
}

async fn start_with(machine: &mut Machine, id: NodeId, reads: Reads) -> Server {
    let raft = raft::Config::new(id, nodes(1..=SERVERS));
    // A log is made a snapshot of before it is long.
    let service = rsm::Config { snapshot_after: Some(2_000), reads, ..rsm::Config::default() };
    Server::boot(machine.start(id), Config { raft, options: options(id), service }, None).await.unwrap()
}

async fn begin(machine: &mut Machine) -> BTreeMap<NodeId, Server> {
    begin_with(machine, Reads::Confirmed).await
}

async fn begin_with(machine: &mut Machine, reads: Reads) -> BTreeMap<NodeId, Server> {
    let mut servers = BTreeMap::new();
    for id in nodes(1..=SERVERS) {
        servers.insert(id, start_with(machine, id, reads).await);
    }
    servers
}

fn clerk(machine: &mut Machine) -> Clerk {
    Clerk::new(machine.client(), nodes(1..=SERVERS), Patience::default())
}

async fn leader(servers: &BTreeMap<NodeId, Server>) -> NodeId {
    let leads = |(id, server): (&NodeId, &Server)| server.node().state().1.then_some(*id);
    until("somebody leads", || servers.iter().find_map(leads)).await
}

struct Recorded(Clerk);

impl Recorded {
    async fn work(&mut self, call: &Call) -> Result<Result<history::Reply, Lost>, Failure> {
        let Some(command) = command(call) else {
            let query = Query::Get { key: call.key().clone() };
            return Ok(match self.0.query(query).await?.1 {
                Answer::Value { value, version } => Ok(history::Reply::Value { value, version }),
                Answer::Entries { .. } => Err(Lost::Surely),
            });
        };
        Ok(written(self.0.command(command).await?.1))
    }
}

impl Store for Recorded {
    async fn call(&mut self, call: &Call) -> Result<history::Reply, Lost> {
        self.work(call).await.unwrap_or_else(|failure| Err(lost(failure)))
    }
}

#[test]
fn a_client_gets_what_it_has_put_there() {
    on_a_machine("kv-basic", async |machine| {
        begin(machine).await;
        let mut clerk = clerk(machine);
        assert_eq!(clerk.get("a").await, Ok(None));
        assert_eq!(clerk.put("a", "1").await, Ok(Reply::Written { version: 1 }));
        assert_eq!(clerk.append("a", "2").await, Ok(Reply::Written { version: 2 }));
        assert_eq!(clerk.get("a").await, Ok(Some(Bytes::from("12"))));
        let twelve = || Expect::Value(Some("12".into()));
        assert_eq!(clerk.cas("a", twelve(), "3").await, Ok(Reply::Written { version: 3 }));
        let failed = Reply::CasFailed { value: Some("3".into()), version: 3 };
        assert_eq!(clerk.cas("a", twelve(), "4").await, Ok(failed));
        assert_eq!(clerk.cas("b", Expect::Version(0), "5").await, Ok(Reply::Written { version: 1 }));
        let found = clerk.scan("", 10).await.unwrap();
        assert_eq!(found.items, [("a", "3"), ("b", "5")].map(|(key, value)| (key.into(), value.into())));
        assert_eq!(clerk.delete("a").await, Ok(Reply::Deleted { existed: true }));
        assert_eq!(clerk.delete("a").await, Ok(Reply::Deleted { existed: false }));
        assert_eq!(clerk.get("a").await, Ok(None));
    });
}

/// What all servers do with their disks while a client reads a hundred times.
async fn disk_operations_of_reads(machine: &mut Machine, reads: Reads) -> u64 {
    let servers = begin_with(machine, reads).await;
    let mut clerk = clerk(machine);
    let views = || servers.values().map(|server| server.node().view());
    loop {
        clerk.put("a", "1").await.unwrap();
        let term = until("all have applied what there is", || {
            let first = views().next()?;
            let same = |view: raft::View| {
                (view.term, view.durable, view.applied) == (first.term, first.last.index, first.last.index)
            };
            views().all(same).then_some(first.term)
        })
        .await;
        let before = machine.disk_operations();
        for _ in 0..100 {
            assert_eq!(clerk.get("a").await, Ok(Some(Bytes::from("1"))));
        }
        let operations = machine.disk_operations() - before;
        // Votes are written down: if the machine was so slow that somebody was elected, it says nothing of reads.
        if views().all(|view| view.term == term) {
            return operations;
        }
    }
}

#[test]
fn reads_touch_no_disk() {
    on_a_machine("kv-reads", async |machine| {
        assert_eq!(disk_operations_of_reads(machine, Reads::Confirmed).await, 0);
    });
    // The counters would show it.
    on_a_machine("kv-reads-in-the-log", async |machine| {
        let operations = disk_operations_of_reads(machine, Reads::ThroughLog).await;
        assert!(operations >= 200, "a majority writes and syncs for each read: {operations} operations");
    });
}

#[test]
fn what_many_clients_are_told_is_linearizable_while_leaders_go_and_come_back() {
    on_a_machine("kv-clients", async |machine| {
        let mut servers = begin(machine).await;
        let record = Record::begin();
        let keys = ["x", "y", "z"].map(Bytes::from);
        let clients: Vec<_> = (0..6)
            .map(|number| {
                let (store, keys, record) = (Recorded(clerk(machine)), keys.clone(), record.clone());
                tokio::spawn(async move { work(number, store, 100, &keys, record).await })
            })
            .collect();
        let answered = || record.history().operations.iter().filter(|op| op.returned().is_some()).count();
        for more in [60, 120, 180] {
            until("clients have got on", || (answered() >= more).then_some(())).await;
            let gone = leader(&servers).await;
            servers.remove(&gone);
            machine.stop(gone).await;
            leader(&servers).await;
            servers.insert(gone, start(machine, gone).await);
        }
        for client in clients {
            client.await.unwrap();
        }
        judge(&record, 500);
    });
}
