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

    /// The operation that an entry of a group's log holds, if it holds one; for those who explain their log.
    fn explain(&self, group: u32, command: &[u8]) -> Option<Entry> {
        let _ = (group, command);
        None
    }

    /// The same of a query of which a server has said that it refused it ([`crate::raft::Done::Refused`]), if it is of one key.
    fn explain_read(&self, group: u32, query: &[u8]) -> Option<Call> {
        let _ = (group, query);
        None
    }

    /// The shard of a key, of those who move shards between groups. They say what becomes of shards as they apply it
    /// ([`labrpc::Event::Shard`]): else nobody has any. `None`: each group is a store by itself.
    fn shard_of(&self, knobs: &Knobs, key: &[u8]) -> Option<u32> {
        let _ = (knobs, key);
        None
    }
}

/// An entry of a group's log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Place {
    /// Which group's, from 1.
    pub group: u32,
    /// Where in it.
    pub index: Index,
}

/// An operation in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Which operation it is: the same each time that it is tried, and no other's, in whichever group if shards move. A
    /// session and a number, say.
    pub by: [u64; 2],
    /// What is to be done.
    pub call: Call,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Told {
    /// What it says.
    pub reply: Reply,
    /// Which entry it comes from: the operation's own, or the last one that a read has seen. A scan of several shards names
    /// one for each, shard 0 first. Nothing: it does not say.
    pub places: Vec<Place>,
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
