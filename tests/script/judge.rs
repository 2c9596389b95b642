//! What must hold in every script, whatever it shows: no term has two leaders (Election Safety, §5.2), and no two services
//! apply different entries at the same index (State Machine Safety, §5.4.3).

use super::say;
use labrpc::NodeId;
use shardlab::raft::{EntryId, Index, Role, Term, View};
use std::collections::BTreeMap;

/// How a line begins that says that Raft is broken.
const BROKEN: &str = "!!";

/// What was seen so far.
#[derive(Default)]
pub struct Judge {
    leaders: BTreeMap<Term, NodeId>,
    applied: BTreeMap<Index, (EntryId, NodeId)>,
}

impl Judge {
    /// A server looks like this now.
    pub fn see(&mut self, node: NodeId, view: &View) -> Option<String> {
        if view.role != Role::Leader {
            return None;
        }
        let first = *self.leaders.entry(view.term).or_insert(node);
        (first != node).then(|| format!("{BROKEN} {node} leads term {}, and {first} did before", view.term.0))
    }

    /// A service applied an entry, or restored a snapshot that ends with it.
    pub fn applied(&mut self, node: NodeId, id: EntryId) -> Option<String> {
        let (first, who) = *self.applied.entry(id.index).or_insert((id, node));
        let (now, then) = (say::id(id), say::id(first));
        (first != id).then(|| format!("{BROKEN} {node} applies {now} where {who} applied {then}"))
    }
}
