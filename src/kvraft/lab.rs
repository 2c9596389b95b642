//! The key/value service as the laboratory sees it: its servers are Raft with a state of their own, and clerks run on
//! nodes of their own.

use super::clerk::Clerk;
use super::operation::{self, Answer, Command, Query};
use super::server::{Config, KINDS, Server, digest_of_snapshot};
use crate::raft::{Node, StartError};
use crate::rsm::lab::{self as shown, Service};
use crate::rsm::{Bug, Failure, LogCommand, Malformed, Observer, Patience};
use futures::future::BoxFuture;
use labrpc::{Env, Index, Kind, NodeId, Time};
use sim::history::{Call, Expect, Reply};
use sim::kv::{ClerkSetup, Entry, KvClerk, KvSystem, Lost, Place, Told};
use sim::raft::{BugCard, PeerSetup};

/// This repository's key/value service, for [`shown::Lab`].
pub struct ShardlabKv;

impl Service for ShardlabKv {
    const NAME: &'static str = "kvraft";
    const OF_CLIENTS: &'static [Kind] = &shown::kinds(KINDS);

    fn boot(env: Env, setup: PeerSetup, observer: Observer) -> BoxFuture<'static, Result<Node, StartError>> {
        let (raft, options, service) = shown::config(&setup);
        let mut config = Config { raft, options, service };
        config.plant(setup.bug.as_deref().and_then(Bug::of_name));
        Box::pin(async move { Ok(Server::boot(env, config, Some(observer)).await?.node().clone()) })
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        digest_of_snapshot(content)
    }

    fn bugs() -> Vec<BugCard> {
        shown::cards(Bug::ALL, Bug::name, Bug::about, directed, crate::rsm::zoo::study)
    }

    fn kv(&self) -> Option<&dyn KvSystem> {
        Some(self)
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
        Bug::EachRetryIsLogged => ("kv-retries-at-a-slow-leader", "retry-storm"),
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
        // All that it talks to are of one group.
        let is_its = |group: &Vec<NodeId>| setup.servers.iter().any(|server| group.contains(server));
        let group = setup.groups.iter().position(is_its).map_or(1, |at| at as u32 + 1);
        Box::new(LabClerk { clerk: Clerk::new(env.clone(), setup.servers, patience), env, patience, group })
    }

    fn explains(&self) -> bool {
        true
    }

    fn explain(&self, _: u32, bytes: &[u8]) -> Option<Entry> {
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
    /// The group that it talks to.
    group: u32,
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
        let place = |index| vec![Place { group: self.group, index }];
        let query = match call.clone() {
            Call::Get { key } => Query::Get { key },
            Call::Scan { prefix, limit } => Query::Scan { prefix, limit: limit.into() },
            call => {
                let command = command(call).expect("what does not look writes");
                let (index, reply) = self.clerk.command(command).await?;
                return Ok(Told { reply: written(reply)?, places: place(index) });
            }
        };
        let (index, answer) = self.clerk.query(query).await?;
        Ok(Told { reply: seen(index, answer), places: place(index) })
    }
}

/// The command for an operation that writes.
pub(crate) fn command(call: Call) -> Option<Command> {
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
pub(crate) fn call(command: Command) -> Call {
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

/// What a command has come to.
pub(crate) fn written(reply: operation::Reply) -> Result<Reply, Failure> {
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
