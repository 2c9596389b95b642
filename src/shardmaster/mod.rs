//! The shard controller: says which group of servers has which part of all keys, by numbered configurations.
//!
//! Groups join and leave, and the shards are rebalanced with as few moves as can be. Each configuration can be asked for,
//! for ever, so those who move the data can follow one by one.
//!
//! * `types`: shards, groups and [`ShardConfig`]s, and which shard a key belongs to ([`shard_of`]);
//! * `operation`: what can be asked, and what comes of it;
//! * [`rebalance()`] in `rebalance`: who gets which shard, with the proof that nothing cheaper exists;
//! * `history`: how all configurations are kept;
//! * [`ShardMaster`] in `machine`: all of this together, a pure state machine;
//! * `server`, `clerk`: both sides, on top of [`crate::rsm`].

pub(crate) mod bugs;
mod clerk;
mod history;
#[cfg(feature = "sim")]
pub mod lab;
mod machine;
#[cfg(test)]
mod machine_tests;
mod operation;
mod rebalance;
mod server;
mod settings;
pub(crate) mod types;
#[cfg(feature = "sim")]
mod zoo;

pub use crate::rsm::{Failure, Observation, Observer, Patience, Reads};
pub use bugs::Bug;
pub use clerk::Clerk;
pub use machine::ShardMaster;
pub use operation::{Command, MAX_GROUPS, MAX_GROUPS_AT_ONCE, MAX_SERVERS, Query, Refusal, Reply};
pub use rebalance::rebalance;
pub use server::{Config, KINDS, Server, digest_of_snapshot};
pub use settings::{MAX_SHARDS, Settings};
pub use types::{ConfigNum, GroupId, ShardConfig, ShardId, shard_of};
