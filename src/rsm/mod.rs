//! The replicated state machine: what every service on Raft shares.
//!
//! A service says what its commands do ([`StateMachine`], pure); this module makes them happen once each, in the
//! same order everywhere, and answers whoever asked.
//!
//! Where to begin reading:
//!
//! * [`StateMachine`] in `machine`: what a service is;
//! * [`Sessions`] in `sessions`: how a command that is sent twice happens once (§8, thesis 6.3);
//! * [`Replica`] in `replica`: state machine and sessions together, as the log moves them;
//! * `message`: what clients and servers say to each other;
//! * `callers`: who waits for what comes of an operation, however often it was sent;
//! * `server`: the driver between a replica, its [`crate::raft::Node`] and its clients;
//! * [`Errands`] in `errands`: what a service does by itself, without a client that asks for it;
//! * `clerk`: the client's side, which finds the leader and tries again; [`Servers`]: whom it asks.
//!
//! All but `server`, `servers`, `errands` and `clerk` is pure.

pub(crate) mod bugs;
pub(crate) mod callers;
pub mod chunks;
pub mod clerk;
pub(crate) mod config;
pub mod digest;
pub mod errands;
#[cfg(feature = "sim")]
pub mod lab;
pub(crate) mod machine;
pub mod message;
mod observation;
pub(crate) mod replica;
pub mod server;
pub mod servers;
pub(crate) mod sessions;
#[cfg(feature = "sim")]
pub(crate) mod zoo;

pub use bugs::Bug;
pub use clerk::{Clerk, Failure, Patience};
pub use config::{Config, Reads};
pub use errands::Errands;
pub use machine::{Malformed, StateMachine, TooLarge};
pub use message::{Kinds, Request, Response};
pub use observation::{Observation, Observer};
pub use replica::{LogCommand, Replica};
pub use server::Server;
pub use servers::Servers;
pub use sessions::{Outcome, SessionId, Sessions, Verdict};
