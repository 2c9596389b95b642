//! What a leader commits is of its term and on the disks of a majority.

use super::{Card, Fact, Invariant, Known, LogView, Needs, Sort, Verdict, When};
use labrpc::sim::NodeSet;
use labrpc::{Event, Index, NodeId, Role};

static CARD: Card = Card {
    id: "commit-quorum",
    property: "A leader commits an entry of its own term that a majority holds durably, and what is in front of it",
    source: "Figure 2, leaders, last rule; §5.3, §5.4.2; thesis 10.2.1",
    lesson: "Count disks and not memories, count each once, and count only entries of the current term: an older \
             entry on a majority can still be overwritten (Figure 8).",
    watches: &[Sort::SaysCommitted, Sort::Applied],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct CommitQuorum;

impl Invariant for CommitQuorum {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event: Event::Committed { index } } => committed(known, *node, *index),
            // One that says nothing shows what it takes for committed by applying it.
            Fact::Applied { node, index, hash, .. } if *index > known.commit() => {
                let holds = |log: &LogView| log.get(*index).map_or(*index <= log.base, |item| item.hash == *hash);
                let copies = known.who(|server| holds(&server.durable.log));
                majority(known, *node, "applies", *index, copies)
            }
            _ => Ok(()),
        }
    }
}

fn committed(known: &Known, leader: NodeId, index: Index) -> Verdict {
    let Some(memory) = known.memory(leader) else { return Ok(()) };
    let Some(item) = memory.log.get(index) else { return Ok(()) };
    if memory.role != Role::Leader {
        // A follower is told what is committed, and the leader said so before. One that says more has made it up.
        let copies = known.durable_copies(index, item.term, item.hash);
        return if index > known.commit() { majority(known, leader, "commits", index, copies) } else { Ok(()) };
    }
    if item.term != memory.term {
        return Err(format!(
            "{leader} leads {} and commits {index}, an entry of {}, by itself",
            memory.term, item.term
        ));
    }
    let copies = known.lasting_copies(index, item.term, item.hash);
    majority(known, leader, "commits", index, copies)
}

/// A majority is one of the voters whom the server has in force (thesis 4.1).
fn majority(known: &Known, node: NodeId, does: &str, index: Index, copies: NodeSet) -> Verdict {
    let electorate = known.electorate_of(node);
    if !electorate.decides(copies) {
        let (copies, all) = (electorate.count(copies), electorate.voters.len());
        let what = if electorate.members == known.all() { "servers" } else { "voters" };
        return Err(format!("{node} {does} {index}, which {copies} of {all} {what} hold durably"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended};
    use super::*;

    fn commit(story: &mut Story<CommitQuorum>, index: u64) -> Verdict {
        story.says(1, Event::Committed { index: Index(index) })
    }

    #[test]
    fn a_majority_of_disks_commits_and_less_does_not() {
        let mut story = Story::new(3, CommitQuorum);
        story.enters(1, 1, Some(1));
        story.leads(1, 1).unwrap();
        story.holds(1, 1, 1, "a");
        story.says(2, appended(1, 1, "a")).unwrap();
        assert!(commit(&mut story, 1).unwrap_err().contains("1 of 3"), "a copy in memory does not count");
        story.stores(2, super::super::testing::entry(1, 1, "a")).unwrap();
        assert_eq!(commit(&mut story, 1), Ok(()));
    }

    #[test]
    fn a_disk_from_which_it_is_about_to_be_cut_does_not_count() {
        let mut story = Story::new(3, CommitQuorum);
        story.enters(1, 1, Some(1));
        story.leads(1, 1).unwrap();
        story.holds(1, 1, 1, "a");
        story.holds(2, 1, 1, "a");
        story.says(2, Event::Truncated { from: Index(1) }).unwrap();
        assert!(commit(&mut story, 1).unwrap_err().contains("1 of 3"), "its disk will follow its memory");
    }

    #[test]
    fn an_entry_of_an_older_term_is_not_committed_by_counting() {
        let mut story = Story::new(3, CommitQuorum);
        for server in 1..=3 {
            story.holds(server, 1, 1, "a");
        }
        story.enters(1, 2, Some(1));
        story.leads(1, 2).unwrap();
        assert!(commit(&mut story, 1).unwrap_err().contains("an entry of T1, by itself"));
        story.holds(1, 2, 2, "b");
        story.holds(2, 2, 2, "b");
        assert_eq!(commit(&mut story, 2), Ok(()), "it is committed by one of the current term behind it");
    }

    #[test]
    fn a_follower_does_not_commit_what_no_majority_holds() {
        let mut story = Story::new(3, CommitQuorum);
        story.enters(1, 1, None);
        story.holds(1, 1, 1, "a");
        assert!(commit(&mut story, 1).unwrap_err().contains("1 of 3"));
        story.holds(2, 1, 1, "a");
        assert_eq!(commit(&mut story, 1), Ok(()));
    }

    #[test]
    fn what_is_applied_is_on_disks_and_not_something_else() {
        let mut story = Story::new(3, CommitQuorum);
        assert!(story.applies(1, 1, "a").is_err(), "it is on nobody's disk");
        for server in 1..=3 {
            story.stores(server, super::super::testing::entry(1, 1, "b")).unwrap();
        }
        assert!(story.applies(1, 1, "a").is_err(), "there is something else on all disks");
    }

    #[test]
    fn one_that_says_nothing_is_judged_by_what_it_applies() {
        let mut story = Story::new(3, CommitQuorum);
        story.stores(1, super::super::testing::entry(1, 1, "a")).unwrap();
        assert!(story.applies(1, 1, "a").is_err());
        story.stores(2, super::super::testing::entry(1, 1, "a")).unwrap();
        assert_eq!(story.applies(1, 1, "a"), Ok(()));
    }
}
