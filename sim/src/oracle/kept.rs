//! What the groups of a sharded store have to keep, in bytes: the shards that they serve, the copies of those that they have
//! given away as long as these have not been deleted, and the parts of those that are coming.
//!
//! It comes from what servers say of shards and from what they have executed, not from what they hold.

use super::Verdict;
use crate::kv::Place;
use labrpc::{Index, NodeId, ShardChange};
use std::collections::{BTreeMap, BTreeSet};

/// What a snapshot may take for each byte that it must: another's format may be more wordy than is assumed here.
const TIMES: u64 = 2;
/// And for what is not of any shard: configurations, and who is in each group.
const SLACK: u64 = 1_000;
/// What a shard or a copy takes besides its content: whose, since when, its digest, and where the rest of it is.
const OF_SHARD: u64 = 100;
/// A disk may hold two snapshots, the last one and the one that has just replaced it, and a log as long as makes the next
/// one due, twice ([`super::resources`] sees to that, in commands), with what frames it.
const SNAPSHOTS: u64 = 6;
/// What arrives meanwhile.
const SLACK_OF_DISK: u64 = 10_000;

/// A group.
#[derive(Debug, Default)]
struct Group {
    serves: BTreeSet<u32>,
    /// What it has frozen, by configuration and shard.
    frozen: BTreeMap<(u64, u32), u64>,
    /// What all of this takes, from each entry on.
    bytes: Vec<(Index, u64)>,
}

/// A shard on its way.
#[derive(Clone, Copy, Debug)]
struct Coming {
    shard: u32,
    /// To whom; none: nobody knows yet.
    to: Option<u32>,
    bytes: u64,
    /// The entry with which it was there.
    there: Option<Index>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Kept {
    groups: BTreeMap<u32, Group>,
    coming: Vec<Coming>,
    /// What the last snapshot of each server covers.
    snapshots: BTreeMap<NodeId, Index>,
}

impl Kept {
    /// Something happens to a shard with an entry. `size` knows how large shards are.
    pub fn moves(
        &mut self,
        place: Place,
        (shard, config): (u32, u64),
        change: &ShardChange,
        size: impl Fn(u32) -> u64,
    ) {
        let group = self.groups.entry(place.group).or_default();
        match change {
            ShardChange::Created => _ = group.serves.insert(shard),
            ShardChange::Installed { from, frozen, .. } => {
                group.serves.insert(shard);
                // Whoever gets back what it froze itself serves that very copy.
                if *from == u64::from(place.group) {
                    group.frozen.remove(&(*frozen, shard));
                }
                let mine = |coming: &&mut Coming| coming.shard == shard && coming.there.is_none();
                self.coming.iter_mut().filter(mine).for_each(|coming| {
                    (coming.to, coming.there) = (Some(place.group), Some(place.index));
                });
            }
            ShardChange::Frozen { to, .. } => {
                group.serves.remove(&shard);
                group.frozen.insert((config, shard), size(shard));
                let to = to.and_then(|to| u32::try_from(to).ok());
                self.coming.push(Coming { shard, to, bytes: size(shard), there: None });
            }
            ShardChange::Deleted => _ = group.frozen.remove(&(config, shard)),
            // A violation by itself: `shard-ownership` says so.
            ShardChange::Unreadable { .. } => {}
        }
        self.grows(place, size);
    }

    /// Something has become of the shards of a group with an entry.
    pub fn grows(&mut self, place: Place, size: impl Fn(u32) -> u64) {
        let group = self.groups.entry(place.group).or_default();
        let served = group.serves.iter().map(|shard| size(*shard)).sum::<u64>();
        let count = (group.serves.len() + group.frozen.len()) as u64;
        let bytes = served + group.frozen.values().sum::<u64>() + count * OF_SHARD;
        match group.bytes.last_mut() {
            Some((index, last)) if *index == place.index => *last = bytes,
            _ => group.bytes.push((place.index, bytes)),
        }
    }

    /// What a group has to keep behind an entry. None: it has never had to do with any shard.
    fn bytes(&self, Place { group, index }: Place) -> Option<u64> {
        let of_group = self.groups.get(&group)?;
        let behind = of_group.bytes.partition_point(|(at, _)| *at <= index);
        let kept = behind.checked_sub(1).map_or(0, |last| of_group.bytes[last].1);
        let is_coming = |coming: &&Coming| {
            coming.to.is_none_or(|to| to == group) && coming.there.is_none_or(|there| there > index)
        };
        Some(kept + self.coming.iter().filter(is_coming).map(|coming| coming.bytes).sum::<u64>())
    }

    /// The most that a group has had to keep from an entry on, with what is coming to it.
    fn most_from(&self, Place { group, index }: Place) -> u64 {
        let Some(of_group) = self.groups.get(&group) else { return 0 };
        // What was so at that entry was said at it or before.
        let from = of_group.bytes.partition_point(|(at, _)| *at <= index).saturating_sub(1);
        let most = of_group.bytes[from..].iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
        let is_coming = |coming: &&Coming| {
            coming.to.is_none_or(|to| to == group) && coming.there.is_none_or(|there| there > index)
        };
        most + self.coming.iter().filter(is_coming).map(|coming| coming.bytes).sum::<u64>()
    }

    /// A snapshot that covers an entry is durable, and takes so many bytes; and all that is on that disk so many. A snapshot is
    /// due after `threshold` bytes of the log, if ever.
    pub fn holds(&mut self, node: NodeId, place: Place, snapshot: u64, disk: u64, threshold: u64) -> Verdict {
        let before = self.snapshots.insert(node, place.index).unwrap_or_default();
        let Some(bytes) = self.bytes(place) else { return Ok(()) };
        let allowed = TIMES * bytes + SLACK;
        if snapshot > allowed {
            return Err(format!(
                "a snapshot of {} takes {snapshot} bytes; what the group has to keep behind that takes {bytes}",
                place.index
            ));
        }
        // There is the snapshot before this one too, and a log with what has come and gone since.
        let bytes = self.most_from(Place { index: before.min(place.index), ..place }).max(bytes);
        let allowed = SNAPSHOTS * (TIMES * bytes + SLACK).max(threshold) + SLACK_OF_DISK;
        if disk > allowed {
            return Err(format!(
                "with a snapshot of {} the disk holds {disk} bytes; what the group has to keep takes {bytes}, and a snapshot \
                 is due every {threshold}",
                place.index
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All shards are of this size.
    const SIZE: u64 = 10_000;

    fn place(group: u32, index: u64) -> Place {
        Place { group, index: Index(index) }
    }

    #[derive(Default)]
    struct Story(Kept);

    impl Story {
        /// Group 2 has shard 7 from its second entry on.
        fn begun() -> Story {
            let mut story = Story::default();
            story.moves(2, 2, 1, ShardChange::Created);
            story
        }

        fn moves(&mut self, group: u32, index: u64, config: u64, change: ShardChange) {
            self.0.moves(place(group, index), (7, config), &change, |_| SIZE);
        }

        /// It has given it to group 3, with configuration 2.
        fn given() -> Story {
            let mut story = Story::begun();
            story.moves(2, 5, 2, ShardChange::Frozen { to: Some(3), hash: 0 });
            story
        }

        fn arrived() -> Story {
            let mut story = Story::given();
            story.moves(3, 4, 2, ShardChange::Installed { from: 2, frozen: 2, hash: 0 });
            story
        }

        fn snapshot(&mut self, group: u32, index: u64, bytes: u64) -> Verdict {
            self.0.holds(NodeId(group), place(group, index), bytes, bytes, 100)
        }
    }

    const FULL: u64 = TIMES * (SIZE + OF_SHARD);

    #[test]
    fn a_snapshot_takes_what_is_served() {
        let mut story = Story::begun();
        assert_eq!(story.snapshot(2, 2, FULL), Ok(()));
        assert!(story.snapshot(2, 2, FULL + SLACK + 1).unwrap_err().contains("has to keep"));
        assert!(story.snapshot(2, 1, FULL).is_err(), "it was not there yet");
        assert_eq!(
            story.snapshot(1, 9, u64::MAX),
            Ok(()),
            "whoever has nothing to do with shards keeps other things"
        );
    }

    #[test]
    fn what_is_frozen_is_kept_until_it_is_deleted() {
        let mut story = Story::arrived();
        assert_eq!(story.snapshot(2, 9, FULL), Ok(()));
        story.moves(2, 10, 2, ShardChange::Deleted);
        assert!(story.snapshot(2, 10, FULL).is_err());
        assert_eq!(story.snapshot(2, 9, FULL), Ok(()), "one of before is of before");
    }

    #[test]
    fn what_is_coming_may_be_there_in_part() {
        let mut story = Story::given();
        assert_eq!(story.snapshot(3, 3, FULL), Ok(()), "nothing is known of that group");
        let mut story = Story::arrived();
        assert_eq!(story.snapshot(3, 3, FULL), Ok(()));
        assert_eq!(story.snapshot(3, 4, FULL), Ok(()));
        story.moves(3, 6, 3, ShardChange::Frozen { to: Some(2), hash: 0 });
        story.moves(3, 7, 3, ShardChange::Deleted);
        assert!(story.snapshot(3, 7, FULL).is_err());
    }

    #[test]
    fn the_snapshot_before_may_still_be_there_with_what_has_gone_since() {
        let mut story = Story::arrived();
        assert_eq!(story.snapshot(2, 8, FULL), Ok(()));
        story.moves(2, 10, 2, ShardChange::Deleted);
        let both = SNAPSHOTS * (FULL + SLACK) + SLACK_OF_DISK;
        assert_eq!(story.0.holds(NodeId(2), place(2, 11), 0, both, 100), Ok(()));
        assert!(story.0.holds(NodeId(2), place(2, 12), 0, both, 100).is_err(), "and then it is gone");
    }

    #[test]
    fn a_group_that_gets_its_own_back_keeps_it_once() {
        let mut story = Story::begun();
        story.moves(2, 5, 2, ShardChange::Frozen { to: None, hash: 0 });
        story.moves(2, 6, 3, ShardChange::Installed { from: 2, frozen: 2, hash: 0 });
        story.moves(2, 6, 2, ShardChange::Deleted);
        assert_eq!(story.snapshot(2, 6, FULL), Ok(()));
        assert!(story.snapshot(2, 6, 2 * FULL).is_err());
    }

    #[test]
    fn a_disk_that_forgets_nothing_is_seen() {
        let mut story = Story::begun();
        let most = SNAPSHOTS * (FULL + SLACK) + SLACK_OF_DISK;
        assert_eq!(story.0.holds(NodeId(2), place(2, 2), SIZE, most, 100), Ok(()));
        assert!(story.0.holds(NodeId(2), place(2, 2), SIZE, most + 1, 100).unwrap_err().contains("the disk holds"));
    }
}
