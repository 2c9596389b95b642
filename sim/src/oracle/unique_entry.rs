//! One index and one term mean one entry, everywhere and for ever.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When, hash_of};
use crate::raft::DiskFact;
use labrpc::{Event, Index, NodeId, Term};

static CARD: Card = Card {
    id: "unique-entry",
    property: "Log Matching, first half: two entries with the same index and term carry the same command",
    source: "Figure 3, §5.3: a leader creates at most one entry with a given index in a given term",
    lesson: "If this fails, two servers acted as leader of one term, or a leader rewrote its own log.",
    watches: &[Sort::SaysAppended, Sort::StoresEntry],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
#[derive(Default)]
pub struct UniqueEntry {
    /// For each index, from 1: what each term has put there.
    seen: Vec<Vec<(Term, u64)>>,
}

impl UniqueEntry {
    fn meets(&mut self, node: NodeId, index: Index, term: Term, hash: u64) -> Verdict {
        let slot = index.0.saturating_sub(1) as usize;
        if self.seen.len() <= slot {
            self.seen.resize(slot + 1, Vec::new());
        }
        match self.seen[slot].iter().find(|(known, _)| *known == term) {
            Some((_, first)) if *first != hash => {
                Err(format!("{node} has an entry at {index} of {term} that differs from another server's"))
            }
            Some(_) => Ok(()),
            None => {
                self.seen[slot].push((term, hash));
                Ok(())
            }
        }
    }
}

impl Invariant for UniqueEntry {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, _: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event: Event::Appended { index, term, content } }
            | Fact::Durable { node, fact: DiskFact::Entry { index, term, content } } => {
                self.meets(*node, *index, *term, hash_of(content))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended, entry};
    use super::*;

    #[test]
    fn the_same_place_and_term_hold_the_same_command() {
        let mut story = Story::new(2, UniqueEntry::default());
        assert_eq!(story.says(1, appended(1, 1, "a")), Ok(()));
        assert_eq!(story.stores(2, entry(1, 1, "a")), Ok(()));
        assert_eq!(story.says(2, appended(1, 2, "b")), Ok(()), "another term may put something else there");
        assert!(story.stores(2, entry(1, 1, "b")).is_err());
    }
}
