//! `labrpc`: the environment of a node, and all of it.
//!
//! A node of shardlab receives one [`Env`] at each boot and touches nothing else: its clock, its network, its
//! disk, its tasks, its randomness, and one point through which it says what it does. The course calls the
//! library that stands between its servers and the world `labrpc`; ours stands there too, and goes further
//! down.
//!
//! Behind an `Env` is a backend. `sim` (feature `sim`) is a simulated world on madsim's executor: virtual
//! time, a network and disks that fail as a plan says, and the same run for the same seed. `net` (feature `net`)
//! is the machine: its clock, sockets and files, on tokio. The protocols cannot tell which backend they run on;
//! nothing of madsim or tokio shows through this interface. Both may be there in one program.
//!
//! On top of the disk, and written once for all backends: a write-ahead log ([`wal`]) and a persister
//! ([`persister`]) with atomically replaced snapshots.
//!
//! This crate knows nodes, bytes and time. It knows no protocol, except for the vocabulary of [`Event`]s in
//! which protocols report.

#[cfg(all(feature = "sim", not(madsim)))]
compile_error!(
    "shardlab's simulator needs `--cfg madsim`. This repository sets it in .cargo/config.toml; it is missing \
     either because RUSTFLAGS or RUSTDOCFLAGS is set in the environment (they override that file: unset them, or \
     add `--cfg madsim` to them) or because another workspace depends on this crate (copy the [target.'cfg(all())'] table and \
     `rustdocflags` from shardlab's .cargo/config.toml into its own)."
);

#[cfg(not(any(feature = "sim", feature = "net")))]
compile_error!("labrpc needs a backend: enable its feature `sim` or its feature `net`, or both.");

mod disk;
mod env;
mod event;
mod id;
mod message;
#[cfg(feature = "net")]
pub mod net;
mod node_map;
pub mod persister;
mod rng;
#[cfg(feature = "sim")]
pub mod sim;
mod time;
pub mod wal;
mod words;

pub use disk::{Disk, DiskError};
pub use env::{Env, Sleep};
pub use event::{Content, Event, Index, Members, Refusal, Role, ShardChange, Term};
pub use id::{Boot, NodeId};
pub use message::{CallError, Direction, Incoming, Kind, Request};
pub use node_map::NodeMap;
pub use rng::Rng;
pub use time::Time;
