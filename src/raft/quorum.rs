//! Counting, in one place: what is a majority, and of whom.
//!
//! Only voters count, and each once. Every decision that needs a majority asks here.

use super::types::{Index, Membership};
use labrpc::NodeId;

/// The voters of a membership, as a body that decides by majority.
#[derive(Clone, Copy, Debug)]
pub struct Quorum<'a> {
    voters: &'a [NodeId],
    /// Who else is counted: nobody, unless that bug is planted.
    others: &'a [NodeId],
}

impl<'a> Quorum<'a> {
    /// The voters of `membership`.
    pub fn of(membership: &'a Membership) -> Quorum<'a> {
        Quorum { voters: &membership.voters, others: &[] }
    }

    /// As a planted bug has it: learners are counted too.
    pub(super) fn with_learners(self, membership: &'a Membership) -> Quorum<'a> {
        Quorum { others: &membership.learners, ..self }
    }

    fn counted(&self) -> impl Iterator<Item = &'a NodeId> + use<'a> {
        self.voters.iter().chain(self.others)
    }

    /// How many make a majority: more than half, also where the number of voters is even (§5.2).
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether this node counts.
    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.binary_search(&node).is_ok()
    }

    /// How many voters have said yes.
    pub fn count(&self, yes: impl Fn(NodeId) -> bool) -> usize {
        self.counted().filter(|&&node| yes(node)).count()
    }

    /// Whether a majority has.
    pub fn reached(&self, yes: impl Fn(NodeId) -> bool) -> bool {
        !self.voters.is_empty() && self.count(yes) >= self.majority()
    }

    /// The highest index that is matched on a majority: the one that `rank` voters have reached or passed.
    pub fn matched_by(&self, rank: usize, matched: impl Fn(NodeId) -> Index) -> Index {
        let has_rank = |&index: &Index| self.count(|node| matched(node) >= index) >= rank;
        self.counted().map(|&node| matched(node)).filter(has_rank).max().unwrap_or(Index(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(n: u32) -> Membership {
        Membership::of((1..=n).map(NodeId))
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let majorities: Vec<usize> = (1..=7).map(|n| Quorum::of(&voters(n)).majority()).collect();
        assert_eq!(majorities, [1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn two_majorities_always_share_a_voter() {
        for n in 1..=7u32 {
            let membership = voters(n);
            let quorum = Quorum::of(&membership);
            for left in 0..1u32 << n {
                let has = |set: u32| move |node: NodeId| set >> (node.0 - 1) & 1 == 1;
                assert!(
                    !(quorum.reached(has(left)) && quorum.reached(has(!left))),
                    "{n} voters were split into two majorities by {left:b}"
                );
            }
        }
    }

    #[test]
    fn what_a_majority_has_matched_does_not_depend_on_who_they_are() {
        let matched = [5u64, 3, 9, 1].map(Index);
        let membership = voters(4);
        let quorum = Quorum::of(&membership);
        let index = quorum.matched_by(quorum.majority(), |node| matched[node.slot() - 1]);
        assert_eq!(index, Index(3), "of 9 5 3 1, three have reached 3");
    }

    #[test]
    fn learners_and_an_empty_cluster_decide_nothing() {
        let membership = Membership { voters: vec![NodeId(1)], learners: vec![NodeId(2)] };
        assert!(!Quorum::of(&membership).reached(|node| node == NodeId(2)));
        assert!(!Quorum::of(&Membership::default()).reached(|_| true));
    }
}
