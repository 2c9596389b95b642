//! How the indexes of a server stand to each other.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, NodeId, Role};

static CARD: Card = Card {
    id: "ordering",
    property: "snapshot <= applied <= commit <= last entry; a leader's match < next, and match <= its last entry",
    source: "Figure 2, volatile state",
    lesson: "These inequalities are what the words mean: applied is committed, what matches is there. One that \
             fails points straight at the line that moved an index for the wrong reason.",
    watches: &[Sort::SaysCommitted, Sort::SaysTruncated, Sort::SaysSnapshot, Sort::SaysProgress, Sort::Applied],
    when: When::After,
    needs: Needs::Events,
};

/// See the card.
pub struct Ordering;

impl Invariant for Ordering {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event } => after_event(known, *node, event),
            Fact::Applied { node, index, .. } => match known.memory(*node) {
                Some(memory) if *index > memory.commit => {
                    Err(format!("{node} applies {index}, but only {} is committed", memory.commit))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn after_event(known: &Known, node: NodeId, event: &Event) -> Verdict {
    let Some(memory) = known.memory(node) else { return Ok(()) };
    let (base, commit, last) = (memory.log.base, memory.commit, memory.log.last());
    match event {
        Event::Committed { .. } | Event::Truncated { .. } | Event::Compacted { .. } | Event::Installed { .. }
            if base > commit || commit > last =>
        {
            Err(format!("{node}: snapshot {base}, commit {commit}, last {last} are not in that order"))
        }
        Event::Progress { peer, matched, next } if memory.role == Role::Leader => {
            if matched >= next {
                return Err(format!(
                    "{node} would send {peer} entry {next} next, which matches already ({matched})"
                ));
            }
            if *matched > last {
                return Err(format!("{node} believes that {peer} holds {matched}; its own log ends at {last}"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use labrpc::Index;

    #[test]
    fn what_is_applied_is_committed_and_what_is_committed_is_there() {
        let mut story = Story::new(3, Ordering);
        story.holds(1, 1, 1, "a");
        assert!(story.applies(1, 1, "a").unwrap_err().contains("only #0 is committed"));
        assert_eq!(story.says(1, Event::Committed { index: Index(1) }), Ok(()));
        assert_eq!(story.applies(1, 1, "a"), Ok(()));
        assert!(story.says(1, Event::Committed { index: Index(2) }).is_err());
    }

    #[test]
    fn a_leader_sends_what_does_not_match_yet() {
        let mut story = Story::new(3, Ordering);
        story.holds(1, 1, 1, "a");
        story.leads(1, 1).unwrap();
        let progress =
            |matched, next| Event::Progress { peer: node(2), matched: Index(matched), next: Index(next) };
        assert_eq!(story.says(1, progress(1, 2)), Ok(()));
        assert!(story.says(1, progress(1, 1)).is_err());
        assert!(story.says(1, progress(2, 3)).is_err());
    }
}
