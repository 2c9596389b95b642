//! Clients: they put commands into the log and believe what they are told.

use super::control::{Shared, changed, within};
use super::service::command;
use super::watcher::{Interest, Watcher};
use super::what;
use crate::oracle::hash_of_command;
use crate::plan::{Client, Op};
use labrpc::sim::{Lab, NodeSet};
use labrpc::{Index, NodeId, Rng, Time};
use std::sync::Arc;
use std::time::Duration;

/// Pause before a client that found no leader looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// Asks a server for an index to read at, and reports what it says. The service that is then read is that of the same boot: if the
/// server went down as it answered, there is nothing to read any more, and so no answer.
pub(super) async fn read_at(shared: &Shared, lab: &Lab, node: NodeId, deadline: Time) {
    let Some(peer) = shared.peer(lab, node) else { return };
    let (group, floor) = lab.with_hook(|watcher: &mut Watcher| watcher.served(node));
    let answer = within(lab, deadline, peer.read()).await.flatten();
    let still_runs = shared.peer(lab, node).is_some_and(|now| Arc::ptr_eq(&now, &peer));
    if let Some(index) = answer.filter(|_| still_runs) {
        let applied = lab.with_hook(|watcher: &mut Watcher| watcher.applied(node));
        lab.report(what::READ, [index.0, floor.0, applied.0, group]);
    }
}

/// One client, as a task.
pub(super) struct Session {
    pub lab: Lab,
    pub shared: Arc<Shared>,
    /// The servers that it talks to.
    pub servers: NodeSet,
    pub number: u32,
    pub rng: Rng,
}

impl Session {
    pub async fn run(mut self, client: Client) {
        self.do_all(client).await;
        self.shared.end_client();
    }

    async fn do_all(&mut self, client: Client) {
        self.lab.sleep_until(Time::ZERO + client.from.0).await;
        for (op, number) in client.ops.iter().zip(1..) {
            let (Op::Write { after, .. } | Op::Read { after } | Op::Kv { after, .. }) = op;
            self.lab.sleep(after.0).await;
            self.shared.hushed(&self.lab).await;
            if self.shared.is_quiet() {
                return;
            }
            match op {
                Op::Write { size, .. } => self.write(number, *size).await,
                Op::Read { .. } => self.read().await,
                Op::Kv { .. } => unreachable!("a client of a key/value service is one from its first operation on"),
            }
        }
    }

    /// Whom to ask: whoever seems to lead the latest term, or somebody. Who talks to servers of several groups asks one
    /// of these groups, now this and now that.
    fn pick(&mut self) -> Option<NodeId> {
        let of = match self.shared.parts(self.servers) {
            parts if parts.len() > 1 => *self.rng.pick(&parts),
            _ => self.servers,
        };
        match self.shared.leader(&self.lab, of) {
            Some((node, _)) => Some(node),
            None => {
                let servers: Vec<NodeId> = of.iter().collect();
                (!servers.is_empty()).then(|| *self.rng.pick(&servers))
            }
        }
    }

    /// Tries until the command is committed or the clients fall silent. A command may be committed twice: the
    /// first try may have worked without the client being told.
    async fn write(&mut self, number: u64, size: u32) {
        let command = command(self.number, number, size);
        let hash = hash_of_command(&command);
        while !self.shared.is_quiet() {
            let deadline = self.lab.now() + self.shared.plan.knobs.client_timeout.0;
            let node = self.pick();
            let peer = node.and_then(|node| self.shared.peer(&self.lab, node));
            let started = match &peer {
                Some(peer) => within(&self.lab, deadline, peer.start(command.clone())).await.flatten(),
                None => None,
            };
            let (Some(node), Some((index, _))) = (node, started) else {
                self.lab.sleep(LOOK_AGAIN).await;
                continue;
            };
            if self.told(node, index, hash, deadline).await {
                let (group, _) = self.lab.with_hook(|watcher: &mut Watcher| watcher.served(node));
                self.lab.report(what::ACK, [hash, index.0, group, 0]);
                return;
            }
        }
    }

    /// Whether the server applies the command where it said it would. The index alone proves nothing. (Where its
    /// service has jumped over the index with a snapshot, nobody can tell.)
    async fn told(&self, node: NodeId, index: Index, hash: u64, deadline: Time) -> bool {
        loop {
            let (applied, is_ours) = self.lab.with_hook(|watcher: &mut Watcher| {
                let is_ours = watcher.applied_at(node, index) == Some(hash);
                (watcher.applied(node) >= index, is_ours)
            });
            if applied {
                return is_ours;
            }
            if self.lab.now() >= deadline || self.shared.is_quiet() {
                return false;
            }
            changed(&self.lab, Interest::Applied(node.into(), index), deadline).await;
        }
    }

    /// One attempt: a read that is not answered says nothing.
    async fn read(&mut self) {
        let Some(node) = self.pick() else { return };
        let deadline = self.lab.now() + self.shared.plan.knobs.client_timeout.0;
        read_at(&self.shared, &self.lab, node, deadline).await;
    }
}
