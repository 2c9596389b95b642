//! Logs stay short where snapshots are taken, and nobody talks without end.

use super::{Card, Fact, Invariant, Known, Messages, Needs, Sort, Verdict, When};
use crate::plan::Plan;
use crate::raft::DiskFact;
use labrpc::{Content, Index, NodeId, Time};
use std::collections::VecDeque;
use std::time::Duration;

static CARD: Card = Card {
    id: "resources",
    property: "With snapshots a log stays within a small multiple of the threshold; messages are in proportion to \
               time and work",
    source: "§7; the course's tests of log size and message counts",
    lesson: "A system that never forgets, or that retries without end, works until the night when it does not.",
    watches: &[Sort::Booting, Sort::Applied, Sort::StoresEntry, Sort::StoresCut, Sort::StoresSnapshot],
    when: When::After,
    needs: Needs::Nothing,
};

/// How many thresholds a log may hold that is applied and not covered by a snapshot, besides what was applied a moment ago; and for
/// safety a little more. Of 6,800 green runs none held more than the thresholds.
const THRESHOLDS: u64 = 2;
const SLACK: u64 = 20;

/// What was applied so recently may be in the log whatever there is of it: snapshots take time to write. Only time in which the disk
/// works counts. While a leader's disk stands still its followers commit without it, and when it works again all of that is
/// applied at once; no number of entries bounds that. A second is several times what the slowest disk of the laboratory takes for
/// two snapshots, one that is being written and the next.
const RECENT: Duration = Duration::from_secs(1);

/// What was applied so long ago is old in any case: nothing in the laboratory stands still for longer.
const LONG_AGO: Duration = Duration::from_secs(10);

/// A disk of which nothing is heard for longer than this may stand still: the rest of the pause is no time in which it works.
const PAUSE: Duration = Duration::from_millis(50);

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

/// The same for a service that counts bytes, beyond twice what makes a snapshot due.
const SLACK_BYTES: u64 = 1_000;

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

/// What a server has applied, and when.
#[derive(Clone, Default)]
struct Pace {
    /// For how long its disk has worked.
    worked: Duration,
    /// When it made something durable last.
    moved: Time,
    /// Entries, with how long it had worked when they were applied, and when that was.
    applied: VecDeque<(Index, Duration, Time)>,
}

impl Pace {
    /// It makes something durable.
    fn works(&mut self, now: Time) {
        self.worked += now.since(self.moved).min(PAUSE);
        self.moved = now;
    }

    /// An entry is applied. The last one that was not applied just now; what snapshots cover is of no interest.
    fn applies(&mut self, now: Time, index: Index, base: Index) -> Index {
        self.applied.push_back((index, self.worked, now));
        while self.applied.front().is_some_and(|(at, ..)| *at <= base) {
            self.applied.pop_front();
        }
        let is_old = |(_, worked, at): &(Index, Duration, Time)| {
            *worked + RECENT <= self.worked || now.since(*at) >= LONG_AGO
        };
        let old = self.applied.partition_point(is_old);
        old.checked_sub(1).map_or(base, |last| self.applied[last].0)
    }
}

/// See the card.
pub struct Resources {
    threshold: Option<u64>,
    threshold_bytes: Option<u64>,
    /// By server; only where bytes are counted.
    held: Vec<Held>,
    /// By server.
    paces: Vec<Pace>,
}

impl Resources {
    /// The bounds for a plan.
    pub fn new(plan: &Plan) -> Resources {
        let servers = plan.server_count() as usize + 1;
        let (held, paces) = (vec![Held::default(); servers], vec![Pace::default(); servers]);
        let threshold_bytes = plan.knobs.snapshot_bytes.map(u64::from);
        Resources { threshold: plan.knobs.snapshot_every.map(u64::from), threshold_bytes, held, paces }
    }
}

impl Invariant for Resources {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        if self.threshold.is_none() && self.threshold_bytes.is_none() {
            return Ok(());
        }
        match fact {
            Fact::Durable { node, fact } => {
                self.paces[node.slot()].works(known.stamp.at);
                if self.threshold_bytes.is_some() {
                    self.held[node.slot()].learn(fact);
                }
                Ok(())
            }
            Fact::Booting { node, .. } => {
                self.paces[node.slot()].applied.clear();
                Ok(())
            }
            Fact::Applied { node, index, .. } => {
                let base = known.server(*node).durable.log.base;
                let old = self.paces[node.slot()].applies(known.stamp.at, *index, base);
                self.entries(*node, old.0.saturating_sub(base.0)).and_then(|()| self.bytes(*node, old))
            }
            _ => Ok(()),
        }
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
    /// So many entries were applied a while ago and are in the log.
    fn entries(&self, node: NodeId, held: u64) -> Verdict {
        match self.threshold {
            Some(threshold) if held > THRESHOLDS * threshold + SLACK => {
                Err(format!("{node} holds {held} applied entries in its log; a snapshot is due every {threshold}"))
            }
            _ => Ok(()),
        }
    }

    /// What was applied a while ago ends with this entry.
    fn bytes(&self, node: NodeId, old: Index) -> Verdict {
        let Some(threshold) = self.threshold_bytes else { return Ok(()) };
        let held = &self.held[node.slot()];
        let due = threshold.max(held.snapshot);
        let allowed = THRESHOLDS * due + SLACK_BYTES;
        // What came later is counted only where it could matter.
        if held.bytes > allowed && held.up_to(old) > allowed {
            let bytes = held.up_to(old);
            return Err(format!(
                "{node} holds {bytes} bytes of applied commands in its log; a snapshot is due every {due}"
            ));
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
        let seconds = |story: &mut Story<Resources>| {
            for nth in 0..40 {
                story.now += PAUSE;
                story.holds(1, nth + 1, 1, "a");
            }
        };
        assert_eq!((1..=most).try_for_each(|index| story.applies(1, index, "a")), Ok(()));
        seconds(&mut story);
        assert_eq!(story.applies(1, most + 1, "a"), Ok(()));
        seconds(&mut story);
        assert!(story.applies(1, most + 2, "a").unwrap_err().contains("due every 1"));
    }

    /// What was applied a second ago, by a disk that works all the time, and by one that stands still in between.
    #[test]
    fn only_time_in_which_the_disk_works_makes_entries_old() {
        let ms = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let none = Index(0);
        let mut pace = Pace::default();
        (0..=20).for_each(|nth| pace.works(ms(nth * 50)));
        assert_eq!([1, 2].map(|index| pace.applies(ms(1_000), Index(index), none)), [none; 2]);
        (21..=39).for_each(|nth| pace.works(ms(nth * 50)));
        assert_eq!(pace.applies(ms(1_950), Index(3), none), none, "950 ms");
        pace.works(ms(2_000));
        assert_eq!(pace.applies(ms(2_000), Index(4), none), Index(2), "a second");
        pace.works(ms(9_000));
        assert_eq!(pace.applies(ms(9_000), Index(5), none), Index(2), "seven seconds of which nobody heard");
        (0..20).for_each(|nth| pace.works(ms(9_050 + nth * 50)));
        assert_eq!(pace.applies(ms(10_000), Index(6), Index(3)), Index(5));
        assert_eq!(pace.applies(ms(10_000), Index(7), Index(6)), Index(6), "all that is old is covered");
        assert_eq!(pace.applies(ms(20_000), Index(8), Index(6)), Index(7), "too long ago, whatever the disk did");
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
        assert_eq!(story.applies(1, most + 1, &command), Ok(()));
        for _ in 0..20 {
            story.now += PAUSE;
            story.stores(1, DiskFact::Cut { from: Index(most + 3) }).unwrap();
        }
        assert!(story.applies(1, most + 2, &command).unwrap_err().contains("due every 1000"));
        let snapshot = DiskFact::Snapshot { index: Index(most), term: Term(1), content: Default::default() };
        story.stores(1, snapshot).unwrap();
        assert_eq!(story.applies(1, most + 2, &command), Ok(()));
    }
}
