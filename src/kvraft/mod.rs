//! kvraft: a key/value service that behaves like one map, on servers that crash and networks that lie.
//!
//! Every operation takes effect once, at one moment between its call and its return: it is linearizable, and exactly
//! once.
//!
//! * `operation`: what can be asked, and what comes of it;
//! * [`Kv`] in `machine`: the map itself, a pure state machine;
//! * `server`, `clerk`: both sides, on top of [`crate::rsm`], which does what is hard.

mod clerk;
#[cfg(feature = "sim")]
pub mod lab;
pub(crate) mod machine;
#[cfg(test)]
mod machine_tests;
pub(crate) mod operation;
mod server;

pub use crate::rsm::{Bug, Failure, Observation, Observer, Patience, Reads};
pub use clerk::{Clerk, Scanned};
pub use machine::Kv;
pub use operation::{Answer, Command, Expect, MAX_KEY, MAX_SCAN, MAX_SCAN_BYTES, MAX_VALUE, Query, Reply};
pub use server::{Config, KINDS, Server, What, describe, digest_of_snapshot};
