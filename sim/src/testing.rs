//! Scenarios as tests of `cargo test`: some seeds of one scenario, and a panic that tells the story of the first
//! one that fails.
//!
//! `SHARDLAB_SEEDS` says how many seeds, or which: `SHARDLAB_SEEDS=1000` or `SHARDLAB_SEEDS=17..18`.

use crate::campaign::{Found, Job, Seeds, Width, replay_command, story, watched};
use crate::lab::{Record, Report};
use crate::plan::Plan;
use crate::raft::RaftSystem;
use crate::scenario::Suite;
use std::sync::Arc;
use std::time::Duration;

/// Seeds of each scenario unless `SHARDLAB_SEEDS` says otherwise.
const SEEDS: u64 = 50;
/// Directed scenarios with a crash point at something that only the bug does.
const ONLY_WITH_THE_BUG: [&str; 1] = ["crash-while-the-log-is-rewritten"];
/// A run that takes longer than this, in real time, never waits for anything.
const HANG_AFTER: Duration = Duration::from_secs(60);

/// The seeds that tests run.
///
/// # Panics
/// If `SHARDLAB_SEEDS` says something else.
pub fn seeds() -> std::ops::Range<u64> {
    seeds_or(SEEDS)
}

/// The same with another number of seeds where `SHARDLAB_SEEDS` says nothing.
///
/// # Panics
/// If `SHARDLAB_SEEDS` says something else.
pub fn seeds_or(usual: u64) -> std::ops::Range<u64> {
    match std::env::var("SHARDLAB_SEEDS") {
        Ok(text) => text.parse::<Seeds>().unwrap_or_else(|why| panic!("SHARDLAB_SEEDS: {why}")).0,
        Err(_) => 0..usual,
    }
}

/// Runs a plan. Code that loops without ever waiting cannot be stopped from inside its process; but the test
/// can fail and name the seed.
///
/// # Panics
/// If the run does not end.
pub fn run_watched(system: &Arc<dyn RaftSystem>, plan: &Plan, record: Record) -> Report {
    watched(system, plan, record, HANG_AFTER).unwrap_or_else(|| {
        panic!(
            "HUNG  {} {}, seed {}: some code loops without ever waiting; `{} run {} --seeds {}..{}` ends such a run",
            plan.suite,
            plan.scenario,
            plan.seed,
            program(),
            plan.scenario,
            plan.seed,
            plan.seed + 1
        )
    })
}

/// A scenario holds for every seed.
///
/// # Panics
/// With the story of the first seed for which it does not.
pub fn passes(suite: &Suite, scenario: &str) {
    passes_for(suite, scenario, seeds());
}

/// A scenario holds for these seeds.
///
/// # Panics
/// With the story of the first seed for which it does not.
pub fn passes_for(suite: &Suite, scenario: &str, seeds: std::ops::Range<u64>) {
    let scenario =
        suite.scenario(scenario).unwrap_or_else(|| panic!("{} has no scenario `{scenario}`", suite.name));
    for seed in seeds {
        let report = run_watched(&suite.system, &suite.plan(scenario, seed, None), Record::Nothing);
        if report.violation().is_some() {
            panic!("{}", told(suite, seed, scenario.name, None));
        }
    }
}

/// A planted bug is seen, by this check first, for every seed; and without the bug all is well and the schedule
/// is carried out to its end.
///
/// # Panics
/// With the seed for which it is not so.
pub fn kills(suite: &Suite, bug: &str, scenario: &str, check: &str, seeds: std::ops::Range<u64>) {
    let scenario =
        suite.scenario(scenario).unwrap_or_else(|| panic!("{} has no scenario `{scenario}`", suite.name));
    let name = scenario.name;
    for seed in seeds {
        let clean = run_watched(&suite.system, &suite.plan(scenario, seed, None), Record::Nothing);
        if clean.violation().is_some() {
            panic!("without the bug: {}", told(suite, seed, name, None));
        }
        assert!(!clean.skipped, "{name}, seed {seed}: without the bug its situation does not come about");
        assert!(
            clean.unmet.is_empty() || ONLY_WITH_THE_BUG.contains(&name),
            "{name}, seed {seed}: without the bug: {}",
            clean.unmet.join("; ")
        );
        let buggy = run_watched(&suite.system, &suite.plan(scenario, seed, Some(bug)), Record::Nothing);
        match buggy.violation() {
            None => panic!("{bug} survives {name}, seed {seed}"),
            Some(violation) if violation.check != check => {
                panic!(
                    "{bug} is seen by {} and not by {check}: {}",
                    violation.check,
                    told(suite, seed, name, Some(bug))
                )
            }
            Some(_) => {}
        }
    }
}

/// The story of a run that fails.
fn told(suite: &Suite, seed: u64, scenario: &str, bug: Option<&str>) -> String {
    let job = Job {
        suite: suite.name.into(),
        scenario: scenario.into(),
        seed,
        bug: bug.map(String::from),
        mute: Vec::new(),
        drawn: None,
    };
    let report = run_watched(&suite.system, &job.plan(std::slice::from_ref(suite)), Record::Everything);
    match report.violation() {
        Some(violation) => {
            let found = Found::Violation(Box::new(violation.clone()));
            format!("\n{}", story(&replay_command(&program(), &job), &job, &found, Some(&report), Width(160)))
        }
        None => format!(
            "{} {scenario}, seed {seed} failed, and does not when it is recorded: a bug of ours",
            suite.name
        ),
    }
}

/// The command that the package under test is run with.
fn program() -> String {
    let member = std::env::var("CARGO_PKG_NAME").ok().filter(|name| name != "shardlab");
    member.map_or("cargo run --release --".into(), |name| format!("cargo run --release -p {name} --"))
}
