//! The `shardlab` command: this repository's systems in the laboratory.

use shardlab::raft::lab::ShardlabRaft;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    sim::cli::main(&[sim::scenario::raft::suite(Arc::new(ShardlabRaft))])
}
