//! The `shardlab` command: this repository's systems in the laboratory.

use shardlab::raft::lab::ShardlabRaft;
use std::process::ExitCode;
use std::sync::Arc;

/// Campaigns are made of many short lives; see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sim::cli::main(&[sim::scenario::raft::suite(Arc::new(ShardlabRaft))])
}
