//! Bugs of persistence.

use super::{Act, Draw, Edge, Effect, MOMENT, Need, Part, Plan, Scenario, Selector, Span, s, servers, stage};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "acknowledged-from-memory",
        "A follower whose disk stalls loses power after a command was sent to it, and then the leader dies.",
        from_memory,
    ),
    Scenario::directed(
        "leader-with-a-stalled-disk",
        "A leader whose disk stalls loses power after its follower has a command, and then the follower dies.",
        stalled_leader,
    ),
    Scenario::directed(
        "power-lost-between-log-and-snapshot",
        "A server loses power just before it begins to write the file of a snapshot.",
        between_files,
    )
    .needs(&[Need::Kinds, Need::Snapshots]),
    Scenario::directed(
        "crash-while-the-log-is-rewritten",
        "A server crashes at the first thing that it does to its log besides writing at the end.",
        rewriting,
    )
    .needs(&[Need::Kinds, Need::Snapshots]),
    Scenario::directed(
        "power-lost-with-half-an-install",
        "The first that a server hears of a term is a snapshot of it, and the write that brings both is torn.",
        half_an_install,
    )
    .needs(&[Need::Kinds, Need::Snapshots]),
    Scenario::directed(
        "power-lost-by-all",
        "All servers lose power right after a command was committed.",
        all_lose_power,
    ),
];

fn from_memory(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All).disconnect(s(3));
    plan.act(Act::StallDisk { who: s(2), span: Span::millis(300) }).propose(s(1), 1, "risky").sleep(MOMENT);
    plan.power_off(s(2)).crash(s(1)).back(s(2)).sleep(Span::millis(300));
    plan.connect(s(3)).campaign(s(3)).campaign(s(3));
    plan
}

fn stalled_leader(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All).disconnect(s(3));
    plan.act(Act::StallDisk { who: s(1), span: Span::millis(300) }).propose(s(1), 1, "risky").sleep(MOMENT);
    plan.power_off(s(1)).crash(s(2)).back(s(1)).sleep(Span::millis(300));
    plan.connect(s(3)).campaign(s(3)).campaign(s(3));
    plan
}

fn between_files(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(5);
    plan.lead(1).power_off_at(2, Effect::Write, "snap", Edge::Before);
    plan.agree_on(8, 16, servers([1, 3])).sleep(MOMENT).agree(Selector::All);
    plan
}

fn rewriting(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(5);
    let back_after = Some(Span::millis(10));
    let (effect, edge) = (Effect::Truncate, Edge::After);
    plan.lead(1).act(Act::CrashAt { who: s(2), effect, on: "log".into(), nth: 1, edge, power: false, back_after });
    plan.agree_on(12, 2_000, servers([1, 3])).sleep(MOMENT).agree(Selector::All);
    plan
}

fn half_an_install(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(5);
    plan.knobs.chunk = 64 << 10;
    plan.disk.tear = 1_000_000;
    plan.lead(1).agree(Selector::All);
    // What is torn may be there as a whole after all. So once more without: what becomes durable first is seen then.
    for (old, new, torn) in [(1, 2, true), (2, 1, false)] {
        plan.disconnect(s(3)).crash(s(old)).back(s(old));
        plan.lead(new).agree_on(12, 16, servers([1, 2])).sleep(MOMENT);
        // An append would bring the term in front of the snapshot, in a write of its own.
        plan.lose("no appends", Part::Append, s(new), s(3));
        if torn {
            plan.power_off_at(3, Effect::Sync, "log", Edge::Before);
        }
        plan.connect(s(3)).sleep(Span::secs(1)).unrule("no appends").agree(Selector::All);
    }
    plan
}

fn all_lose_power(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree_on(3, 16, Selector::All);
    plan.power_off(Selector::All).back(Selector::All).lead(2).agree(Selector::All);
    plan
}
