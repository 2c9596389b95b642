//! A server votes for at most one candidate in a term, whatever happens in between.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::raft::{DiskFact, WireFacts};
use labrpc::{Event, NodeId, Term};
use std::collections::BTreeMap;

static CARD: Card = Card {
    id: "vote-once",
    property: "A server grants at most one vote in a term, across restarts",
    source: "§5.2; Figure 2, RequestVote",
    lesson: "The vote belongs to the term. Neither a new leader nor a restart gives it back.",
    watches: &[Sort::StoresHard, Sort::SendsVote, Sort::SaysTerm],
    when: When::After,
    needs: Needs::Nothing,
};

/// See the card.
#[derive(Default)]
pub struct VoteOnce {
    votes: BTreeMap<(NodeId, Term), NodeId>,
}

impl VoteOnce {
    fn votes(&mut self, voter: NodeId, term: Term, candidate: NodeId, how: &str) -> Verdict {
        let first = *self.votes.entry((voter, term)).or_insert(candidate);
        if first != candidate {
            return Err(format!("{voter} {how} {candidate} in {term}, and had voted for {first} in that term"));
        }
        Ok(())
    }
}

impl Invariant for VoteOnce {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, _: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            // What is only in memory is forgotten by a crash, and so is the promise: it counts when it leaves.
            Fact::Durable { node, fact: DiskFact::Hard { term, vote: Some(vote) } } => {
                self.votes(*node, *term, *vote, "stores a vote for")
            }
            Fact::Sent { packet, wire: Some(WireFacts::VoteReply { term, granted: true, pre: false }) } => {
                self.votes(packet.from, *term, packet.to, "sends a vote to")
            }
            Fact::Sent { packet, wire: Some(WireFacts::VoteRequest { term, pre: false, .. }) } => {
                self.votes(packet.from, *term, packet.from, "campaigns, so votes for itself:")
            }
            // Within a boot memory is as binding as the disk.
            Fact::Emitted { node, event: Event::Term { term, vote: Some(vote) } } => {
                match self.votes.get(&(*node, *term)) {
                    Some(first) if first != vote => {
                        Err(format!("{node} votes for {vote} in {term}, and had voted for {first} in that term"))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;

    #[test]
    fn one_vote_per_term_and_a_new_one_in_the_next() {
        let mut story = Story::new(3, VoteOnce::default());
        let yes = |term| WireFacts::VoteReply { term: Term(term), granted: true, pre: false };
        assert_eq!(story.sends(1, 2, &yes(1)), Ok(()));
        assert_eq!(story.sends(1, 2, &yes(1)), Ok(()), "the same vote may be said twice");
        assert_eq!(story.sends(1, 3, &yes(2)), Ok(()));
        assert!(story.sends(1, 3, &yes(1)).unwrap_err().contains("had voted for S2"));
    }

    #[test]
    fn a_restart_does_not_give_the_vote_back() {
        let mut story = Story::new(3, VoteOnce::default());
        story.stores(1, DiskFact::Hard { term: Term(1), vote: Some(NodeId(2)) }).unwrap();
        story.boots(1);
        let again = Event::Term { term: Term(1), vote: Some(NodeId(3)) };
        assert!(story.says(1, again).is_err());
    }

    #[test]
    fn pre_votes_are_no_votes() {
        let mut story = Story::new(3, VoteOnce::default());
        let yes = WireFacts::VoteReply { term: Term(1), granted: true, pre: true };
        assert_eq!(story.sends(1, 2, &yes), Ok(()));
        assert_eq!(story.sends(1, 3, &yes), Ok(()));
    }
}
