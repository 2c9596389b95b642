//! What is committed at an index stays there, for everybody.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, Index, NodeId};

static CARD: Card = Card {
    id: "committed-immutable",
    property: "State Machine Safety: if one server commits or applies an entry at an index, no other does another one",
    source: "Figure 3, §5.4.3",
    lesson: "This is what Raft is for. Everything else is there so that this holds.",
    watches: &[Sort::SaysCommitted, Sort::Applied],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct CommittedImmutable;

impl Invariant for CommittedImmutable {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event: Event::Committed { index } } => commits(known, *node, *index),
            Fact::Applied { node, index, term, hash } => {
                let Some(committed) = known.committed(*index) else { return Ok(()) };
                let other_term = committed.term.zip(*term).is_some_and(|(first, now)| first != now);
                if committed.hash != *hash || other_term {
                    let since = committed.since;
                    return Err(format!(
                        "{node} applies another entry at {index} than the one committed at {since}"
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn commits(known: &Known, node: NodeId, index: Index) -> Verdict {
    let Some(memory) = known.memory(node) else { return Ok(()) };
    let shared = index.min(known.commit());
    match (memory.log.chain_at(shared), known.committed_chain(shared)) {
        (Some(mine), Some(first)) if mine != first => {
            let differs = |index: &Index| {
                let (mine, first) = (memory.log.get(*index), known.committed(*index));
                mine.zip(first)
                    .is_some_and(|(mine, first)| mine.hash != first.hash || Some(mine.term) != first.term)
            };
            let at = (memory.log.base.0 + 1..=shared.0).map(Index).find(differs).unwrap_or(shared);
            Err(format!("{node} commits another entry at {at} than the one that was committed there"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;

    #[test]
    fn nobody_commits_or_applies_something_else() {
        let mut story = Story::new(3, CommittedImmutable);
        story.holds(1, 1, 1, "a");
        story.holds(2, 1, 1, "a");
        story.holds(3, 1, 2, "b");
        let commit = Event::Committed { index: Index(1) };
        assert_eq!(story.says(1, commit.clone()), Ok(()));
        assert_eq!(story.says(2, commit.clone()), Ok(()));
        assert!(story.says(3, commit).unwrap_err().contains("another entry at #1"));
        assert!(story.applies(3, 1, "b").is_err());
    }

    #[test]
    fn an_equal_command_of_another_term_is_another_entry() {
        let mut story = Story::new(2, CommittedImmutable);
        story.holds(1, 1, 1, "a");
        story.holds(2, 1, 2, "a");
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        assert!(story.says(2, Event::Committed { index: Index(1) }).is_err());
    }
}
