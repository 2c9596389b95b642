//! The course's part 4A, and what ports left out of it.

use super::super::kv::usual::answered;
use super::super::raft::{ELECTION, chaos, unreliable};
use super::super::{Scenario, raft::Draw};
use super::{LATEST, config, give, idle, join, leave};
use crate::plan::{Act, Client, KvOp, Op, Plan, Selector, Step};
use labrpc::sim::Span;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual(
        "master-basic",
        "Groups join and leave, shards are moved, and every configuration is read back.",
        basic,
    ),
    Scenario::usual(
        "master-multi",
        "Several groups join and leave at once, and several clients do it at once.",
        multi,
    ),
    Scenario::ours(
        "master-crowd",
        "Clients that join, leave, move and ask, over a network that loses messages.",
        |draw| {
            let mut plan = draw.plan_with_knobs(3);
            plan.net = unreliable();
            crowd(draw, plan, 5)
        },
    ),
    Scenario::ours(
        "master-restarts",
        "The same while all servers restart and are cut off, with snapshots.",
        restarts,
    ),
    Scenario::ours("master-chaos", "Everything at once, as the seed has it.", |draw| {
        let mut plan = chaos::chaos(draw, false);
        plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(300), Some(1_000)]);
        plan.clients = clients(draw, 5, 40);
        plan
    }),
];

/// Shards in the laboratory's configurations.
const SHARDS: u64 = 10;
/// Groups that the crowd knows of.
const GROUPS: u64 = 6;

fn basic(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan(3);
    plan.clients = vec![idle(Selector::All)];
    plan.asks([config(0), LATEST, join(&[1]), LATEST, join(&[2]), LATEST]);
    // What is there, or is not, changes nothing.
    plan.asks([join(&[2]), leave(&[9]), LATEST, leave(&[1]), LATEST, leave(&[2]), LATEST]);
    plan.asks([join(&[3, 4, 5]), LATEST, give(0, 3), LATEST, give(1, 4), LATEST, leave(&[4]), LATEST]);
    plan.asks((0..9).map(config));
    answered(&mut plan, 1, 30);
    plan.act(Act::Crash { who: Selector::Leader, power: true }).sleep(ELECTION).asks((0..9).map(config));
    answered(&mut plan, 1, 39);
    plan.restart(Selector::All);
    plan
}

fn multi(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan(3);
    plan.clients = vec![idle(Selector::All)];
    // Each joins groups of its own, and some leave again.
    for client in 1..=10_u32 {
        let (one, other) = (client * 10, client * 10 + 1);
        let ops = [join(&[one, other]), LATEST, leave(&[other]), LATEST].map(|op| Op::Kv { after: Span::ZERO, op });
        plan.clients.push(Client { talks_to: Selector::All, from: ELECTION, ops: ops.into() });
    }
    plan.then(Step::AwaitClients { within: Span::secs(60) });
    let first: Vec<u32> = (1..=5).map(|client| client * 10).collect();
    plan.asks([leave(&first), LATEST]).asks((0..21).map(config));
    answered(&mut plan, 1, 23);
    plan
}

/// What these clients do, at random.
fn clients(draw: &mut Draw, count: u32, ops: u32) -> Vec<Client> {
    clients_of(draw, count, ops, Span::millis(60))
}

/// The same with pauses of so long at most.
pub(in crate::scenario) fn clients_of(draw: &mut Draw, count: u32, ops: u32, pause: Span) -> Vec<Client> {
    let pause = pause.0.as_millis() as u64;
    let mut clients = Vec::new();
    for _ in 0..count {
        let ops = (0..ops).map(|_| Op::Kv { after: Span::millis(draw.rng.below(pause)), op: something(draw) });
        clients.push(Client { talks_to: Selector::All, from: Span::ZERO, ops: ops.collect() });
    }
    clients
}

fn something(draw: &mut Draw) -> KvOp {
    match draw.rng.below(10) {
        0..=1 => join(&draw.groups(GROUPS)[..1]),
        2 => join(&draw.groups(3)),
        3 => leave(&draw.groups(GROUPS)[..1]),
        4 => leave(&draw.groups(2)),
        5..=6 => give(draw.rng.below(SHARDS) as u32, draw.rng.within(1..=GROUPS) as u32),
        7 => config(draw.rng.below(40)),
        _ => LATEST,
    }
}

fn crowd(draw: &mut Draw, mut plan: Plan, count: u32) -> Plan {
    plan.clients = clients(draw, count, 40);
    plan.clients.insert(0, idle(Selector::All));
    plan.sleep(ELECTION).then(Step::AwaitClients { within: Span::secs(300) });
    // Who compares neighbours has to know them all.
    plan.asks((0..60).map(config));
    answered(&mut plan, 1, 60);
    plan
}

fn restarts(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(200), Some(1_000)]);
    for _ in 0..3 {
        let part = draw.rng.within(1..=4) as u32;
        plan.act(Act::Partition(vec![Selector::All.any(part)])).sleep(Span::millis(draw.rng.within(300..=1_500)));
        plan.act(Act::Heal).act(Act::Crash { who: Selector::All, power: draw.rng.chance(500_000) });
        plan.sleep(Span::millis(300)).restart(Selector::All).sleep(ELECTION);
    }
    crowd(draw, plan, 4)
}
