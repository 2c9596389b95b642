//! A server starts with what is on its disk: all of it, and nothing else.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::raft::Summary;
use labrpc::{Event, NodeId};
use std::collections::BTreeMap;

pub(super) static CARD: Card = Card {
    id: "recovery",
    property: "After a crash a server has exactly what was durable; it never passes for a fresh one",
    source: "Figure 2, persistent state; thesis 3.8",
    lesson: "Files are written in steps and a crash falls between any two of them. Whatever is left must be \
             readable, and must not be read as nothing: a server with amnesia votes twice.",
    watches: &[Sort::Booting, Sort::SaysRecovered],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
#[derive(Default)]
pub struct Recovery {
    /// What each server that is starting must find.
    expected: BTreeMap<NodeId, Summary>,
}

impl Invariant for Recovery {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Booting { node, expected, was_pending } => {
                let found = match expected {
                    Ok(found) => *found,
                    Err(why) => {
                        return Err(format!("what the crash left on the disk of {node} cannot be read: {why}"));
                    }
                };
                self.expected.insert(*node, found);
                keeps(known, *node, found, *was_pending)
            }
            Fact::Emitted { node, event: Event::Recovered { term, vote, snapshot, last } } => {
                let says = Summary { term: *term, vote: *vote, snapshot: *snapshot, last: *last };
                match self.expected.remove(node) {
                    Some(expected) if expected != says => {
                        Err(format!("{node} starts with {says}; its disk says {expected}"))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// What was durable is still there.
fn keeps(known: &Known, node: NodeId, found: Summary, was_pending: bool) -> Verdict {
    let durable = known.summary(node);
    // A write that was pending may have survived; it can add to what was durable and must not take from it.
    let less = found.term < durable.term
        || (found.term == durable.term && durable.vote.is_some() && found.vote != durable.vote)
        || found.snapshot.0 < durable.snapshot.0;
    if less || (!was_pending && found != durable) {
        return Err(format!("the disk of {node} held {durable}; after the crash it holds {found}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use crate::raft::{DiskFact, Recovered};
    use labrpc::{Index, Term};

    fn boot(story: &mut Story<Recovery>, found: Result<Recovered, String>, was_pending: bool) -> Verdict {
        let found = found.map(|found| found.summary());
        story.tell(&Fact::Booting { node: node(1), expected: &found, was_pending })
    }

    fn with(term: u64, vote: Option<u32>) -> Recovered {
        Recovered { term: Term(term), vote: vote.map(NodeId), ..Recovered::default() }
    }

    #[test]
    fn what_was_durable_is_found_again() {
        let mut story = Story::new(1, Recovery::default());
        story.stores(1, DiskFact::Hard { term: Term(3), vote: Some(NodeId(1)) }).unwrap();
        assert!(boot(&mut story, Ok(with(2, None)), true).is_err(), "an older term");
        assert!(boot(&mut story, Ok(with(3, None)), true).is_err(), "the vote is gone");
        assert!(boot(&mut story, Ok(with(4, None)), false).is_err(), "nobody wrote that");
        assert_eq!(boot(&mut story, Ok(with(4, None)), true), Ok(()), "a pending write has survived");
        assert!(boot(&mut story, Err("torn".into()), true).unwrap_err().contains("cannot be read: torn"));
        assert_eq!(boot(&mut story, Ok(with(3, Some(1))), false), Ok(()));
    }

    #[test]
    fn the_server_goes_on_with_what_is_there_and_not_afresh() {
        let mut story = Story::new(1, Recovery::default());
        story.stores(1, DiskFact::Hard { term: Term(3), vote: Some(NodeId(1)) }).unwrap();
        boot(&mut story, Ok(with(3, Some(1))), false).unwrap();
        let nothing = (Index(0), Term(0));
        let fresh = Event::Recovered { term: Term(0), vote: None, snapshot: nothing, last: nothing };
        assert!(story.says(1, fresh).unwrap_err().contains("starts with T0"));
    }
}
