//! The scenarios of a shard controller: the course's, and those that ports left out.

mod directed;
mod kv;
mod kv_directed;
mod kv_migration;
mod master;
mod scale;

pub use scale::{MOVES_AT, one_move, throughput};

pub(super) use master::clients_of as controller_clients;

use super::Suite;
use super::raft::Draw;
use crate::plan::{Act, Client, KvOp, Plan, Selector};
use crate::raft::RaftSystem;
use labrpc::sim::Span;
use std::sync::Arc;

/// The suite for a shard controller.
pub fn master(system: Arc<dyn RaftSystem>) -> Suite {
    Suite::of(system, [master::SCENARIOS, super::swarm::MASTER, directed::SCENARIOS].into_iter().flatten())
}

/// The suite for a sharded key/value store, whose controller is group 1.
pub fn kv(system: Arc<dyn RaftSystem>) -> Suite {
    let ours = [scale::SCENARIOS, kv_migration::SCENARIOS, super::swarm::SHARDS];
    Suite::of(system, [kv::SCENARIOS].into_iter().chain(ours).chain([kv_directed::SCENARIOS]).flatten())
}

fn join(groups: &[u32]) -> KvOp {
    KvOp::Join { groups: groups.to_vec() }
}

fn leave(groups: &[u32]) -> KvOp {
    KvOp::Leave { groups: groups.to_vec() }
}

fn give(shard: u32, group: u32) -> KvOp {
    KvOp::Move { shard, group }
}

const LATEST: KvOp = KvOp::Config { num: None };

fn config(num: u64) -> KvOp {
    KvOp::Config { num: Some(num) }
}

/// A client that does nothing until it is asked.
pub(super) fn idle(talks_to: Selector) -> Client {
    Client { talks_to, from: Span::ZERO, ops: Vec::new() }
}

impl Plan {
    /// Client 1 does these, one after the other.
    fn asks(&mut self, ops: impl IntoIterator<Item = KvOp>) -> &mut Plan {
        for op in ops {
            self.act(Act::Ask { client: 1, op });
        }
        self
    }
}

impl Draw {
    /// Some of the groups from 1 to `most`, at least one.
    fn groups(&mut self, most: u64) -> Vec<u32> {
        let mut all: Vec<u32> = (1..=most as u32).collect();
        self.rng.shuffle(&mut all);
        all.truncate(self.rng.within(1..=most) as usize);
        all
    }
}
