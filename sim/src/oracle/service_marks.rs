//! The marks of services: what is rare among operations, and among shards that move.

use super::marks::Mark;
use super::{GroupAt, MARKS};
use labrpc::{Event, Role, ShardChange};
use std::collections::{BTreeMap, BTreeSet};

/// A shard on its way.
#[derive(Clone, Copy, Debug)]
struct Moving {
    from: u64,
    /// None: nobody knows yet.
    to: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct ServiceMarks {
    counts: [u32; MARKS.len()],
    /// The copies that groups keep of shards that they have given away: shard, group and configuration.
    copies: BTreeSet<(u32, u64, u64)>,
    moving: BTreeMap<u32, Moving>,
    /// The latest configuration that any group has adopted.
    latest: u64,
}

impl Default for ServiceMarks {
    fn default() -> ServiceMarks {
        let (copies, moving) = Default::default();
        ServiceMarks { counts: [0; MARKS.len()], copies, moving, latest: 0 }
    }
}

impl ServiceMarks {
    /// How often each mark was reached, in the order of [`MARKS`].
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    fn hit(&mut self, mark: Mark) {
        self.counts[mark as usize] += 1;
    }

    /// An operation that was executed is in the log again.
    pub fn is_there_again(&mut self) {
        self.hit(Mark::OperationAgain);
    }

    /// A client gives up an operation that may have been executed.
    pub fn gives_up(&mut self) {
        self.hit(Mark::OutcomeUnknown);
    }

    /// Something has become of a group or a shard for the first time: not when a log is applied again.
    pub fn news(&mut self, event: &Event) {
        match event {
            Event::ConfigAdopted { config, .. } => {
                if *config + 2 <= self.latest {
                    self.hit(Mark::GroupFarBehind);
                }
                self.latest = self.latest.max(*config);
            }
            Event::Shard { group, shard, config, change } => self.changes(*group, *shard, *config, change),
            _ => {}
        }
    }

    fn changes(&mut self, group: u64, shard: u32, config: u64, change: &ShardChange) {
        let copies: Vec<u64> = self.copies.range((shard, 0, 0)..(shard + 1, 0, 0)).map(|(_, at, _)| *at).collect();
        match change {
            ShardChange::Frozen { to, .. } => {
                if to.is_none() {
                    self.hit(Mark::ShardOfNobody);
                }
                if copies.iter().any(|at| *at != group) {
                    self.hit(Mark::ShardWentOn);
                }
                self.copies.insert((shard, group, config));
                self.moving.insert(shard, Moving { from: group, to: *to });
            }
            ShardChange::Installed { from, .. } => {
                if *from != group && copies.contains(&group) {
                    self.hit(Mark::ShardCameBack);
                }
                self.moving.remove(&shard);
            }
            ShardChange::Deleted => _ = self.copies.remove(&(shard, group, config)),
            ShardChange::Created | ShardChange::Unreadable { .. } => {}
        }
    }

    /// A server of a group has said something.
    pub fn says(&mut self, group: GroupAt, event: &Event) {
        if self.moving.is_empty() {
            return;
        }
        let mark = match event {
            Event::Role { role: Role::Leader, .. } => Mark::LeaderWhileMoving,
            Event::SnapshotSent { .. } => Mark::SnapshotWhileMoving,
            _ => return,
        };
        let group = group.word() + 1;
        if self.moving.values().any(|Moving { from, to }| *from == group || *to == Some(group)) {
            self.hit(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labrpc::Term;

    fn shard(group: u64, config: u64, change: ShardChange) -> Event {
        Event::Shard { group, shard: 3, config, change }
    }

    fn reached(events: &[Event]) -> Vec<&'static str> {
        let mut marks = ServiceMarks::default();
        events.iter().for_each(|event| marks.news(event));
        MARKS.iter().zip(marks.counts()).filter(|(_, count)| **count > 0).map(|(label, _)| *label).collect()
    }

    fn frozen(to: u64) -> ShardChange {
        ShardChange::Frozen { to: Some(to), hash: 0 }
    }

    fn installed(from: u64) -> ShardChange {
        ShardChange::Installed { from, frozen: 0, hash: 0 }
    }

    #[test]
    fn a_shard_that_goes_and_stays_is_nothing_rare() {
        let events = [shard(2, 1, frozen(3)), shard(3, 2, installed(2)), shard(2, 1, ShardChange::Deleted)];
        assert_eq!(reached(&events), [""; 0]);
        let again = [shard(3, 3, frozen(2)), shard(2, 4, installed(3))];
        assert_eq!(reached(&[&events[..], &again].concat()), [""; 0]);
    }

    #[test]
    fn copies_that_are_still_there_are_rare() {
        let on = [shard(2, 1, frozen(3)), shard(3, 2, installed(2)), shard(3, 3, frozen(4))];
        assert_eq!(reached(&on), ["a shard was given away while an older copy of it was kept elsewhere"]);
        let back = [&on[..2], &[shard(3, 3, frozen(2)), shard(2, 4, installed(3))]].concat();
        assert!(reached(&back).contains(&"a shard came back to a group that still kept a copy of it"));
        let nobody = [shard(2, 1, ShardChange::Frozen { to: None, hash: 0 })];
        assert_eq!(reached(&nobody), ["a shard was given away to nobody yet"]);
    }

    #[test]
    fn a_group_is_behind_when_two_newer_configurations_are_there() {
        let adopts = |group, config| Event::ConfigAdopted { group, config };
        assert_eq!(reached(&[adopts(2, 2), adopts(3, 1)]), [""; 0]);
        assert_eq!(
            reached(&[adopts(2, 3), adopts(3, 1)]),
            ["a group took on a configuration when two newer ones were there"]
        );
    }

    #[test]
    fn elections_count_in_groups_that_have_to_do_with_it() {
        let leads = Event::Role { role: Role::Leader, term: Term(1) };
        let mut marks = ServiceMarks::default();
        let count = |marks: &ServiceMarks| marks.counts()[Mark::LeaderWhileMoving as usize];
        let group = |number: u64| GroupAt::of_word(number - 1);
        marks.says(group(2), &leads);
        marks.news(&shard(2, 1, frozen(3)));
        marks.says(group(4), &leads);
        assert_eq!(count(&marks), 0);
        [2, 3].into_iter().for_each(|number| marks.says(group(number), &leads));
        assert_eq!(count(&marks), 2);
        marks.news(&shard(3, 2, installed(2)));
        marks.says(group(2), &leads);
        assert_eq!(count(&marks), 2);
    }
}
