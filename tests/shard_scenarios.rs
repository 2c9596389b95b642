//! The shard controller and the sharded store in the laboratory: the course's scenarios of part 4, and those that ports left
//! out, each over some seeds. `SHARDLAB_SEEDS=1000` makes it a long test.

mod common;

use sim::scenario::{Group, Suite};

/// Seeds of each scenario unless `SHARDLAB_SEEDS` says otherwise.
const SEEDS: u64 = 3;

fn all_pass(suite: &Suite, group: Group, count: usize) {
    let names: Vec<&str> =
        suite.scenarios.iter().filter(|scenario| scenario.group == group).map(|scenario| scenario.name).collect();
    assert!(names.len() >= count, "{names:?}");
    names.into_iter().for_each(|name| sim::testing::passes_for(suite, name, sim::testing::seeds_or(SEEDS)));
}

#[test]
fn the_usual_scenarios_of_the_controller() {
    all_pass(&common::shardmaster(), Group::Usual, 2);
}

#[test]
fn those_of_the_controller_that_ports_left_out() {
    all_pass(&common::shardmaster(), Group::Ours, 3);
}

#[test]
fn the_usual_scenarios_of_the_store() {
    all_pass(&common::shardkv(), Group::Usual, 13);
}

#[test]
fn those_of_the_store_that_ports_left_out() {
    all_pass(&common::shardkv(), Group::Ours, 6);
}

/// Each planted bug is seen in its scenario by the named check, for every seed.
#[cfg(feature = "zoo")]
#[test]
fn each_directed_scenario_kills_its_bug_by_the_named_check() {
    for (suite, least) in [(common::shardmaster(), 6), (common::shardkv(), 13)] {
        let bugs = suite.system.bugs();
        assert!(bugs.len() >= least);
        for bug in bugs {
            let (scenario, check) = bug.directed.expect("each has one");
            sim::testing::kills(&suite, bug.name, scenario, check, 0..20);
        }
    }
}
