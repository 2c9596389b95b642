//! A run is what its plan says, whoever looks on and wherever it happens; and plans that once showed a bug are
//! green now.

mod common;

use sim::lab::{Record, run_plan};
use sim::plan::Plan;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

#[test]
fn the_kept_plans_of_fixed_bugs_are_green() {
    let suite = common::raft();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).expect("the plans are kept there") {
        let path = file.expect("it can be read").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let plan = Plan::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if plan.suite != suite.name {
            continue;
        }
        let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
        if let Some(violation) = report.violation() {
            panic!("{}: {} {}", path.display(), violation.check, violation.detail);
        }
        replayed += 1;
    }
    assert!(replayed > 0, "no plan was replayed");
}

/// Nothing of what is looked at is changed by looking.
#[test]
fn the_digest_is_the_same_with_the_recorder_on() {
    let suite = common::raft();
    for scenario in &suite.scenarios {
        let plan = suite.plan(scenario, 7, None);
        let (off, on) = (Record::Nothing, Record::Everything);
        let (off, on) = (run_plan(&suite.system, &plan, off), run_plan(&suite.system, &plan, on));
        assert!(off.trace.is_empty() && on.trace.len() as u64 >= on.messages, "{}", scenario.name);
        assert_eq!((off.digest, off.events), (on.digest, on.events), "{}", scenario.name);
    }
}

#[test]
fn a_plan_that_went_through_a_file_is_the_same_run() {
    let suite = common::raft();
    for scenario in &suite.scenarios {
        let plan = suite.plan(scenario, 5, None);
        let back = Plan::from_json(&plan.to_json()).expect("what is drawn can be carried out");
        assert_eq!(plan, back, "{}", scenario.name);
    }
}

/// Digests that the program prints, by scenario and seed.
fn from_another_process(arguments: &[&str]) -> BTreeMap<(String, u64), String> {
    let file = std::env::temp_dir().join(format!("shardlab-{}-{}.json", std::process::id(), arguments.join("-")));
    let ended = Command::new(env!("CARGO_BIN_EXE_shardlab"))
        .args(["run", "--quiet", "--json"])
        .arg(&file)
        .args(arguments)
        .output()
        .expect("the program starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let text = std::fs::read_to_string(&file).expect("it wrote its runs down");
    std::fs::remove_file(&file).expect("it is there");
    let runs = text.lines().map(|line| serde_json::from_str(line).expect("a line for each run"));
    runs.map(|run: sim::lab::Summary| ((run.scenario, run.seed), run.digest)).collect()
}

#[test]
fn the_digest_is_the_same_in_another_process_and_in_another_order() {
    let suite = common::raft();
    let theirs = from_another_process(&["--seeds", "3..5", "--jobs", "2"]);
    assert_eq!(theirs.len(), suite.scenarios.len() * 2);
    for scenario in suite.scenarios.iter().rev() {
        for seed in [4, 3] {
            let report = run_plan(&suite.system, &suite.plan(scenario, seed, None), Record::Nothing);
            let digest = format!("{:016x}", report.digest);
            assert_eq!(Some(&digest), theirs.get(&(scenario.name.into(), seed)), "{} {seed}", scenario.name);
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    let suite = common::raft();
    for scenario in &suite.scenarios {
        let digest = |seed| run_plan(&suite.system, &suite.plan(scenario, seed, None), Record::Nothing).digest;
        assert_ne!(digest(1), digest(2), "{}", scenario.name);
    }
}
