//! Who gets which shard: against every balanced assignment that there is, where those can be counted, and against a
//! bound beneath which none can be, where they cannot.

use proptest::prelude::*;
use shardlab::shardmaster::{GroupId, rebalance};
use std::collections::BTreeSet;

type Owners = Vec<Option<GroupId>>;

/// What is said of it as numbers, 0 for nobody.
fn owners(numbers: &[u64]) -> Owners {
    numbers.iter().map(|group| (*group > 0).then_some(GroupId(*group))).collect()
}

fn moves(old: &[Option<GroupId>], new: &[Option<GroupId>]) -> usize {
    old.iter().zip(new).filter(|(old, new)| old != new).count()
}

fn is_balanced(owners: &[Option<GroupId>], groups: &[GroupId]) -> bool {
    let counts = groups.iter().map(|group| owners.iter().filter(|owner| **owner == Some(*group)).count());
    let counts: Vec<usize> = counts.collect();
    let all_given = counts.iter().sum::<usize>() == owners.len();
    match (counts.iter().max(), counts.iter().min()) {
        (Some(max), Some(min)) => all_given && max - min <= 1,
        _ => owners.iter().all(Option::is_none),
    }
}

/// Every row of `length` that can be made of these.
fn rows(length: usize, of: &[Option<GroupId>]) -> Vec<Owners> {
    let mut rows = vec![vec![]];
    for _ in 0..length {
        rows = rows.iter().flat_map(|row| of.iter().map(|one| [&row[..], &[*one]].concat())).collect();
    }
    rows
}

#[test]
fn no_balanced_assignment_is_nearer_in_any_small_case() {
    let everybody = owners(&[0, 1, 2, 3, 4]);
    for shards in 1..=6 {
        let present = rows(shards, &everybody);
        for subset in 0u32..16 {
            let groups: Vec<GroupId> =
                (1..=4).filter(|group| subset >> (group - 1) & 1 == 1).map(GroupId).collect();
            let some: Owners =
                if groups.is_empty() { vec![None] } else { groups.iter().copied().map(Some).collect() };
            let mut balanced = rows(shards, &some);
            balanced.retain(|row| is_balanced(row, &groups));
            for old in &present {
                let new = rebalance(old, groups.iter().copied());
                assert!(balanced.contains(&new), "{old:?} to {groups:?}: {new:?}");
                let best = balanced.iter().map(|other| moves(old, other)).min().expect("there is always one");
                assert_eq!(moves(old, &new), best, "{old:?} to {groups:?}: {new:?}");
            }
        }
    }
}

/// No balanced assignment over these groups is nearer than this. It counts what *must* move and knows nothing of how
/// shares are given out: a group can keep at most the larger share, at most as many groups as the shares leave over
/// can have it, and whatever does not stay moves.
fn bound(old: &[Option<GroupId>], groups: &BTreeSet<GroupId>) -> usize {
    if groups.is_empty() {
        return old.iter().flatten().count();
    }
    let (share, over) = (old.len() / groups.len(), old.len() % groups.len());
    let count = |group: &GroupId| old.iter().filter(|owner| **owner == Some(*group)).count();
    let counts: Vec<usize> = groups.iter().map(count).collect();
    let with_the_larger = counts.iter().filter(|count| **count > share).count().min(over);
    old.len() - counts.iter().map(|count| *count.min(&share)).sum::<usize>() - with_the_larger
}

fn groups(most: u64) -> impl Strategy<Value = BTreeSet<GroupId>> {
    proptest::collection::btree_set((1..=most).prop_map(GroupId), 0..=most as usize)
}

/// Owners that are out of balance in every way, some of groups that are gone.
fn present(most: u64) -> impl Strategy<Value = Owners> {
    let few = proptest::collection::vec(0..=most / 4, 1..=300);
    let many = proptest::collection::vec(0..=most, 1..=300);
    prop_oneof![few, many].prop_map(|numbers| owners(&numbers))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn large_ones_are_balanced_and_meet_the_bound(old in present(60), groups in groups(60)) {
        let new = rebalance(&old, groups.iter().copied());
        prop_assert!(is_balanced(&new, &groups.iter().copied().collect::<Vec<_>>()));
        prop_assert_eq!(moves(&old, &new), bound(&old, &groups));
        prop_assert_eq!(rebalance(&new, groups.iter().copied()), new.clone(), "what is balanced stays as it is");
    }

    #[test]
    fn the_order_in_which_groups_are_named_is_no_matter(
        old in present(12),
        (sorted, shuffled) in groups(12)
            .prop_flat_map(|groups| {
                let listed: Vec<GroupId> = groups.into_iter().collect();
                (Just(listed.clone()), Just(listed).prop_shuffle())
            }),
    ) {
        let twice = shuffled.iter().chain(&shuffled).copied();
        prop_assert_eq!(rebalance(&old, twice), rebalance(&old, sorted));
    }

    #[test]
    fn moves_by_hand_are_where_a_join_or_a_leave_begins(
        groups in groups(8),
        by_hand in proptest::collection::vec((0..40usize, 0..8usize), 0..40),
        joins in groups(12),
        leaves in groups(8),
    ) {
        let mut now = rebalance(&[None; 40], groups.iter().copied());
        let listed: Vec<GroupId> = groups.iter().copied().collect();
        for (shard, to) in by_hand.into_iter().filter(|_| !listed.is_empty()) {
            now[shard] = Some(listed[to % listed.len()]);
        }
        let joined: BTreeSet<GroupId> = groups.union(&joins).copied().collect();
        let left: BTreeSet<GroupId> = joined.difference(&leaves).copied().collect();
        for next in [joined, left] {
            let new = rebalance(&now, next.iter().copied());
            prop_assert!(is_balanced(&new, &next.iter().copied().collect::<Vec<_>>()));
            prop_assert_eq!(moves(&now, &new), bound(&now, &next));
            now = new;
        }
    }
}
