//! Logs stay short where snapshots are taken, and nobody talks without end.

use super::{Card, Fact, Invariant, Known, Messages, Needs, Sort, Verdict, When};
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

// Of several groups each has a bound of its own, so that one that storms cannot hide behind others that are quiet:
//
// - Its own messages, among its servers and with clients, are held against its own pairs and its own entries, as if it
//   were alone. Clients that never had to do with it make no pairs.
// - What it sends to other groups is counted by itself: else the many pairs there would make room for a storm within.
//   Each answers for what it sends, not for what it is sent. An entry of any group may be what such a message is for
//   (the one that asks for something commits it, and not the one that sends it), so all count as work.

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
}

impl Resources {
    /// The bounds for a plan.
    pub fn new(plan: &Plan) -> Resources {
        let held = vec![Held::default(); plan.server_count() as usize + 1];
        let threshold_bytes = plan.knobs.snapshot_bytes.map(u64::from);
        Resources { threshold: plan.knobs.snapshot_every.map(u64::from), threshold_bytes, held }
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

    fn at_end(&mut self, known: &Known, seconds: f64, messages: &Messages) -> Verdict {
        let servers = known.servers().count() as f64;
        let pairs = servers * ((servers - 1.0).max(1.0) + f64::from(messages.clients));
        in_proportion("messages", messages.own, pairs, seconds, known.commit().0)?;
        let pairs = servers * f64::from(messages.others);
        in_proportion("messages to other groups", messages.across, pairs, seconds, messages.work)
    }
}

/// Whether so many messages are in proportion to the pairs that exchange them, the time, and the entries committed.
fn in_proportion(what: &str, messages: u64, pairs: f64, seconds: f64, work: u64) -> Verdict {
    let allowed = pairs * (PER_PAIR_AND_SECOND * (seconds + 1.0) + PER_PAIR_AND_ENTRY * work as f64);
    if messages as f64 > allowed {
        return Err(format!("{messages} {what} in {seconds:.1} s for {work} entries; {allowed:.0} are allowed"));
    }
    Ok(())
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
    use labrpc::{NodeId, Term};

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
        let own = |own| Messages { own, ..Messages::default() };
        assert_eq!(resources.at_end(&known, 10.0, &own(5_000)), Ok(()));
        assert!(resources.at_end(&known, 10.0, &own(10_000)).is_err());
    }

    /// Three of a group, six elsewhere: room for what goes across is no room for what goes on within.
    #[test]
    fn messages_to_other_groups_are_counted_by_themselves() {
        let mut resources = Resources::new(&Plan { groups: 3, ..Plan::default() });
        let known = Known::of_group(NodeId(4), 3);
        let messages = |own, across| Messages { own, across, others: 6, ..Messages::default() };
        assert_eq!(resources.at_end(&known, 10.0, &messages(5_000, 20_000)), Ok(()));
        assert!(resources.at_end(&known, 10.0, &messages(10_000, 0)).unwrap_err().contains("10000 messages in"));
        let why = resources.at_end(&known, 10.0, &messages(0, 30_000)).unwrap_err();
        assert!(why.contains("30000 messages to other groups"), "{why}");
        // What any group commits is a reason to talk to each other.
        let work = Messages { work: 100, ..messages(0, 30_000) };
        assert_eq!(resources.at_end(&known, 10.0, &work), Ok(()));
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
