//! A read answers for everything that anybody could know of before it was asked for.
//!
//! Who may know of a command? Any client of a service that has applied it. That is more than what was acknowledged, and
//! still not too much: what a follower has applied its leader has committed; and a leader that a majority
//! confirms has, behind an entry of its own term, everything that was ever committed before (§5.4, thesis 6.4).

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "read-index",
    property: "The index of a confirmed read is at least that of any command that was applied before the read began, \
               and the service that is read has applied that much",
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
            Fact::Read { index, floor, .. } if index < floor => Err(format!(
                "a read is answered as of {index}; {floor} had been applied somewhere before it was asked for"
            )),
            Fact::Read { index, applied, .. } if applied < index => Err(format!(
                "a read is answered as of {index}; the service that is read has only applied {applied}"
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
    fn a_read_is_not_older_than_what_was_applied() {
        let mut story = Story::new(1, ReadIndex);
        let read = |index, floor, applied| Fact::Read {
            index: Index(index),
            floor: Index(floor),
            applied: Index(applied),
        };
        assert_eq!(story.tell(&read(5, 5, 5)), Ok(()));
        assert!(story.tell(&read(4, 5, 5)).unwrap_err().contains("somewhere"));
        assert!(story.tell(&read(5, 5, 4)).unwrap_err().contains("only applied #4"));
    }
}
