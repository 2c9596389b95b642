//! Faults that are aimed at what groups say to each other about shards, and crashes at the moments that matter to it. What is
//! held or late comes when the shard has moved on, or is back.

use super::super::kv::usual::answered;
use super::super::raft::ELECTION;
use super::super::{Need, Scenario, raft::Draw};
use super::kv::{FIRST, KEYS, Storm, done, of, stage};
use super::{LATEST, give, join};
use crate::plan::{Act, KvOp, Plan, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Edge, Effect, Span, Spread};

const NEEDS: &[Need] = &[Need::Service];

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours(
        "shard-late-migration",
        "All that groups say to each other arrives twice or late, by seconds in which shards move on.",
        late,
    )
    .needs(NEEDS),
    Scenario::ours(
        "shard-there-and-back",
        "Shards go and come back, and what was held of their first way comes then.",
        there_and_back,
    )
    .needs(NEEDS),
    Scenario::ours(
        "shard-receiver-crashes",
        "Leaders crash between having got a shard and having it in the log.",
        receiver_crashes,
    ),
    Scenario::ours(
        "shard-sender-crashes",
        "Leaders crash when they have frozen a shard, and before they delete their copy or say that they have.",
        sender_crashes,
    ),
    Scenario::ours("shard-move-to-its-owner", "Shards are moved to the groups that have them.", to_its_owner),
];

/// Something happens to what groups say to each other: to so many of a million, and at most `take` of them.
fn between_groups(
    plan: &mut Plan,
    name: &str,
    parts: Vec<Part>,
    chance: u32,
    take: Option<(u32, u32)>,
    what: What,
) {
    let (from, to, chance) = (Selector::All, Selector::All, Some(chance));
    let (skip, take) = take.map_or((0, None), |(skip, take)| (skip, Some(take)));
    plan.act(Act::Rule { name: name.into(), from, to, parts, chance, skip, take, what });
}

/// From less than a configuration to several of them.
const LATE: Spread = Spread { min: Span::millis(300), max: Span::secs(10) };

fn late(draw: &mut Draw) -> Plan {
    let pace = Span::millis(draw.rng.within(200..=1_500));
    let storm = Storm::new(3).paced(pace, 10);
    let storm = if draw.rng.chance(500_000) { storm.snapshots() } else { storm };
    let mut plan = storm.plan(draw);
    let script = std::mem::take(&mut plan.script);
    let parts = vec![Part::ServiceRequest, Part::ServiceReply];
    // If all came late, no shard would ever move; so some come twice, and the second time late.
    between_groups(&mut plan, "late", parts.clone(), 300_000, None, What::Delay(LATE));
    between_groups(&mut plan, "twice", parts, 1_000_000, None, What::Duplicate(LATE));
    plan.script.extend(script);
    plan
}

/// Two groups with half of the shards each.
fn pair(draw: &mut Draw, clients: u32) -> Plan {
    let mut plan = stage(draw, 2, clients, 60);
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(300), Some(1_000)]);
    plan.asks([join(&[FIRST, FIRST + 1]), LATEST]).sleep(ELECTION);
    plan
}

fn there_and_back(draw: &mut Draw) -> Plan {
    let mut plan = pair(draw, 4);
    for round in 0..4 {
        let name = format!("late {round}");
        let part = *draw.rng.pick(&[Part::ServiceRequest, Part::ServiceReply]);
        let shards = draw.rng.within(1..=3) as u32;
        let (one, other) = if draw.rng.chance(500_000) { (FIRST, FIRST + 1) } else { (FIRST + 1, FIRST) };
        plan.asks((0..shards).map(|shard| give(shard, one)).chain([LATEST])).sleep(ELECTION);
        // The first ones may be let through, so that what is held is of the end: the last piece, or the deletion. What is asked
        // again goes through, so the shards move all the same.
        let some = (draw.rng.below(5) as u32, draw.rng.within(1..=4) as u32);
        between_groups(&mut plan, &name, vec![part], 1_000_000, Some(some), What::Hold);
        let back = draw.rng.within(0..=2);
        for nth in 0..3 {
            let to = if nth % 2 == 0 { other } else { one };
            plan.asks((0..shards).map(|shard| give(shard, to)));
            plan.sleep(Span::millis(draw.rng.within(100..=1_200)));
            if nth == back {
                plan.release(&name);
            }
        }
    }
    done(&mut plan);
    plan
}

/// Half of the shards go from one group to the other again and again, and each time a leader is to crash at some effect: of the
/// group that gets them, or of the one that gives them.
fn crashes(draw: &mut Draw, receiver: bool, points: &[(Effect, &str, Edge, u64)]) -> Plan {
    let mut plan = pair(draw, 4);
    for nth in 0..6 {
        let (from, to) = if nth % 2 == 0 { (FIRST, FIRST + 1) } else { (FIRST + 1, FIRST) };
        let (effect, on, edge, most) = *draw.rng.pick(points);
        let who = of(if receiver { to } else { from }).and(Selector::Leader);
        let back_after = Some(Span::millis(draw.rng.within(1..=800)));
        let (nth, power) = (draw.rng.within(1..=most) as u32, draw.rng.chance(500_000));
        plan.act(Act::CrashAt { who, effect, on: on.into(), nth, edge, power, back_after });
        plan.asks((0..5).map(|shard| give(shard, to)).chain([LATEST]));
        plan.sleep(Span::millis(draw.rng.within(100..=1_500)));
    }
    done(&mut plan);
    plan
}

fn receiver_crashes(draw: &mut Draw) -> Plan {
    // Of the writes to the log the first ones are those of the configuration; then come pieces of shards.
    let points = [
        (Effect::Write, "log", Edge::Before, 12),
        (Effect::Sync, "log", Edge::Before, 12),
        (Effect::Emit, "shard-installed", Edge::Before, 4),
        (Effect::Emit, "shard-installed", Edge::After, 4),
        (Effect::Call, "", Edge::After, 8),
    ];
    crashes(draw, true, &points)
}

fn sender_crashes(draw: &mut Draw) -> Plan {
    let points = [
        (Effect::Emit, "shard-frozen", Edge::After, 4),
        (Effect::Emit, "shard-deleted", Edge::Before, 4),
        (Effect::Emit, "shard-deleted", Edge::After, 4),
        (Effect::Reply, "", Edge::Before, 12),
        (Effect::Reply, "", Edge::After, 12),
    ];
    crashes(draw, false, &points)
}

/// Each of two groups is given what it has. Nothing may move, and nothing may be lost.
fn to_its_owner(draw: &mut Draw) -> Plan {
    let mut plan = pair(draw, 3);
    let owner = |shard: u32| FIRST + shard % 2;
    let all = |plan: &mut Plan| _ = plan.asks((0..10).map(|shard| give(shard, owner(shard))));
    for _ in 0..3 {
        all(&mut plan);
        plan.sleep(Span::millis(draw.rng.within(20..=600)));
    }
    plan.asks([LATEST]);
    // The second of these finds the shard where it is, or on its way there.
    for shard in 0..5 {
        let to = FIRST + (shard + 1) % 2;
        plan.asks([give(shard, to), give(shard, to)]).sleep(Span::millis(draw.rng.within(0..=200)));
    }
    done(&mut plan);
    let client = plan.clients.len() as u32 + 1;
    plan.clients.push(super::idle(Selector::All));
    for key in 0..KEYS {
        plan.act(Act::Ask { client, op: KvOp::Get { key: format!("k{key}") } });
    }
    answered(&mut plan, client, KEYS as u32);
    plan
}
