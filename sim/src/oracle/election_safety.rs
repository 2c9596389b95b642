//! At most one leader in a term, elected by a majority of durable votes.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::raft::{DiskFact, WireFacts};
use labrpc::sim::NodeSet;
use labrpc::{Event, NodeId, Role, Term};
use std::collections::{BTreeMap, BTreeSet};

static CARD: Card = Card {
    id: "election-safety",
    property: "Election Safety: at most one leader can be elected in a given term",
    source: "Figure 3, §5.2, §5.4.3",
    lesson: "Two leaders in a term mean that some server voted twice or that somebody counted wrongly. Look for \
             the server whose vote both have, and for what it had on its disk when it voted.",
    watches: &[Sort::StoresHard, Sort::SaysRole, Sort::SendsAsLeader, Sort::Claims],
    when: When::After,
    needs: Needs::Nothing,
};

/// See the card.
#[derive(Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
    /// For each term and candidate, whose disks hold a vote for it. Votes stay votes when a term is over.
    votes: BTreeMap<(Term, NodeId), BTreeSet<NodeId>>,
    /// Who was found to be elected. Whoever leads may change the membership later, which makes no difference to that.
    elected: BTreeSet<(Term, NodeId)>,
}

impl ElectionSafety {
    fn leads(&mut self, node: NodeId, term: Term) -> Verdict {
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            return Err(format!("{node} leads {term}, and so does {leader}"));
        }
        Ok(())
    }

    fn elected(&mut self, known: &Known, node: NodeId, term: Term) -> Verdict {
        self.leads(node, term)?;
        if !self.elected.insert((term, node)) {
            return Ok(());
        }
        let votes: NodeSet = self.votes.get(&(term, node)).into_iter().flatten().copied().collect();
        // Whom it counts is who belongs to the cluster as it has it in its log, committed or not (thesis 4.1).
        let electorate = known.electorate_of(node);
        if !electorate.decides(votes) {
            let (votes, majority, all) = (electorate.count(votes), electorate.majority(), electorate.voters.len());
            return Err(format!(
                "{node} became leader of {term} with {votes} durable votes; a majority of {all} is {majority}"
            ));
        }
        Ok(())
    }
}

impl Invariant for ElectionSafety {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Durable { node, fact: DiskFact::Hard { term, vote: Some(vote) } } => {
                self.votes.entry((*term, *vote)).or_default().insert(*node);
                Ok(())
            }
            Fact::Emitted { node, event: Event::Role { role: Role::Leader, term } } => {
                self.elected(known, *node, *term)
            }
            // One that says nothing of itself says who leads to whoever asks.
            Fact::Claims { node, term } => self.elected(known, *node, *term),
            // Or it shows by its messages that it leads.
            Fact::Sent { packet, wire: Some(WireFacts::Append { term, .. } | WireFacts::Install { term, .. }) } => {
                self.leads(packet.from, *term)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;
    use labrpc::Index;

    #[test]
    fn a_majority_of_durable_votes_makes_a_leader_and_a_second_one_is_seen() {
        let mut story = Story::new(3, ElectionSafety::default());
        story.enters(1, 1, Some(1));
        story.enters(2, 1, Some(1));
        assert_eq!(story.leads(1, 1), Ok(()));
        story.enters(3, 1, Some(3));
        story.enters(2, 1, Some(3));
        assert!(story.leads(3, 1).unwrap_err().contains("S3 leads T1, and so does S1"));
    }

    #[test]
    fn votes_that_are_not_on_a_disk_do_not_count() {
        let mut story = Story::new(3, ElectionSafety::default());
        story.enters(1, 1, Some(1));
        story.says(2, Event::Term { term: Term(1), vote: Some(NodeId(1)) }).unwrap();
        assert!(story.leads(1, 1).unwrap_err().contains("1 durable votes"));
    }

    #[test]
    fn a_vote_counts_after_its_voter_has_moved_on() {
        let mut story = Story::new(3, ElectionSafety::default());
        story.enters(1, 1, Some(1));
        story.enters(2, 1, Some(1));
        story.enters(2, 2, None);
        assert_eq!(story.leads(1, 1), Ok(()));
    }

    #[test]
    fn leaders_are_seen_on_the_wire_too() {
        let mut story = Story::new(3, ElectionSafety::default());
        let append = WireFacts::Append { term: Term(1), prev: (Index(0), Term(0)), entries: 0, commit: Index(0) };
        assert_eq!(story.sends(1, 2, &append), Ok(()));
        assert!(story.sends(3, 2, &append).is_err());
    }
}
