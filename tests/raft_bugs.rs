//! The laboratory sees what it is for: each planted bug has a schedule in which the named check sees it, for
//! every seed, and in which nothing is amiss without the bug.

#![cfg(feature = "zoo")]

mod common;

use shardlab::raft::Bug;
use sim::scenario::Group;
use std::collections::BTreeSet;

/// Seeds of each directed scenario, whatever `SHARDLAB_SEEDS` says: all of them must kill.
const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn each_directed_scenario_kills_its_bug_by_the_named_check() {
    let suite = common::raft();
    for bug in suite.system.bugs() {
        let (scenario, check) = bug.directed.expect("each bug has its scenario");
        sim::testing::kills(&suite, bug.name, scenario, check, SEEDS);
    }
}

#[test]
fn each_directed_scenario_is_for_one_bug() {
    let suite = common::raft();
    let bugs = suite.system.bugs();
    let directed: BTreeSet<&str> =
        bugs.iter().filter_map(|bug| bug.directed).map(|(scenario, _)| scenario).collect();
    assert_eq!(directed.len(), Bug::ALL.len() + Bug::OF_MEMBERSHIP.len(), "two bugs share a scenario");
    let scenarios = suite.scenarios.iter().filter(|scenario| scenario.group == Group::Directed);
    let listed: BTreeSet<&str> = scenarios.map(|scenario| scenario.name).collect();
    assert_eq!(directed, listed);
}

/// What each check reports is what one can read elsewhere about it.
#[test]
fn the_checks_named_exist() {
    let known: Vec<&str> = sim::oracle::cards().iter().map(|card| card.id).collect();
    for bug in common::raft().system.bugs() {
        let (_, check) = bug.directed.expect("each bug has its scenario");
        assert!(known.contains(&check), "{}: there is no check `{check}`", bug.name);
    }
}

/// The page about them is about all of them.
#[test]
fn the_page_about_planted_bugs_is_true() {
    let page = include_str!("../docs/planted-bugs.md");
    for bug in common::raft().system.bugs() {
        let (scenario, check) = bug.directed.expect("each bug has its scenario");
        let row = format!("| `{}` | {} | `{scenario}` | `{check}` |", bug.name, bug.about);
        assert!(page.contains(&row), "docs/planted-bugs.md lacks the row\n{row}");
    }
}
