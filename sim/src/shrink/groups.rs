//! Fewer servers, and fewer groups.

use super::parts::each_act;
use super::search::Edit;
use crate::plan::{Act, KvOp, Op, Plan};

/// Fewer groups, then fewer servers in each, the fewest first.
pub(super) fn fewer(plan: &Plan) -> Vec<Edit> {
    let groups = (1..plan.groups).map(|groups| -> Edit { Box::new(move |plan| with_groups(plan, groups)) });
    let servers = (1..plan.servers).map(|servers| -> Edit { Box::new(move |plan| with_servers(plan, servers)) });
    groups.chain(servers).collect()
}

fn with_servers(plan: &mut Plan, servers: u32) {
    if servers >= plan.servers {
        return;
    }
    plan.servers = servers;
    let majority = plan.majority();
    each_act(plan, &mut |act| match act {
        Act::KeepUp { at_least } | Act::KeepConnected { at_least } => *at_least = majority.min(*at_least),
        _ => {}
    });
    fitting(plan);
}

/// The last ones go, and nobody joins or moves anything to them.
fn with_groups(plan: &mut Plan, groups: u32) {
    if groups >= plan.groups {
        return;
    }
    plan.groups = groups;
    for client in &mut plan.clients {
        let had_none = client.ops.is_empty();
        client.ops.retain_mut(|op| if let Op::Kv { op, .. } = op { is_left(op, groups) } else { true });
        // A client must not become one that waits to be asked.
        if client.ops.is_empty() && !had_none {
            client.ops.push(Op::Kv { after: client.from, op: KvOp::Config { num: None } });
        }
    }
    each_act(plan, &mut |act| {
        if let Act::Ask { client, op } = act
            && !is_left(op, groups)
        {
            // There is no such client, so that it goes.
            *client = 0;
        }
    });
    fitting(plan);
}

/// Leaves of an operation what speaks of groups that there are. Whether that is anything.
fn is_left(op: &mut KvOp, groups: u32) -> bool {
    match op {
        KvOp::Join { groups: named } | KvOp::Leave { groups: named } => {
            named.retain(|group| *group <= groups);
            !named.is_empty()
        }
        KvOp::Move { group, .. } => *group <= groups,
        _ => true,
    }
}

/// Clocks and the core, of the servers that there are.
fn fitting(plan: &mut Plan) {
    let count = plan.server_count();
    plan.clocks.retain(|(node, _)| node.0 <= count);
    if plan.finale.core.is_some() {
        plan.finale.core = plan.core_of_each();
    }
    plan.voters = plan.voters.map(|voters| voters.min(plan.servers));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Fault, Selector};
    use crate::shrink::repair::repaired;
    use labrpc::NodeId;
    use labrpc::sim::Span;

    #[test]
    fn what_names_servers_that_are_gone_goes_too() {
        let mut plan = Plan::new("x", 1, 5);
        plan.finale.core = Some(plan.majority_of_each());
        plan.clocks = vec![(NodeId(1), 900_000), (NodeId(5), 900_000)];
        let crash = |n| Act::Crash { who: Selector::s(n), power: false };
        let acts = [crash(1), crash(4), Act::KeepUp { at_least: 4 }];
        plan.faults = acts.into_iter().map(|act| Fault { at: Span::ZERO, act }).collect();
        let mut less = plan;
        with_servers(&mut less, 3);
        let less = repaired(less).expect("it is possible");
        let acts: Vec<&Act> = less.faults.iter().map(|fault| &fault.act).collect();
        assert_eq!(acts, [&crash(1), &Act::KeepUp { at_least: 2 }]);
        assert_eq!((less.clocks.len(), less.finale.core), (1, Some(Selector::All.any(2))));
    }

    #[test]
    fn groups_that_are_gone_join_nothing() {
        let mut plan = Plan { groups: 3, ..Plan::new("x", 1, 3) };
        let join = |groups: &[u32]| KvOp::Join { groups: groups.into() };
        let op = |op| Op::Kv { after: Span::ZERO, op };
        let ops = vec![op(join(&[2, 3])), op(KvOp::Move { shard: 1, group: 3 })];
        plan.clients.push(crate::plan::Client { talks_to: Selector::All, from: Span::ZERO, ops });
        plan.ask_at(Span::ZERO, join(&[3]));
        with_groups(&mut plan, 2);
        let plan = repaired(plan).expect("it is possible");
        assert_eq!(plan.faults, []);
        assert_eq!(plan.clients[0].ops, [op(join(&[2]))]);
    }
}
