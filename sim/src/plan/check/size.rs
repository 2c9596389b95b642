//! How many servers a selector can be, as far as that is plain before the run.

use crate::plan::{Plan, Selector};
use labrpc::sim::NodeSet;

/// The servers that are looked at: all of them, or those of one group.
pub(super) struct Scope<'a> {
    plan: &'a Plan,
    within: NodeSet,
}

impl<'a> Scope<'a> {
    pub fn all(plan: &'a Plan) -> Scope<'a> {
        Scope { plan, within: NodeSet::first(plan.server_count()) }
    }

    pub fn group(plan: &'a Plan, group: u32) -> Scope<'a> {
        Scope { plan, within: plan.group_ids(group).into_iter().collect() }
    }

    /// All other servers.
    fn rest(&self) -> Scope<'a> {
        let all = Scope::all(self.plan);
        Scope { within: all.within.minus(self.within), ..all }
    }

    fn count(&self) -> u32 {
        self.within.len() as u32
    }

    /// In how many groups these servers are.
    fn groups(&self) -> u32 {
        let is_in = |group: &u32| self.plan.group_ids(*group).into_iter().any(|node| self.within.contains(node));
        (1..=self.plan.groups).filter(is_in).count() as u32
    }
}

/// At most so many of those that are looked at.
pub(super) fn most(selector: &Selector, scope: &Scope<'_>) -> u32 {
    if let Some(set) = exactly(selector, scope.plan) {
        return set.and(scope.within).len() as u32;
    }
    match selector {
        Selector::Leader | Selector::MostDivergent | Selector::MostUpToDate | Selector::Behind => scope.groups(),
        Selector::Not(inner) => scope.count() - least(inner, scope),
        Selector::Or(one, other) => scope.count().min(most(one, scope) + most(other, scope)),
        Selector::And(one, other) => most(one, scope).min(most(other, scope)),
        Selector::Any(count, inner) => most(inner, scope).min(*count),
        _ => scope.count(),
    }
}

/// At least so many of those that are looked at.
pub(super) fn least(selector: &Selector, scope: &Scope<'_>) -> u32 {
    if let Some(set) = exactly(selector, scope.plan) {
        return set.and(scope.within).len() as u32;
    }
    match selector {
        Selector::Not(inner) => scope.count() - most(inner, scope),
        Selector::Or(one, other) => least(one, scope).max(least(other, scope)),
        Selector::And(one, other) => (least(one, scope) + least(other, scope)).saturating_sub(scope.count()),
        // It may draw all the others first.
        Selector::Any(count, inner) => {
            let drawn = least(inner, &Scope::all(scope.plan)).min(*count);
            drawn.saturating_sub(most(inner, &scope.rest())).min(least(inner, scope))
        }
        _ => 0,
    }
}

/// These, where it does not depend on what happens.
fn exactly(selector: &Selector, plan: &Plan) -> Option<NodeSet> {
    let all = NodeSet::first(plan.server_count());
    Some(match selector {
        Selector::Server(node) => NodeSet::from_iter(plan.group_of(*node).map(|_| *node)),
        Selector::All => all,
        Selector::Group(group) => plan.group_ids(*group).into_iter().collect(),
        Selector::None => NodeSet::NONE,
        Selector::Not(inner) => all.minus(exactly(inner, plan)?),
        Selector::Or(one, other) => exactly(one, plan)?.or(exactly(other, plan)?),
        Selector::And(one, other) => exactly(one, plan)?.and(exactly(other, plan)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        text.parse().expect("it is one")
    }

    #[test]
    fn sizes_are_known_as_far_as_they_can_be() {
        let cases = [
            ("or(S1, S2)", 2, 2),
            ("or(S1, S1)", 1, 1),
            ("not(S1)", 4, 4),
            ("leader", 0, 1),
            ("not(leader)", 4, 5),
            ("any(2, all)", 2, 2),
            ("any(3, up)", 0, 3),
            ("or(leader, S1)", 1, 2),
            ("and(not(leader), not(S1))", 3, 4),
            ("$x", 0, 5),
            ("none", 0, 0),
        ];
        let plan = Plan::new("x", 1, 5);
        let scope = Scope::all(&plan);
        for (text, fewest, largest) in cases {
            let selector = selector(text);
            assert_eq!((least(&selector, &scope), most(&selector, &scope)), (fewest, largest), "{text}");
        }
    }

    /// Of the second of three groups of three, and of all nine.
    #[test]
    fn of_several_groups_each_is_counted() {
        let cases = [
            ("group(2)", (3, 3), (3, 3)),
            ("or(S1, S4)", (1, 1), (2, 2)),
            ("leader", (0, 1), (0, 3)),
            ("not(leader)", (2, 3), (6, 9)),
            ("and(group(2), leader)", (0, 1), (0, 3)),
            ("any(2, group(2))", (2, 2), (2, 2)),
            ("any(2, all)", (0, 2), (2, 2)),
            ("any(8, all)", (2, 3), (8, 8)),
            ("or(any(2, group(1)), any(2, group(2)))", (2, 2), (2, 4)),
        ];
        let plan = Plan { groups: 3, ..Plan::new("x", 1, 3) };
        let (second, all) = (Scope::group(&plan, 2), Scope::all(&plan));
        for (text, of_second, of_all) in cases {
            let selector = selector(text);
            let found = [&second, &all].map(|scope| (least(&selector, scope), most(&selector, scope)));
            assert_eq!(found, [of_second, of_all], "{text}");
        }
    }
}
