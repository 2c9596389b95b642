//! Who has which shard, from what servers say as they apply it.
//!
//! A server that restarts says everything again, and the servers of a group say it one after the other: what counts is
//! when somebody in the group says it first, for by then the group's log says so. A shard is somebody's or on its way.
//! It is made once; it is frozen by whoever serves it; it goes on as it was frozen, sessions and all, somewhere; and
//! the frozen copy goes when, and only when, it has arrived.

use labrpc::{Event, ShardChange, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What of a frozen copy is known.
#[derive(Clone, Debug)]
struct Copy {
    hash: u64,
    /// Somebody waits for it.
    wanted: bool,
    /// When somebody else had it.
    arrived: Option<Time>,
    /// It is gone.
    deleted: bool,
}

/// A frozen copy: whose, with which configuration, of which shard.
type CopyId = (u64, u64, u32);

/// See the module.
#[derive(Debug, Default)]
pub struct Ownership {
    /// The last configuration that each group has adopted.
    adopted: BTreeMap<u64, u64>,
    /// Shards that were ever made.
    made: BTreeSet<u32>,
    /// Who serves them.
    serves: BTreeMap<u32, u64>,
    frozen: BTreeMap<CopyId, Copy>,
    /// Copies that have arrived and are kept, and since when the oldest of them.
    left: BTreeMap<CopyId, Time>,
    oldest: Option<Time>,
    /// What was said: of which group, which shard, with which configuration, what.
    said: BTreeMap<(u64, u32, u64, &'static str), ShardChange>,
}

/// How long a copy may be kept when it has arrived, while all servers run, can talk to each other, and nothing of what groups
/// say to each other is lost. It takes a round trip and two entries; disks and services of the scenarios are never slower than that.
const MOST_KEPT: Duration = Duration::from_secs(4);

/// Fine, or what is wrong.
type Verdict = Result<(), String>;

impl Ownership {
    /// Whether a server says something of shards that none of its group has said before.
    pub fn is_news(&self, event: &Event) -> bool {
        match event {
            Event::ConfigAdopted { group, config } => self.adopted.get(group).is_none_or(|last| last < config),
            Event::Shard { group, shard, config, .. } => {
                !self.said.contains_key(&(*group, *shard, *config, event.name()))
            }
            _ => false,
        }
    }

    /// A server says something, now.
    pub fn learn(&mut self, now: Time, event: &Event) -> Verdict {
        match event {
            Event::ConfigAdopted { group, config } => self.adopts(*group, *config),
            Event::ConfigRefused { group, config, why } => {
                Err(format!("group {group} cannot follow configuration {config}: {why}"))
            }
            Event::Shard { group, shard, config, change } => {
                let key = (*group, *shard, *config, event.name());
                match self.said.get(&key) {
                    Some(said) if said == change => Ok(()),
                    Some(said) => Err(format!(
                        "group {group} does not agree on shard {shard} with configuration {config}: {said:?}, {change:?}"
                    )),
                    None => {
                        self.said.insert(key, change.clone());
                        let verdict = self.changes(now, (*group, *config, *shard), change);
                        self.oldest = self.left.values().min().copied();
                        verdict
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn adopts(&mut self, group: u64, config: u64) -> Verdict {
        let last = self.adopted.entry(group).or_insert(0);
        if config > *last + 1 {
            return Err(format!("group {group} goes from configuration {last} to {config} and leaves some out"));
        }
        *last = config.max(*last);
        Ok(())
    }

    fn changes(&mut self, now: Time, id: CopyId, change: &ShardChange) -> Verdict {
        let (group, config, shard) = id;
        let serves = self.serves.get(&shard).copied();
        match change {
            ShardChange::Created => {
                if !self.made.insert(shard) {
                    return Err(format!(
                        "group {group} begins shard {shard} empty with configuration {config}, which is not new"
                    ));
                }
                self.serves.insert(shard, group);
            }
            ShardChange::Frozen { to, hash } => {
                if serves != Some(group) {
                    return Err(format!(
                        "group {group} freezes shard {shard} with configuration {config}; {}",
                        whose(serves)
                    ));
                }
                self.serves.remove(&shard);
                self.frozen.insert(id, Copy { hash: *hash, wanted: to.is_some(), arrived: None, deleted: false });
            }
            ShardChange::Installed { from, frozen, hash } => {
                let what = format!("group {group} installs shard {shard} with configuration {config}");
                if serves.is_some() {
                    return Err(format!("{what}; {}", whose(serves)));
                }
                let of = (*from, *frozen, shard);
                let Some(copy) = self.frozen.get_mut(&of) else {
                    return Err(format!(
                        "{what}, from group {from}, which has not frozen it with configuration {frozen}"
                    ));
                };
                if copy.deleted || copy.arrived.is_some() {
                    return Err(format!("{what}, from a copy of group {from} that was used before"));
                }
                if copy.hash != *hash {
                    return Err(format!("{what}, and it is not what group {from} froze, sessions included"));
                }
                copy.arrived = Some(now);
                // Whoever gets back what it froze itself serves that very copy.
                copy.deleted = group == *from;
                if !copy.deleted {
                    self.left.insert(of, now);
                }
                self.serves.insert(shard, group);
            }
            ShardChange::Unreadable { from, frozen } => {
                return Err(format!(
                    "group {group} cannot read what came from group {from}, which froze shard {shard} with configuration {frozen}"
                ));
            }
            ShardChange::Deleted => {
                self.left.remove(&id);
                match self.frozen.get_mut(&id) {
                    Some(copy) if copy.arrived.is_some() => copy.deleted = true,
                    _ => {
                        return Err(format!(
                            "group {group} deletes what it froze of shard {shard} with configuration {config}, and nobody has it"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// A copy that has arrived and is kept nevertheless, for longer than it may be where all could talk to each other since a
    /// certain time.
    pub fn left_behind(&self, now: Time, since: Time) -> Option<String> {
        let too_long = |arrived: Time| now.since(arrived.max(since)) > MOST_KEPT;
        if !self.oldest.is_some_and(too_long) {
            return None;
        }
        let ((group, config, shard), arrived) = self.left.iter().find(|(_, arrived)| too_long(**arrived))?;
        let kept = now.since((*arrived).max(since));
        Some(format!(
            "what group {group} froze of shard {shard} with configuration {config} has arrived, and is kept for {kept:?} though \
             nothing was in the way of its deletion"
        ))
    }

    /// What keeps shards from being where they should, or copies from being gone, if anything does.
    pub fn unsettled(&self) -> Option<String> {
        let ((group, config, shard), copy) =
            self.frozen.iter().find(|(_, copy)| !copy.deleted && (copy.wanted || copy.arrived.is_some()))?;
        let what = format!("what group {group} froze of shard {shard} with configuration {config}");
        Some(if copy.arrived.is_some() {
            format!("{what} has arrived, and is kept")
        } else {
            format!("{what} has not arrived")
        })
    }
}

fn whose(serves: Option<u64>) -> String {
    serves.map_or("nobody serves it".into(), |group| format!("group {group} serves it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells of changes of shard 7.
    #[derive(Default)]
    struct Story(Ownership);

    impl Story {
        fn says(&mut self, group: u64, config: u64, change: ShardChange) -> Verdict {
            self.0.learn(Time::ZERO, &Event::Shard { group, shard: 7, config, change })
        }

        fn begun() -> Story {
            let mut story = Story::default();
            story.says(2, 1, ShardChange::Created).unwrap();
            story
        }

        fn frozen(hash: u64) -> Story {
            let mut story = Story::begun();
            story.says(2, 2, ShardChange::Frozen { to: Some(3), hash }).unwrap();
            story
        }
    }

    fn installed(hash: u64) -> ShardChange {
        ShardChange::Installed { from: 2, frozen: 2, hash }
    }

    #[test]
    fn a_shard_moves_and_its_copy_goes_when_it_has_arrived() {
        let mut story = Story::frozen(5);
        assert!(story.0.unsettled().unwrap().contains("has not arrived"));
        assert_eq!(story.says(3, 2, installed(5)), Ok(()));
        assert_eq!(story.says(3, 2, installed(5)), Ok(()), "another server of the group says it too");
        assert!(story.0.unsettled().unwrap().contains("is kept"));
        assert_eq!(story.says(2, 2, ShardChange::Deleted), Ok(()));
        assert_eq!(story.0.unsettled(), None);
    }

    #[test]
    fn a_group_may_get_back_what_it_froze() {
        let mut story = Story::begun();
        story.says(2, 2, ShardChange::Frozen { to: None, hash: 5 }).unwrap();
        assert_eq!(story.0.unsettled(), None, "nobody waits for it");
        assert_eq!(story.says(2, 3, installed(5)), Ok(()));
        assert_eq!(story.0.unsettled(), None);
        assert!(story.says(3, 4, installed(5)).is_err());
    }

    #[test]
    fn it_arrives_as_it_was_frozen_and_once() {
        assert!(Story::frozen(5).says(3, 2, installed(6)).unwrap_err().contains("not what group 2 froze"));
        let mut story = Story::frozen(5);
        story.says(3, 2, installed(5)).unwrap();
        assert!(story.says(4, 2, installed(5)).unwrap_err().contains("group 3 serves it"));
        assert!(Story::begun().says(3, 2, installed(5)).unwrap_err().contains("group 2 serves it"));
    }

    #[test]
    fn nobody_makes_or_freezes_what_is_not_theirs() {
        assert!(Story::begun().says(3, 2, ShardChange::Created).unwrap_err().contains("not new"));
        let freeze = ShardChange::Frozen { to: Some(2), hash: 1 };
        assert!(Story::begun().says(3, 2, freeze).unwrap_err().contains("group 2 serves it"));
    }

    #[test]
    fn what_nobody_else_has_is_not_deleted() {
        assert!(Story::frozen(5).says(2, 2, ShardChange::Deleted).unwrap_err().contains("nobody has it"));
        assert!(Story::begun().says(2, 1, ShardChange::Deleted).is_err());
    }

    #[test]
    fn the_servers_of_a_group_agree() {
        let mut story = Story::frozen(5);
        assert!(
            story.says(2, 2, ShardChange::Frozen { to: Some(3), hash: 6 }).unwrap_err().contains("does not agree")
        );
    }

    #[test]
    fn what_is_frozen_can_be_read_and_what_is_configured_can_be_followed() {
        let mut story = Story::frozen(5);
        let unreadable = ShardChange::Unreadable { from: 2, frozen: 2 };
        assert!(story.says(3, 2, unreadable).unwrap_err().contains("cannot read what came from group 2"));
        let refused = Event::ConfigRefused { group: 3, config: 3, why: "it is of 4 shards".into() };
        assert!(
            story
                .0
                .learn(Time::ZERO, &refused)
                .unwrap_err()
                .contains("cannot follow configuration 3: it is of 4 shards")
        );
    }

    #[test]
    fn configurations_are_adopted_one_after_the_other() {
        let mut ownership = Ownership::default();
        let mut adopt = |config| ownership.learn(Time::ZERO, &Event::ConfigAdopted { group: 2, config });
        assert_eq!([1, 2, 1, 2, 3].map(&mut adopt), [const { Ok(()) }; 5], "a server that restarts says it again");
        assert!(adopt(5).unwrap_err().contains("leaves some out"));
    }
}
