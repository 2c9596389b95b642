//! Part 2C: persistence, and networks that deserve the name.

use super::{Draw, ELECTION, Scenario, long_reordering, unreliable};
use crate::plan::{Act, Client, Op, Plan, Selector, Step};
use labrpc::sim::Span;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual("persist-1", "Servers crash and restart, all at once and one by one.", persist_1),
    Scenario::usual("persist-2", "Majorities move through five servers that crash and restart.", persist_2),
    Scenario::usual(
        "persist-3",
        "The leader and one follower crash while the third is away; it comes back with one of them.",
        persist_3,
    ),
    Scenario::usual(
        "figure-8",
        "Leaders crash right after they got commands, a thousand times: Figure 8 by chance.",
        figure_8,
    ),
    Scenario::usual(
        "unreliable-agree",
        "Five clients commit commands over a network that loses one in ten messages.",
        unreliable_agree,
    ),
    Scenario::usual(
        "figure-8-unreliable",
        "Figure 8 by chance over a network that loses messages and answers up to two seconds late.",
        figure_8_unreliable,
    ),
    Scenario::usual("reliable-churn", "Servers come and go while clients commit commands.", |draw| {
        churn(draw, false)
    }),
    Scenario::usual(
        "unreliable-churn",
        "Servers come and go while clients commit commands over a network that loses messages.",
        |draw| churn(draw, true),
    ),
];

fn reboot(plan: &mut Plan, who: Selector) {
    plan.crash(who.clone()).restart(who);
}

fn persist_1(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let (first, second, third) = (Selector::bound("first"), Selector::bound("second"), Selector::bound("third"));
    plan.agree(Selector::All);
    reboot(&mut plan, Selector::All);
    plan.agree(Selector::All).check_one_leader().bind("first", Selector::Leader);
    reboot(&mut plan, first);
    plan.agree(Selector::All).check_one_leader().bind("second", Selector::Leader);
    plan.crash(second.clone()).agree_among(1, second.clone().not()).restart(second);
    plan.agree(Selector::All).check_one_leader();
    plan.bind("third", Selector::Followers.any(1)).crash(third.clone());
    plan.agree_among(1, third.clone().not()).restart(third).agree(Selector::All);
    plan
}

fn persist_2(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    for round in 0..5 {
        let names = ["leader", "two", "rest"].map(|name| format!("{name}-{round}"));
        let [leader, two, rest] = names.clone().map(|name| Selector::bound(&name));
        plan.agree(Selector::All).check_one_leader().bind(&names[0], Selector::Leader);
        plan.bind(&names[1], Selector::Followers.any(2)).crash(two.clone());
        plan.agree_among(1, two.clone().not());
        plan.bind(&names[2], leader.or(two.clone()).not().any(1)).crash(two.clone().not());
        plan.restart(two.clone()).sleep(ELECTION).restart(rest.clone());
        plan.agree_among(1, two.or(rest)).restart(Selector::All);
    }
    plan.agree(Selector::All);
    plan
}

fn persist_3(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let (leader, away) = (Selector::bound("leader"), Selector::bound("away"));
    plan.agree(Selector::All).check_one_leader().bind("leader", Selector::Leader);
    plan.bind("away", Selector::Followers.any(1)).disconnect(away.clone());
    plan.agree_among(1, away.clone().not());
    let mate = leader.clone().or(away.clone()).not();
    plan.bind("mate", mate).crash(away.clone().not()).connect(away.clone()).restart(leader.clone());
    plan.agree_among(1, leader.or(away)).restart(Selector::bound("mate")).agree(Selector::All);
    plan
}

/// The course's pauses: mostly a few milliseconds, one in ten up to half an election timeout.
fn pause(draw: &mut Draw) -> Span {
    let most = if draw.rng.chance(100_000) { 500_000 } else { 13_000 };
    Span::micros(draw.rng.below(most))
}

fn figure_8(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    let leader = Selector::bound("leader");
    plan.agree_among(1, Selector::All);
    for _ in 0..1_000 {
        plan.propose(Selector::Leader, 1, "round").bind("leader", Selector::Leader);
        let pause = pause(draw);
        plan.sleep(pause).crash(leader.clone());
        // A majority is kept running; who comes back is left to chance.
        plan.act(Act::KeepUp { at_least: 3 });
    }
    plan.restart(Selector::All).agree(Selector::All);
    plan
}

fn figure_8_unreliable(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    plan.net = unreliable();
    let leader = Selector::bound("leader");
    plan.agree_among(1, Selector::All);
    for round in 0..1_000 {
        if round == 200 {
            long_reordering(draw, &mut plan);
        }
        plan.propose(Selector::Up, 1, "round").bind("leader", Selector::Leader);
        let pause = pause(draw);
        plan.sleep(pause);
        if draw.rng.chance(500_000) {
            plan.disconnect(leader.clone());
        }
        plan.act(Act::KeepConnected { at_least: 3 });
    }
    plan.connect(Selector::All).act(Act::Unrule("late replies".into()));
    plan.then(Step::Agree {
        count: 1,
        size: 16,
        via: Selector::All,
        on: Selector::All,
        // With one entry at a time a long backlog takes its time over such a network.
        within: Span::secs(120),
    });
    plan
}

fn clients(count: u32, ops: u32, after: Span) -> Vec<Client> {
    let write = Op::Write { after, size: 16 };
    let client = Client { talks_to: Selector::All, from: Span::ZERO, ops: vec![write; ops as usize] };
    vec![client; count as usize]
}

fn unreliable_agree(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    plan.net = unreliable();
    // Clients that try again sooner than a slow cluster can answer would drown it.
    plan.knobs.client_timeout = Span::secs(2);
    plan.clients = clients(5, 50, Span::ZERO);
    plan.then(Step::AwaitClients { within: Span::secs(120) });
    plan.act(Act::Net(Default::default())).agree(Selector::All);
    plan
}

fn churn(draw: &mut Draw, is_unreliable: bool) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    if is_unreliable {
        plan.net = unreliable();
    }
    plan.clients = clients(3, 200, Span::millis(20));
    for _ in 0..20 {
        let [one, two, three] = [(); 3].map(|()| Selector::s(draw.rng.within(1..=5) as u32));
        if draw.rng.chance(200_000) {
            plan.disconnect(one);
        }
        if draw.rng.chance(500_000) {
            plan.restart(two.clone()).connect(two);
        }
        if draw.rng.chance(200_000) {
            plan.crash(three);
        }
        plan.sleep(Span::millis(700));
    }
    plan.sleep(ELECTION).act(Act::Net(Default::default()));
    plan.restart(Selector::All).connect(Selector::All).agree(Selector::All);
    plan
}
