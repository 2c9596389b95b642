//! What simulating the shard controller and the sharded store costs, with everything on: codec, digest, disk, an oracle for each
//! group, whose each shard is, linearizability.
//!
//! `cargo bench --bench shard`, or `cargo bench --bench shard -- ROUNDS`

mod common;

use shardlab::rsm::lab::Lab;
use shardlab::shardkv::lab::ShardlabShards;
use shardlab::shardmaster::lab::ShardlabMaster;
use sim::scenario::shard;
use std::sync::Arc;

fn main() {
    common::measure(&[shard::master(Arc::new(Lab(ShardlabMaster))), shard::kv(Arc::new(Lab(ShardlabShards)))]);
}
