//! Clients of a key/value service: each on a node of its own, with a clerk, one operation after the other. What they
//! are told becomes the history.

use super::control::Shared;
use super::watcher::{Watcher, what};
use crate::history::{Call, Expect, Reply};
use crate::kv::{ClerkSetup, KvClerk, Lost};
use crate::plan::{Client, KvOp, Op};
use bytes::Bytes;
use futures::FutureExt;
use labrpc::sim::Lab;
use labrpc::{Env, NodeId, Time};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// An operation is given up after so many of the knob's client timeouts: it may still take effect.
const PATIENCE: u32 = 4;
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
        let kv = self.shared.system.kv().expect("plans with such clients are made for such systems");
        let setup = ClerkSetup {
            servers: self.servers.clone(),
            knobs: self.shared.plan.knobs.clone(),
            bug: self.shared.plan.bug.clone(),
        };
        let mut clerk = kv.clerk(self.env.clone(), setup);
        let mut seen = Seen::default();
        let mut process = self.number;
        self.lab.sleep_until(Time::ZERO + client.from.0).await;
        for (op, nth) in client.ops.iter().zip(1..) {
            let Op::Kv { after, op } = op else { continue };
            self.lab.sleep(after.0).await;
            if self.shared.is_quiet() {
                break;
            }
            let call = seen.realise(op);
            self.begin(process, nth, call.clone());
            let outcome = self.call(&mut *clerk, &call).await;
            if let Some(Ok(reply)) = &outcome {
                seen.learn(&call, reply);
            }
            self.end(process, nth, &outcome);
            if !matches!(outcome, Some(Ok(_) | Err(Lost::Refused))) {
                // Who does not know what has become of an operation can do no other: somebody else goes on.
                process += self.shared.plan.clients.len() as u32;
            }
        }
        self.shared.end_client();
    }

    fn begin(&self, process: u32, nth: u64, call: Call) {
        self.lab.with_hook(|watcher: &mut Watcher| watcher.begins(call));
        self.lab.report(what::INVOKE, [process.into(), nth, 0, 0]);
    }

    /// The end of an operation, if it has one. What is unknown stays open.
    fn end(&self, process: u32, nth: u64, outcome: &Option<Result<Reply, Lost>>) {
        self.lab.with_hook(|watcher: &mut Watcher| watcher.ends(outcome.clone()));
        let word = match outcome {
            Some(Ok(_)) => 1,
            Some(Err(Lost::Refused)) => 2,
            _ => 3,
        };
        self.lab.report(what::RETURN, [process.into(), nth, word, 0]);
    }

    /// `None`: clients fell silent before there was an answer.
    async fn call(&self, clerk: &mut dyn KvClerk, call: &Call) -> Option<Result<Reply, Lost>> {
        let deadline = self.env.now() + self.shared.plan.knobs.client_timeout.0 * PATIENCE;
        let mut answer = pin!(clerk.call(call, deadline).fuse());
        loop {
            let mut look_again = pin!(self.lab.sleep(LOOK_AGAIN).fuse());
            futures::select_biased! {
                outcome = answer => return Some(outcome),
                () = look_again => if self.shared.is_quiet() { return None },
            }
        }
    }
}

/// What this client has seen of each key last: it compares with that.
#[derive(Default)]
struct Seen(BTreeMap<Bytes, (Option<Bytes>, u64)>);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

impl Seen {
    fn realise(&self, op: &KvOp) -> Call {
        match op {
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
        }
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
