//! What simulating the key/value service costs, with everything on: codec, digest, disk, oracle, linearizability.
//!
//! `cargo bench --bench kvraft`, or `cargo bench --bench kvraft -- ROUNDS`

mod common;

use shardlab::kvraft::lab::ShardlabKv;
use shardlab::rsm::lab::Lab;
use sim::scenario::kv;
use std::sync::Arc;

fn main() {
    common::measure(&[kv::suite(Arc::new(Lab(ShardlabKv)))]);
}
