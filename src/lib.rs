//! shardlab: a laboratory for distributed systems.

#[cfg(not(any(feature = "sim", feature = "net")))]
compile_error!("shardlab needs a backend to run on: enable its feature `sim` or its feature `net`, or both.");

mod bugs;
#[cfg(feature = "net")]
pub mod cluster;
pub mod kvraft;
pub mod raft;
pub mod rsm;
pub mod shardkv;
pub mod shardmaster;

#[cfg(feature = "net")]
pub use cluster::client;
