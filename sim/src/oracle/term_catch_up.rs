//! Whoever hears of a later term enters it.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, NodeId, Term};
use std::collections::BTreeMap;

static CARD: Card = Card {
    id: "term-catch-up",
    property: "After a message of a later term is handled, the server is in that term or a later one",
    source: "Figure 2, rules for all servers; §5.1",
    lesson: "Terms are a logical clock: they only work if everybody moves on who hears of a later one.",
    watches: &[Sort::Delivered, Sort::Idle, Sort::SaysIgnored, Sort::Crashed],
    when: When::Before,
    // A message is held against the term that the server says it is in.
    needs: Needs::EventsAndWire,
};

/// See the card.
#[derive(Default)]
pub struct TermCatchUp {
    servers: BTreeMap<NodeId, Heard>,
}

/// Messages of later terms on their way through one server.
#[derive(Default)]
struct Heard {
    /// In its queue, or being handled.
    waiting: Vec<(NodeId, Term)>,
    /// Handled. What the server says about that comes in the same breath.
    handled: Vec<(NodeId, Term)>,
}

impl Invariant for TermCatchUp {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Delivered { packet, wire } => {
                let Some(memory) = known.memory(packet.to) else { return Ok(()) };
                let heard = self.servers.entry(packet.to).or_default();
                if let Some((from, term)) = heard.handled.drain(..).find(|(_, term)| *term > memory.term) {
                    let (node, own) = (packet.to, memory.term);
                    return Err(format!("{node} handled a message of {from} of {term} and is still in {own}"));
                }
                if let Some(term) = wire.and_then(|wire| wire.term())
                    && term > memory.term
                {
                    heard.waiting.push((packet.from, term));
                }
                Ok(())
            }
            Fact::Idle { node } => {
                if let Some(heard) = self.servers.get_mut(node) {
                    heard.handled.append(&mut heard.waiting);
                }
                Ok(())
            }
            // Dropped unread, since a leader was heard: see thesis 4.2.3.
            Fact::Emitted { node, event: Event::Ignored { from, term } } => {
                if let Some(heard) = self.servers.get_mut(node) {
                    let ignored = |message: &(NodeId, Term)| *message == (*from, *term);
                    if let Some(at) = heard.handled.iter().position(ignored) {
                        heard.handled.remove(at);
                    } else if let Some(at) = heard.waiting.iter().position(ignored) {
                        heard.waiting.remove(at);
                    }
                }
                Ok(())
            }
            Fact::Crashed { node } => {
                self.servers.remove(node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node, packet};
    use super::*;
    use crate::raft::WireFacts;

    fn deliver(story: &mut Story<TermCatchUp>, term: u64) -> Verdict {
        let packet = packet(2, 1);
        story.tell(&Fact::Delivered { packet: &packet, wire: Some(&WireFacts::Other { term: Term(term) }) })
    }

    #[test]
    fn a_later_term_must_be_entered() {
        let mut story = Story::new(2, TermCatchUp::default());
        assert_eq!(deliver(&mut story, 5), Ok(()));
        story.tell(&Fact::Idle { node: node(1) }).unwrap();
        assert!(deliver(&mut story, 5).unwrap_err().contains("still in T0"));
    }

    #[test]
    fn entering_it_or_a_later_one_is_fine_and_so_is_ignoring_it_because_a_leader_was_heard() {
        let mut story = Story::new(2, TermCatchUp::default());
        deliver(&mut story, 5).unwrap();
        story.tell(&Fact::Idle { node: node(1) }).unwrap();
        story.enters(1, 6, None);
        assert_eq!(deliver(&mut story, 9), Ok(()));
        story.tell(&Fact::Idle { node: node(1) }).unwrap();
        story.says(1, Event::Ignored { from: node(2), term: Term(9) }).unwrap();
        assert_eq!(deliver(&mut story, 9), Ok(()));
    }
}
