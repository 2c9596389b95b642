//! Part 2A: elections.

use super::{Draw, ELECTION, Scenario};
use crate::plan::{Plan, Selector, Step};
use labrpc::sim::Span;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual(
        "initial-election",
        "Three servers elect a leader, and without faults it stays.",
        initial_election,
    ),
    Scenario::usual(
        "re-election",
        "The leader is cut off and comes back; a majority is cut off and comes back.",
        re_election,
    ),
    Scenario::usual(
        "many-elections",
        "Of seven servers three random ones are cut off, again and again.",
        many_elections,
    ),
];

fn initial_election(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    plan.check_one_leader().sleep(Span::millis(500));
    plan.then(Step::ExpectStableTerm { span: Span::secs(2) });
    plan.check_one_leader();
    plan
}

fn re_election(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let (first, second, other) = (Selector::bound("first"), Selector::bound("second"), Selector::bound("other"));
    plan.check_one_leader().bind("first", Selector::Leader).disconnect(first.clone());
    plan.wait_leader(first.clone().not());
    // The old leader comes back; there is one leader still.
    plan.connect(first).sleep(Span::millis(500)).check_one_leader();
    plan.bind("second", Selector::Leader).bind("other", second.clone().not().any(1));
    plan.disconnect(second.clone().or(other.clone()));
    // One server is connected to nobody: it must not become leader.
    let rest = second.clone().or(other.clone()).not();
    plan.then(Step::ExpectNoLeader { of: rest.or(other.clone()), after: Span::secs(2) });
    plan.connect(other).wait_leader(second.clone().not());
    plan.connect(second).sleep(Span::millis(500)).check_one_leader();
    plan
}

fn many_elections(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(7);
    let out = Selector::bound("out");
    plan.check_one_leader();
    for _ in 0..10 {
        plan.bind("out", Selector::All.any(3)).disconnect(out.clone());
        plan.sleep(Span::millis(450)).wait_leader(out.clone().not()).connect(out.clone());
    }
    plan.sleep(ELECTION).check_one_leader();
    plan
}
