//! The key/value service in the laboratory: the course's scenarios of parts 3A and 3B, and those that ports left out, each
//! over some seeds, each checked for linearizability. `SHARDLAB_SEEDS=1000` makes it a long test.

mod common;

use common::kvraft;
use sim::scenario::Group;

/// Seeds of each scenario unless `SHARDLAB_SEEDS` says otherwise.
const SEEDS: u64 = 5;

fn all_pass(group: Group) {
    let suite = kvraft();
    let names: Vec<&str> =
        suite.scenarios.iter().filter(|scenario| scenario.group == group).map(|scenario| scenario.name).collect();
    assert!(!names.is_empty());
    names.into_iter().for_each(|name| sim::testing::passes_for(&suite, name, sim::testing::seeds_or(SEEDS)));
}

#[test]
fn the_usual_scenarios() {
    all_pass(Group::Usual);
}

#[test]
fn those_that_ports_left_out() {
    all_pass(Group::Ours);
}

#[test]
fn all_of_the_course_is_there() {
    let usual = kvraft().scenarios.iter().filter(|scenario| scenario.group == Group::Usual).count();
    assert_eq!(usual, 23);
}

/// Each planted bug that has a schedule of its own is seen there by the named check, for every seed.
#[cfg(feature = "zoo")]
#[test]
fn each_directed_scenario_kills_its_bug_by_the_named_check() {
    let suite = kvraft();
    let mut killed = 0;
    for bug in suite.system.bugs() {
        if let Some((scenario, check)) = bug.directed {
            sim::testing::kills(&suite, bug.name, scenario, check, 0..20);
            killed += 1;
        }
    }
    assert!(killed >= 9, "only {killed} bugs have a scenario of their own");
}

/// What is seen in the first false answer, held against the log, is also seen by who knows nothing but what clients were
/// told.
#[cfg(feature = "zoo")]
#[test]
fn what_the_log_gives_away_the_clients_see_too() {
    let suite = kvraft();
    for bug in suite.system.bugs() {
        if let Some((name, "ack-honest")) = bug.directed {
            let scenario = suite.scenario(name).expect("it is in the suite");
            for seed in 0..3 {
                let mut plan = suite.plan(scenario, seed, Some(bug.name));
                plan.mute.push("ack-honest".into());
                let report = sim::testing::run_watched(&suite.system, &plan, sim::lab::Record::Nothing);
                let seen = report.violation().map(|violation| violation.check.as_str());
                assert_eq!(seen, Some("linearizability"), "{} in {name}, seed {seed}", bug.name);
            }
        }
    }
}
