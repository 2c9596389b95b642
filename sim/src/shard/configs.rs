//! What a shard controller tells of its configurations, held against what the course asks of them.
//!
//! Nothing is known of how it works. Configurations are compared with one another and with what their callers could
//! know: one of a number is always the same, and each follows from the one before by one change.

use super::Ask;
use std::collections::{BTreeMap, BTreeSet};

/// A configuration, as a client is told of it.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Config {
    /// Its number; 0 is the one that nobody has changed.
    pub num: u64,
    /// For each shard the group that has it, if one does.
    pub shards: Vec<Option<u32>>,
    /// All groups.
    pub groups: BTreeSet<u32>,
}

/// Everything that clients were told of configurations.
#[derive(Debug, Default)]
pub struct Configs {
    known: BTreeMap<u64, Config>,
    /// What clients were told has made them.
    made: BTreeMap<u64, Ask>,
    /// The largest number that anybody was told of.
    told: u64,
}

/// Fine, or what is wrong.
type Verdict = Result<(), String>;

impl Configs {
    /// The largest number that anybody was told of by now: what somebody asks from now on is no older.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Somebody was told that a change has made the configuration of this number. `floor` is what was known when it was
    /// asked for.
    pub fn changed(&mut self, ask: Ask, num: u64, floor: u64) -> Verdict {
        if num <= floor {
            return Err(format!("the {ask} is said to have made configuration {num}; {floor} was there before it"));
        }
        if let Some(other) = self.made.insert(num, ask.clone()) {
            return Err(format!("both the {other} and the {ask} are said to have made configuration {num}"));
        }
        self.told = self.told.max(num);
        self.judge(num)
    }

    /// Whether that configuration follows from the one before, as far as both are known.
    fn judge(&self, num: u64) -> Verdict {
        let before = num.checked_sub(1).and_then(|before| self.known.get(&before));
        let (Some(before), Some(after)) = (before, self.known.get(&num)) else { return Ok(()) };
        follows(before, after)?;
        match self.made.get(&num) {
            Some(ask) if !is_made_by(ask, before, after) => {
                Err(format!("configuration {num} is not what the {ask} makes of the one before"))
            }
            _ => Ok(()),
        }
    }

    /// Somebody has asked for a configuration by its number, or for the latest, and was told this one.
    pub fn shown(&mut self, asked: Option<u64>, config: Config, floor: u64) -> Verdict {
        let num = config.num;
        match asked {
            Some(asked) if num != asked && (num > asked || num < floor) => {
                return Err(format!(
                    "configuration {asked} was asked for, and {num} came; {floor} was there by then"
                ));
            }
            None if num < floor => {
                return Err(format!("configuration {num} is said to be the latest; {floor} was there before"));
            }
            _ => {}
        }
        makes_sense(&config)?;
        if let Some(known) = self.known.get(&num) {
            if *known != config {
                return Err(format!("configuration {num} was {known:?}, and now is {config:?}"));
            }
            return Ok(());
        }
        self.known.insert(num, config);
        self.told = self.told.max(num);
        self.judge(num)?;
        self.judge(num + 1)
    }
}

/// Shards belong to groups that are there, and to somebody if there is anybody.
fn makes_sense(config: &Config) -> Verdict {
    let num = config.num;
    for (shard, owner) in config.shards.iter().enumerate() {
        match owner {
            Some(group) if !config.groups.contains(group) => {
                return Err(format!("in configuration {num}, group {group} has shard {shard} and is not there"));
            }
            None if !config.groups.is_empty() => {
                return Err(format!("in configuration {num}, nobody has shard {shard}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// One change leads from the one to the other: groups join or leave, and the shards are balanced with as few moves as that
/// takes; or one shard is moved, and nothing else.
fn follows(before: &Config, after: &Config) -> Verdict {
    let num = after.num;
    if before.shards.len() != after.shards.len() {
        return Err(format!("configuration {num} has another number of shards than the one before"));
    }
    let moved = before.shards.iter().zip(&after.shards).filter(|(old, new)| old != new).count();
    if before.groups == after.groups {
        return if moved <= 1 {
            Ok(())
        } else {
            Err(format!("configuration {num} has the same groups as the one before, and {moved} shards moved"))
        };
    }
    let (fewest, most) = after
        .groups
        .iter()
        .map(|group| count(after, *group))
        .fold((usize::MAX, 0), |(few, many), it| (few.min(it), many.max(it)));
    if most > fewest.saturating_add(1) {
        return Err(format!("in configuration {num} a group has {most} shards, and another {fewest}"));
    }
    let needed = fewest_moves(before, after);
    if moved != needed {
        return Err(format!("{moved} shards moved in configuration {num}, where {needed} would do"));
    }
    Ok(())
}

/// Whether that change leads from the one to the other: who joins was not there, and who leaves was.
fn is_made_by(ask: &Ask, before: &Config, after: &Config) -> bool {
    match ask {
        Ask::Join(groups) => {
            let new: BTreeSet<u32> = groups.iter().copied().collect();
            before.groups.is_disjoint(&new) && after.groups == &before.groups | &new
        }
        Ask::Leave(groups) => {
            let gone: BTreeSet<u32> = groups.iter().copied().collect();
            gone.is_subset(&before.groups) && after.groups == &before.groups - &gone
        }
        Ask::Move(shard, group) => {
            let mut shards = before.shards.clone();
            if let Some(owner) = shards.get_mut(*shard as usize) {
                *owner = Some(*group);
            }
            before.groups == after.groups && shards == after.shards
        }
        Ask::Config(_) => false,
    }
}

fn count(config: &Config, group: u32) -> usize {
    config.shards.iter().filter(|owner| **owner == Some(group)).count()
}

/// Whoever has most keeps most: with q shards for each group and one more for r of them, what the r largest have above
/// q + 1 and the others above q must go elsewhere, and so must what nobody has any more. Fewer will not do, since no
/// choice of the r leaves less above.
fn fewest_moves(before: &Config, after: &Config) -> usize {
    let (shards, groups) = (after.shards.len(), after.groups.len());
    let kept: usize = after.groups.iter().map(|group| count(before, *group)).sum();
    if groups == 0 {
        return before.shards.iter().filter(|owner| owner.is_some()).count();
    }
    let mut counts: Vec<usize> = after.groups.iter().map(|group| count(before, *group)).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let (share, larger) = (shards / groups, shards % groups);
    let above = counts.iter().enumerate().map(|(nth, has)| has.saturating_sub(share + usize::from(nth < larger)));
    above.sum::<usize>() + shards - kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Owners as digits; 0: nobody.
    fn config(num: u64, shards: &str, groups: &[u32]) -> Config {
        let owner = |digit: char| digit.to_digit(10).filter(|group| *group > 0);
        Config { num, shards: shards.chars().map(owner).collect(), groups: groups.iter().copied().collect() }
    }

    fn tell(configs: &[Config]) -> Verdict {
        let mut told = Configs::default();
        configs.iter().try_for_each(|config| told.shown(Some(config.num), config.clone(), 0))
    }

    #[test]
    fn a_proper_history_is_fine_in_any_order() {
        let mut all = [
            config(0, "0000000000", &[]),
            config(1, "2222222222", &[2]),
            config(2, "2222233333", &[2, 3]),
            config(3, "2222433344", &[2, 3, 4]),
            config(4, "3222433344", &[2, 3, 4]),
            config(5, "3224433344", &[2, 3, 4]),
            config(6, "3344433344", &[3, 4]),
        ];
        assert_eq!(tell(&all), Ok(()));
        all.reverse();
        assert_eq!(tell(&all), Ok(()));
    }

    #[test]
    fn the_fewest_moves_are_demanded() {
        let before = config(1, "2222233333", &[2, 3]);
        // Three for the first group by its number, as if everything were dealt anew.
        let after = config(2, "4444222333", &[2, 3, 4]);
        assert!(tell(&[before.clone(), after]).unwrap_err().contains("where 3 would do"));
        let unbalanced = config(2, "2222433334", &[2, 3, 4]);
        assert!(tell(&[before.clone(), unbalanced]).unwrap_err().contains("has 4 shards"));
        let nobody = config(2, "0222233333", &[2, 3]);
        assert!(tell(&[before.clone(), nobody]).unwrap_err().contains("nobody has shard 0"));
        let gone = config(2, "2222233333", &[2]);
        assert!(tell(&[before.clone(), gone]).unwrap_err().contains("is not there"));
        let two = config(2, "3322233333", &[2, 3]);
        assert!(tell(&[before, two]).unwrap_err().contains("2 shards moved"));
    }

    #[test]
    fn more_groups_than_shards_leave_some_without() {
        assert!(tell(&[config(1, "222", &[2]), config(2, "345", &[2, 3, 4, 5, 6])]).is_err());
        assert_eq!(tell(&[config(1, "222", &[2]), config(2, "245", &[2, 3, 4, 5, 6])]), Ok(()));
    }

    #[test]
    fn a_number_names_one_configuration_for_ever() {
        let mut told = Configs::default();
        told.shown(Some(1), config(1, "22", &[2]), 0).unwrap();
        assert!(told.shown(Some(1), config(1, "33", &[3]), 0).unwrap_err().contains("now is"));
    }

    #[test]
    fn nobody_is_told_of_what_is_older_than_what_was_there() {
        let mut told = Configs::default();
        told.changed(Ask::Join(vec![2]), 3, 2).unwrap();
        assert_eq!(told.told(), 3);
        assert!(told.changed(Ask::Leave(vec![2]), 3, 3).is_err());
        assert!(told.shown(None, config(2, "22", &[2]), 3).unwrap_err().contains("said to be the latest"));
        assert_eq!(told.shown(Some(2), config(2, "22", &[2]), 3), Ok(()), "it was asked for by its number");
        assert!(told.shown(Some(9), config(2, "22", &[2]), 3).is_err(), "there is a later one, short of the ninth");
    }

    #[test]
    fn a_change_makes_what_was_asked_for() {
        let judged = |ask: Ask, after: Config| {
            let mut told = Configs::default();
            told.shown(Some(1), config(1, "2233", &[2, 3]), 0).unwrap();
            told.changed(ask, 2, 1).unwrap();
            told.shown(Some(2), after, 1)
        };
        let same = || config(2, "2233", &[2, 3]);
        assert!(judged(Ask::Join(vec![3]), same()).unwrap_err().contains("is not what the join of 3 makes"));
        assert!(judged(Ask::Leave(vec![9]), same()).is_err());
        assert!(judged(Ask::Move(0, 3), same()).is_err());
        assert_eq!(judged(Ask::Move(0, 2), same()), Ok(()), "it was there already");
        assert_eq!(judged(Ask::Move(0, 3), config(2, "3233", &[2, 3])), Ok(()));
        assert_eq!(judged(Ask::Join(vec![4]), config(2, "2234", &[2, 3, 4])), Ok(()));
        assert_eq!(judged(Ask::Leave(vec![3]), config(2, "2222", &[2])), Ok(()));
    }

    #[test]
    fn two_changes_do_not_make_the_same_configuration() {
        let mut told = Configs::default();
        told.changed(Ask::Join(vec![2]), 1, 0).unwrap();
        assert!(told.changed(Ask::Join(vec![3]), 1, 0).unwrap_err().contains("both"));
    }
}
