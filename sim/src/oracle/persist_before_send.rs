//! What a message promises is on the disk when it leaves.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::raft::WireFacts;
use labrpc::{Event, Index, NodeId, Term};
use std::collections::BTreeMap;

static CARD: Card = Card {
    id: "persist-before-send",
    property: "When a message leaves, the term, vote, entries and snapshot that it promises are durable",
    source: "Figure 2: updated on stable storage before responding to RPCs; thesis 3.8",
    lesson: "A promise that a power failure can take back is none. Whoever relies on it counts a vote or a copy \
             that does not exist any more.",
    watches: &[Sort::Booting, Sort::SaysTruncated, Sort::SendsVote, Sort::SendsAsLeader, Sort::SendsOther],
    when: When::Before,
    needs: Needs::Wire,
};

/// See the card.
#[derive(Default)]
pub struct PersistBeforeSend {
    /// Where each server has cut its log in this boot, and in which term.
    cuts: BTreeMap<NodeId, Vec<(Term, Index)>>,
}

impl Invariant for PersistBeforeSend {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Booting { node, .. } => _ = self.cuts.remove(node),
            Fact::Emitted { node, event: Event::Truncated { from } } => {
                let term = known.memory(*node).map_or(Term(0), |memory| memory.term);
                self.cuts.entry(*node).or_default().push((term, *from));
            }
            _ => {}
        }
        let Fact::Sent { packet, wire: Some(wire) } = fact else { return Ok(()) };
        let (from, to) = (packet.from, packet.to);
        if !known.is_server(from) {
            return Ok(());
        }
        let durable = &known.server(from).durable;
        let what = packet.kind;
        if let Some(term) = wire.term()
            && durable.term < term
        {
            return Err(format!("{from} sends {what} of {term} while its disk is in {}", durable.term));
        }
        match wire {
            WireFacts::VoteRequest { term, pre: false, .. } => voted(known, from, *term, from),
            WireFacts::VoteReply { term, granted: true, pre: false } => voted(known, from, *term, to),
            WireFacts::AppendReply { term, matched: Some(matched) }
            | WireFacts::InstallReply { term, matched: Some(matched) } => {
                let is_replaced = |(since, at): &(Term, Index)| since > term && at <= matched;
                let replaced = self.cuts.get(&from).is_some_and(|cuts| cuts.iter().any(is_replaced));
                holds(known, from, *matched, replaced)
            }
            _ => Ok(()),
        }
    }
}

fn voted(known: &Known, voter: NodeId, term: Term, candidate: NodeId) -> Verdict {
    let durable = &known.server(voter).durable;
    // Of a later term on the disk nothing remains of a vote in an earlier one, and nothing can be done with it.
    if durable.term > term || durable.vote == Some(candidate) {
        return Ok(());
    }
    let stored = durable.vote.map_or("nobody".into(), |vote| vote.to_string());
    Err(format!("{voter} promises its vote in {term} to {candidate}; its disk says {stored}"))
}

fn holds(known: &Known, follower: NodeId, matched: Index, replaced: bool) -> Verdict {
    let server = known.server(follower);
    let last = server.durable.log.last();
    if last < matched {
        return Err(format!("{follower} acknowledges entries up to {matched}; its disk holds them up to {last}"));
    }
    // It acknowledges what is in its memory; the disk may still hold what that has replaced. But to the leader of an earlier term it
    // acknowledges what that one sent, whatever a later one has put in its place in the meantime: if enough for a commit in the
    // earlier term have it, one of them has refused the later leader its vote, or that leader has it too (§5.4.3).
    let memory = server.memory.as_ref().filter(|_| !replaced);
    let held = memory.and_then(|memory| memory.log.chain_at(matched));
    match (held, server.durable.log.chain_at(matched)) {
        (Some(held), Some(stored)) if held != stored => {
            Err(format!("{follower} acknowledges entries up to {matched}; its disk still holds others there"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended, entry};
    use super::*;
    use crate::raft::DiskFact;

    #[test]
    fn a_vote_in_memory_is_not_enough() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        let yes = WireFacts::VoteReply { term: Term(1), granted: true, pre: false };
        story.stores(1, DiskFact::Hard { term: Term(1), vote: None }).unwrap();
        assert!(story.sends(1, 2, &yes).unwrap_err().contains("its disk says nobody"));
        story.stores(1, DiskFact::Hard { term: Term(1), vote: Some(NodeId(2)) }).unwrap();
        assert_eq!(story.sends(1, 2, &yes), Ok(()));
        assert!(story.sends(1, 3, &yes).is_err());
    }

    #[test]
    fn a_request_for_votes_promises_the_candidates_own() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        let ask = WireFacts::VoteRequest { term: Term(1), last: (Index(0), Term(0)), pre: false };
        assert!(story.sends(1, 2, &ask).unwrap_err().contains("while its disk is in T0"));
        story.stores(1, DiskFact::Hard { term: Term(1), vote: Some(NodeId(1)) }).unwrap();
        assert_eq!(story.sends(1, 2, &ask), Ok(()));
    }

    #[test]
    fn an_acknowledged_entry_is_not_what_it_replaces() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        story.holds(2, 1, 1, "old");
        story.enters(2, 2, None);
        story.says(2, labrpc::Event::Truncated { from: Index(1) }).unwrap();
        story.says(2, appended(1, 2, "new")).unwrap();
        let ack = WireFacts::AppendReply { term: Term(2), matched: Some(Index(1)) };
        assert!(story.sends(2, 1, &ack).unwrap_err().contains("still holds others"));
        story.stores(2, DiskFact::Cut { from: Index(1) }).unwrap();
        story.stores(2, entry(1, 2, "new")).unwrap();
        assert_eq!(story.sends(2, 1, &ack), Ok(()));
    }

    #[test]
    fn what_the_leader_of_an_earlier_term_is_told_is_of_its_entries() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        story.enters(2, 1, None);
        story.holds(2, 1, 1, "old");
        story.enters(2, 2, None);
        story.says(2, labrpc::Event::Truncated { from: Index(1) }).unwrap();
        story.says(2, appended(1, 2, "new")).unwrap();
        let ack = |term| WireFacts::AppendReply { term: Term(term), matched: Some(Index(1)) };
        assert_eq!(story.sends(2, 1, &ack(1)), Ok(()), "that is still on the disk");
        assert!(story.sends(2, 1, &ack(2)).unwrap_err().contains("still holds others"));
    }

    #[test]
    fn a_later_term_alone_excuses_nothing() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        story.holds(2, 1, 1, "stale");
        story.enters(2, 2, None);
        story.says(2, labrpc::Event::Truncated { from: Index(1) }).unwrap();
        story.says(2, appended(1, 2, "new")).unwrap();
        story.enters(2, 3, None);
        let ack = WireFacts::AppendReply { term: Term(2), matched: Some(Index(1)) };
        assert!(story.sends(2, 1, &ack).unwrap_err().contains("still holds others"));
    }

    #[test]
    fn an_acknowledged_entry_is_on_the_disk() {
        let mut story = Story::new(3, PersistBeforeSend::default());
        story.enters(2, 1, None);
        story.says(2, appended(1, 1, "a")).unwrap();
        let ack = WireFacts::AppendReply { term: Term(1), matched: Some(Index(1)) };
        assert!(story.sends(2, 1, &ack).unwrap_err().contains("up to #0"));
        story.stores(2, entry(1, 1, "a")).unwrap();
        assert_eq!(story.sends(2, 1, &ack), Ok(()));
    }
}
