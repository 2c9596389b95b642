//! Somebody else's Raft goes through the whole suite, and what could not be asked of it is said.
//! `SHARDLAB_SEEDS=200` makes it a long test.

use foreign::ForeignRaft;
use sim::lab::{Record, run_plan};
use sim::labrpc::sim::Span;
use sim::oracle::Needs;
use sim::plan::{Act, Moment, Otherwise, Plan, Selector, Step, What};
use sim::raft::Part;
use sim::scenario::{Group, Suite};
use sim::testing::{passes_for, seeds_or};
use std::process::{Command, Output};
use std::sync::Arc;

/// Seeds of each scenario unless `SHARDLAB_SEEDS` says otherwise.
const SEEDS: u64 = 2;

fn suite() -> Suite {
    sim::scenario::raft::suite(Arc::new(ForeignRaft))
}

/// The scenarios of a group.
fn group(group: Group) -> Vec<&'static str> {
    let scenarios = suite().scenarios.into_iter().filter(|scenario| scenario.group == group);
    scenarios.map(|scenario| scenario.name).collect()
}

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foreign")).args(arguments).output().expect("the program starts")
}

#[test]
fn the_usual_scenarios_hold() {
    let usual = group(Group::Usual);
    // The course's suite is not a part of itself: none of it is left out.
    assert_eq!(usual.len(), 26);
    usual.into_iter().for_each(|scenario| passes_for(&suite(), scenario, seeds_or(SEEDS)));
}

#[test]
fn the_scenarios_of_this_laboratory_hold() {
    group(Group::Ours).into_iter().for_each(|scenario| passes_for(&suite(), scenario, seeds_or(SEEDS)));
}

/// They were made for bugs of another implementation, and make a good one sweat all the same.
#[test]
fn the_directed_scenarios_hold_and_are_carried_out_to_the_end() {
    let suite = suite();
    for name in group(Group::Directed) {
        passes_for(&suite, name, seeds_or(SEEDS));
        let scenario = suite.scenario(name).expect("it is one of the suite");
        let report = run_plan(&suite.system, &suite.plan(scenario, 0, None), Record::Nothing);
        assert!(!report.skipped, "{name} breaks off");
    }
}

#[test]
fn what_does_not_suit_it_is_left_out_and_said_to_be() {
    let suite = suite();
    let left_out: Vec<&str> = suite.left_out.iter().map(|(scenario, _)| scenario.name).collect();
    let expected = [
        "leader-transfer",
        "stale-reads",
        "membership-dead-server",
        "membership-one-to-five",
        "membership-leaders-go",
        "membership-learner-far-behind",
        "membership-removed-unheard",
        "membership-chaos",
        "refusal-of-an-append-from-before-a-restart",
        "read-from-a-slow-service",
        "change-that-nobody-saw",
        "two-changes-at-once",
        "learner-in-place-of-a-voter",
        "leader-taken-out-alone",
        "leader-needed-until-it-is-gone",
        "change-that-is-cut-off",
        "snapshot-behind-a-change",
    ];
    assert_eq!(left_out, expected);
    assert!(suite.scenarios.iter().all(|scenario| !left_out.contains(&scenario.name)));

    let said = program(&["list"]).stdout;
    let campaign = program(&["run", "--seeds", "1", "--quiet"]);
    assert!(campaign.status.success());
    for (text, form) in [(said, "LEFT OUT  without"), (campaign.stdout, "LEFT OUT, since foreign does not offer")] {
        let text = String::from_utf8_lossy(&text).into_owned();
        for (name, what) in [("leader-transfer", "leadership transfer"), ("stale-reads", "confirmed reads")] {
            let is_said = |line: &str| line.contains(form) && line.contains(name) && line.contains(what);
            assert!(text.lines().any(is_said), "{name} is not said to be left out:\n{text}");
        }
    }
    let asked_for = program(&["run", "stale-reads"]);
    assert_eq!(asked_for.status.code(), Some(i32::from(sim::cli::USAGE)));
    assert!(String::from_utf8_lossy(&asked_for.stderr).contains("foreign does not offer confirmed reads"));
}

/// Also where the disk fails, which makes the environment say so in the server's name.
#[test]
fn what_cannot_be_checked_is_said() {
    // There are no clients of a key/value service here, and so nothing that would have to be held against its log.
    let more = |needs| !matches!(needs, Needs::Nothing | Needs::Log);
    let needs_more = sim::oracle::cards().into_iter().filter(|card| more(card.needs));
    let needs_more: Vec<&str> = needs_more.map(|card| card.id).collect();
    assert!(needs_more.contains(&"leader-append-only") && needs_more.contains(&"persist-before-send"));
    let suite = suite();
    for name in ["basic-agree", "failing-disks"] {
        let scenario = suite.scenario(name).expect("it is one of the suite");
        let report = run_plan(&suite.system, &suite.plan(scenario, 1, None), Record::Nothing);
        let mut not_checked = report.not_checked;
        let mut expected = needs_more.clone();
        not_checked.sort_unstable();
        expected.sort_unstable();
        assert_eq!(not_checked, expected, "{name}");
    }
}

/// Requests and answers of a call have one kind, and are told apart all the same. Appends whose answers are lost
/// reach all disks and commit nothing.
#[test]
fn a_fault_that_is_aimed_at_answers_lets_requests_through() {
    let mut plan = Plan::new("answers-lost", 1, 3);
    plan.suite = "foreign".into();
    (plan.knobs.noop, plan.finale.converge) = (false, false);
    let (name, parts) = ("lost".into(), vec![Part::AppendReply]);
    let (from, to, what) = (Selector::All, Selector::All, What::Drop);
    plan.agree(Selector::All).wait_leader(Selector::All);
    plan.act(Act::Rule { name, from, to, parts, chance: None, skip: 0, take: None, what });
    plan.propose(Selector::Leader, 1, "unanswered");
    let event = Moment::Stored { tag: "unanswered".into(), on: Selector::All };
    plan.then(Step::Await { event, within: Span::secs(1), or: Otherwise::Violation });
    plan.sleep(Span::secs(1)).then(Step::ExpectNone { tag: "unanswered".into() });
    plan.act(Act::Unrule("lost".into()));
    let (tag, on) = ("unanswered".into(), Selector::All);
    plan.then(Step::ExpectCommitted { tag, on, within: Span::secs(5) });
    plan.check().expect("it can be carried out");
    let report = run_plan(&suite().system, &plan, Record::Nothing);
    assert_eq!(report.violation(), None);
}

/// Each run is made again in a fresh process, and every event of it is the same.
#[test]
fn its_runs_can_be_repeated() {
    let campaign = program(&["run", "--seeds", "7..8", "--check", "--quiet"]);
    assert!(campaign.status.success(), "{}", String::from_utf8_lossy(&campaign.stdout));
}
