//! Servers as processes on real sockets and files: which nodes there are, how one is run, who is where, and the client.
//!
//! What a node *is* it does not say: it boots the same [`crate::shardmaster::Server`] and [`crate::shardkv::Server`] as the
//! laboratory does, on an [`labrpc::Env`] of the machine.
//!
//! * [`Layout`] in `layout`: the nodes that somebody has set up, and the file that says so;
//! * [`Authority`] in `authority`: who signs the certificates of a cluster that was begun with TLS;
//! * [`Home`] in `home`: the directory of a node, and whether a process has it;
//! * [`node`]: one node, from its start to its orderly end;
//! * [`Book`] in `book`: where all nodes are to be reached, as they tell each other;
//! * [`Status`] in `status`: how a node is, in its own words;
//! * `desk`: what can be asked of a node besides its service;
//! * [`Planted`] in `planted`: a bug that is planted in a node;
//! * [`processes`]: nodes as processes of this machine;
//! * [`client`]: the client;
//! * [`mod@bench`]: many of its operations at once, and how long they take.

mod authority;
pub mod bench;
mod book;
pub mod client;
mod desk;
mod home;
mod layout;
pub mod node;
mod planted;
pub mod processes;
mod status;

pub use authority::{Authority, AuthorityError};
pub use book::{Book, Entry};
pub use desk::Step;
pub use home::{Home, HomeError, Owner};
pub use labrpc::net::TlsFiles;
pub use layout::{Gone, Layout, LayoutError, Member, Part};
pub use planted::Planted;
pub use status::{Counts, Log, Members, Status, Work, details, table};
