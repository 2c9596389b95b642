//! Disks that lose, tear, stall, fail and rot, and power that goes away at the worst moment.

use super::networks::{comings_and_goings, load, with_core};
use super::{Draw, Need, Scenario};
use crate::plan::{Act, Fault, Finale, Plan, Selector, Step};
use labrpc::sim::{DiskWeather, Edge, Effect, Span, Spread, Tail};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours(
        "crash-at-any-effect",
        "Servers crash, or lose power, in front of or behind the nth effect of a kind, and come back at once or late.",
        crash_at_any_effect,
    ),
    Scenario::ours(
        "torn-tails",
        "The power of all servers fails again and again, and their last writes are torn.",
        torn_tails,
    ),
    Scenario::ours(
        "power-failure-after-ack",
        "A majority loses power right after commands were committed.",
        power_failure_after_ack,
    ),
    Scenario::ours(
        "slow-disks",
        "Disks take up to 50 ms, some of them much longer, and finish in any order.",
        slow_disks,
    ),
    Scenario::ours("stalled-disk", "The leader's disk stands still for seconds.", stalled_disk),
    Scenario::ours(
        "failing-disks",
        "Writes and syncs fail, and disks run full; servers stop and come back when the disk works again.",
        failing_disks,
    ),
    Scenario::ours(
        "damaged-log",
        "A bit flips below the known-durable mark of a server that is down: it must refuse to start.",
        damaged_log,
    ),
    Scenario::ours(
        "slow-service-snapshot",
        "The service lags behind and takes snapshots all the time, while others are installed over it.",
        slow_service,
    )
    .needs(&[Need::Snapshots]),
];

fn crash_at_any_effect(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    plan.clients = load(draw, 4, 60, Selector::All, true);
    plan.disk.sync = Spread::of(Span::micros(100), Span::millis(*draw.rng.pick(&[1, 5, 20])));
    let mut at = 300_000;
    for _ in 0..draw.rng.within(4..=12) {
        let effects = [Effect::Send, Effect::Write, Effect::Sync, Effect::SyncDir, Effect::Rename, Effect::Emit];
        let effect = *draw.rng.pick(&effects);
        let on = match effect {
            Effect::Send => *draw.rng.pick(&["", "vote-reply", "append-reply", "append", "vote", "install"]),
            Effect::Emit => *draw.rng.pick(&["", "term", "committed", "compacted", "installed", "appended"]),
            Effect::Write | Effect::Sync | Effect::Rename => *draw.rng.pick(&["", "log-", "snap-"]),
            _ => "",
        };
        let pause = *draw.rng.pick(&[2, 10, 20, 200, 2_000]);
        let act = Act::CrashAt {
            who: draw.rng.pick(&[Selector::Leader, Selector::All.any(1), Selector::Followers.any(1)]).clone(),
            effect,
            on: on.into(),
            nth: draw.rng.within(1..=6) as u32,
            edge: *draw.rng.pick(&[Edge::Before, Edge::After]),
            power: draw.rng.chance(600_000),
            back_after: Some(Span::millis(draw.rng.within(0..=pause))),
        };
        plan.faults.push(Fault { at: Span::micros(at), act });
        at += draw.rng.within(50_000..=900_000);
    }
    plan.sleep(Span::micros(at + 500_000));
    plan.finale = with_core(&plan);
    plan
}

fn torn_tails(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    let sync = Spread::of(Span::micros(100), Span::millis(10));
    plan.disk = DiskWeather { sync, keep: 200_000, tear: 600_000, ..DiskWeather::default() };
    plan.clients = load(draw, 5, 60, Selector::All, true);
    plan.sleep(Span::secs(1));
    for _ in 0..8 {
        plan.act(Act::Crash { who: Selector::All, power: true }).sleep(Span::millis(draw.rng.within(0..=50)));
        plan.restart(Selector::All).sleep(Span::millis(draw.rng.within(5..=1_500)));
    }
    plan.agree(Selector::All);
    plan
}

fn power_failure_after_ack(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.disk.sync = Spread::of(Span::millis(1), Span::millis(15));
    let majority = plan.majority();
    for _ in 0..8 {
        plan.wait_leader(Selector::All).propose(Selector::Leader, 3, "burst");
        plan.agree_among(1, Selector::Leader);
        let (spared, again) = (Selector::bound("spared"), Selector::bound("lost"));
        plan.bind("lost", Selector::All.any(majority)).bind("spared", again.clone().not());
        plan.act(Act::Crash { who: again.clone(), power: true });
        // Those whose power failed must hold what was committed: with one of the others they elect a leader.
        plan.crash(spared.clone()).sleep(Span::millis(draw.rng.within(0..=20))).restart(again);
        plan.sleep(Span::millis(draw.rng.within(0..=800))).restart(spared);
    }
    plan.agree(Selector::All);
    plan
}

fn slow_disks(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    // The election timeout must leave room for a vote to become durable.
    plan.knobs.election = Spread::millis(500, 1_000);
    plan.disk = DiskWeather {
        write: Spread::of(Span::ZERO, Span::millis(5)),
        sync: Spread::of(Span::ZERO, Span::millis(50)),
        tails: vec![Tail { ppm: 10_000, delay: Spread::millis(50, 500) }],
        ..DiskWeather::default()
    };
    plan.clients = load(draw, 4, 60, Selector::All, true);
    plan.faults = comings_and_goings(draw, 8, Span::millis(1_500));
    plan.sleep(Span::secs(12));
    plan.finale = with_core(&plan);
    plan
}

fn stalled_disk(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.clients = load(draw, 4, 60, Selector::All, true);
    plan.agree(Selector::All);
    let leader = Selector::bound("leader");
    for _ in 0..2 {
        plan.wait_leader(Selector::All).bind("leader", Selector::Leader);
        let span = Span::millis(draw.rng.within(1_000..=8_000));
        plan.act(Act::StallDisk { who: leader.clone(), span }).propose(leader.clone(), 2, "stalled");
        plan.sleep(span).sleep(Span::millis(500));
    }
    plan.agree(Selector::All);
    plan
}

fn failing_disks(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    plan.clients = load(draw, 4, 60, Selector::All, true);
    plan.agree(Selector::All);
    let sick = Selector::bound("sick");
    for _ in 0..4 {
        let weather = match draw.rng.below(3) {
            0 => DiskWeather { write_error: 300_000, ..DiskWeather::default() },
            1 => DiskWeather { sync_error: 300_000, ..DiskWeather::default() },
            _ => DiskWeather { capacity: Some(draw.rng.within(100..=4_000)), ..DiskWeather::default() },
        };
        plan.bind("sick", Selector::All.any(1)).act(Act::Disk { who: sick.clone(), weather });
        plan.sleep(Span::millis(draw.rng.within(200..=1_500)));
        plan.act(Act::Disk { who: sick.clone(), weather: DiskWeather::default() });
        plan.restart(sick.clone()).sleep(Span::millis(300));
    }
    plan.agree(Selector::All);
    plan
}

fn damaged_log(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let victim = Selector::bound("victim");
    // Several synced batches, so that there is something below the mark.
    plan.agree_on(8, 60, Selector::All).bind("victim", Selector::All.any(1));
    plan.act(Act::Crash { who: victim.clone(), power: true }).agree_among(2, victim.clone().not());
    let offset = draw.rng.within(0..=250);
    plan.act(Act::Corrupt { who: victim.clone(), file: "log-".into(), offset }).restart(victim.clone());
    plan.then(Step::ExpectRefused(victim.clone())).agree_among(2, victim.not());
    plan.finale = Finale { converge: false, serve: true, ..Finale::default() };
    plan
}

fn slow_service(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_snapshots(3);
    plan.knobs.snapshot_every = Some(*draw.rng.pick(&[1, 2, 5]));
    plan.knobs.apply_lag = *draw.rng.pick(&[Spread::millis(1, 10), Spread::millis(0, 30)]);
    plan.knobs.max_unapplied = *draw.rng.pick(&[5, 50, 1_000]);
    plan.clients = load(draw, 4, 60, Selector::All, false);
    let away = Selector::bound("away");
    plan.agree(Selector::All);
    for _ in 0..6 {
        plan.bind("away", Selector::Followers.any(1)).disconnect(away.clone());
        plan.propose(Selector::Leader, 12, "many").sleep(Span::millis(draw.rng.within(50..=400)));
        plan.connect(away.clone()).sleep(Span::millis(draw.rng.within(20..=500)));
    }
    plan.then(Step::Agree { count: 1, size: 16, via: Selector::All, on: Selector::All, within: Span::secs(30) });
    plan.finale.within = Span::secs(40);
    plan
}
