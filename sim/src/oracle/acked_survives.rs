//! What a client was told is committed, is.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "acked-survives",
    property: "A command that a client was told is committed stands in the committed log, where it was said to be",
    source: "§5.3: a leader replies after the entry is committed; §8",
    lesson: "The index alone does not name a command: another leader may have put something else there. Ask what \
             was applied at the index, and under which term.",
    watches: &[Sort::Acked],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct AckedSurvives;

impl Invariant for AckedSurvives {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Acked { hash, index } = fact else { return Ok(()) };
        match known.committed(*index) {
            Some(committed) if committed.hash == *hash => Ok(()),
            Some(_) => {
                Err(format!("a client was told that its command is at {index}; something else is committed there"))
            }
            None => {
                Err(format!("a client was told that its command is at {index}; {} is committed", known.commit()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, content};
    use super::*;
    use labrpc::Index;

    #[test]
    fn an_acknowledgement_names_a_committed_command() {
        let mut story = Story::new(1, AckedSurvives);
        story.applies(1, 1, "a").unwrap();
        let acked = |command: &str, index| Fact::Acked {
            hash: super::super::hash_of(&content(command)),
            index: Index(index),
        };
        assert_eq!(story.tell(&acked("a", 1)), Ok(()));
        assert!(story.tell(&acked("b", 1)).is_err());
        assert!(story.tell(&acked("a", 2)).is_err());
    }
}
