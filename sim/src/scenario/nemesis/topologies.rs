//! Networks in which some cannot talk to each other, or only one way: a bridge, a chain, a ring of majorities, a leader that
//! is heard and hears nobody.
//!
//! For: elections that disturb a leader who works (thesis 9.6, 6.2), and what is done by servers that believe that they lead.

use super::{Nemesis, On, later};
use crate::plan::{Act, Plan, Selector};
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "topologies",
    about: "bridges, chains, one-way links and half partitions, each for seconds",
    on: On::Raft,
    aims: false,
    set: |draw, plan, lasts| {
        for at in draw.moments(lasts, Spread::millis(1_500, 8_000)) {
            match draw.rng.below(4) {
                0 => chain(plan, at),
                1 => plan.at(at, Act::Cut { from: Selector::All, to: Selector::Leader }),
                2 => plan.at(at, Act::Cut { from: Selector::Leader, to: Selector::All }),
                _ => bridge(plan, at),
            }
            plan.at(later(at, Span::millis(draw.rng.within(500..=5_000))), Act::Heal);
        }
    },
};

/// Each talks to its neighbours by number, and to nobody else.
fn chain(plan: &mut Plan, at: Span) {
    for nodes in plan.all_groups() {
        for (place, node) in nodes.iter().enumerate() {
            let far = nodes.iter().enumerate().filter(|(its, _)| its.abs_diff(place) > 1);
            let far = far.map(|(_, node)| Selector::Server(*node)).reduce(Selector::or);
            let Some(far) = far else { continue };
            plan.at(at, Act::Cut { from: Selector::Server(*node), to: far });
        }
    }
}

/// Two halves of each group that one server joins: the first of it.
fn bridge(plan: &mut Plan, at: Span) {
    for nodes in plan.all_groups() {
        let half = nodes.len().div_ceil(2);
        let of = |nodes: &[labrpc::NodeId]| nodes.iter().map(|node| Selector::Server(*node)).reduce(Selector::or);
        let (Some(left), Some(right)) = (of(&nodes[1.min(nodes.len())..half.max(1)]), of(&nodes[half..])) else {
            continue;
        };
        plan.at(at, Act::Cut { from: left.clone(), to: right.clone() });
        plan.at(at, Act::Cut { from: right, to: left });
    }
}
