//! The laboratory finds what is wrong with a Raft that tells it nothing: each planted bug, by a violation.

use foreign::{Bug, ForeignRaft};
use std::process::Command;
use std::sync::Arc;

/// Seeds of each directed scenario: all of them must see the bug.
const DIRECTED: std::ops::Range<u64> = 0..10;
/// Seeds of a campaign that is not aimed at anything: one of them must.
const CAMPAIGN: &str = "10";

#[test]
fn each_bug_has_a_schedule_that_always_shows_it() {
    let suite = sim::scenario::raft::suite(Arc::new(ForeignRaft));
    for bug in Bug::ALL {
        let (scenario, check) = bug.directed();
        sim::testing::kills(&suite, bug.name(), scenario, check, DIRECTED);
    }
}

/// As for a bug that nobody knows of. What is found comes with a command that finds it again.
#[test]
fn each_bug_is_found_by_chance_and_found_again() {
    for bug in Bug::ALL {
        let (code, said) =
            program(&["run", "--without-directed", "--seeds", CAMPAIGN, "--quiet", "--bug", bug.name()]);
        assert_eq!(code, Some(i32::from(sim::cli::VIOLATION)), "{} survives:\n{said}", bug.name());
        assert!(said.contains("VIOLATED"), "{} is found otherwise:\n{said}", bug.name());
        let command = said.lines().find_map(|line| line.split_once("Replay it:")).expect("the story says how").1;
        let arguments: Vec<&str> = command.split_whitespace().skip_while(|word| *word != "replay").collect();
        let (code, again) = program(&arguments);
        assert_eq!(code, Some(i32::from(sim::cli::VIOLATION)), "`{command}` does not find it again:\n{again}");
    }
}

#[test]
fn the_checks_that_are_named_exist() {
    let cards = sim::oracle::cards();
    for bug in Bug::ALL {
        assert!(cards.iter().any(|card| card.id == bug.directed().1), "{}", bug.name());
    }
}

fn program(arguments: &[&str]) -> (Option<i32>, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_foreign")).args(arguments).output().expect("the program starts");
    (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
}
