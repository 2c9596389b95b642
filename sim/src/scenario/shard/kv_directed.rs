//! For each planted bug of a sharded store, a short schedule in which it does its damage. Knobs are as usual; what groups
//! do by themselves, they do.

use super::super::kv::load::{Load, Mix};
use super::super::kv::usual::answered;
use super::super::raft::ELECTION;
use super::super::{Scenario, raft::Draw};
use super::kv::{FIRST, KEYS, done, down, of};
use super::{LATEST, give, idle, join, leave};
use crate::plan::{Act, KvOp, Plan, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "shard-moves-under-load",
        "Shards move to a group and on to another while clients write.",
        moves,
    ),
    Scenario::directed(
        "shard-asked-for-too-early",
        "A group is asked for a shard before it knows that it has lost it.",
        too_early,
    ),
    Scenario::directed(
        "shard-exchanged-at-once",
        "Two groups give each other shards before they have got theirs.",
        exchange,
    ),
    Scenario::directed(
        "shard-configurations-missed",
        "A group is down while the configuration changes three times.",
        missed,
    ),
    Scenario::directed(
        "shard-restart-while-it-waits",
        "A group waits for shards of one that is down, and restarts meanwhile.",
        restart_while_waiting,
    ),
    Scenario::directed(
        "shard-write-behind-a-configuration",
        "Writes stand in the log behind the configuration that takes their shard away.",
        behind,
    ),
    Scenario::directed(
        "shard-back-before-the-deletion",
        "What tells a group to delete a shard comes once more when the shard is back.",
        back_again,
    ),
];

/// A controller, two groups of which the first has all shards, and clients: the first looks after the controller.
fn stage(draw: &mut Draw, groups: u32) -> Plan {
    let mut plan = draw.plan(3);
    plan.groups = groups + 1;
    plan.clients = vec![idle(Selector::All), idle(Selector::All)];
    plan.sleep(ELECTION).asks([join(&[FIRST])]).sleep(ELECTION);
    for key in 0..KEYS {
        plan.act(Act::Ask { client: 2, op: KvOp::Put { key: format!("k{key}"), value: "0;".into() } });
    }
    answered(&mut plan, 2, KEYS as u32);
    plan
}

/// Client 2 reads everything, and is answered.
fn reads(plan: &mut Plan, so_far: u32) {
    for key in 0..KEYS {
        plan.act(Act::Ask { client: 2, op: KvOp::Get { key: format!("k{key}") } });
    }
    answered(plan, 2, so_far + KEYS as u32);
}

fn moves(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    let mix = Mix { append: 700, put: 0, cas: 0, delete: 0, scan: 0 };
    let load = Load { keys: KEYS, mix, pause: Span::millis(10), ..Load::of(4, 300) };
    let clients = load.draw(draw, 3);
    plan.clients.extend(clients.into_iter().map(|client| crate::plan::Client { from: Span::secs(3), ..client }));
    plan.asks([join(&[FIRST + 1]), LATEST]).sleep(Span::secs(1)).asks([leave(&[FIRST])]).sleep(Span::secs(1));
    plan.asks([join(&[FIRST]), LATEST]).sleep(Span::secs(1));
    done(&mut plan);
    reads(&mut plan, KEYS as u32);
    plan
}

/// The first group cannot ask the controller for configurations; the second one can.
fn too_early(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    plan.split(of(FIRST), of(1)).asks([join(&[FIRST + 1]), LATEST]).sleep(Span::secs(1)).act(Act::Heal);
    plan.sleep(Span::secs(2));
    reads(&mut plan, KEYS as u32);
    plan
}

fn exchange(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    plan.asks([join(&[FIRST + 1])]).sleep(ELECTION);
    for nth in 0..20 {
        let (one, other) = if nth % 2 == 0 { (FIRST, FIRST + 1) } else { (FIRST + 1, FIRST) };
        plan.asks((0..5).flat_map(|shard| [give(shard, one), give(shard + 5, other)])).sleep(Span::millis(50));
    }
    plan.sleep(Span::secs(3));
    plan
}

fn missed(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    down(&mut plan, FIRST + 1);
    plan.asks([join(&[FIRST + 1]), give(0, FIRST), give(9, FIRST + 1)]).sleep(ELECTION).restart(of(FIRST + 1));
    plan.sleep(Span::secs(3));
    reads(&mut plan, KEYS as u32);
    plan
}

fn restart_while_waiting(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    down(&mut plan, FIRST);
    plan.asks([join(&[FIRST + 1])]).sleep(Span::secs(2));
    down(&mut plan, FIRST + 1);
    plan.sleep(Span::millis(300)).restart(of(FIRST + 1)).sleep(ELECTION).restart(of(FIRST)).sleep(ELECTION);
    plan
}

fn behind(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    let first = plan.clients.len() as u32 + 1;
    plan.clients.extend((0..KEYS).map(|_| idle(Selector::All)));
    // Everybody knows the configuration and has a session.
    for (client, key) in (first..).zip(0..KEYS) {
        plan.act(Act::Ask { client, op: KvOp::Append { key: format!("k{key}"), value: "1;".into() } });
    }
    (first..).zip(0..KEYS).for_each(|(client, _)| answered(&mut plan, client, 1));
    plan.hold("acknowledgements", Part::AppendReply, of(FIRST), of(FIRST)).asks([join(&[FIRST + 1])]);
    plan.sleep(Span::millis(250));
    for (client, key) in (first..).zip(0..KEYS) {
        plan.act(Act::Ask { client, op: KvOp::Append { key: format!("k{key}"), value: "2;".into() } });
    }
    plan.sleep(Span::millis(20)).release("acknowledgements").sleep(Span::secs(2));
    reads(&mut plan, KEYS as u32);
    plan
}

fn back_again(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2);
    plan.asks([join(&[FIRST + 1])]).sleep(ELECTION);
    let (name, what) = ("twice".into(), What::Duplicate(Spread::of(Span::millis(2_500), Span::millis(3_000))));
    let (from, to) = (of(FIRST + 1), of(FIRST));
    plan.act(Act::Rule { name, from, to, parts: Vec::new(), chance: None, skip: 0, take: None, what });
    plan.asks((0..10).map(|shard| give(shard, FIRST + 1))).sleep(Span::secs(1)).unrule("twice");
    plan.asks((0..10).map(|shard| give(shard, FIRST))).sleep(Span::secs(4));
    reads(&mut plan, KEYS as u32);
    plan
}
