//! Bugs of snapshots, and of what the service is told.

use super::{Act, Draw, MOMENT, Need, Part, Plan, Scenario, Selector, Span, Spread, s, servers, stage};

const NEEDS: &[Need] = &[Need::Kinds, Need::Snapshots];

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "snapshot-that-comes-twice",
        "The copy of a snapshot arrives when its receiver has gone on and taken a later one.",
        late_snapshot,
    )
    .needs(NEEDS),
    Scenario::directed(
        "snapshot-of-a-slow-service",
        "A service that lags takes a snapshot of its own when a later one was already received.",
        slow_service,
    )
    .needs(NEEDS),
    Scenario::directed(
        "snapshot-over-a-stale-suffix",
        "A deposed leader with a long log of its own receives a snapshot that ends in the middle of it.",
        over_a_suffix,
    )
    .needs(NEEDS),
    Scenario::directed(
        "followers-compacted-to-the-end",
        "All logs are compacted to different ends, and a leader compares its own with them.",
        compacted_to_the_end,
    )
    .needs(NEEDS),
    Scenario::directed(
        "snapshot-behind-a-queue",
        "A snapshot arrives while earlier entries wait for a service that lags.",
        behind_a_queue,
    )
    .needs(NEEDS),
    Scenario::directed(
        "laggard-of-an-idle-leader",
        "A server comes back to a leader whose log is all compacted and whose clients are silent.",
        idle_leader,
    )
    .needs(NEEDS),
    Scenario::directed(
        "commands-at-an-isolated-leader",
        "A leader that reaches nobody is given commands, and another one is elected.",
        isolated_leader,
    ),
];

fn late_snapshot(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(3);
    plan.lead(1).agree(Selector::All).disconnect(s(3)).agree_on(10, 16, servers([1, 2]));
    plan.twice(Part::Install, s(1), s(3), Span::secs(2)).connect(s(3)).agree_on(10, 16, Selector::All);
    plan.sleep(Span::secs(3)).crash(s(3)).back(s(3));
    plan
}

fn slow_service(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(5);
    plan.lead(1).agree(Selector::All);
    plan.act(Act::SlowService { who: s(3), lag: Spread::millis(100, 120) }).propose(s(1), 20, "queued");
    plan.stored("queued", s(3)).sleep(Span::millis(300)).disconnect(s(3));
    plan.propose(s(1), 20, "more").committed("more", s(1)).sleep(MOMENT);
    plan.connect(s(3)).sleep(Span::secs(4)).crash(s(3)).back(s(3));
    plan
}

fn behind_a_queue(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(5);
    plan.lead(1).agree(Selector::All);
    plan.act(Act::SlowService { who: s(3), lag: Spread::millis(100, 120) }).propose(s(1), 20, "queued");
    plan.stored("queued", s(3)).sleep(Span::millis(300)).disconnect(s(3));
    plan.propose(s(1), 20, "more").committed("more", s(1)).sleep(MOMENT);
    plan.connect(s(3)).sleep(Span::secs(4));
    plan
}

fn over_a_suffix(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 40, "own").stored("own", s(1));
    plan.lead(2).agree_on(12, 16, servers([2, 3])).connect(s(1)).agree(Selector::All);
    plan
}

fn compacted_to_the_end(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(1);
    plan.lead(1).agree(Selector::All);
    // S1 keeps its log, for its service has not come to the end of it; those of the others are all compacted.
    plan.act(Act::SlowService { who: s(1), lag: Spread::millis(400, 500) }).agree_on(4, 16, servers([2, 3]));
    plan.sleep(MOMENT).agree(servers([2, 3]));
    plan
}

fn idle_leader(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.snapshot_every = Some(1);
    plan.lead(1).agree(Selector::All).disconnect(s(3));
    plan.propose(s(1), 5, "missed").committed("missed", s(1)).sleep(Span::millis(500));
    plan.connect(s(3)).committed("missed", s(3));
    plan
}

fn isolated_leader(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 2, "own").stored("own", s(1)).sleep(MOMENT);
    plan.lead(2).agree_among(2, servers([2, 3])).connect(s(1)).agree(Selector::All);
    plan
}
