//! The laboratory: distributed systems, run thousands of times, one seed each, under faults.
//!
//! * [`plan`]: a run as data, drawn whole from (scenario, seed) before it begins;
//! * [`lab`]: carrying out one plan;
//! * [`oracle`]: what must hold at every event;
//! * [`raft`], [`kv`], [`shard`]: the little that is asked of a system under test;
//! * [`history`], [`lin`]: what clients were told, and whether it is linearizable;
//! * [`scenario`]: the scenarios;
//! * [`campaign`]: many runs, on all cores, with a progress line and a verdict;
//! * [`zoo`]: how well planted bugs are seen;
//! * [`shrink`]: the smallest plan that still fails;
//! * [`cli`]: the command line, for this repository's systems and for anybody else's;
//! * [`testing`]: scenarios as tests of `cargo test`.
//!
//! Nothing here knows any particular implementation. Whoever brings one implements [`raft::RaftSystem`].

pub mod campaign;
pub mod cli;
pub mod guide;
pub mod history;
pub mod kv;
pub mod lab;
pub mod lin;
pub mod oracle;
pub mod plan;
pub mod raft;
pub mod scenario;
pub mod shard;
pub mod shrink;
pub mod testing;
pub mod zoo;

pub use labrpc;
