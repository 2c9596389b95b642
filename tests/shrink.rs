//! Shrinking, with runs: that what is left is small, fails for the same reason, and is the same whoever makes it.

#![cfg(feature = "zoo")]

mod common;

use sim::campaign::watched;
use sim::lab::Record;
use sim::plan::{Act, Plan, Selector, Step};
use sim::scenario::Suite;
use sim::shrink::{Care, Lost, Options, Runner, Size, shrink};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// No run of these tests hangs.
const PATIENCE: Duration = Duration::from_secs(600);

fn options(jobs: usize, budget: u64) -> Options {
    Options { jobs, budget, time: None, hang_after: PATIENCE, quiet: true }
}

/// A storm of everything in which that bug trips that check: the first of some seeds.
fn storm(suite: &Suite, bug: &str, check: &str) -> Plan {
    let scenario = suite.scenario("chaos").expect("there is one");
    let trips = |plan: &Plan| {
        let report = watched(&suite.system, plan, Record::Nothing, PATIENCE).expect("it ends");
        report.violation().is_some_and(|violation| violation.check == check)
    };
    let mut plans = (0..200).map(|seed| suite.plan(scenario, seed, Some(bug)));
    plans.find(trips).expect("a storm shows it")
}

/// What is left of a plan, the check that it violates, and the runs that it took.
fn least(suite: &Suite, plan: &Plan, jobs: usize, budget: u64) -> (Plan, String, u64) {
    let mut runner = Runner::new(&suite.system, plan, options(jobs, budget)).expect("it fails");
    let least = shrink(plan, runner.care(), &mut runner);
    (least, runner.violation().check.clone(), runner.runs())
}

#[test]
fn a_storm_becomes_a_few_lines_that_violate_the_same() {
    let (suite, budget) = (common::raft(), 400);
    let plan = storm(&suite, "ae-truncates-always", "no-un-append");
    let (least, check, runs) = least(&suite, &plan, 2, budget);
    let (before, after) = (Size::of(&plan), Size::of(&least));
    assert!(after.entries() * 10 <= before.entries(), "from {before} to {after} in {runs} runs");
    assert!(runs <= budget + 1, "{runs} runs");

    let again = Plan::from_json(&least.to_json()).expect("it is possible");
    let run = || watched(&suite.system, &again, Record::Nothing, PATIENCE).expect("it ends");
    let (one, other) = (run(), run());
    assert_eq!(one.violation().map(|violation| violation.check.clone()), Some(check));
    assert_eq!(one.digest, other.digest);
}

#[test]
fn more_threads_find_the_same() {
    let suite = common::raft();
    let plan = storm(&suite, "ae-truncates-always", "no-un-append");
    // So few that the budget ends it.
    let (one, two) = (least(&suite, &plan, 1, 60), least(&suite, &plan, 2, 60));
    assert_eq!(one.0.to_json(), two.0.to_json());
    assert_eq!((one.1, one.2), (two.1, two.2));
}

/// Three servers that are cut off and connected again, and must agree then. Without a bug nobody can be blamed.
fn cut_and_healed() -> Plan {
    let mut plan = Plan::new("custom", 7, 3);
    plan.wait_leader(Selector::All).disconnect(Selector::All);
    plan.connect(Selector::All).agree(Selector::All);
    plan
}

#[test]
fn what_does_not_fail_is_refused() {
    let suite = common::raft();
    let refused = Runner::new(&suite.system, &cut_and_healed(), options(1, 10)).err();
    assert_eq!(refused, Some(Lost::Green));
}

/// Without snapshots the bug makes no difference to a script that nobody could satisfy, so that nothing proves a smaller one fair.
#[test]
fn what_makes_a_demand_fair_is_not_taken_out() {
    let suite = common::raft();
    let mut plan = cut_and_healed();
    plan.act(Act::Crash { who: Selector::All, power: false });
    plan.sleep(labrpc::sim::Span::secs(1));
    plan.wait_leader(Selector::All);
    let care = |plan: &Plan| Runner::new(&suite.system, plan, options(1, 1)).expect("it fails").care();
    assert_eq!(care(&plan), Care::Remedies);
    plan.bug = Some("boundary-term-wrong".into());
    assert_eq!(care(&plan), Care::Remedies);
    let (least, _, _) = least(&suite, &plan, 2, 60);
    assert!(least.script.contains(&Step::Do(Act::Connect(Selector::All))), "{:?}", least.script);
}

/// Nothing makes progress without what heals: a smaller plan that no system passes is none.
#[test]
fn a_smaller_plan_that_violates_a_demand_passes_without_the_bug() {
    let suite = common::raft();
    let plan = storm(&suite, "backtrack-stuck", "progress");
    let mut runner = Runner::new(&suite.system, &plan, options(2, 80)).expect("it fails");
    assert_eq!(runner.care(), Care::Control);
    let least = shrink(&plan, runner.care(), &mut runner);
    assert!(Size::of(&least).entries() < Size::of(&plan).entries() / 2, "{}", Size::of(&least));
    let sound = Plan { bug: None, ..least };
    let report = watched(&suite.system, &sound, Record::Nothing, PATIENCE).expect("it ends");
    assert_eq!(report.violation(), None);
}

fn shardlab(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardlab"));
    command.args(arguments).env_remove("CARGO").output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints text")
}

/// A directory of its own, empty.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory can be made");
    path
}

#[test]
fn the_command_writes_a_plan_beside_the_old_one_and_never_over_another() {
    let path = directory("shrink").join("storm.json");
    let file = path.to_str().expect("text");
    let plan = storm(&common::raft(), "ae-truncates-always", "no-un-append");
    std::fs::write(&path, plan.to_json()).expect("a file can be written");
    let arguments = ["shrink", file, "--budget", "40", "--quiet"];
    let ended = shardlab(&arguments);
    let out = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{out}{}", text(&ended.stderr));
    let less = path.with_extension("min.json");
    let replay = format!("replay {}", less.display());
    for part in ["VIOLATED  no-un-append", "from  ", "to    ", " runs, ", &replay] {
        assert!(out.contains(part), "it does not say `{part}`: {out}");
    }
    let replayed = shardlab(&["replay", less.to_str().expect("text")]);
    assert_eq!(replayed.status.code(), Some(1), "{}", text(&replayed.stdout));

    let kept = std::fs::read(&less).expect("it is there");
    let again = shardlab(&arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(&less).expect("it is there"), kept);
}

#[test]
fn the_command_refuses_a_plan_that_does_not_fail_with_one_line() {
    let out = directory("shrink-green").join("out.json");
    let ended = shardlab(&["shrink", "basic-agree", "--seed", "3", "--out", out.to_str().expect("text")]);
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(text(&ended.stderr), "error: `basic-agree, seed 3` violates nothing: there is nothing to shrink\n");
    assert!(!out.exists());
}
