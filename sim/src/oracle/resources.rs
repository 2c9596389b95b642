//! Logs stay short where snapshots are taken, and nobody talks without end.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::plan::Plan;
use crate::raft::DiskFact;
use labrpc::{Content, Index};
use std::collections::VecDeque;

static CARD: Card = Card {
    id: "resources",
    property: "With snapshots a log stays within a small multiple of the threshold; messages are in proportion to \
               time and work",
    source: "§7; the course's tests of log size and message counts",
    lesson: "A system that never forgets, or that retries without end, works until the night when it does not.",
    watches: &[Sort::Applied, Sort::StoresEntry, Sort::StoresCut, Sort::StoresSnapshot],
    when: When::After,
    needs: Needs::Nothing,
};

/// How many thresholds a log may hold that is applied and not covered by a snapshot, and what is always allowed:
/// entries that arrive while a snapshot is being written. On a disk that stalls for seconds these are many: of
/// 8,400 green runs the worst was 100 entries at a threshold of 3, and all others below 49 besides the threshold.
const THRESHOLDS: u64 = 2;
const SLACK: u64 = 160;

/// Messages that each pair of servers may exchange in a second, and for each committed entry. A heartbeat and its
/// answer take 2 x 10 at 100 ms; elections, retries and pieces of snapshots take the rest. Of 8,400 green runs the
/// worst took 38 % of this.
const PER_PAIR_AND_SECOND: f64 = 120.0;
const PER_PAIR_AND_ENTRY: f64 = 12.0;

/// The same for a service that counts bytes: beyond twice what makes a snapshot due, what arrives while one is being
/// written. Of 390 green runs none held more than makes one due.
const SLACK_BYTES: u64 = 4_000;

/// What the commands on a disk take, and the last snapshot.
#[derive(Clone, Default)]
struct Held {
    commands: VecDeque<(Index, u64)>,
    bytes: u64,
    snapshot: u64,
}

impl Held {
    fn learn(&mut self, fact: &DiskFact) {
        match fact {
            DiskFact::Entry { index, content: Content::Command(command), .. } => {
                self.commands.push_back((*index, command.len() as u64));
                self.bytes += command.len() as u64;
            }
            DiskFact::Cut { from } => {
                let kept = self.commands.partition_point(|(index, _)| index < from);
                self.bytes -= self.commands.drain(kept..).map(|(_, bytes)| bytes).sum::<u64>();
            }
            DiskFact::Snapshot { index, content, .. } => {
                let covered = self.commands.partition_point(|(at, _)| at <= index);
                self.bytes -= self.commands.drain(..covered).map(|(_, bytes)| bytes).sum::<u64>();
                self.snapshot = content.len() as u64;
            }
            DiskFact::Entry { .. } | DiskFact::Hard { .. } => {}
        }
    }

    /// What the commands up to there take.
    fn up_to(&self, applied: Index) -> u64 {
        let waiting = self.commands.iter().rev().take_while(|(index, _)| *index > applied);
        self.bytes - waiting.map(|(_, bytes)| bytes).sum::<u64>()
    }
}

/// See the card.
pub struct Resources {
    threshold: Option<u64>,
    threshold_bytes: Option<u64>,
    /// By server; only where bytes are counted.
    held: Vec<Held>,
    /// Clients that talk to servers over the same network.
    clients: usize,
}

impl Resources {
    /// The bounds for a plan.
    pub fn new(plan: &Plan) -> Resources {
        let clients = plan.clients.iter().filter(|client| client.is_kv()).count();
        let held = vec![Held::default(); plan.servers as usize + 1];
        let threshold_bytes = plan.knobs.snapshot_bytes.map(u64::from);
        Resources { threshold: plan.knobs.snapshot_every.map(u64::from), threshold_bytes, held, clients }
    }
}

impl Invariant for Resources {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        if let Some(threshold) = self.threshold_bytes {
            self.bytes(fact, threshold)?;
        }
        let (Fact::Applied { node, index, .. }, Some(threshold)) = (fact, self.threshold) else { return Ok(()) };
        let base = known.server(*node).durable.log.base;
        let held = index.0.saturating_sub(base.0);
        if held > THRESHOLDS * threshold + SLACK {
            return Err(format!(
                "{node} holds {held} applied entries in its log; a snapshot is due every {threshold}"
            ));
        }
        Ok(())
    }

    fn at_end(&mut self, known: &Known, seconds: f64, messages: u64) -> Verdict {
        let servers = known.servers().count() as f64;
        let pairs = servers * ((servers - 1.0).max(1.0) + self.clients as f64);
        let work = known.commit().0 as f64;
        let allowed = pairs * (PER_PAIR_AND_SECOND * (seconds + 1.0) + PER_PAIR_AND_ENTRY * work);
        if messages as f64 > allowed {
            return Err(format!(
                "{messages} messages in {seconds:.1} s for {work} entries; {allowed:.0} are allowed"
            ));
        }
        Ok(())
    }
}

impl Resources {
    fn bytes(&mut self, fact: &Fact<'_>, threshold: u64) -> Verdict {
        match fact {
            Fact::Durable { node, fact } => self.held[node.slot()].learn(fact),
            Fact::Applied { node, index, .. } => {
                let held = &self.held[node.slot()];
                let due = threshold.max(held.snapshot);
                let allowed = THRESHOLDS * due + SLACK_BYTES;
                // What waits to be applied is counted only where it could matter.
                if held.bytes > allowed && held.up_to(*index) > allowed {
                    let bytes = held.up_to(*index);
                    return Err(format!(
                        "{node} holds {bytes} bytes of applied commands in its log; a snapshot is due every {due}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Story;
    use super::*;
    use labrpc::Term;

    #[test]
    fn a_log_that_is_never_compacted_is_seen() {
        let mut plan = Plan::default();
        plan.knobs.snapshot_every = Some(1);
        let mut story = Story::new(1, Resources::new(&plan));
        let most = THRESHOLDS + SLACK;
        assert_eq!((1..=most).try_for_each(|index| story.applies(1, index, "a")), Ok(()));
        assert!(story.applies(1, most + 1, "a").unwrap_err().contains("due every 1"));
    }

    #[test]
    fn a_storm_of_messages_is_seen_at_the_end() {
        let mut resources = Resources::new(&Plan::default());
        let known = Known::new(3);
        assert_eq!(resources.at_end(&known, 10.0, 5_000), Ok(()));
        assert!(resources.at_end(&known, 10.0, 10_000).is_err());
    }

    #[test]
    fn where_bytes_count_they_are_counted() {
        let mut plan = Plan::default();
        plan.knobs.snapshot_bytes = Some(1_000);
        let mut story = Story::new(1, Resources::new(&plan));
        let command = "a".repeat(100);
        let most = (THRESHOLDS * 1_000 + SLACK_BYTES) / 100;
        for index in 1..=most {
            story.holds(1, index, 1, &command);
            assert_eq!(story.applies(1, index, &command), Ok(()));
        }
        for index in most + 1..=most + 5 {
            story.holds(1, index, 1, &command);
        }
        story.stores(1, DiskFact::Cut { from: Index(most + 2) }).unwrap();
        assert!(story.applies(1, most + 1, &command).unwrap_err().contains("due every 1000"));
        let snapshot = DiskFact::Snapshot { index: Index(most), term: Term(1), content: Default::default() };
        story.stores(1, snapshot).unwrap();
        assert_eq!(story.applies(1, most + 1, &command), Ok(()));
    }
}
