//! Servers that have applied the same log are in the same state.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "state-digest",
    property: "Servers that have applied the log up to the same entry are in the same state, sessions included",
    source: "§2: replicated state machines compute identical states; §8 for sessions",
    lesson: "The state is everything that the next answer depends on. What is left out of a snapshot, or read from \
             a clock or a hash table, is a part of it all the same.",
    watches: &[Sort::State],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct StateDigest;

impl Invariant for StateDigest {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::State { node, index, digest } = fact else { return Ok(()) };
        match known.state(*index) {
            Some(expected) if expected != *digest => Err(format!(
                "after {index}, {node} is in another state ({digest:016x}) than the first that came there \
                 ({expected:016x})"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use labrpc::Index;

    #[test]
    fn states_at_the_same_index_are_the_same() {
        let mut story = Story::new(2, StateDigest);
        let state = |n, index, digest| Fact::State { node: node(n), index: Index(index), digest };
        assert_eq!(story.tell(&state(1, 1, 7)), Ok(()));
        assert_eq!(story.tell(&state(1, 2, 8)), Ok(()));
        assert_eq!(story.tell(&state(2, 1, 7)), Ok(()));
        assert!(story.tell(&state(2, 2, 9)).is_err());
    }
}
