//! Chaos: everything at once, as the seed has it.

pub(in crate::scenario) use super::networks::load_with as load;
use super::networks::{self, with_core};
use super::{Draw, Need, Scenario};
use crate::plan::{Act, Fault, Plan, Selector};
use labrpc::NodeId;
use labrpc::sim::{DiskWeather, Edge, Effect, NetWeather, Span, Spread, Tail};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours(
        "chaos",
        "Sizes, knobs, weather and faults as the seed has them, each family of faults there or not.",
        |draw| chaos(draw, false),
    ),
    Scenario::ours("chaos-snapshot", "The same with snapshots.", |draw| chaos(draw, true))
        .needs(&[Need::Snapshots]),
];

/// How long the faults last.
const DURATION: Span = Span::secs(12);

/// One fault of a family, and what undoes it.
pub(in crate::scenario) type Family = fn(&mut Draw) -> (Act, Option<Act>);

/// All families, with their names.
pub(in crate::scenario) const FAMILIES: &[(&str, Family)] = &[
    ("partitions", partition),
    ("crashes", crash),
    ("crashes at any effect", crash_at),
    ("pauses", pause),
    ("clock jumps", clock),
    ("disks that stall", stall),
    ("leadership transfers", transfer),
];

pub(in crate::scenario) fn chaos(draw: &mut Draw, snapshots: bool) -> Plan {
    let servers = *draw.rng.pick(&[3, 3, 5, 5, 5, 1, 2, 4, 7]);
    let mut plan = if snapshots { draw.plan_with_snapshots(servers) } else { draw.plan_with_knobs(servers) };
    plan.net = net(draw);
    plan.disk = disk(draw);
    if draw.rng.chance(300_000) {
        for node in 1..=servers {
            plan.clocks.push((NodeId(node), draw.rng.within(700_000..=1_500_000) as u32));
        }
    }
    let clients = draw.rng.within(2..=6) as u32;
    plan.clients = networks::load(draw, clients, 100, Selector::All, true);
    plan.clients.extend(networks::load(draw, 1, 100, Selector::s(1), true));
    // Each family of faults is there or not: many bugs show only where others stay out of the way.
    for (_, family) in FAMILIES {
        if draw.rng.chance(500_000) {
            set(draw, &mut plan, *family, DURATION);
        }
    }
    plan.sleep(DURATION);
    plan.finale = with_core(&plan);
    plan
}

/// Faults of a family, again and again.
pub(in crate::scenario) fn set(draw: &mut Draw, plan: &mut Plan, family: Family, lasts: Span) {
    let end = lasts.0.as_micros() as u64;
    let every = draw.rng.within(400_000..=3_000_000);
    let mut at = draw.rng.below(every);
    while at < end {
        let (act, undo) = family(draw);
        let lasts = draw.rng.within(5_000..=2 * every);
        plan.faults.push(Fault { at: Span::micros(at), act });
        if let Some(act) = undo {
            plan.faults.push(Fault { at: Span::micros(at + lasts), act });
        }
        at += draw.rng.within(every / 2..=every * 2);
    }
}

pub(in crate::scenario) fn net(draw: &mut Draw) -> NetWeather {
    let tail = |ppm, from, to| Tail { ppm, delay: Spread::millis(from, to) };
    let mut net = NetWeather {
        delay: Spread::of(Span::micros(200), Span::millis(*draw.rng.pick(&[1, 2, 2, 10, 27]))),
        drop: *draw.rng.pick(&[0, 0, 10_000, 100_000, 200_000]),
        duplicate: *draw.rng.pick(&[0, 0, 20_000, 200_000]),
        bandwidth: *draw.rng.pick(&[None, None, None, Some(200_000)]),
        ..NetWeather::default()
    };
    if draw.rng.chance(500_000) {
        net.tails = vec![tail(10_000, 50, 300), tail(10_000, 300, 1_000), tail(5_000, 1_000, 8_000)];
    }
    net.drop_reply = net.drop;
    net
}

pub(in crate::scenario) fn disk(draw: &mut Draw) -> DiskWeather {
    DiskWeather {
        write: *draw.rng.pick(&[Spread::ZERO, Spread::ZERO, Spread::of(Span::ZERO, Span::millis(2))]),
        sync: Spread::of(Span::micros(50), Span::millis(*draw.rng.pick(&[1, 1, 10, 40]))),
        keep: *draw.rng.pick(&[300_000, 0, 700_000]),
        tear: *draw.rng.pick(&[300_000, 0, 1_000_000]),
        ..DiskWeather::default()
    }
}

fn somebody(draw: &mut Draw) -> Selector {
    let one = Selector::All.any(1);
    let all = [Selector::Leader, Selector::Leader, Selector::Followers.any(1), one, Selector::MostDivergent];
    draw.rng.pick(&all).clone()
}

fn partition(draw: &mut Draw) -> (Act, Option<Act>) {
    let who = somebody(draw);
    let act = match draw.rng.below(4) {
        0 => Act::Disconnect(who),
        1 => Act::Partition(vec![who]),
        2 => Act::Cut { from: who.clone(), to: who.not() },
        _ => Act::Cut { from: who.clone().not(), to: who },
    };
    (act, Some(Act::Heal))
}

fn crash(draw: &mut Draw) -> (Act, Option<Act>) {
    let who = if draw.rng.chance(150_000) { Selector::All } else { somebody(draw) };
    (Act::Crash { who, power: draw.rng.chance(500_000) }, Some(Act::Restart(Selector::All)))
}

fn crash_at(draw: &mut Draw) -> (Act, Option<Act>) {
    let act = Act::CrashAt {
        who: somebody(draw),
        effect: *draw.rng.pick(&[Effect::Send, Effect::Write, Effect::Sync, Effect::Emit, Effect::Rename]),
        on: String::new(),
        nth: draw.rng.within(1..=8) as u32,
        edge: *draw.rng.pick(&[Edge::Before, Edge::After]),
        power: draw.rng.chance(600_000),
        back_after: Some(Span::micros(draw.rng.within(0..=20_000))),
    };
    (act, None)
}

fn pause(draw: &mut Draw) -> (Act, Option<Act>) {
    (Act::Pause(somebody(draw)), Some(Act::Resume(Selector::All)))
}

fn clock(draw: &mut Draw) -> (Act, Option<Act>) {
    let by = Span::millis(draw.rng.within(10..=1_000));
    (Act::ClockJump { who: somebody(draw), by }, None)
}

fn stall(draw: &mut Draw) -> (Act, Option<Act>) {
    let span = Span::millis(draw.rng.within(50..=3_000));
    (Act::StallDisk { who: somebody(draw), span }, None)
}

fn transfer(_: &mut Draw) -> (Act, Option<Act>) {
    (Act::Transfer { to: Selector::Followers.any(1) }, None)
}
