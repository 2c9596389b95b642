//! Entries are applied one after the other, each once, and time goes forward.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "apply-order",
    property: "A service applies entry i right after entry i - 1, or after a snapshot that reaches there",
    source: "Figure 2: if commitIndex > lastApplied, increment lastApplied and apply log[lastApplied]; Figure 13",
    lesson: "A snapshot replaces state and must come in its turn. What waits in front of it is in it already.",
    watches: &[Sort::Applied, Sort::Restored],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct ApplyOrder;

impl Invariant for ApplyOrder {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Applied { node, index, .. } => {
                let applied = known.server(*node).applied;
                if *index != applied.next() {
                    return Err(format!("{node} applies {index} after {applied}"));
                }
                Ok(())
            }
            Fact::Restored { node, index, .. } => {
                let server = known.server(*node);
                if server.applied_any && *index <= server.applied {
                    return Err(format!("{node} goes back from {} to a snapshot of {index}", server.applied));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use labrpc::Index;

    fn restore(story: &mut Story<ApplyOrder>, index: u64) -> Verdict {
        story.tell(&Fact::Restored { node: node(1), index: Index(index), digest: 0 })
    }

    #[test]
    fn no_gap_no_repeat_and_no_way_back() {
        let mut story = Story::new(1, ApplyOrder);
        assert_eq!(story.applies(1, 1, "a"), Ok(()));
        assert!(story.applies(1, 1, "a").is_err(), "twice");
        assert!(story.applies(1, 3, "c").is_err(), "a gap");
        assert_eq!(restore(&mut story, 7), Ok(()));
        assert_eq!(story.applies(1, 8, "h"), Ok(()));
        assert!(restore(&mut story, 7).is_err(), "back");
        story.boots(1);
        assert_eq!(restore(&mut story, 7), Ok(()), "a new boot begins with its snapshot");
    }
}
