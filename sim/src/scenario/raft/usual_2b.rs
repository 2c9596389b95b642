//! Part 2B: the log.

use super::{Draw, ELECTION, Scenario};
use crate::plan::{Act, Plan, Selector, Step};
use labrpc::sim::Span;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual(
        "basic-agree",
        "Three commands, one after the other, are applied on all three servers.",
        basic_agree,
    ),
    Scenario::usual("rpc-bytes", "Each command is sent to each follower once.", rpc_bytes),
    Scenario::usual("fail-agree", "Two servers agree while the third is away, and it catches up.", fail_agree),
    Scenario::usual(
        "fail-no-agree",
        "With three of five followers away nothing is committed; when they are back, everything goes on.",
        fail_no_agree,
    ),
    Scenario::usual("concurrent-starts", "Several commands at once are all committed.", concurrent_starts),
    Scenario::usual("rejoin", "A leader that was cut off with commands of its own rejoins and gives way.", rejoin),
    Scenario::usual("backup", "Leaders go back quickly over the long divergent logs of followers.", backup),
    Scenario::usual("count", "Elections, agreement and idleness take no more messages than they need.", count),
];

fn basic_agree(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    plan.agree_on(3, 16, Selector::All);
    plan
}

fn rpc_bytes(draw: &mut Draw) -> Plan {
    // The bound leaves room for headers and heartbeats, and none for sending commands twice.
    let mut plan = draw.plan(3);
    plan.agree(Selector::All).act(Act::Count("start".into()));
    plan.agree_on(10, 5_000, Selector::All);
    plan.then(Step::ExpectCount {
        since: "start".into(),
        parts: vec![],
        at_most: None,
        at_least: None,
        bytes: Some(3 * 10 * 5_000 + 50_000),
    });
    plan
}

fn fail_agree(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let away = Selector::bound("away");
    plan.agree(Selector::All).check_one_leader();
    plan.bind("away", Selector::Followers.any(1)).disconnect(away.clone());
    plan.agree_among(2, away.clone().not()).sleep(ELECTION).agree_among(2, away.clone().not());
    plan.connect(away).agree(Selector::All).sleep(ELECTION).agree(Selector::All);
    plan
}

fn fail_no_agree(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    let (leader, away) = (Selector::bound("leader"), Selector::bound("away"));
    plan.agree(Selector::All).check_one_leader().bind("leader", Selector::Leader);
    plan.bind("away", Selector::Followers.any(3)).disconnect(away.clone());
    plan.propose(leader, 1, "alone").sleep(Span::secs(2)).then(Step::ExpectNone { tag: "alone".into() });
    // A leader from among those who were away may have forgotten it, or the old one may commit it now.
    plan.connect(away).check_one_leader();
    plan.propose(Selector::Leader, 1, "after").agree(Selector::All);
    plan
}

fn concurrent_starts(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    plan.check_one_leader().propose(Selector::Leader, 5, "burst");
    plan.then(Step::ExpectCommitted { tag: "burst".into(), on: Selector::All, within: Span::secs(5) });
    plan
}

fn rejoin(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(3);
    let (first, second) = (Selector::bound("first"), Selector::bound("second"));
    plan.agree(Selector::All).check_one_leader().bind("first", Selector::Leader);
    plan.disconnect(first.clone()).propose(first.clone(), 3, "lost");
    plan.agree_among(1, first.clone().not()).bind("second", Selector::Leader);
    plan.disconnect(second.clone()).connect(first).agree_among(1, second.clone().not());
    plan.connect(second).agree(Selector::All);
    plan.then(Step::ExpectNone { tag: "lost".into() });
    plan
}

fn backup(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    let names = ["first", "mate", "second", "other"];
    let [first, mate, second, other] = names.map(Selector::bound);
    plan.agree(Selector::All).check_one_leader().bind("first", Selector::Leader);
    plan.bind("mate", Selector::Followers.any(1));
    let pair = first.clone().or(mate.clone());
    // A leader and one follower, with many commands that cannot be committed.
    plan.disconnect(pair.clone().not()).propose(first.clone(), 50, "lost-1").sleep(Span::millis(500));
    // The other three go on without them,
    plan.disconnect(pair.clone()).connect(pair.clone().not()).agree_among(50, pair.clone().not());
    // until one of them is away and the other two collect commands that cannot be committed.
    plan.bind("second", Selector::Leader);
    plan.bind("other", pair.clone().or(second.clone()).not().any(1)).disconnect(other.clone());
    plan.propose(second, 50, "lost-2").sleep(Span::millis(500));
    // Now those with the oldest logs have the majority, with the one who knows what is committed.
    plan.disconnect(Selector::All).connect(pair.clone().or(other.clone()));
    plan.agree_among(50, pair.or(other));
    plan.connect(Selector::All).agree(Selector::All);
    for tag in ["lost-1", "lost-2"] {
        plan.then(Step::ExpectNone { tag: tag.into() });
    }
    plan
}

fn count(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan(3);
    plan.act(Act::Count("election".into())).check_one_leader().sleep(Span::millis(50));
    plan.expect_messages("election", 1, 30);
    plan.agree(Selector::All).act(Act::Count("agreement".into()));
    plan.propose(Selector::Leader, 10, "ten");
    plan.then(Step::ExpectCommitted { tag: "ten".into(), on: Selector::All, within: Span::secs(5) });
    // The course counts requests; here each has an answer that is a message too.
    plan.expect_messages("agreement", 1, 2 * (10 + 1 + 3) * 3);
    plan.sleep(Span::millis(200)).act(Act::Count("idle".into())).sleep(ELECTION);
    plan.expect_messages("idle", 1, 2 * 3 * 20);
    plan
}
