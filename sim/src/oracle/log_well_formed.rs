//! Logs are dense, and terms along them never fall.

use super::{Card, Fact, Invariant, Known, LogView, Needs, Sort, Verdict, When};
use crate::raft::DiskFact;
use labrpc::{Event, Index, NodeId, Term};

static CARD: Card = Card {
    id: "log-well-formed",
    property: "Indexes of a log are without a gap, terms along it never fall, and none is above the server's term",
    source: "§5.3; Log Matching rests on it",
    lesson: "Every comparison of logs assumes this shape. An entry in the wrong place makes all of them wrong.",
    watches: &[Sort::SaysAppended, Sort::SaysRecovered, Sort::StoresEntry, Sort::StoresSnapshot],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct LogWellFormed;

impl Invariant for LogWellFormed {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event: Event::Appended { index, term, .. } } => {
                let Some(memory) = known.memory(*node) else { return Ok(()) };
                if *term > memory.term {
                    return Err(format!("{node}, in {}, appends an entry of {term} at {index}", memory.term));
                }
                fits(*node, "", &memory.log, *index, *term)
            }
            Fact::Durable { node, fact: DiskFact::Entry { index, term, .. } } => {
                within_term(known, *node, *index, *term)?;
                fits(*node, " on the disk", &known.server(*node).durable.log, *index, *term)
            }
            // What was written together becomes durable in order, and a power failure keeps any first part of it.
            Fact::Durable { node, fact: DiskFact::Snapshot { index, term, .. } } => {
                within_term(known, *node, *index, *term)
            }
            Fact::Emitted { node, event: Event::Recovered { term, last: (index, last_term), .. } }
                if last_term > term =>
            {
                Err(format!("{node} starts in {term}, with a log that ends at {index} of {last_term}"))
            }
            _ => Ok(()),
        }
    }
}

fn within_term(known: &Known, node: NodeId, index: Index, term: Term) -> Verdict {
    let own = known.server(node).durable.term;
    if term > own {
        return Err(format!("{node} on the disk: {index} of {term} is there before the term is, in {own}"));
    }
    Ok(())
}

fn fits(node: NodeId, place: &str, log: &LogView, index: Index, term: Term) -> Verdict {
    let (last, last_term) = (log.last(), log.last_term());
    if index != last.next() {
        return Err(format!("{node}{place}: entry {index} follows {last}"));
    }
    if term < last_term {
        return Err(format!("{node}{place}: entry {index} of {term} follows one of {last_term}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended, entry};
    use super::*;
    use bytes::Bytes;

    #[test]
    fn gaps_and_falling_terms_are_seen_in_memory_and_on_the_disk() {
        let mut story = Story::new(1, LogWellFormed);
        story.enters(1, 3, None);
        story.holds(1, 1, 2, "a");
        assert!(story.says(1, appended(3, 2, "b")).unwrap_err().contains("entry #3 follows #1"));
        assert!(story.says(1, appended(2, 1, "b")).unwrap_err().contains("of T1 follows one of T2"));
        assert!(story.stores(1, entry(3, 2, "b")).is_err());
        assert!(story.stores(1, entry(2, 1, "b")).is_err());
        assert_eq!(story.stores(1, entry(2, 3, "b")), Ok(()));
    }

    #[test]
    fn no_entry_is_of_a_term_that_the_server_is_not_in_yet() {
        let mut story = Story::new(1, LogWellFormed);
        story.enters(1, 1, None);
        assert!(story.says(1, appended(1, 2, "a")).is_err());
        assert!(story.stores(1, entry(1, 2, "a")).unwrap_err().contains("in T1"));
        let snapshot = DiskFact::Snapshot { index: Index(4), term: Term(2), content: Bytes::new() };
        assert!(story.stores(1, snapshot.clone()).is_err());
        let (snapshot_end, last) = ((Index(4), Term(2)), (Index(5), Term(2)));
        let starts = |term| Event::Recovered { term: Term(term), vote: None, snapshot: snapshot_end, last };
        assert!(story.says(1, starts(1)).unwrap_err().contains("starts in T1"));
        story.enters(1, 2, None);
        assert_eq!(story.stores(1, snapshot), Ok(()));
        assert_eq!(story.says(1, starts(2)), Ok(()));
    }
}
