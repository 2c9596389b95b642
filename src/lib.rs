//! shardlab: a laboratory for distributed systems.

#[cfg(not(feature = "sim"))]
compile_error!("shardlab needs a backend to run on: enable its feature `sim`.");

mod bugs;
pub mod kvraft;
pub mod raft;
pub mod rsm;
pub mod shardkv;
pub mod shardmaster;
