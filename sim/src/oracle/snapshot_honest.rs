//! A snapshot holds the state that its label says.

use super::{Card, Fact, Invariant, Known, Needs, ServiceSnapshot, Sort, Verdict, When};
use crate::raft::DiskFact;
use labrpc::{Index, NodeId};

static CARD: Card = Card {
    id: "snapshot-honest",
    property: "A snapshot labelled with an index holds the service's state after exactly that entry",
    source: "§7: the state machine's state as of the last included index",
    lesson: "Label and content travel separately through the code: the index belongs to Raft, the bytes to the \
             service. Whatever pairs them again must be sure that they are a pair.",
    watches: &[Sort::StoresSnapshot, Sort::Restored],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct SnapshotHonest;

impl Invariant for SnapshotHonest {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match fact {
            Fact::Durable { node, fact: DiskFact::Snapshot { index, content, .. } } => {
                let Ok(snapshot) = labgob::decode::<ServiceSnapshot>(content) else {
                    return Err(format!(
                        "the snapshot of {index} on the disk of {node} is not one that a service made"
                    ));
                };
                if snapshot.index != *index {
                    return Err(format!(
                        "the snapshot on the disk of {node} is labelled {index} and holds the state at {}",
                        snapshot.index
                    ));
                }
                is_state_at(known, *node, *index, snapshot.digest)
            }
            Fact::Restored { node, index, digest } if !known.own_state => {
                is_state_at(known, *node, *index, *digest)
            }
            _ => Ok(()),
        }
    }
}

fn is_state_at(known: &Known, node: NodeId, index: Index, digest: u64) -> Verdict {
    let expected = if known.own_state { known.state(index) } else { known.committed_digest(index) };
    match expected {
        Some(expected) if expected == digest => Ok(()),
        Some(_) => Err(format!("the snapshot of {index} at {node} holds another state than that after {index}")),
        None => {
            Err(format!("the snapshot of {index} at {node} reaches behind what is committed ({})", known.commit()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, content, node};
    use super::super::{extend_digest, hash_of};
    use super::*;
    use labrpc::Term;

    fn snapshot(label: u64, index: u64, digest: u64) -> DiskFact {
        let content = ServiceSnapshot { index: Index(index), digest, ballast: Default::default() };
        let content = labgob::encode(&content).unwrap().into();
        DiskFact::Snapshot { index: Index(label), term: Term(1), content }
    }

    #[test]
    fn label_and_content_are_a_pair() {
        let mut story = Story::new(1, SnapshotHonest);
        story.applies(1, 1, "a").unwrap();
        story.applies(1, 2, "b").unwrap();
        let first = extend_digest(0, hash_of(&content("a")));
        let second = extend_digest(first, hash_of(&content("b")));
        assert_eq!(story.stores(1, snapshot(1, 1, first)), Ok(()));
        assert!(story.stores(1, snapshot(2, 1, first)).unwrap_err().contains("labelled #2"));
        assert!(story.stores(1, snapshot(2, 2, first)).unwrap_err().contains("another state"));
        assert!(story.stores(1, snapshot(3, 3, second)).unwrap_err().contains("reaches behind"));
        assert!(story.tell(&Fact::Restored { node: node(1), index: Index(2), digest: first }).is_err());
        assert_eq!(story.stores(1, snapshot(2, 2, second)), Ok(()));
    }
}
