//! A leader's match index is a measurement: the logs really agree up to there, on the follower's disk.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Event, Index, NodeId, Role};

static CARD: Card = Card {
    id: "replication-match",
    property: "Where a leader's match index stands, the follower's disk holds the leader's log",
    source: "Figure 2: matchIndex, highest log entry known to be replicated on server",
    lesson: "nextIndex is a guess, matchIndex a measurement. It may only be moved by an answer that speaks of this \
             term's log, and only as far as the answered message went.",
    watches: &[Sort::SaysProgress],
    when: When::Before,
    needs: Needs::Events,
};

/// See the card.
pub struct ReplicationMatch;

impl Invariant for ReplicationMatch {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event: Event::Progress { peer, matched, .. } } => {
                let Some(memory) = known.memory(*node) else { return Ok(()) };
                let before = memory.progress.get(peer).map_or(Index(0), |(matched, _)| *matched);
                if memory.role == Role::Leader && *matched > before {
                    agrees(known, *node, *peer, *matched)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

fn agrees(known: &Known, leader: NodeId, peer: NodeId, matched: Index) -> Verdict {
    let Some(memory) = known.memory(leader) else { return Ok(()) };
    if !known.is_server(peer) {
        return Err(format!("{leader} counts on {peer}, which is no server of its group"));
    }
    let durable = &known.server(peer).durable;
    // The follower has moved on to another leader since; it did agree when it said so.
    if durable.term > memory.term || matched <= durable.log.base {
        return Ok(());
    }
    let last = durable.log.last();
    if last < matched {
        return Err(format!("{leader} believes that {peer} holds {matched}; its disk ends at {last}"));
    }
    match (memory.log.chain_at(matched), durable.log.chain_at(matched)) {
        (Some(mine), Some(theirs)) if mine != theirs => {
            Err(format!("{leader} believes that {peer} agrees up to {matched}; its disk holds another log there"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended, node};
    use super::*;

    fn progress(matched: u64) -> Event {
        Event::Progress { peer: node(2), matched: Index(matched), next: Index(matched + 1) }
    }

    #[test]
    fn servers_of_other_groups_do_not_count() {
        let mut story = Story::new(1, ReplicationMatch);
        story.holds(1, 1, 1, "a");
        story.leads(1, 1).unwrap();
        assert!(story.says(1, progress(1)).unwrap_err().contains("no server of its group"));
    }

    #[test]
    fn what_matches_is_on_the_followers_disk() {
        let mut story = Story::new(3, ReplicationMatch);
        story.holds(1, 1, 1, "a");
        story.leads(1, 1).unwrap();
        story.says(2, appended(1, 1, "a")).unwrap();
        assert!(story.says(1, progress(1)).unwrap_err().contains("its disk ends at #0"));
        story.stores(2, super::super::testing::entry(1, 1, "a")).unwrap();
        assert_eq!(story.says(1, progress(1)), Ok(()));
    }

    #[test]
    fn an_equal_index_is_not_an_equal_log() {
        let mut story = Story::new(3, ReplicationMatch);
        story.holds(1, 1, 1, "a");
        story.holds(1, 2, 3, "b");
        story.holds(2, 1, 2, "x");
        story.holds(2, 2, 2, "y");
        story.leads(1, 3).unwrap();
        assert!(story.says(1, progress(2)).unwrap_err().contains("another log"));
    }
}
