//! How many servers a selector can be, as far as that is plain before the run.

use crate::plan::Selector;
use labrpc::sim::NodeSet;

/// At most so many.
pub(super) fn most(selector: &Selector, servers: u32) -> u32 {
    if let Some(set) = exactly(selector, servers) {
        return set.len() as u32;
    }
    match selector {
        Selector::Leader | Selector::MostDivergent | Selector::MostUpToDate | Selector::Behind => servers.min(1),
        Selector::Not(inner) => servers - least(inner, servers),
        Selector::Or(one, other) => servers.min(most(one, servers) + most(other, servers)),
        Selector::And(one, other) => most(one, servers).min(most(other, servers)),
        Selector::Any(count, inner) => most(inner, servers).min(*count),
        _ => servers,
    }
}

/// At least so many.
pub(super) fn least(selector: &Selector, servers: u32) -> u32 {
    if let Some(set) = exactly(selector, servers) {
        return set.len() as u32;
    }
    match selector {
        Selector::Not(inner) => servers - most(inner, servers),
        Selector::Or(one, other) => least(one, servers).max(least(other, servers)),
        Selector::And(one, other) => (least(one, servers) + least(other, servers)).saturating_sub(servers),
        Selector::Any(count, inner) => least(inner, servers).min(*count),
        _ => 0,
    }
}

/// These, where it does not depend on what happens.
fn exactly(selector: &Selector, servers: u32) -> Option<NodeSet> {
    let all = NodeSet::first(servers);
    Some(match selector {
        Selector::Server(node) => NodeSet::from_iter((node.0 <= servers).then_some(*node)).and(all),
        Selector::All => all,
        Selector::None => NodeSet::NONE,
        Selector::Not(inner) => all.minus(exactly(inner, servers)?),
        Selector::Or(one, other) => exactly(one, servers)?.or(exactly(other, servers)?),
        Selector::And(one, other) => exactly(one, servers)?.and(exactly(other, servers)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (text, fewest, largest) in cases {
            let selector: Selector = text.parse().expect("it is one");
            assert_eq!((least(&selector, 5), most(&selector, 5)), (fewest, largest), "{text}");
        }
    }
}
