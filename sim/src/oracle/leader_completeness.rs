//! Whoever is elected has everything that was ever committed.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, Role};

static CARD: Card = Card {
    id: "leader-completeness",
    property: "Leader Completeness: an entry committed in a term is in the logs of the leaders of all later terms",
    source: "Figure 3, §5.4.1, §5.4.3",
    lesson: "The vote is where committed entries are protected: whoever lacks one must not find a majority that \
             votes for it.",
    watches: &[Sort::SaysRole],
    when: When::After,
    needs: Needs::Events,
};

/// See the card.
///
/// Only entries committed in *earlier* terms than the leader's are asked for. A candidate of an old term that was
/// paused may find a majority of votes in its queue when it goes on, and is then rightly the leader of its term,
/// long after others have committed entries in later ones. It can do no harm: nobody listens to its term any more,
/// and it steps down when it hears of a later one. §5.4.3 proves the property for "all higher-numbered terms".
pub struct LeaderCompleteness;

impl Invariant for LeaderCompleteness {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Emitted { node, event: Event::Role { role: Role::Leader, term } } = fact else { return Ok(()) };
        let Some(memory) = known.memory(*node) else { return Ok(()) };
        let (commit, last) = (known.committed_before(*term), memory.log.last());
        if last < commit {
            return Err(format!(
                "{node} leads {term} with a log up to {last}; {commit} was committed before that term"
            ));
        }
        match (memory.log.chain_at(commit), known.committed_chain(commit)) {
            (Some(mine), Some(committed)) if mine != committed => {
                Err(format!("{node} leads {term} with a log that differs from what is committed up to {commit}"))
            }
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
    fn a_leader_has_what_is_committed() {
        let mut story = Story::new(3, LeaderCompleteness);
        story.holds(1, 1, 1, "a");
        story.holds(2, 1, 1, "b");
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        assert_eq!(story.leads(1, 2), Ok(()));
        assert!(story.leads(2, 3).unwrap_err().contains("differs"));
        assert!(story.leads(3, 4).unwrap_err().contains("up to #0; #1 was committed"));
    }

    #[test]
    fn a_leader_of_an_older_term_need_not_have_what_later_terms_committed() {
        let mut story = Story::new(3, LeaderCompleteness);
        story.enters(1, 5, Some(1));
        story.holds(1, 1, 5, "a");
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        assert_eq!(story.leads(3, 2), Ok(()), "S3 was paused since its election in T2");
        assert!(story.leads(3, 6).is_err());
    }
}
