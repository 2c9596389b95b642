//! Clients of a key/value service: each on a node of its own, with a clerk, one operation after the other. What they
//! are told becomes the history.

use super::control::Shared;
use super::watcher::Watcher;
use super::what;
use crate::history::{Call, Expect, Reply};
use crate::kv::{ClerkSetup, KvClerk, Lost, Told};
use crate::plan::{Client, KvOp, Op};
use crate::shard::{Ask, Controller};
use bytes::Bytes;
use futures::FutureExt;
use labrpc::sim::{Digest, Lab};
use labrpc::{Env, NodeId, Time};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How often a client that waits looks whether clients should fall silent.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One client, as a task of its node.
pub(super) struct KvClient {
    pub env: Env,
    pub lab: Lab,
    pub shared: Arc<Shared>,
    /// The servers that it talks to.
    pub servers: Vec<NodeId>,
    /// Its number among the clients, from 1.
    pub number: u32,
}

impl KvClient {
    pub async fn run(self, client: Client) {
        let setup = ClerkSetup {
            servers: self.servers.clone(),
            groups: self.shared.plan.all_groups(),
            knobs: self.shared.plan.knobs.clone(),
            bug: self.shared.plan.bug.clone(),
        };
        let system = &self.shared.system;
        let clerk = system.kv().map(|kv| kv.clerk(self.env.clone(), setup.clone()));
        let controller = system.controller().map(|system| system.controller(self.env.clone(), setup));
        let mut worker = Worker { client: self, clerk, controller, seen: Seen::default(), process: 0, nth: 0 };
        worker.process = worker.client.number;
        worker.client.lab.sleep_until(Time::ZERO + client.from.0).await;
        for op in &client.ops {
            let Op::Kv { after, op } = op else { continue };
            worker.client.lab.sleep(after.0).await;
            worker.client.shared.hushed(&worker.client.lab).await;
            if worker.client.shared.is_quiet() {
                break;
            }
            worker.work(op).await;
        }
        worker.client.shared.end_client();
        if client.ops.is_empty() {
            worker.serve().await;
        }
    }

    fn begin(&self, process: u32, nth: u64, call: Call) {
        // It goes into the digest, as everything does that tells one run from another.
        let digest = Digest::of(&call);
        self.lab.with_hook(|watcher: &mut Watcher| watcher.begins(call));
        self.lab.report(what::INVOKE, [process.into(), nth, digest, 0]);
    }

    /// The end of an operation, if it has one. What is unknown stays open.
    fn end(&self, process: u32, nth: u64, outcome: &Option<Result<Told, Lost>>) {
        let digest = Digest::of(outcome);
        self.lab.with_hook(|watcher: &mut Watcher| watcher.ends(outcome.clone()));
        let word = match outcome {
            Some(Ok(_)) => 1,
            Some(Err(Lost::Refused)) => 2,
            _ => 3,
        };
        self.lab.report(what::RETURN, [process.into(), nth, word, digest]);
    }

    /// When this client gives up what it begins now.
    fn deadline(&self) -> Time {
        self.env.now() + self.shared.plan.knobs.client_patience.0
    }

    /// `None`: clients fell silent before there was an answer.
    async fn unless_quiet<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer.fuse());
        loop {
            let mut look_again = pin!(self.lab.sleep(LOOK_AGAIN).fuse());
            futures::select_biased! {
                outcome = answer => return Some(outcome),
                () = look_again => if self.shared.is_quiet() { return None },
            }
        }
    }
}

/// A client at work.
struct Worker {
    client: KvClient,
    clerk: Option<Box<dyn KvClerk>>,
    controller: Option<Box<dyn Controller>>,
    seen: Seen,
    /// As whom it does the next operation.
    process: u32,
    /// How many operations it has begun.
    nth: u64,
}

impl Worker {
    async fn work(&mut self, op: &KvOp) {
        self.nth += 1;
        let known = match self.seen.realise(op) {
            Wanted::Call(call) => self.call(call).await,
            Wanted::Ask(ask) => self.ask(ask).await,
        };
        if !known {
            // Who does not know what has become of an operation can do no other: somebody else goes on.
            self.process += self.client.shared.plan.clients.len() as u32;
        }
    }

    /// Whether it is known what became of it.
    async fn call(&mut self, call: Call) -> bool {
        self.client.begin(self.process, self.nth, call.clone());
        let clerk = self.clerk.as_mut().expect("plans with such operations are made for such systems");
        let deadline = self.client.deadline();
        let outcome = self.client.unless_quiet(clerk.call(&call, deadline)).await;
        if let Some(Ok(told)) = &outcome {
            self.seen.learn(&call, &told.reply);
        }
        self.client.end(self.process, self.nth, &outcome);
        matches!(outcome, Some(Ok(_) | Err(Lost::Refused)))
    }

    async fn ask(&mut self, ask: Ask) -> bool {
        let (process, nth, lab) = (u64::from(self.process), self.nth, &self.client.lab);
        lab.with_hook(|watcher: &mut Watcher| watcher.controller.begins(ask.clone()));
        lab.report(what::CONFIGURE, [process, nth, Digest::of(&ask), 0]);
        let controller = self.controller.as_mut().expect("plans with such operations are made for such systems");
        let deadline = self.client.deadline();
        let outcome = self.client.unless_quiet(controller.ask(&ask, deadline)).await;
        let (known, digest) = (matches!(outcome, Some(Ok(_) | Err(Lost::Refused))), Digest::of(&outcome));
        lab.with_hook(|watcher: &mut Watcher| watcher.controller.ends(outcome));
        lab.report(what::CONFIGURED, [process, nth, u64::from(known), digest]);
        known
    }

    /// Does what the script asks for.
    async fn serve(&mut self) {
        let number = self.client.number;
        while let Some(op) = self.client.shared.next_asked(number).await {
            self.work(&op).await;
            self.client.shared.has_answered(number);
        }
    }
}

/// What an operation comes to when its turn has come.
enum Wanted {
    /// Of the key/value service.
    Call(Call),
    /// Of the shard controller.
    Ask(Ask),
}

/// What this client has seen of each key last: it compares with that.
#[derive(Default)]
struct Seen(BTreeMap<Bytes, (Option<Bytes>, u64)>);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

impl Seen {
    fn realise(&self, op: &KvOp) -> Wanted {
        Wanted::Call(match op {
            KvOp::Join { groups } => return Wanted::Ask(Ask::Join(groups.clone())),
            KvOp::Leave { groups } => return Wanted::Ask(Ask::Leave(groups.clone())),
            KvOp::Move { shard, group } => return Wanted::Ask(Ask::Move(*shard, *group)),
            KvOp::Config { num } => return Wanted::Ask(Ask::Config(*num)),
            KvOp::Get { key } => Call::Get { key: bytes(key) },
            KvOp::Put { key, value } => Call::Put { key: bytes(key), value: bytes(value) },
            KvOp::Append { key, value } => Call::Append { key: bytes(key), value: bytes(value) },
            KvOp::Delete { key } => Call::Delete { key: bytes(key) },
            KvOp::Cas { key, by_version, value } => {
                let (key, value) = (bytes(key), bytes(value));
                let (held, version) = self.0.get(&key).cloned().unwrap_or((None, 0));
                let expect = if *by_version { Expect::Version(version) } else { Expect::Value(held) };
                Call::Cas { key, expect, value }
            }
            KvOp::Scan { prefix, limit } => Call::Scan { prefix: bytes(prefix), limit: *limit },
        })
    }

    fn learn(&mut self, call: &Call, reply: &Reply) {
        match (call, reply) {
            (Call::Get { key }, Reply::Value { value, version })
            | (Call::Cas { key, .. }, Reply::CasFailed { value, version }) => {
                self.0.insert(key.clone(), (value.clone(), *version));
            }
            (Call::Put { key, value } | Call::Cas { key, value, .. }, Reply::Written { version }) => {
                self.0.insert(key.clone(), (Some(value.clone()), *version));
            }
            (Call::Delete { key } | Call::Append { key, .. }, _) => _ = self.0.remove(key),
            _ => {}
        }
    }
}
