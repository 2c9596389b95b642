//! Who waits for what comes of an operation.
//!
//! A client that has waited too long sends its request again, and it may reach the same leader while the first is still
//! on its way through the log. That one then has two callers, and the log one entry. If each try made an entry of its own,
//! a cluster that has become slow would be made slower by every client that notices, and would not recover.

use super::sessions::SessionId;
use labrpc::NodeId;
use std::collections::BTreeMap;

/// Which operation it is, at each try.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Name {
    /// A client asks for a session.
    Register(NodeId, u64),
    /// A command of a session.
    Operate(SessionId, u64),
    /// A command without one, the how-manieth.
    Tell(u64),
}

/// How many tries of a client are answered. It only waits for the last one; which that is, is not to be seen when messages
/// overtake each other.
const MOST: usize = 4;

/// The callers of operations that are under way.
#[derive(Debug, Default)]
pub struct Callers(BTreeMap<Name, Vec<labrpc::Request>>);

impl Callers {
    /// Somebody calls. Whether the operation was not under way yet.
    pub fn join(&mut self, name: Name, caller: labrpc::Request) -> bool {
        let callers = self.0.entry(name).or_default();
        let is_first = callers.is_empty();
        if callers.len() == MOST {
            callers.remove(0);
        }
        callers.push(caller);
        is_first
    }

    /// The operation is not under way any more: all who wait for it.
    pub fn leave(&mut self, name: Name) -> Vec<labrpc::Request> {
        self.0.remove(&name).unwrap_or_default()
    }
}
