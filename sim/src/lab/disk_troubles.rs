//! Whose disks the plan has damaged, or lets fail: they may refuse to start, and nobody else may.

use labrpc::NodeId;
use labrpc::sim::NodeSet;

/// See the module.
#[derive(Default)]
pub(super) struct DiskTroubles {
    damaged: NodeSet,
    /// Those whose disks fail at the moment, and those whose disks have since they last started.
    failing: NodeSet,
    have_failed: NodeSet,
    refused: NodeSet,
}

impl DiskTroubles {
    /// What is on their disks was changed: they must refuse to start.
    pub fn damages(&mut self, nodes: NodeSet) {
        self.damaged = self.damaged.or(nodes);
    }

    /// See [`damages`](Self::damages).
    pub fn damaged(&self) -> NodeSet {
        self.damaged
    }

    /// Their disks fail some of what they are asked for.
    pub fn fail(&mut self, nodes: NodeSet) {
        self.failing = self.failing.or(nodes);
        self.have_failed = self.have_failed.or(nodes);
    }

    /// Their disks work again. Who noticed that they did not, and has not started since, may yet refuse to.
    pub fn heal(&mut self, nodes: NodeSet) {
        self.failing = self.failing.minus(nodes);
    }

    /// A server begins to start.
    pub fn boots(&mut self, node: NodeId) {
        self.refused.remove(node);
        self.have_failed = self.have_failed.minus(NodeSet::from(node).minus(self.failing));
    }

    /// A server refuses to start. Whether it may.
    pub fn refuses(&mut self, node: NodeId) -> bool {
        self.refused.insert(node);
        self.damaged.or(self.have_failed).contains(node)
    }

    /// Those that have refused to start, and have not begun to since.
    pub fn refused(&self) -> NodeSet {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    #[test]
    fn only_who_has_reason_to_may_refuse() {
        let mut troubles = DiskTroubles::default();
        troubles.boots(NODE);
        assert!(!troubles.refuses(NODE), "its disk works");
        troubles.damages(NodeSet::from(NODE));
        troubles.boots(NODE);
        assert!(troubles.refused().is_empty(), "that was before");
        assert!(troubles.refuses(NODE));
        assert!(!troubles.refuses(NodeId(2)));
        assert_eq!(troubles.refused(), [NODE, NodeId(2)].into_iter().collect());
    }

    #[test]
    fn a_disk_that_failed_for_a_moment_is_a_reason_until_the_next_start() {
        let (mut troubles, node) = (DiskTroubles::default(), NodeSet::from(NODE));
        troubles.boots(NODE);
        troubles.fail(node);
        troubles.heal(node);
        assert!(troubles.refuses(NODE), "while it started");
        troubles.boots(NODE);
        assert!(!troubles.refuses(NODE), "since then its disk works");
        troubles.fail(node);
        troubles.boots(NODE);
        assert!(troubles.refuses(NODE), "it still fails");
    }
}
