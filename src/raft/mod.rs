//! Raft: a log that a cluster of servers agrees on, as long as a majority of them can talk to each other.
//!
//! References are to the extended version of Ongaro and Ousterhout, *In Search of an Understandable Consensus
//! Algorithm* (`§5.4.2`, Figure 2), and to Ongaro's thesis, *Consensus: Bridging Theory and Practice*.
//!
//! Where to begin reading:
//!
//! * [`types`], [`message`]: what it speaks of, and what servers say to each other;
//! * [`Raft`] in `core`: the state of Figure 2, and one step of it;
//! * `election`, `replication`, `snapshot`, `reads`, `transfer`, `membership`: the rules, one file each;
//! * [`Ready`]: what must be done outside, and what must wait for the disk;
//! * `node`: a running server, as its service sees it; `driver`: what carries all of it out, and alone waits for anything;
//! * `storage`: what a write means in bytes.
//!
//! All but `node` and `driver` with their `mailbox`, and `lab` where the laboratory looks at it, is pure: the same inputs give the
//! same outputs.

pub(crate) mod bugs;
mod config;
mod core;
mod driver;
mod election;
#[cfg(feature = "sim")]
pub mod lab;
mod log;
mod mailbox;
mod membership;
pub mod message;
mod node;
mod progress;
mod quorum;
mod reads;
mod ready;
mod replication;
mod snapshot;
pub mod storage;
mod transfer;
pub mod types;
#[cfg(feature = "sim")]
mod zoo;

pub use bugs::Bug;
pub use config::{Config, Drift, MAX_COMMAND};
pub use core::{Input, Raft, View};
pub use log::{Log, LogWrite};
pub use mailbox::Asked;
pub use membership::{Change, ChangeRefused};
pub use node::{Delivery, Node, Options, StartError};
pub use progress::{CatchingUp, Mode, Progress};
pub use quorum::Quorum;
pub use ready::{Apply, Content, Outgoing, Piece, Ready, SnapshotWrite, Unavailable, Write};
pub use types::{Entry, EntryId, HardState, Index, Membership, Payload, Role, Saved, SnapshotMeta, Term};
