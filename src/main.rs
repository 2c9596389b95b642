//! The `shardlab` command: this repository's systems in the laboratory.

use shardlab::kvraft::lab::ShardlabKv;
use shardlab::raft::lab::ShardlabRaft;
use shardlab::rsm::lab::Lab;
use shardlab::shardkv::lab::ShardlabShards;
use shardlab::shardmaster::lab::ShardlabMaster;
use std::process::ExitCode;
use std::sync::Arc;

/// Campaigns are made of many short lives; see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sim::cli::main(&[
        sim::scenario::raft::suite(Arc::new(ShardlabRaft)),
        sim::scenario::kv::suite(Arc::new(Lab(ShardlabKv))),
        sim::scenario::shard::master(Arc::new(Lab(ShardlabMaster))),
        sim::scenario::shard::kv(Arc::new(Lab(ShardlabShards))),
    ])
}
