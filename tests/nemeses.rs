//! Nemeses: that each strikes, that a correct system stands it, and that it finds the mistake that it exists for.

mod common;

use sim::lab::{Outcome, Record, Report, run_plan};
use sim::scenario::{Suite, swarm};
use std::collections::BTreeSet;

fn run(suite: &Suite, nemesis: &str, seed: u64, bug: Option<&str>) -> Report {
    let mut plan = swarm::alone(suite, nemesis, seed).expect("it is one for this suite");
    plan.bug = bug.map(String::from);
    assert_eq!(plan.check(), Ok(()), "{nemesis} {seed}");
    run_plan(&suite.system, &plan, Record::Nothing)
}

/// A nemesis, a suite, a bug that it is made for, and how many seeds of the nemesis alone show it at the latest.
type MadeFor = (&'static str, fn() -> Suite, &'static str, u64);

const MADE_FOR: &[MadeFor] = &[
    ("fig8", common::raft, "commit-old-term", 40),
    ("crash-on-effect", common::raft, "ack-before-durable", 10),
    ("leader-hunter", common::raft, "match-guess-on-election", 10),
    ("double-vote", common::raft, "vote-not-durable", 10),
    ("stint-bouncer", common::raft, "match-from-current-log", 10),
    ("companion", common::raft, "stale-append-reply-accepted", 40),
    ("amnesiac", common::raft, "stale-round-confirms-reads", 40),
    ("divergence", common::raft, "commit-unclamped", 10),
    ("laggard", common::raft, "stale-install-rolls-back", 10),
    ("topologies", common::raft, "vote-ignores-log", 20),
    ("quiesce", common::raft, "snapshot-never-sent-when-idle", 40),
    ("power-fail", common::raft, "no-fsync", 10),
    ("config-storm", common::shardkv, "mutual-pull-deadlock", 20),
    ("lease-skew", common::kvraft, "lease-from-receipt", 40),
];

#[test]
fn all_are_tested() {
    let named: BTreeSet<&str> = MADE_FOR.iter().map(|(nemesis, ..)| *nemesis).collect();
    assert_eq!(named, swarm::nemeses().map(|(name, _)| name).collect());
}

#[test]
fn a_correct_system_stands_each_and_is_struck() {
    for (nemesis, suite, ..) in MADE_FOR {
        let suite = suite();
        let mut struck = 0;
        for seed in 0..3 {
            let report = run(&suite, nemesis, seed, None);
            assert_eq!(report.outcome, Outcome::Ok, "{nemesis}, seed {seed}");
            struck += u32::from(!report.unmet.iter().any(|unmet| unmet.starts_with("no trigger")));
        }
        assert!(struck > 0, "{nemesis} never strikes");
    }
}

/// What each exists for is seen by it alone, in calm weather.
#[cfg(feature = "zoo")]
#[test]
fn each_finds_the_mistake_that_it_exists_for() {
    for (nemesis, suite, bug, most) in MADE_FOR {
        let suite = suite();
        let found = (0..*most).find(|seed| run(&suite, nemesis, *seed, Some(bug)).violation().is_some());
        assert!(found.is_some(), "{nemesis} alone does not show {bug} in {most} seeds");
        println!("{nemesis}: {bug} at seed {}", found.expect("it was found"));
    }
}
