//! Who gets which shard, when groups come and go.
//!
//! The outcome is *balanced*: no group has two shards more than another, groups without shards included. Among all
//! balanced outcomes it is one that is reached with the fewest moves. And it depends on nothing but who has what and
//! which groups there are, so all servers come to the same.
//!
//! # Why there is no cheaper one
//!
//! Let there be *n* shards and *k* groups, *n = qk + r* with *0 ≤ r < k*. In a balanced outcome all shares are equal or
//! differ by one, and they add up to *n*: so exactly *r* groups have *q + 1* shards, and all others have *q*. There is
//! no choice but which *r* groups these are.
//!
//! A shard stays where it is, or it moves. Of the *a* shards that a group has now, at most *min(a, share)* can stay there,
//! so the fewest moves are *n* minus the sum of these, if the *r* larger shares go to the right groups. The larger
//! share lets one shard more stay in a group that has now more than *q*, since *min(a, q + 1) − min(a, q)* is 1 if *a > q*
//! and else 0. It is the same one for each of these groups, so as many of them as possible must get it: with the groups in
//! the order of what they have now, most first, the first *r* are such a choice.
//!
//! What remains is to reach it: each group keeps as many of its shards as its share allows, and each shard that nobody
//! keeps, because it is one too many, or its group is gone, or nobody had it, moves once, to a group that has room.

use super::types::GroupId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The shards, balanced over these groups with as few of them moved as can be. Whoever is not among the groups has
/// nothing in the end; without groups, nobody has.
///
/// Takes time in proportion to *n log k* and *k log k*.
pub fn rebalance(shards: &[Option<GroupId>], groups: impl IntoIterator<Item = GroupId>) -> Vec<Option<GroupId>> {
    in_order(shards, groups.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
}

/// [`rebalance`], where of groups that have equally many shards the first in this order comes first. No group may be
/// there twice.
pub(super) fn in_order(shards: &[Option<GroupId>], mut groups: Vec<GroupId>) -> Vec<Option<GroupId>> {
    if groups.is_empty() {
        return vec![None; shards.len()];
    }
    let mut present: BTreeMap<GroupId, usize> = groups.iter().map(|group| (*group, 0)).collect();
    for owner in shards.iter().flatten() {
        if let Some(count) = present.get_mut(owner) {
            *count += 1;
        }
    }
    groups.sort_by_key(|group| Reverse(present[group]));
    let (share, larger) = (shards.len() / groups.len(), shards.len() % groups.len());
    let ranked = groups.iter().enumerate();
    let mut room: BTreeMap<_, _> =
        ranked.map(|(rank, group)| (*group, share + usize::from(rank < larger))).collect();
    let mut keeps = |group: &GroupId| match room.get_mut(group) {
        Some(room) if *room > 0 => {
            *room -= 1;
            true
        }
        _ => false,
    };
    let mut next: Vec<Option<GroupId>> = shards.iter().map(|owner| owner.filter(&mut keeps)).collect();
    // The shares add up to all shards: there is as much room as there are shards that nobody keeps.
    let mut takers = groups.iter().flat_map(|group| std::iter::repeat_n(*group, room[group]));
    for shard in next.iter_mut().filter(|shard| shard.is_none()) {
        *shard = takers.next();
    }
    next
}
