//! The `shardlab` command: this repository's systems in the laboratory, and as processes on real sockets.

#[cfg(feature = "net")]
mod cli;

use std::process::ExitCode;

/// Campaigns are made of many short lives; see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(all(feature = "sim", feature = "net"))]
fn main() -> ExitCode {
    cli::main().unwrap_or_else(|| sim::cli::main_beside(&suites(), cli::ABOUT))
}

#[cfg(all(feature = "sim", not(feature = "net")))]
fn main() -> ExitCode {
    sim::cli::main(&suites())
}

#[cfg(not(feature = "sim"))]
fn main() -> ExitCode {
    cli::main_alone()
}

#[cfg(feature = "sim")]
fn suites() -> [sim::scenario::Suite; 4] {
    use shardlab::kvraft::lab::ShardlabKv;
    use shardlab::raft::lab::ShardlabRaft;
    use shardlab::rsm::lab::Lab;
    use shardlab::shardkv::lab::ShardlabShards;
    use shardlab::shardmaster::lab::ShardlabMaster;
    use std::sync::Arc;
    [
        sim::scenario::raft::suite(Arc::new(ShardlabRaft)),
        sim::scenario::kv::suite(Arc::new(Lab(ShardlabKv))),
        sim::scenario::shard::master(Arc::new(Lab(ShardlabMaster))),
        sim::scenario::shard::kv(Arc::new(Lab(ShardlabShards))),
    ]
}
