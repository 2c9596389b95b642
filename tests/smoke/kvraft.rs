//! The key/value service: its operations, and many clients at a time while servers come and go.

use super::load::{judge, work};
use super::{Machine, nodes, on_a_machine, options, until};
use crate::record::{Lost, Record, Store, command, lost, written};
use bytes::Bytes;
use labrpc::NodeId;
use shardlab::kvraft::{Answer, Clerk, Config, Expect, Failure, Patience, Query, Reply, Server};
use shardlab::{raft, rsm};
use sim::history::{self, Call};
use std::collections::BTreeMap;

const SERVERS: u32 = 3;

async fn start(machine: &mut Machine, id: NodeId) -> Server {
    let raft = raft::Config::new(id, nodes(1..=SERVERS));
    // A log is made a snapshot of before it is long.
    let service = rsm::Config { snapshot_after: Some(2_000), ..rsm::Config::default() };
    Server::boot(machine.start(id), Config { raft, options: options(id), service }, None).await.unwrap()
}

async fn begin(machine: &mut Machine) -> BTreeMap<NodeId, Server> {
    let mut servers = BTreeMap::new();
    for id in nodes(1..=SERVERS) {
        servers.insert(id, start(machine, id).await);
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
