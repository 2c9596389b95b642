//! shardkv: the key/value store spread over groups of servers, with shards that move between them while it serves.
//!
//! Each group is a replicated state machine of its own, and follows the configurations of the [`crate::shardmaster`] one by one. With
//! a new one it freezes what it loses and fetches what it gets, a shard at a time. Every operation takes effect once, at one
//! moment, whatever moves meanwhile.
//!
//! * `operation`: what is asked of a group, and what comes of it;
//! * `shard`: keys and sessions, which move together;
//! * [`ShardKv`] in `machine`: what a group has, fetches and keeps for others: a pure state machine;
//! * `parts`: the tables of that, and their digests;
//! * `errands`: what its leader does about that: asks for configurations, fetches shards, has old copies deleted;
//! * `server`, `clerk`: both sides, on top of [`crate::rsm`].

pub(crate) mod bugs;
mod clerk;
mod errands;
#[cfg(feature = "sim")]
pub mod lab;
pub(crate) mod machine;
#[cfg(test)]
mod machine_tests;
pub(crate) mod operation;
mod parts;
mod server;
pub(crate) mod settings;
pub(crate) mod shard;
#[cfg(test)]
mod small_world_tests;
#[cfg(feature = "sim")]
mod zoo;

pub use crate::rsm::{Failure, Observation, Observer, Patience, Reads};
pub use bugs::Bug;
pub use clerk::{Clerk, Place, Scanned};
pub use errands::Timing;
pub use machine::{ShardKv, Source};
pub use operation::{Answer, Command, Query, Reply, Status};
pub use server::{Config, KINDS, MIGRATION_KINDS, Server, digest_of_snapshot};
pub use settings::{MAX_PIECE, Settings};
pub use shard::{Done, Shard};
