//! What must hold in every script, whatever it shows: no term has two leaders (Election Safety, §5.2), and no
//! two services apply different entries at the same index (State Machine Safety, §5.4.3), and no read misses
//! what was applied anywhere before it was asked for (§8).

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
    /// What was applied when each read was asked for.
    reads: BTreeMap<u64, Index>,
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

    /// A read was asked for.
    pub fn asked(&mut self, read: u64) {
        let last = self.applied.last_key_value().map_or(Index(0), |(index, _)| *index);
        self.reads.insert(read, last);
    }

    /// A read was answered with the state at `index`.
    pub fn answered(&mut self, node: NodeId, read: u64, index: Index) -> Option<String> {
        let Index(due) = self.reads[&read];
        (index.0 < due).then(|| format!("{BROKEN} {node} reads at {}, and entry {due} was applied before", index.0))
    }
}
