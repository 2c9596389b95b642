//! The service that the laboratory runs on each server: a digest of all commands, and snapshots of it.
//!
//! It is what the course's tester is to a student's Raft: it applies what it is told to, takes snapshots, and
//! reports both. Its state is small enough to be compared at every step.

use super::control::Shared;
use super::watcher::{Watcher, refusal};
use super::what;
use crate::oracle::{EMPTY_DIGEST, ServiceSnapshot, extend_digest, hash_of, hash_of_command};
use crate::raft::{ApplyMsg, Booted, Done, PeerSetup, RaftPeer, Tell};
use bytes::Bytes;
use futures::StreamExt;
use labrpc::sim::Lab;
use labrpc::{Content, Env, Index, Rng, Term};
use std::sync::Arc;

/// A command: who made it, which of theirs it is, and ballast up to its size.
pub(super) fn command(client: u32, number: u64, size: u32) -> Bytes {
    let mut bytes = Vec::with_capacity(size.max(16) as usize);
    bytes.extend_from_slice(&u64::from(client).to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.resize(size.max(16) as usize, b'.');
    bytes.into()
}

/// A command in words, with a blank in front; nothing if it is none of [`command`]'s.
pub(super) fn describe(command: &[u8]) -> String {
    let word = |at: usize| command.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    match (word(0), word(8)) {
        (Some(client), Some(number)) if client < 10_000 => format!(" {client}.{number}"),
        _ => String::new(),
    }
}

/// What a node does at each boot: start the server, and serve.
pub(super) async fn boot(env: Env, lab: Lab, shared: Arc<Shared>) {
    let group = shared.plan.group_of(env.id()).expect("it is a server that boots");
    let setup = PeerSetup {
        me: env.id(),
        servers: shared.plan.group_ids(group),
        voters: shared.plan.voter_ids(group),
        group,
        groups: shared.plan.all_groups(),
        knobs: shared.plan.knobs.clone(),
        bug: shared.plan.bug.clone(),
        tell: listener(&env, &lab),
    };
    match shared.system.boot(env.clone(), setup).await {
        Ok(booted) => serve(&env, &lab, &shared, booted).await,
        Err(why) => refuse(env, &lab, &why).await,
    }
}

/// Hears what a server with a state machine of its own has done.
fn listener(env: &Env, lab: &Lab) -> Tell {
    let (env, lab) = (env.clone(), lab.clone());
    Tell::new(move |done| match done {
        Done::Applied { index, term, command, executed, digest } => {
            lab.with_hook(|watcher: &mut Watcher| watcher.executes(command.cloned(), executed));
            let hash = command.map_or_else(|| hash_of(&Content::Noop), |command| hash_of_command(command));
            lab.report_from(&env, what::APPLY_OWN, [index.0, told(term), hash, digest]);
        }
        Done::Refused { index, asked, reads } => {
            lab.with_hook(|watcher: &mut Watcher| watcher.refuses(env.id(), asked, reads));
            lab.report_from(&env, what::REFUSE, [index.0, hash_of_command(asked), 0, 0]);
        }
        Done::Restored { index, digest } => {
            // The laboratory goes on from what is committed there.
            let committed =
                lab.with_hook(|watcher: &mut Watcher| watcher.oracles.known_of(env.id()).committed_digest(index));
            lab.report_from(&env, what::RESTORE, [index.0, committed.unwrap_or(u64::MAX), 0, 0]);
            lab.report_from(&env, what::STATE, [index.0, digest, 0, 0]);
        }
    })
}

/// A term as a word of a report.
fn told(term: Option<Term>) -> u64 {
    term.map_or(0, |term| term.0 + 1)
}

/// The server does not start from its disk. That is a finding, unless the plan has damaged the disk, or it has
/// failed since the server began to start.
async fn refuse(env: Env, lab: &Lab, why: &str) {
    let node = env.id();
    lab.note(Some(node), &format!("REFUSES to start: {why}"));
    let is_the_end = lab.with_hook(|watcher: &mut Watcher| {
        let unexpected = !watcher.troubles.refuses(node);
        if unexpected {
            let stamp = watcher.oracles.stamp;
            watcher.violate(refusal(node, why, stamp));
        }
        // Where that check is switched off, the server merely stays down.
        unexpected && watcher.violation.is_some()
    });
    if is_the_end {
        lab.order(labrpc::sim::Command::End);
    }
    env.halt(why).await;
}

/// The service's state.
struct Service {
    applied: Index,
    digest: u64,
    snapshot: Index,
}

async fn serve(env: &Env, lab: &Lab, shared: &Shared, booted: Booted) {
    let Booted { peer, mut applies } = booted;
    shared.register(env, peer.clone());
    let mut service = Service { applied: Index(0), digest: EMPTY_DIGEST, snapshot: Index(0) };
    let mut rng = env.rng("service");
    let knobs = &shared.plan.knobs;
    while let Some(message) = applies.next().await {
        lag(env, &mut rng, shared.lag(env.id())).await;
        if !service.apply(env, lab, message) {
            return;
        }
        peer.applied(service.applied);
        if let Some(every) = knobs.snapshot_every
            && service.applied.0 >= service.snapshot.0 + u64::from(every)
        {
            service.take_snapshot(&*peer, knobs.snapshot_ballast);
        }
    }
}

async fn lag(env: &Env, rng: &mut Rng, lag: labrpc::sim::Spread) {
    if lag.max.nanos() > 0 {
        env.sleep(rng.between(lag.min.0, lag.max.0)).await;
    }
}

impl Service {
    /// False: this boot is over.
    fn apply(&mut self, env: &Env, lab: &Lab, message: ApplyMsg) -> bool {
        let (index, term, hash) = match message {
            ApplyMsg::Command { index, term, command } => (index, term, hash_of(&Content::Command(command))),
            ApplyMsg::Noop { index, term } => (index, term, hash_of(&Content::Noop)),
            ApplyMsg::Membership { index, term, members } => {
                (index, term, hash_of(&Content::Membership(Box::new(members))))
            }
            ApplyMsg::Snapshot { index, content } => return self.restore(env, lab, index, &content),
        };
        self.applied = index;
        self.digest = extend_digest(self.digest, hash);
        lab.report_from(env, what::APPLY, [index.0, told(term), hash, 0])
    }

    fn restore(&mut self, env: &Env, lab: &Lab, index: Index, content: &[u8]) -> bool {
        // What does not decode has a digest that no state has, so that the oracle sees it.
        let digest = labgob::decode::<ServiceSnapshot>(content).map_or(u64::MAX, |snapshot| snapshot.digest);
        (self.applied, self.snapshot, self.digest) = (index, index, digest);
        lab.report_from(env, what::RESTORE, [index.0, digest, 0, 0])
    }

    fn take_snapshot(&mut self, peer: &dyn RaftPeer, ballast: u32) {
        self.snapshot = self.applied;
        let ballast = Bytes::from(vec![b'.'; ballast as usize]);
        let snapshot = ServiceSnapshot { index: self.applied, digest: self.digest, ballast };
        peer.snapshot(self.applied, labgob::encode(&snapshot).expect("a snapshot within the limit").into());
    }
}
