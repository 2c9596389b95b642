//! Scenarios of key/value services that ports left out.

use super::super::raft::chaos::chaos;
use super::{Act, Draw, ELECTION, Load, Mix, Plan, Scenario, Selector, Span, unreliable};
use crate::plan::{Fault, ReadMode};
use labrpc::NodeId;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours(
        "kv-minority-clients",
        "Clients that only ever see a server or two, whichever side of a partition these are on.",
        minority_clients,
    ),
    Scenario::ours("kv-all-sorts", "Compare-and-set, deletes and scans, under partitions and losses.", all_sorts),
    Scenario::ours("kv-reads-by-index", "Readers chase writers, and leaders are cut off.", |draw| {
        reads(draw, ReadMode::Index)
    }),
    Scenario::ours("kv-reads-through-the-log", "The same with reads as entries of the log.", |draw| {
        reads(draw, ReadMode::Log)
    }),
    Scenario::ours("kv-reads-by-lease", "The same with leases, and clocks that run wrong within bounds.", |draw| {
        reads(draw, ReadMode::Lease)
    }),
    Scenario::ours("kv-expiring-sessions", "More clients than the service remembers.", expiring_sessions),
    Scenario::ours("kv-chaos", "Everything at once, as the seed has it.", kv_chaos),
];

fn minority_clients(draw: &mut Draw) -> Plan {
    let mut plan = draw.kv_plan(5);
    plan.clients = Load::of(3, 80).draw(draw, 1);
    for node in 1..=5 {
        let load = Load { talks_to: Selector::s(node), ..Load::of(1, 60) };
        let first = plan.clients.len() + 1;
        plan.clients.extend(load.draw(draw, first));
    }
    for _ in 0..3 {
        plan.partition_again(draw, 3).hush(draw).sleep(ELECTION);
    }
    plan.sleep(ELECTION);
    plan
}

fn all_sorts(draw: &mut Draw) -> Plan {
    let mut plan = draw.kv_plan(5);
    plan.net = unreliable();
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(1_000), Some(4_000)]);
    plan.clients = Load { mix: Mix::ALL, ..Load::of(8, 80) }.draw(draw, 1);
    for _ in 0..3 {
        plan.partition_again(draw, 2);
        let power = draw.rng.chance(500_000);
        // Who comes back must find its way without a client's help.
        plan.hush(draw).restart_all(power).sleep(ELECTION);
    }
    plan.await_clients();
    plan
}

fn reads(draw: &mut Draw, mode: ReadMode) -> Plan {
    let mut plan = draw.kv_plan(5);
    plan.knobs.reads = mode;
    if mode == ReadMode::Lease {
        for node in 1..=5 {
            plan.clocks.push((NodeId(node), draw.rng.within(800_000..=1_200_000) as u32));
        }
    }
    let talks_to = [Selector::All, Selector::s(1), Selector::s(2), Selector::s(3)];
    for to in talks_to {
        let load = Load { mix: Mix::READS, keys: 2, pause: Span::millis(25), talks_to: to, ..Load::of(2, 150) };
        let first = plan.clients.len() + 1;
        plan.clients.extend(load.draw(draw, first));
    }
    let old = Selector::bound("old");
    for _ in 0..6 {
        plan.wait_leader(Selector::All).bind("old", Selector::Leader);
        let act = match draw.rng.below(5) {
            0 => Act::Pause(old.clone()),
            1 => Act::Cut { from: Selector::All, to: old.clone() },
            2 => Act::Cut { from: old.clone(), to: Selector::All },
            3 => Act::Transfer { to: Selector::Followers.any(1) },
            _ => Act::Disconnect(old.clone()),
        };
        plan.act(act).sleep(Span::millis(draw.rng.within(300..=1_500)));
        plan.act(Act::Resume(old.clone())).connect(old.clone()).act(Act::Heal);
        plan.sleep(Span::millis(draw.rng.within(100..=500)));
        if draw.rng.chance(300_000) {
            plan.hush(draw);
        }
    }
    plan.sleep(ELECTION);
    plan
}

fn expiring_sessions(draw: &mut Draw) -> Plan {
    let mut plan = draw.kv_plan(3);
    plan.net = unreliable();
    plan.knobs.max_sessions = 6;
    plan.clients = Load { pause: Span::millis(200), ..Load::of(12, 30) }.draw(draw, 1);
    plan.sleep(ELECTION).await_clients();
    plan
}

fn kv_chaos(draw: &mut Draw) -> Plan {
    let mut plan = chaos(draw, false);
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(300), Some(1_000), Some(4_000)]);
    plan.knobs.client_patience = *draw.rng.pick(&[Span::secs(8), Span::secs(8), Span::secs(1)]);
    plan.knobs.reads = *draw.rng.pick(&[ReadMode::Index, ReadMode::Index, ReadMode::Log]);
    plan.clients = Load { mix: Mix::ALL, pause: Span::millis(100), ..Load::of(6, 60) }.draw(draw, 1);
    for _ in 0..draw.rng.below(3) {
        let at = Span::micros(draw.rng.below(12_000_000));
        plan.faults.push(Fault { at, act: Act::Hush(Span::millis(draw.rng.within(500..=3_000))) });
    }
    let pinned = Load { talks_to: Selector::s(1), pause: Span::millis(100), ..Load::of(1, 60) };
    let first = plan.clients.len() + 1;
    plan.clients.extend(pinned.draw(draw, first));
    plan
}
