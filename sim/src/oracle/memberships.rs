//! Who belongs to a cluster: by what is committed, and as each server has it.
//!
//! A membership is in force on a server from the moment that it is in its log (thesis 4.1). So a majority is one of the voters
//! that whoever counts has in force, and two servers may rightly count different ones.

use super::log::LogView;
use labrpc::sim::NodeSet;
use labrpc::{Index, Members, NodeId};

/// Voters and learners.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Electorate {
    /// Those who count.
    pub voters: NodeSet,
    /// All who receive the log.
    pub members: NodeSet,
}

impl Electorate {
    fn of(members: &Members) -> Electorate {
        let voters: NodeSet = members.voters.iter().copied().collect();
        let learners: NodeSet = members.learners.iter().copied().collect();
        Electorate { voters, members: voters.or(learners) }
    }

    /// How many voters make a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// How many of these are voters.
    pub fn count(&self, of: NodeSet) -> usize {
        self.voters.and(of).len()
    }

    /// Whether these are enough.
    pub fn decides(&self, of: NodeSet) -> bool {
        self.count(of) >= self.majority()
    }
}

/// Which memberships a cluster has had.
#[derive(Clone, Debug)]
pub(super) struct Memberships {
    /// Each with the index from which it was in force; the first is that of the beginning.
    committed: Vec<(Index, Electorate)>,
}

impl Memberships {
    /// A cluster of these.
    pub fn new(voters: NodeSet) -> Memberships {
        Memberships { committed: vec![(Index(0), Electorate { voters, members: voters })] }
    }

    /// A membership is committed.
    pub fn commit(&mut self, index: Index, members: &Members) {
        self.committed.push((index, Electorate::of(members)));
    }

    /// The latest that is committed.
    pub fn committed(&self) -> &Electorate {
        &self.committed.last().expect("there is the first one").1
    }

    /// The one that a server with this log has in force.
    pub fn in_force(&self, node: NodeId, log: &LogView) -> Electorate {
        if let Some((_, members)) = log.memberships().last() {
            return Electorate::of(members);
        }
        let up_to = self.committed.partition_point(|(index, _)| *index <= log.base);
        match up_to.checked_sub(1).map(|at| &self.committed[at]) {
            // A spare has not heard of any cluster.
            Some((Index(0), beginning)) if !beginning.voters.contains(node) => Electorate::default(),
            Some((_, electorate)) => electorate.clone(),
            None => Electorate::default(),
        }
    }
}
