//! What only ever rises: terms, commit and match indexes, snapshots; in memory and on the disk.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::raft::DiskFact;
use labrpc::{Event, NodeId, Role};

static CARD: Card = Card {
    id: "monotonic",
    property: "Term, vote of a term, commit index, snapshot index and a leader's match indexes never go back",
    source: "Figure 2: latest term seen; initialized to 0, increases monotonically",
    lesson: "Each of these is a promise or a measurement. A message that comes late may tell of an older value; \
             it must never bring it back.",
    watches: &[
        Sort::SaysTerm,
        Sort::SaysCommitted,
        Sort::SaysSnapshot,
        Sort::SaysProgress,
        Sort::StoresHard,
        Sort::StoresSnapshot,
    ],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct Monotonic;

impl Invariant for Monotonic {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Emitted { node, event } => in_memory(known, *node, event),
            Fact::Durable { node, fact } => on_disk(known, *node, fact),
            _ => Ok(()),
        }
    }
}

fn in_memory(known: &Known, node: NodeId, event: &Event) -> Verdict {
    let Some(memory) = known.memory(node) else { return Ok(()) };
    let falls = |what: &str, from: &dyn std::fmt::Display, to: &dyn std::fmt::Display| {
        Err(format!("{node}: {what} goes back from {from} to {to}"))
    };
    match event {
        Event::Term { term, .. } if *term < memory.term => falls("term", &memory.term, term),
        Event::Committed { index } if *index < memory.commit => falls("commit index", &memory.commit, index),
        Event::Compacted { index, .. } | Event::Installed { index, .. } if *index < memory.log.base => {
            falls("snapshot", &memory.log.base, index)
        }
        Event::Installed { index, .. } if *index < memory.commit => {
            falls("the state, by a snapshot", &memory.commit, index)
        }
        Event::Progress { peer, matched, .. } if memory.role == Role::Leader => {
            let before = memory.progress.get(peer).map_or(*matched, |(matched, _)| *matched);
            if *matched < before { falls(&format!("match index of {peer}"), &before, matched) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn on_disk(known: &Known, node: NodeId, fact: &DiskFact) -> Verdict {
    let durable = &known.server(node).durable;
    match fact {
        DiskFact::Hard { term, .. } if *term < durable.term => {
            Err(format!("{node}: the term on the disk goes back from {} to {term}", durable.term))
        }
        DiskFact::Hard { term, vote }
            if *term == durable.term && durable.vote.is_some() && *vote != durable.vote =>
        {
            let name = |vote: Option<NodeId>| vote.map_or("nobody".into(), |node| node.to_string());
            let (before, now) = (name(durable.vote), name(*vote));
            Err(format!("{node}: the vote on the disk in {term} changes from {before} to {now}"))
        }
        DiskFact::Snapshot { index, .. } if *index < durable.log.base => {
            Err(format!("{node}: the snapshot on the disk goes back from {} to {index}", durable.log.base))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, entry};
    use super::*;
    use bytes::Bytes;
    use labrpc::{Index, Term};

    #[test]
    fn terms_rise_in_memory_and_on_the_disk() {
        let mut story = Story::new(1, Monotonic);
        story.enters(1, 3, None);
        assert!(story.says(1, Event::Term { term: Term(2), vote: None }).is_err());
        assert!(story.stores(1, DiskFact::Hard { term: Term(2), vote: None }).is_err());
    }

    #[test]
    fn a_vote_is_not_taken_back() {
        let mut story = Story::new(1, Monotonic);
        story.enters(1, 3, Some(1));
        assert!(story.stores(1, DiskFact::Hard { term: Term(3), vote: None }).is_err());
    }

    #[test]
    fn snapshots_and_commit_indexes_rise() {
        let mut story = Story::new(1, Monotonic);
        let snapshot = |index| DiskFact::Snapshot { index: Index(index), term: Term(1), content: Bytes::new() };
        story.stores(1, entry(1, 1, "a")).unwrap();
        assert_eq!(story.stores(1, snapshot(5)), Ok(()));
        assert!(story.stores(1, snapshot(4)).is_err());
        let installed = |index| Event::Installed { index: Index(index), term: Term(1), kept_suffix: false };
        assert_eq!(story.says(1, installed(5)), Ok(()));
        assert!(story.says(1, Event::Committed { index: Index(4) }).is_err());
        assert!(story.says(1, installed(4)).is_err());
    }

    #[test]
    fn match_indexes_rise_within_a_term_of_leadership_and_begin_anew_in_the_next() {
        let mut story = Story::new(2, Monotonic);
        let progress = |matched| Event::Progress { peer: NodeId(2), matched: Index(matched), next: Index(9) };
        story.leads(1, 1).unwrap();
        assert_eq!(story.says(1, progress(5)), Ok(()));
        assert!(story.says(1, progress(4)).is_err());
        story.leads(1, 2).unwrap();
        assert_eq!(story.says(1, progress(4)), Ok(()));
    }
}
