//! The key/value service in the laboratory: the course's scenarios of parts 3A and 3B, and those that ports left out, each
//! over some seeds, each checked for linearizability. `SHARDLAB_SEEDS=1000` makes it a long test.

use shardlab::kvraft::lab::ShardlabKv;
use sim::scenario::{Group, Suite};
use std::sync::Arc;

/// Seeds of each scenario unless `SHARDLAB_SEEDS` says otherwise.
const SEEDS: u64 = 5;

fn kvraft() -> Suite {
    sim::scenario::kv::suite(Arc::new(ShardlabKv))
}

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
