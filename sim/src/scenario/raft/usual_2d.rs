//! Part 2D: log compaction.

use super::{Draw, Need, Scenario, unreliable};
use crate::plan::{Plan, Selector};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual("snapshot-basic", "Snapshots are taken while commands come in.", |draw| {
        snapshots(draw, Away::Never, false)
    })
    .needs(&[Need::Snapshots]),
    Scenario::usual(
        "snapshot-install",
        "A server is away for longer than the log reaches back, and gets a snapshot.",
        |draw| snapshots(draw, Away::Disconnected, false),
    )
    .needs(&[Need::Snapshots]),
    Scenario::usual("snapshot-install-unreliable", "The same over a network that loses messages.", |draw| {
        snapshots(draw, Away::Disconnected, true)
    })
    .needs(&[Need::Snapshots]),
    Scenario::usual(
        "snapshot-install-crash",
        "A server crashes and comes back when the log does not reach back any more.",
        |draw| snapshots(draw, Away::Crashed, false),
    )
    .needs(&[Need::Snapshots]),
    Scenario::usual("snapshot-install-uncrash", "The same over a network that loses messages.", |draw| {
        snapshots(draw, Away::Crashed, true)
    })
    .needs(&[Need::Snapshots]),
    Scenario::usual("snapshot-all-crash", "All servers crash at once and go on from their snapshots.", all_crash)
        .needs(&[Need::Snapshots]),
    Scenario::usual(
        "snapshot-init",
        "All servers crash with a snapshot and no log behind it, and elect a leader.",
        init,
    )
    .needs(&[Need::Snapshots]),
];

/// What becomes of the victim of a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Never,
    Disconnected,
    Crashed,
}

fn snapshots(draw: &mut Draw, away: Away, is_unreliable: bool) -> Plan {
    let mut plan = draw.plan_with_snapshots(3);
    if is_unreliable {
        plan.net = unreliable();
    }
    plan.agree(Selector::All).check_one_leader();
    let every = plan.knobs.snapshot_every.unwrap_or(10).min(20);
    for round in 0..30 {
        // In one round of three the victim is the leader itself.
        let (name, who) =
            (format!("victim-{round}"), if round % 3 == 1 { Selector::Leader } else { Selector::Followers.any(1) });
        let victim = Selector::bound(&name);
        plan.bind(&name, who);
        match away {
            Away::Never => {}
            Away::Disconnected => _ = plan.disconnect(victim.clone()),
            Away::Crashed => _ = plan.crash(victim.clone()),
        }
        let rest = if away == Away::Never { Selector::All } else { victim.clone().not() };
        plan.agree_among(1, rest.clone()).propose(Selector::Leader, every + 1, "many").agree_among(1, rest);
        match away {
            Away::Never => {}
            Away::Disconnected => _ = plan.connect(victim).agree(Selector::All),
            Away::Crashed => _ = plan.restart(victim).agree(Selector::All),
        }
        plan.check_one_leader();
    }
    plan
}

fn all_crash(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_snapshots(3);
    let every = plan.knobs.snapshot_every.unwrap_or(10).min(20);
    plan.agree(Selector::All);
    for _ in 0..5 {
        let commands = u64::from(every / 2) + draw.rng.below(every.into()) + 1;
        plan.agree_on(commands as u32, 16, Selector::All);
        plan.crash(Selector::All).restart(Selector::All).agree(Selector::All);
    }
    plan
}

fn init(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_snapshots(3);
    let every = plan.knobs.snapshot_every.unwrap_or(10).min(20);
    plan.agree_on(every + 1, 16, Selector::All);
    plan.crash(Selector::All).restart(Selector::All).agree_on(1, 16, Selector::None);
    plan.crash(Selector::All).restart(Selector::All).agree(Selector::All);
    plan
}
