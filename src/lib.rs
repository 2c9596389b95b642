//! shardlab: a laboratory for distributed systems.

pub mod raft;
