//! A leader never takes back what it has put into its log.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, Role};

static CARD: Card = Card {
    id: "leader-append-only",
    property: "Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends",
    source: "Figure 3, §5.3",
    lesson: "Followers adapt to the leader and never the other way round.",
    watches: &[Sort::SaysTruncated, Sort::SaysSnapshot],
    when: When::Before,
    needs: Needs::Events,
};

/// See the card.
pub struct LeaderAppendOnly;

impl Invariant for LeaderAppendOnly {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Emitted { node, event } = fact else { return Ok(()) };
        match (known.memory(*node), event) {
            (Some(memory), Event::Truncated { from }) if memory.role == Role::Leader => {
                Err(format!("{node} leads {} and cuts its own log at {from}", memory.term))
            }
            (Some(memory), Event::Installed { index, .. }) if memory.role == Role::Leader => {
                Err(format!("{node} leads {} and installs somebody's snapshot at {index}", memory.term))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;
    use labrpc::{Index, Term};

    #[test]
    fn a_leader_does_not_cut_its_log_and_a_follower_may() {
        let mut story = Story::new(1, LeaderAppendOnly);
        story.holds(1, 1, 1, "a");
        assert_eq!(story.says(1, Event::Truncated { from: Index(1) }), Ok(()));
        story.holds(1, 1, 1, "a");
        story.leads(1, 1).unwrap();
        assert!(story.says(1, Event::Truncated { from: Index(1) }).is_err());
        story.says(1, Event::Role { role: Role::Follower, term: Term(1) }).unwrap();
        assert_eq!(story.says(1, Event::Truncated { from: Index(1) }), Ok(()));
    }
}
