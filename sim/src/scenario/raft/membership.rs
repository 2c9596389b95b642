//! Clusters whose membership changes: servers that die for good are replaced, learners catch up, leaders go.

use super::chaos::{self, FAMILIES};
use super::directed::s;
use super::networks::load;
use super::{Draw, Need, Scenario};
use crate::plan::{Act, Fault, Moment, Otherwise, Plan, Selector, Step};
use labrpc::NodeId;
use labrpc::sim::Span;

const NEEDS: &[Need] = &[Need::Membership];

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours(
        "membership-dead-server",
        "A server dies for good under load, and another one takes its place; much later the dead one comes back.",
        dead_server,
    )
    .needs(NEEDS),
    Scenario::ours(
        "membership-one-to-five",
        "A cluster of one grows to five and shrinks again, under load.",
        one_to_five,
    )
    .needs(NEEDS),
    Scenario::ours(
        "membership-leaders-go",
        "Again and again whoever leads is taken out, and a spare comes in.",
        leaders_go,
    )
    .needs(NEEDS),
    Scenario::ours(
        "membership-learner-far-behind",
        "A spare comes to a cluster with a long history: it gets snapshots while the log goes on.",
        far_behind,
    )
    .needs(&[Need::Membership, Need::Snapshots]),
    Scenario::ours(
        "membership-removed-unheard",
        "A server that is cut off is taken out without hearing of it, and comes back: it must disturb nobody.",
        removed_unheard,
    )
    .needs(NEEDS),
    Scenario::ours(
        "membership-chaos",
        "Other servers are wanted as voters every few seconds, in whatever else the seed has.",
        membership_chaos,
    )
    .needs(NEEDS),
];

/// So many voters, and spares behind them.
fn with_spares(draw: &mut Draw, mut plan: Plan, voters: u32) -> Plan {
    plan.voters = Some(voters);
    if !plan.knobs.pre_vote && !plan.knobs.check_quorum {
        plan.knobs.check_quorum = draw.rng.chance(500_000);
    }
    keep_fair(&mut plan);
    plan
}

/// What changes of the membership cannot do without.
pub(in crate::scenario) fn keep_fair(plan: &mut Plan) {
    plan.voters = plan.voters.map(|voters| voters.clamp(1, plan.servers));
    // Without it a leader may have to wait for a command before it may change anything.
    plan.knobs.noop = true;
    // Without either, one that was taken out and does not know it deposes every leader (thesis 4.2.3).
    plan.knobs.pre_vote |= !plan.knobs.check_quorum;
}

/// Whoever was wanted must be there by then.
fn reconfigured(plan: &mut Plan) -> &mut Plan {
    plan.then(Step::Await { event: Moment::Reconfigured, within: Span::secs(20), or: Otherwise::Violation })
}

fn dead_server(draw: &mut Draw) -> Plan {
    let voters = *draw.rng.pick(&[3, 3, 5]);
    let plan = draw.plan_with_knobs(voters + 1);
    let mut plan = with_spares(draw, plan, voters);
    plan.clients = load(draw, 3, 60, Selector::All, true);
    let spare = s(voters + 1);
    plan.check_one_leader().agree(Selector::Members);
    let dead = draw.rng.pick(&[Selector::Leader, Selector::Followers.and(spare.clone().not()).any(1)]).clone();
    plan.bind("dead", dead).crash(Selector::bound("dead"));
    plan.act(Act::Reconfigure { voters: Selector::bound("dead").not() });
    reconfigured(&mut plan).agree(Selector::Members);
    plan.restart(Selector::bound("dead")).sleep(Span::secs(2)).agree(Selector::Members);
    plan
}

fn one_to_five(draw: &mut Draw) -> Plan {
    let plan = draw.plan_with_knobs(5);
    let mut plan = with_spares(draw, plan, 1);
    plan.clients = load(draw, 3, 100, Selector::All, true);
    plan.check_one_leader();
    for count in [3, 5, 4, 2, 1] {
        plan.act(Act::Reconfigure { voters: Selector::All.any(count) });
        reconfigured(&mut plan).agree(Selector::Members);
    }
    plan
}

fn leaders_go(draw: &mut Draw) -> Plan {
    let voters = draw.rng.within(2..=4) as u32;
    let plan = draw.plan_with_knobs(voters + 1);
    let mut plan = with_spares(draw, plan, voters);
    plan.clients = load(draw, 3, 100, Selector::All, true);
    plan.check_one_leader();
    for _ in 0..6 {
        plan.wait_leader(Selector::All);
        plan.act(Act::Reconfigure { voters: Selector::Leader.not().any(voters) });
        reconfigured(&mut plan).agree(Selector::Members);
    }
    plan
}

fn far_behind(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_snapshots(4);
    plan.knobs.chunk = *draw.rng.pick(&[16, 64, 1_000]);
    plan.knobs.snapshot_ballast = *draw.rng.pick(&[0, 500, 5_000]);
    let mut plan = with_spares(draw, plan, 3);
    plan.clients = load(draw, 4, 100, Selector::All, true);
    plan.check_one_leader().agree_on(60, 16, Selector::Members);
    plan.act(Act::Reconfigure { voters: Selector::All });
    reconfigured(&mut plan).agree(Selector::All);
    plan
}

fn removed_unheard(draw: &mut Draw) -> Plan {
    let plan = draw.plan_with_knobs(5);
    let mut plan = with_spares(draw, plan, 4);
    plan.check_one_leader().agree(Selector::Members);
    plan.bind("away", draw.rng.pick(&[Selector::Leader, Selector::All.and(s(5).not()).any(1)]).clone());
    let away = Selector::bound("away");
    plan.disconnect(away.clone()).act(Act::Reconfigure { voters: away.clone().not() });
    reconfigured(&mut plan).agree(Selector::Members);
    // Time enough to campaign as often as it likes.
    plan.sleep(Span::secs(3)).connect(away).sleep(Span::secs(1));
    plan.then(Step::ExpectStableTerm { span: Span::secs(3) }).agree(Selector::Members);
    plan
}

fn membership_chaos(draw: &mut Draw) -> Plan {
    let servers = draw.rng.within(3..=6) as u32;
    let snapshots = draw.abilities.snapshots && draw.rng.chance(500_000);
    let plan = if snapshots { draw.plan_with_snapshots(servers) } else { draw.plan_with_knobs(servers) };
    let voters = draw.rng.within(1..=u64::from(servers)) as u32;
    let mut plan = with_spares(draw, plan, voters);
    plan.net = chaos::net(draw);
    plan.disk = chaos::disk(draw);
    if draw.rng.chance(300_000) {
        for node in 1..=servers {
            plan.clocks.push((NodeId(node), draw.rng.within(700_000..=1_500_000) as u32));
        }
    }
    let clients = draw.rng.within(2..=5) as u32;
    plan.clients = load(draw, clients, 100, Selector::All, true);
    for (_, family) in FAMILIES {
        if draw.rng.chance(400_000) {
            chaos::set(draw, &mut plan, *family, LASTS);
        }
    }
    wishes(draw, &mut plan, LASTS);
    plan.sleep(LASTS);
    plan
}

/// How long the faults last.
const LASTS: Span = Span::secs(15);

/// Other voters are wanted every now and then, whether or not the last ones have come about.
pub(in crate::scenario) fn wishes(draw: &mut Draw, plan: &mut Plan, lasts: Span) {
    let every = draw.rng.within(300_000..=4_000_000);
    let mut at = draw.rng.below(every);
    while at < lasts.0.as_micros() as u64 {
        let count = draw.rng.within(1..=u64::from(plan.servers)) as u32;
        let of = [Selector::All, Selector::All, Selector::Leader.not(), Selector::Up, Selector::Members];
        let voters = draw.rng.pick(&of).clone().any(count);
        let mut push = |at, act| plan.faults.push(Fault { at: Span::micros(at), act });
        if draw.rng.chance(300_000) {
            // Whoever leads is alone with its change, which somebody else overwrites; and then something else is wanted.
            let (name, back) = (format!("alone {at}"), at + draw.rng.within(300_000..=2_000_000));
            let alone = Selector::bound(&name);
            push(at, Act::Bind { name, who: Selector::Leader });
            push(at, Act::Disconnect(alone.clone()));
            push(back - 100_000, Act::Reconfigure { voters: Selector::Members });
            push(back, Act::Connect(alone));
        }
        push(at + 1, Act::Reconfigure { voters });
        at += draw.rng.within(every / 3..=every * 2);
    }
}

/// A cluster with spares in place of one without.
pub(in crate::scenario) fn with_wishes(draw: &mut Draw, plan: &mut Plan, lasts: Span) {
    let voters = plan.servers.saturating_sub(draw.rng.within(1..=3) as u32).max(1);
    *plan = with_spares(draw, std::mem::take(plan), voters);
    wishes(draw, plan, lasts);
}
