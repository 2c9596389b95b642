//! A read answers for everything that was acknowledged before it was asked for.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "read-index",
    property: "The index of a confirmed read is at least that of any command acknowledged before the read began",
    source: "§8; thesis 6.4",
    lesson: "A leader must know that it is still the leader, and that it knows what is committed: a new one does \
             not before it has committed an entry of its own term.",
    watches: &[Sort::Read],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct ReadIndex;

impl Invariant for ReadIndex {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, _: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Read { index, floor } if index < floor => Err(format!(
                "a read is answered as of {index}; {floor} had been acknowledged before it was asked for"
            )),
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
    fn a_read_is_not_older_than_what_was_acknowledged() {
        let mut story = Story::new(1, ReadIndex);
        let read = |index, floor| Fact::Read { index: Index(index), floor: Index(floor) };
        assert_eq!(story.tell(&read(5, 5)), Ok(()));
        assert!(story.tell(&read(4, 5)).is_err());
    }
}
