//! The little that the laboratory asks of a key/value service: that its servers are a Raft like any other
//! ([`crate::raft::RaftSystem`], whose `boot` starts the whole server), and a clerk to talk to them with.
//!
//! Clerks run on nodes of their own, behind the same network as the servers. What they are told is the history that
//! is judged: a service need not say anything about itself to be found wanting.

use crate::history::{Call, Reply};
use crate::plan::Knobs;
use futures::future::BoxFuture;
use labrpc::{Env, Index, NodeId, Time};

/// A key/value service that the laboratory can run.
pub trait KvSystem: Send + Sync {
    /// A clerk on a client's node.
    fn clerk(&self, env: Env, setup: ClerkSetup) -> Box<dyn KvClerk>;

    /// Whether it explains its log: it names in every answer the entry that it comes from, and reports what it executes
    /// ([`crate::raft::Done::Applied`]). Then answers are held against the log.
    fn explains(&self) -> bool {
        false
    }

    /// The operation that an entry of the log holds, if it holds one; for those who explain their log.
    fn explain(&self, command: &[u8]) -> Option<Entry> {
        let _ = command;
        None
    }
}

/// An operation in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Which operation it is: the same each time that it is tried, and no other's. A session and a number, say.
    pub by: [u64; 2],
    /// What is to be done.
    pub call: Call,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Told {
    /// What it says.
    pub reply: Reply,
    /// Which entry of the log it comes from: the operation's own, or the last one that a read has seen.
    pub index: Option<Index>,
}

/// What a clerk is told.
#[derive(Clone, Debug)]
pub struct ClerkSetup {
    /// The servers that it may talk to.
    pub servers: Vec<NodeId>,
    /// Who is in each group, group 1 first.
    pub groups: Vec<Vec<NodeId>>,
    /// The settings drawn by the seed.
    pub knobs: Knobs,
    /// The bug to plant, by name.
    pub bug: Option<String>,
}

/// A client's side of the service: one operation at a time.
pub trait KvClerk: Send {
    /// Does one operation. Whoever drops the future does not know what has become of it.
    fn call<'a>(&'a mut self, call: &'a Call, deadline: Time) -> BoxFuture<'a, Result<Told, Lost>>;
}

/// Why an operation has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lost {
    /// It may have taken effect, or will.
    Unknown,
    /// It surely has not, and will not.
    Refused,
}
