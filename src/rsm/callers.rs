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
    /// A command without one, which is known by its digest.
    Tell(u64),
}

/// How many tries of a client are answered. It only waits for the last one; which that is, is not to be seen when messages
/// overtake each other.
const MOST: usize = 4;

/// The callers of operations that are under way; `C` is what one of them is answered by.
#[derive(Debug)]
pub struct Callers<C>(BTreeMap<Name, Vec<C>>);

impl<C> Default for Callers<C> {
    fn default() -> Callers<C> {
        Callers(BTreeMap::new())
    }
}

impl<C> Callers<C> {
    /// Somebody calls. Whether the operation was not under way yet.
    pub fn join(&mut self, name: Name, caller: C) -> bool {
        let callers = self.0.entry(name).or_default();
        let is_first = callers.is_empty();
        if callers.len() == MOST {
            callers.remove(0);
        }
        callers.push(caller);
        is_first
    }

    /// The operation is not under way any more: all who wait for it.
    pub fn leave(&mut self, name: Name) -> Vec<C> {
        self.0.remove(&name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_joins_and_all_leave_together() {
        let mut callers = Callers::default();
        let [one, other] = [1, 2].map(|seq| Name::Operate(SessionId(7), seq));
        assert!(callers.join(one, "first"));
        assert!(!callers.join(one, "again"));
        assert!(callers.join(other, "another operation"));
        assert_eq!(callers.leave(one), ["first", "again"]);
        assert!(callers.leave(one).is_empty());
        assert!(callers.join(one, "it is not under way any more"));
    }

    #[test]
    fn of_many_tries_the_last_ones_are_answered() {
        let mut callers = Callers::default();
        let name = Name::Register(NodeId(9), 1);
        (0..10).for_each(|nth| _ = callers.join(name, nth));
        assert_eq!(callers.leave(name), [6, 7, 8, 9]);
    }
}
