//! What was acknowledged or is committed is not removed.

use super::{Card, Fact, Invariant, Known, LogView, Needs, Sort, Verdict, When};
use crate::raft::DiskFact;
use labrpc::{Event, Index, NodeId, Term};
use std::collections::BTreeMap;

static CARD: Card = Card {
    id: "no-un-append",
    property: "A follower removes no entry that it acknowledged to the leader of its term, and none that is committed",
    source: "Figure 2, AppendEntries rule 3: only if an existing entry conflicts with a new one",
    lesson: "An append may come late, or twice. What it carries is a part of the leader's log as it was then, and \
             says nothing about what stands behind it.",
    watches: &[Sort::SaysRecovered, Sort::SaysTruncated, Sort::StoresCut],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
#[derive(Default)]
pub struct NoUnAppend {
    /// Where servers have cut their logs in memory, and not on their disks yet. That may happen long after: while a disk stands
    /// still, or since a server that was paused goes through many terms at once and what it writes then begins with the last of
    /// them. By then others may have committed what was cut, without this server; that it did right was seen when it did it.
    cut: BTreeMap<NodeId, Vec<Index>>,
}

impl Invariant for NoUnAppend {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            // It has read its disk: nothing that an earlier boot has decided is on its way any more.
            Fact::Emitted { node, event: Event::Recovered { .. } } => {
                self.cut.remove(node);
                Ok(())
            }
            Fact::Emitted { node, event: Event::Truncated { from } } => {
                let Some(memory) = known.memory(*node) else { return Ok(()) };
                if *from <= memory.commit {
                    return Err(format!(
                        "{node} cuts its log at {from}, and knows {} to be committed",
                        memory.commit
                    ));
                }
                let (term, acked) = known.server(*node).acked;
                if term == memory.term && *from <= acked {
                    return Err(format!(
                        "{node} cuts its log at {from}, and has acknowledged {acked} to the leader of {term}"
                    ));
                }
                keeps_committed(known, *node, "", memory.term, &memory.log, *from)?;
                self.cut.entry(*node).or_default().push(*from);
                Ok(())
            }
            Fact::Durable { node, fact: DiskFact::Cut { from } } => {
                let server = known.server(*node);
                let (term, acked) = server.acked;
                if term == server.durable.term && *from <= acked {
                    return Err(format!(
                        "the disk of {node} ends in front of {from}; {acked} was acknowledged to the leader of {term}"
                    ));
                }
                // One cut on a disk may stand for several of one write, the deepest of them.
                let cuts = self.cut.entry(*node).or_default();
                if let Some(nth) = cuts.iter().position(|at| at == from) {
                    cuts.drain(..=nth);
                    return Ok(());
                }
                keeps_committed(known, *node, " on its disk", server.durable.term, &server.durable.log, *from)
            }
            _ => Ok(()),
        }
    }
}

/// A server in an older term than that in which the entry was committed may still follow a leader of its own term, which
/// lacks the entry: Leader Completeness (§5.4.3) speaks of leaders of later terms. It is no part of the majority that
/// holds the entry, for that is in the later term.
fn keeps_committed(known: &Known, node: NodeId, place: &str, term: Term, log: &LogView, from: Index) -> Verdict {
    let committed = known.committed(from).zip(log.get(from)).is_some_and(|(committed, item)| {
        let is_it = committed.hash == item.hash && committed.term.is_none_or(|term| term == item.term);
        is_it && committed.by_term <= term
    });
    if committed {
        return Err(format!("{node} cuts its log{place} at {from}; that entry is committed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;
    use crate::raft::WireFacts;

    #[test]
    fn an_acknowledged_entry_stays_for_its_term() {
        let mut story = Story::new(3, NoUnAppend::default());
        story.enters(2, 1, None);
        story.holds(2, 1, 1, "a");
        story.sends(2, 1, &WireFacts::AppendReply { term: Term(1), matched: Some(Index(1)) }).unwrap();
        assert!(story.says(2, Event::Truncated { from: Index(1) }).unwrap_err().contains("acknowledged"));
        story.enters(2, 2, None);
        assert_eq!(story.says(2, Event::Truncated { from: Index(1) }), Ok(()), "a new leader may see it otherwise");
    }

    #[test]
    fn an_acknowledged_entry_stays_on_the_disk_across_a_crash() {
        let mut story = Story::new(3, NoUnAppend::default());
        story.stores(2, DiskFact::Hard { term: Term(1), vote: None }).unwrap();
        story.enters(2, 1, None);
        story.holds(2, 1, 1, "a");
        story.sends(2, 1, &WireFacts::AppendReply { term: Term(1), matched: Some(Index(1)) }).unwrap();
        story.tell(&Fact::Crashed { node: NodeId(2) }).unwrap();
        assert!(story.stores(2, DiskFact::Cut { from: Index(1) }).unwrap_err().contains("was acknowledged"));
        story.stores(2, DiskFact::Hard { term: Term(2), vote: None }).unwrap();
        assert_eq!(story.stores(2, DiskFact::Cut { from: Index(1) }), Ok(()), "a new leader may see it otherwise");
    }

    #[test]
    fn a_committed_entry_stays_in_memory_and_on_the_disk() {
        let mut story = Story::new(3, NoUnAppend::default());
        story.holds(1, 1, 1, "a");
        story.holds(2, 1, 1, "a");
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        assert!(story.says(1, Event::Truncated { from: Index(1) }).unwrap_err().contains("knows"));
        assert!(story.says(2, Event::Truncated { from: Index(1) }).unwrap_err().contains("is committed"));
        assert!(story.stores(2, DiskFact::Cut { from: Index(1) }).is_err());
    }

    /// Entry 1 of term 1, on all servers, of which the others have not heard since.
    fn committed_in_term_3() -> Story<NoUnAppend> {
        let mut story = Story::new(3, NoUnAppend::default());
        for server in 1..=3 {
            story.enters(server, 1, None);
            story.holds(server, 1, 1, "a");
        }
        story.enters(1, 3, None);
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        story
    }

    #[test]
    fn who_is_behind_the_term_of_the_commit_may_follow_its_own_leader() {
        let mut story = committed_in_term_3();
        story.enters(2, 2, None);
        assert_eq!(story.says(2, Event::Truncated { from: Index(1) }), Ok(()), "by the leader of term 2");
        story.enters(3, 3, None);
        assert!(story.says(3, Event::Truncated { from: Index(1) }).is_err());
    }

    #[test]
    fn what_it_cut_by_right_may_reach_its_disk_when_it_knows_better() {
        let mut story = committed_in_term_3();
        story.says(2, Event::Term { term: Term(2), vote: None }).unwrap();
        story.says(2, Event::Truncated { from: Index(1) }).unwrap();
        story.enters(2, 4, None);
        assert_eq!(story.stores(2, DiskFact::Cut { from: Index(1) }), Ok(()));
        story.stores(2, super::super::testing::entry(1, 1, "a")).unwrap();
        assert!(story.stores(2, DiskFact::Cut { from: Index(1) }).is_err(), "once");
    }

    #[test]
    fn what_an_earlier_boot_has_decided_excuses_nothing() {
        let mut story = committed_in_term_3();
        story.says(2, Event::Term { term: Term(2), vote: None }).unwrap();
        story.says(2, Event::Truncated { from: Index(1) }).unwrap();
        story.tell(&Fact::Crashed { node: NodeId(2) }).unwrap();
        story.boots(2);
        story.enters(2, 4, None);
        assert!(story.stores(2, DiskFact::Cut { from: Index(1) }).is_err());
    }

    /// The disk carries out what was decided in order, each by itself or several at once.
    #[test]
    fn a_deep_cut_does_not_stand_for_a_later_one() {
        let mut story = Story::new(3, NoUnAppend::default());
        for server in 1..=3 {
            story.enters(server, 1, None);
            (1..=3).for_each(|index| story.holds(server, index, 1, "a"));
        }
        story.enters(1, 4, None);
        story.says(1, Event::Committed { index: Index(3) }).unwrap();
        story.says(2, Event::Term { term: Term(2), vote: None }).unwrap();
        story.says(2, Event::Truncated { from: Index(2) }).unwrap();
        (2..=3).for_each(|index| story.says(2, super::super::testing::appended(index, 1, "a")).unwrap());
        story.says(2, Event::Truncated { from: Index(3) }).unwrap();
        story.enters(2, 5, None);
        assert_eq!(story.stores(2, DiskFact::Cut { from: Index(2) }), Ok(()));
        (2..=3).for_each(|index| story.stores(2, super::super::testing::entry(index, 1, "a")).unwrap());
        assert_eq!(story.stores(2, DiskFact::Cut { from: Index(3) }), Ok(()));
    }

    #[test]
    fn what_conflicts_with_a_committed_entry_must_be_removable() {
        let mut story = Story::new(3, NoUnAppend::default());
        story.holds(1, 1, 2, "a");
        story.holds(2, 1, 1, "old");
        story.says(1, Event::Committed { index: Index(1) }).unwrap();
        assert_eq!(story.says(2, Event::Truncated { from: Index(1) }), Ok(()));
    }
}
