//! The shard controller and the sharded store in the laboratory: the course's scenarios of part 4, and those that ports left
//! out, each over some seeds. `SHARDLAB_SEEDS=1000` makes it a long test.

mod common;

use sim::lab::Record;
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
    all_pass(&common::shardkv(), Group::Ours, 11);
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

/// Every answer of the store is held against the logs of its groups.
#[test]
fn nothing_of_the_store_is_left_unchecked() {
    let suite = common::shardkv();
    for name in ["shard-join-leave", "shard-moves-under-load"] {
        let plan = suite.plan(suite.scenario(name).expect("it is in the suite"), 0, None);
        let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
        assert!(report.not_checked.is_empty(), "{name}: {:?}", report.not_checked);
    }
}

/// By which check a bug is seen in a scenario when others are switched off.
#[cfg(feature = "zoo")]
fn seen(suite: &Suite, bug: &str, name: &str, seed: u64, mute: &[&str]) -> Option<String> {
    let mut plan = suite.plan(suite.scenario(name).expect("it is in the suite"), seed, Some(bug));
    plan.mute = mute.iter().copied().map(String::from).collect();
    let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
    report.violation().map(|violation| violation.check.clone())
}

/// What is seen in the first false answer, held against the logs, is also seen by who knows nothing but what clients were told.
#[cfg(feature = "zoo")]
#[test]
fn what_the_logs_give_away_the_clients_see_too() {
    let suite = common::shardkv();
    let mut seen_so = 0;
    for bug in suite.system.bugs() {
        if let Some((name, "ack-honest")) = bug.directed {
            seen_so += 1;
            for seed in 0..3 {
                let by = seen(&suite, bug.name, name, seed, &["ack-honest"]);
                assert_eq!(by.as_deref(), Some("linearizability"), "{} in {name}, seed {seed}", bug.name);
            }
        }
    }
    assert_eq!(seen_so, 4);
}

/// Who did not look at how shards move would still see that a command was executed twice, each time in another group.
#[cfg(feature = "zoo")]
#[test]
fn what_is_executed_again_where_its_shard_went_is_seen() {
    let suite = common::shardkv();
    let mute = ["shard-ownership", "convergence", "shard-storage"];
    let by = (0..20).find_map(|seed| seen(&suite, "dedup-not-migrated", "shard-unreliable-1", seed, &mute));
    assert_eq!(by.as_deref(), Some("ack-honest"));
}

/// A copy that nobody deletes is seen long before the run ends, and not only then.
#[cfg(feature = "zoo")]
#[test]
fn a_copy_that_is_kept_is_seen_while_the_run_goes_on() {
    let suite = common::shardkv();
    let mut plan =
        suite.plan(suite.scenario("shard-deletion").expect("it is in the suite"), 0, Some("shard-never-gced"));
    plan.finale.converge = false;
    plan.script.truncate(plan.script.len() - 2);
    let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
    assert_eq!(report.violation().map(|violation| &*violation.check), Some("shard-storage"));
}
