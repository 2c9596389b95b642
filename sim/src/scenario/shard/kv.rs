//! The course's part 4B with both of its challenges, and what ports left out. Every history is checked for linearizability,
//! and at every event whose each shard is.

use super::super::kv::load::{Load, Mix};
use super::super::kv::usual::answered;
use super::super::raft::{ELECTION, unreliable};
use super::super::{Scenario, raft::Draw};
use super::{LATEST, give, idle, join, leave};
use crate::plan::{Act, Knobs, KvOp, Moment, Otherwise, Plan, Selector, Step};
use labrpc::sim::{Span, Spread, Tail};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual("shard-static", "Two groups share the shards; one goes down, and its shards with it.", fixed),
    Scenario::usual("shard-join-leave", "A group joins, and the first one leaves.", join_leave),
    Scenario::usual("shard-snapshot", "The same with snapshots, and everybody restarts.", snapshot),
    Scenario::usual(
        "shard-missed-changes",
        "Groups are down while the configuration changes, and come back.",
        missed,
    ),
    Scenario::usual("shard-concurrent-1", "Groups join and leave under load.", |draw| Storm::new(3).plan(draw)),
    Scenario::usual("shard-concurrent-2", "The same, and groups restart.", |draw| {
        Storm::new(3).restarts().plan(draw)
    }),
    Scenario::usual("shard-concurrent-3", "The same with snapshots, and all restart at once.", |draw| {
        Storm::new(3).restarts().snapshots().plan(draw)
    }),
    Scenario::usual("shard-unreliable-1", "Groups join and leave over a network that loses messages.", |draw| {
        Storm::new(3).lossy().plan(draw)
    }),
    Scenario::usual("shard-unreliable-2", "The same with snapshots.", |draw| {
        Storm::new(3).lossy().snapshots().plan(draw)
    }),
    Scenario::usual("shard-unreliable-3", "The same with restarts.", |draw| {
        Storm::new(3).lossy().snapshots().restarts().plan(draw)
    }),
    Scenario::usual("shard-deletion", "Shards move on, and what they leave behind is gone.", deletion),
    Scenario::usual("shard-deletion-concurrent", "The same under load, with restarts.", |draw| {
        let mut plan = Storm::new(3).restarts().snapshots().plan(draw);
        plan.then(expect_small());
        plan
    }),
    Scenario::usual("shard-unaffected", "A group is dead; the others serve what they have.", unaffected),
    Scenario::usual("shard-partial", "Shards that have come are served while others cannot come.", partial),
    Scenario::ours("shard-swaps", "Groups exchange shards, back and forth.", swaps),
    Scenario::ours("shard-storm", "Configurations change faster than shards can move.", |draw| {
        let mut plan = Storm { pace: Span::millis(40), times: 30, ..Storm::new(4) }.snapshots().plan(draw);
        plan.net.tails = vec![Tail { ppm: 50_000, delay: Spread::millis(50, 1_500) }];
        plan.net.duplicate = 50_000;
        plan
    }),
    Scenario::ours(
        "shard-restart-mid-migration",
        "Whole groups restart, with tiny snapshots, while shards move.",
        |draw| Storm { pace: Span::millis(300), times: 8, ..Storm::new(3) }.restarts().snapshots().plan(draw),
    ),
    Scenario::ours("shard-leave-all", "All groups leave, and some join again.", leave_all),
    Scenario::ours("shard-partitions", "Groups and the controller fall apart, under load.", partitions),
];

/// The first group that serves; the one before it is the controller.
pub(super) const FIRST: u32 = 2;
/// Keys, enough for all shards to have some.
pub(super) const KEYS: u64 = 20;
/// What clients do: everything, on keys that all share.
const MIX: Mix = Mix { append: 450, put: 50, cas: 50, delete: 20, scan: 5 };

/// A controller and so many groups. Client 1 looks after the controller; the others work.
pub(super) fn stage(draw: &mut Draw, groups: u32, clients: u32, ops: u32) -> Plan {
    stage_with(draw, groups, load(clients, ops))
}

fn load(clients: u32, ops: u32) -> Load {
    Load { keys: KEYS, mix: MIX, pause: Span::millis(80), ..Load::of(clients, ops) }
}

fn stage_with(draw: &mut Draw, groups: u32, load: Load) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    plan.groups = groups + 1;
    plan.knobs.snapshot_every = None;
    plan.clients = vec![idle(Selector::All)];
    plan.clients.extend(load.draw(draw, 2));
    plan
}

pub(super) fn of(group: u32) -> Selector {
    Selector::Group(group)
}

pub(super) fn down(plan: &mut Plan, group: u32) {
    plan.act(Act::Crash { who: of(group), power: true });
}

pub(super) fn done(plan: &mut Plan) {
    plan.then(Step::AwaitClients { within: Span::secs(300) });
}

fn expect_small() -> Step {
    // A group may serve all of about 10,000 bytes, keep a copy of them for the next one, and have as much again in its log, which is
    // due for a snapshot when it is longer than the last one; frames take a third of that, for pieces of 200 bytes. Who
    // keeps each copy has twice as much.
    Step::ExpectDisk { on: Selector::All, at_most: 60_000, within: Span::secs(20) }
}

fn fixed(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2, 3, 60);
    plan.asks([join(&[FIRST, FIRST + 1]), LATEST]).sleep(Span::secs(3));
    down(&mut plan, FIRST);
    plan.sleep(Span::secs(1)).restart(of(FIRST));
    done(&mut plan);
    plan
}

fn join_leave(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2, 3, 80);
    plan.asks([join(&[FIRST])]).sleep(Span::secs(2)).asks([join(&[FIRST + 1]), LATEST]).sleep(Span::secs(2));
    plan.asks([leave(&[FIRST]), LATEST]).sleep(Span::secs(3));
    // It has given everything away.
    down(&mut plan, FIRST);
    done(&mut plan);
    plan.restart(of(FIRST));
    plan
}

fn snapshot(draw: &mut Draw) -> Plan {
    let mut plan = join_leave(draw);
    plan.knobs.snapshot_bytes = Some(500);
    plan.act(Act::Crash { who: Selector::All, power: true }).sleep(Span::millis(500)).restart(Selector::All);
    plan.asks([join(&[FIRST]), LATEST]).sleep(ELECTION);
    plan
}

fn missed(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3, 3, 80);
    plan.asks([join(&[FIRST])]).sleep(Span::secs(1));
    down(&mut plan, FIRST + 1);
    plan.asks([join(&[FIRST + 1, FIRST + 2]), give(0, FIRST), give(1, FIRST), LATEST]).sleep(Span::secs(1));
    plan.restart(of(FIRST + 1)).sleep(Span::secs(1));
    down(&mut plan, FIRST);
    plan.asks([leave(&[FIRST + 2]), give(2, FIRST + 1), LATEST]).sleep(Span::secs(1)).restart(of(FIRST));
    done(&mut plan);
    plan
}

/// Configurations that change while clients work.
#[derive(Clone, Copy)]
pub(super) struct Storm {
    pub groups: u32,
    pub shards: u32,
    pub keys: u64,
    pub pace: Span,
    pub times: u32,
    pub lossy: bool,
    pub snapshots: bool,
    pub restarts: bool,
}

impl Storm {
    pub fn new(groups: u32) -> Storm {
        let (shards, keys) = (Knobs::default().shards, KEYS);
        Storm {
            groups,
            shards,
            keys,
            pace: Span::millis(500),
            times: 8,
            lossy: false,
            snapshots: false,
            restarts: false,
        }
    }

    fn lossy(self) -> Storm {
        Storm { lossy: true, ..self }
    }

    pub(super) fn paced(self, pace: Span, times: u32) -> Storm {
        Storm { pace, times, ..self }
    }

    pub(super) fn snapshots(self) -> Storm {
        Storm { snapshots: true, ..self }
    }

    fn restarts(self) -> Storm {
        Storm { restarts: true, ..self }
    }

    pub fn plan(self, draw: &mut Draw) -> Plan {
        // As in the course, ten clients; in short waves, as long as configurations change.
        let load = Load { keys: self.keys, wave: 5, pause: Span::millis(500), ..load(10, 40) };
        let mut plan = stage_with(draw, self.groups, load);
        plan.knobs.shards = self.shards;
        if self.lossy {
            plan.net = unreliable();
        }
        if self.snapshots {
            plan.knobs.snapshot_bytes = *draw.rng.pick(&[Some(200), Some(500), Some(2_000)]);
        }
        let last = FIRST + self.groups - 1;
        plan.asks([join(&[FIRST]), join(&(FIRST + 1..=last).collect::<Vec<_>>()), LATEST]).sleep(ELECTION);
        for _ in 0..self.times {
            let change = self.change(draw);
            plan.asks([change, LATEST]).sleep(Span::micros(draw.rng.below(2 * self.pace.0.as_micros() as u64)));
            if self.restarts && draw.rng.chance(300_000) {
                let who = if draw.rng.chance(300_000) {
                    Selector::All
                } else {
                    of(draw.rng.within(1..=u64::from(last)) as u32)
                };
                plan.act(Act::Crash { who: who.clone(), power: draw.rng.chance(500_000) });
                plan.sleep(Span::millis(draw.rng.below(400))).restart(who);
            }
        }
        plan.asks([join(&[FIRST]), LATEST]);
        done(&mut plan);
        plan
    }

    fn change(self, draw: &mut Draw) -> KvOp {
        let group = |draw: &mut Draw| FIRST + draw.rng.below(u64::from(self.groups)) as u32;
        match draw.rng.below(4) {
            0 => leave(&[group(draw)]),
            1 => join(&[group(draw)]),
            _ => give(draw.rng.below(self.shards.into()) as u32, group(draw)),
        }
    }
}

fn deletion(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3, 2, 40);
    plan.knobs.snapshot_bytes = Some(300);
    // Before there is a group there is nobody to take them.
    plan.asks([join(&[FIRST])]).sleep(ELECTION);
    for key in 0..KEYS {
        plan.asks([KvOp::Put { key: format!("k{key}"), value: "x".repeat(500) }]);
    }
    answered(&mut plan, 1, KEYS as u32 + 1);
    for _ in 0..4 {
        plan.asks([join(&[FIRST + 1]), leave(&[FIRST])]).sleep(Span::secs(1));
        plan.asks([join(&[FIRST + 2]), leave(&[FIRST + 1])]).sleep(Span::secs(1));
        plan.asks([join(&[FIRST]), leave(&[FIRST + 2])]).sleep(Span::secs(1));
    }
    done(&mut plan);
    plan.then(expect_small());
    plan
}

fn unaffected(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3, 4, 40);
    plan.asks([join(&[FIRST, FIRST + 1, FIRST + 2]), LATEST]).sleep(Span::secs(2));
    down(&mut plan, FIRST);
    // What it had goes to the others, as soon as it is there to give it away; what these have they serve meanwhile. It had
    // a third: of twenty reads of different keys about seven are given up, after a second each.
    plan.knobs.client_patience = Span::secs(1);
    plan.asks([leave(&[FIRST]), LATEST]).sleep(Span::secs(1));
    plan.clients.push(idle(Selector::All));
    let client = plan.clients.len() as u32;
    for key in 0..KEYS {
        plan.act(Act::Ask { client, op: KvOp::Get { key: format!("k{key}") } });
    }
    let event = Moment::Answered { client, count: KEYS as u32 };
    plan.then(Step::Await { event, within: Span::secs(14), or: Otherwise::Violation }).restart(of(FIRST));
    done(&mut plan);
    plan
}

fn partial(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3, 4, 40);
    plan.asks([join(&[FIRST, FIRST + 1]), LATEST]).sleep(Span::secs(2));
    down(&mut plan, FIRST);
    plan.asks([join(&[FIRST + 2]), leave(&[FIRST, FIRST + 1]), LATEST]).sleep(Span::secs(3)).restart(of(FIRST));
    done(&mut plan);
    plan
}

fn swaps(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 2, 4, 60);
    plan.asks([join(&[FIRST, FIRST + 1])]).sleep(ELECTION);
    for nth in 0..6 {
        let (one, other) = if nth % 2 == 0 { (FIRST, FIRST + 1) } else { (FIRST + 1, FIRST) };
        plan.asks((0..5).flat_map(|shard| [give(shard, one), give(shard + 5, other)]));
        plan.sleep(Span::millis(draw.rng.within(20..=600)));
    }
    done(&mut plan);
    plan
}

fn leave_all(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3, 4, 50);
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(300)]);
    for _ in 0..2 {
        plan.asks([join(&[FIRST, FIRST + 1])]).sleep(Span::millis(draw.rng.within(100..=1_000)));
        plan.asks([leave(&[FIRST, FIRST + 1]), LATEST]).sleep(Span::millis(draw.rng.within(50..=500)));
        plan.asks([join(&[FIRST + 2]), LATEST]).sleep(Span::millis(draw.rng.within(50..=500)));
        plan.asks([leave(&[FIRST + 2])]);
    }
    plan.asks([join(&[FIRST + 1, FIRST + 2])]);
    done(&mut plan);
    plan
}

fn partitions(draw: &mut Draw) -> Plan {
    let mut plan = Storm { times: 2, ..Storm::new(3) }.plan(draw);
    let end = plan.script.pop();
    for _ in 0..4 {
        let part = draw.rng.within(2..=6) as u32;
        plan.act(Act::Partition(vec![Selector::All.any(part)]));
        let change = Storm::new(3).change(draw);
        plan.asks([change, LATEST]).sleep(Span::millis(draw.rng.within(300..=1_500))).act(Act::Heal);
    }
    // The last group may have left, and then nobody can serve.
    plan.asks([join(&[FIRST]), LATEST]);
    plan.script.extend(end);
    plan
}
