//! A run is what its plan says, whoever looks on and wherever it happens; and plans that once showed a bug are
//! green now.

mod common;

use sim::lab::{Record, run_plan};
use sim::oracle::Mark;
use sim::plan::Plan;
use sim::scenario::{Scenario, Suite};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// What proves that a kept plan still leads to its situation.
enum Proof {
    /// This planted bug makes it red, by this check.
    Bug(&'static str, &'static str),
    /// This rare situation is reached.
    Mark(Mark),
}

/// The kept plans. A plan whose situation no longer arises, since the code draws or sends something else by now, would
/// be green for ever and test nothing.
const KEPT: &[(&str, Proof)] = &[
    ("compacted-under-a-follower-that-catches-up", Proof::Mark(Mark::SnapshotSent)),
    ("cut-in-one-instant-with-many-terms", Proof::Mark(Mark::ConflictTruncated)),
    ("cut-that-reaches-the-disk-when-others-have-committed", Proof::Mark(Mark::ConflictTruncated)),
    ("earlier-term-acknowledged-behind-a-later-cut", Proof::Mark(Mark::ConflictTruncated)),
    ("elected-late-in-an-old-term", Proof::Mark(Mark::LateDelivery)),
    ("leader-taken-out-before-the-others-heard", Proof::Bug("leaving-server-keeps-still", "progress")),
    ("piece-asked-for-and-dropped-in-one-breath", Proof::Bug("older-local-snapshot-wins", "snapshot-honest")),
    ("read-answered-as-the-server-goes-down", Proof::Mark(Mark::ReadConfirmed)),
    ("read-confirmed-by-a-refusal-from-before-a-restart", Proof::Bug("stale-round-confirms-reads", "read-index")),
    ("reads-that-fill-the-log", Proof::Bug("each-retry-is-logged", "progress")),
    ("retries-that-fill-the-log", Proof::Bug("each-retry-is-logged", "retry-storm")),
    ("snapshot-delivered-before-its-bytes", Proof::Bug("stale-install-rolls-back", "apply-order")),
    ("snapshot-given-up-and-never-sent-again", Proof::Mark(Mark::SnapshotSent)),
    ("snapshot-written-before-its-term", Proof::Bug("snapshot-before-term", "log-well-formed")),
    ("stalled-disk-that-comes-back-with-a-flood", Proof::Mark(Mark::AppliedAtOnce)),
    ("window-full-of-lost-appends", Proof::Bug("snapshot-never-sent-when-idle", "progress")),
];

fn kept(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Plan::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_kept_plans_of_fixed_bugs_are_green_and_still_to_the_point() {
    let suites = common::all();
    for (name, proof) in KEPT {
        let mut plan = kept(name);
        let suite = suites.iter().find(|suite| suite.name == plan.suite).expect("it is one of ours");
        let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
        if let Some(violation) = report.violation() {
            panic!("{name}: {} {}", violation.check, violation.detail);
        }
        match proof {
            Proof::Mark(mark) => assert!(report.marks[*mark as usize] > 0, "{name}: {mark:?} is not reached"),
            Proof::Bug(..) if !cfg!(feature = "zoo") => {}
            Proof::Bug(bug, check) => {
                plan.bug = Some((*bug).into());
                let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
                let seen = report.violation().map(|violation| violation.check.as_str());
                assert_eq!(seen, Some(*check), "{name} with {bug}");
            }
        }
    }
}

#[test]
fn each_kept_plan_has_its_proof() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let files = std::fs::read_dir(folder).expect("the plans are kept there");
    let found: BTreeSet<String> =
        files.map(|file| file.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, KEPT.iter().map(|(name, _)| format!("{name}.json")).collect());
}

/// Every scenario that there is.
fn scenarios() -> Vec<(Arc<Suite>, Scenario)> {
    let suites = common::all().map(Arc::new);
    let of = |suite: Arc<Suite>| suite.scenarios.clone().into_iter().map(move |scenario| (suite.clone(), scenario));
    suites.into_iter().flat_map(of).collect()
}

#[test]
fn what_is_drawn_is_within_what_is_accepted() {
    for (suite, scenario) in scenarios() {
        for seed in 0..20 {
            assert_eq!(suite.plan(&scenario, seed, None).check(), Ok(()), "{} {seed}", scenario.name);
        }
    }
}

/// Nothing of what is looked at is changed by looking.
#[test]
fn the_digest_is_the_same_with_the_recorder_on() {
    for (suite, scenario) in scenarios() {
        let plan = suite.plan(&scenario, 7, None);
        let (off, on) = (Record::Nothing, Record::Everything);
        let (off, on) = (run_plan(&suite.system, &plan, off), run_plan(&suite.system, &plan, on));
        assert!(off.trace.is_empty() && on.trace.len() as u64 >= on.messages, "{}", scenario.name);
        assert_eq!((off.digest, off.events), (on.digest, on.events), "{}", scenario.name);
    }
}

#[test]
fn a_plan_that_went_through_a_file_is_the_same_run() {
    for (suite, scenario) in scenarios() {
        let plan = suite.plan(&scenario, 5, None);
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
    let theirs = from_another_process(&["--seeds", "3..5", "--jobs", "2"]);
    assert_eq!(theirs.len(), scenarios().len() * 2);
    for (suite, scenario) in scenarios().into_iter().rev() {
        for seed in [4, 3] {
            let report = run_plan(&suite.system, &suite.plan(&scenario, seed, None), Record::Nothing);
            let digest = format!("{:016x}", report.digest);
            assert_eq!(Some(&digest), theirs.get(&(scenario.name.into(), seed)), "{} {seed}", scenario.name);
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    for (suite, scenario) in scenarios() {
        let digest = |seed| run_plan(&suite.system, &suite.plan(&scenario, seed, None), Record::Nothing).digest;
        assert_ne!(digest(1), digest(2), "{}", scenario.name);
    }
}
