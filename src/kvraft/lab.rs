//! The key/value service as the laboratory sees it: its servers are Raft with a state of their own, and clerks run on
//! nodes of their own.

use super::clerk::Clerk;
use super::operation::{self, Answer, Command, Query};
use super::server::{Config, KINDS, Server, digest_of_snapshot};
use crate::raft::lab::ShardlabRaft;
use crate::rsm::lab as shown;
use crate::rsm::{Bug, Failure, LogCommand, Patience};
use futures::future::BoxFuture;
use futures::stream::pending;
use labrpc::persister::Directory;
use labrpc::{Direction, Env, Index, Kind, NodeId, Time};
use sim::history::{Call, Expect, Reply};
use sim::kv::{ClerkSetup, Entry, KvClerk, KvSystem, Lost, Told};
use sim::raft::{Abilities, Booted, BugCard, Follow, Part, PeerSetup, RaftSystem, Recovered, WireFacts};
use std::sync::Arc;

/// This repository's key/value service, for the laboratory.
pub struct ShardlabKv;

fn config(setup: &PeerSetup) -> Config {
    let (raft, options, service) = shown::config(setup);
    let mut config = Config { raft, options, service };
    config.plant(setup.bug.as_deref().and_then(Bug::of_name));
    config
}

impl RaftSystem for ShardlabKv {
    fn name(&self) -> &'static str {
        "kvraft"
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

    fn kv(&self) -> Option<&dyn KvSystem> {
        Some(self)
    }

    fn bugs(&self) -> Vec<BugCard> {
        if !cfg!(feature = "zoo") {
            return Vec::new();
        }
        let card = |bug: &Bug| BugCard { name: bug.name(), about: bug.about(), directed: directed(*bug) };
        Bug::ALL.iter().map(card).collect()
    }
}

/// The scenario that is made for a bug, and the check that sees it there first. None: this service does not have the bug.
fn directed(bug: Bug) -> Option<(&'static str, &'static str)> {
    Some(match bug {
        Bug::NoDedup => ("kv-answer-that-is-lost", "ack-honest"),
        // Under its new name it is another operation, for all that the log says.
        Bug::RetryNewSeq => ("kv-answer-that-is-lost", "linearizability"),
        Bug::DedupOnlyAtSubmit | Bug::DedupLosesReply => ("kv-answer-that-is-late", "ack-honest"),
        Bug::DedupWindowTooSmall => ("kv-answer-lost-while-others-write", "ack-honest"),
        Bug::DedupNotInSnapshot => ("kv-many-small-snapshots", "snapshot-honest"),
        Bug::ReplyByIndexOnly => ("kv-writes-at-a-deposed-leader", "ack-honest"),
        Bug::AckOnAppend => ("kv-write-at-an-isolated-leader", "ack-honest"),
        Bug::EachRetryIsLogged => ("kv-retries-at-a-slow-leader", "progress"),
        Bug::LocalRead => ("kv-read-at-a-deposed-leader", "ack-honest"),
        Bug::ReadIndexBeforeTermCommit => ("kv-read-at-a-leader-that-does-not-know", "ack-honest"),
        Bug::LeaseFromReceipt => ("kv-read-under-a-late-lease", "ack-honest"),
        Bug::ErrandNotInLog => return None,
    })
}

impl KvSystem for ShardlabKv {
    fn clerk(&self, env: Env, setup: ClerkSetup) -> Box<dyn KvClerk> {
        let bug = setup.bug.as_deref().and_then(Bug::of_name);
        let patience = Patience { bug, ..shown::patience(&setup.knobs) };
        Box::new(LabClerk { clerk: Clerk::new(env.clone(), setup.servers, patience), env, patience })
    }

    fn explains(&self) -> bool {
        true
    }

    fn explain(&self, bytes: &[u8]) -> Option<Entry> {
        match labgob::decode(bytes) {
            Ok(LogCommand::Operate { session, seq, command }) => {
                Some(Entry { by: [session.0, seq], call: call(command) })
            }
            _ => None,
        }
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
            self.work(call).await.map_err(|failure| match failure {
                Failure::Unknown => Lost::Unknown,
                Failure::Unavailable | Failure::TooLarge(_) => Lost::Refused,
            })
        })
    }
}

impl LabClerk {
    async fn work(&mut self, call: &Call) -> Result<Told, Failure> {
        let query = match call.clone() {
            Call::Get { key } => Query::Get { key },
            Call::Scan { prefix, limit } => Query::Scan { prefix, limit: limit.into() },
            call => {
                let command = command(call).expect("what does not look writes");
                let (index, reply) = self.clerk.command(command).await?;
                return Ok(Told { reply: written(reply)?, index: Some(index) });
            }
        };
        let (index, answer) = self.clerk.query(query).await?;
        Ok(Told { reply: seen(index, answer), index: Some(index) })
    }
}

/// The command for an operation that writes.
fn command(call: Call) -> Option<Command> {
    Some(match call {
        Call::Get { .. } | Call::Scan { .. } => return None,
        Call::Put { key, value } => Command::Put { key, value },
        Call::Append { key, value } => Command::Append { key, value },
        Call::Delete { key } => Command::Delete { key },
        Call::Cas { key, expect, value } => {
            let expect = match expect {
                Expect::Value(value) => operation::Expect::Value(value),
                Expect::Version(version) => operation::Expect::Version(version),
            };
            Command::Cas { key, expect, value }
        }
    })
}

/// And back.
fn call(command: Command) -> Call {
    match command {
        Command::Put { key, value } => Call::Put { key, value },
        Command::Append { key, value } => Call::Append { key, value },
        Command::Delete { key } => Call::Delete { key },
        Command::Cas { key, expect, value } => {
            let expect = match expect {
                operation::Expect::Value(value) => Expect::Value(value),
                operation::Expect::Version(version) => Expect::Version(version),
            };
            Call::Cas { key, expect, value }
        }
    }
}

fn written(reply: operation::Reply) -> Result<Reply, Failure> {
    Ok(match reply {
        operation::Reply::Written { version } => Reply::Written { version },
        operation::Reply::Deleted { existed } => Reply::Deleted { existed },
        operation::Reply::CasFailed { value, version } => Reply::CasFailed { value, version },
        operation::Reply::TooLarge(refused) => return Err(refused.into()),
    })
}

fn seen(index: Index, answer: Answer) -> Reply {
    match answer {
        Answer::Value { value, version } => Reply::Value { value, version },
        Answer::Entries { items, more } => {
            // A scan does not tell versions.
            let items = items.into_iter().map(|(key, value)| (key, value, 0)).collect();
            Reply::Entries { items, more, index: index.0 }
        }
    }
}
