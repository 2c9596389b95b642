//! Who watches the watchmen: with a check switched off, a planted bug that it is there for is not seen by it any more, where it
//! was seen first. So a check that had come to see nothing would be noticed.

#![cfg(feature = "zoo")]

mod common;

use sim::lab::Record;
use sim::oracle::cards;
use sim::raft::BugCard;
use sim::scenario::Suite;
use std::collections::BTreeMap;

/// What ends the run whatever is switched off.
const ENDS_THE_RUN: [&str; 2] = ["panic", "stuck"];

/// A check that no planted bug is the first to need in its directed scenario, and why it is there.
struct Unneeded {
    check: &'static str,
    /// A bug that it sees in that bug's scenario when all others are switched off.
    sees: Option<&'static str>,
    why: &'static str,
}

const UNNEEDED: &[Unneeded] = &[
    Unneeded {
        check: "vote-once",
        sees: Some("vote-not-durable"),
        why: "two votes of a server in one term are seen in its first promise or on its disk before \
              that; a Raft whose disk the laboratory cannot follow at each step has this one alone",
    },
    Unneeded {
        check: "term-catch-up",
        sees: None,
        why: "a server that hears of a later term and stays behind is safe and slow; no bug is planted \
              that does it",
    },
    Unneeded {
        check: "ordering",
        sees: Some("vote-ignores-log"),
        why: "what it compares are a server's own numbers, which go wrong when others have done wrong \
              before, or in a Raft that is not this one",
    },
    Unneeded {
        check: "unique-entry",
        sees: Some("no-fsync"),
        why: "two entries of one place and term need two leaders, or one that forgets, and both are \
              seen before they write",
    },
    Unneeded {
        check: "leader-append-only",
        sees: None,
        why: "no bug is planted in which a leader cuts its own log: here that is no line that could be \
              forgotten",
    },
    Unneeded {
        check: "acked-survives",
        sees: None,
        why: "what is acknowledged and then lost was not on a majority's disks, or is overwritten; \
              both are seen earlier",
    },
    Unneeded {
        check: "message-immutable",
        sees: None,
        why: "it judges the network of the laboratory, not the systems on it",
    },
    Unneeded {
        check: "resources",
        sees: None,
        why: "logs and messages without a bound; the planted bug that wastes entries is seen by `retry-storm` before",
    },
    Unneeded {
        check: "message-count",
        sees: None,
        why: "a demand of the course's scenarios; no planted bug sends more without being slow as well",
    },
    Unneeded {
        check: "disk-size",
        sees: None,
        why: "a demand of the course's scenarios; `shard-storage` is nearer to the bug that keeps too \
              much",
    },
    Unneeded {
        check: "undecided",
        sees: None,
        why: "it is about the checker of linearizability: a history that takes too long says nothing \
              about the system",
    },
    Unneeded {
        check: "panic",
        sees: None,
        why: "it ends the run and cannot be switched off; any bug may come to it",
    },
    Unneeded {
        check: "stuck",
        sees: None,
        why: "it ends the run and cannot be switched off; any bug may come to it",
    },
    Unneeded {
        check: "refused-disk",
        sees: Some("snap-log-not-atomic"),
        why: "a disk that a server refuses is one that `recovery` has seen to be wrong when the power \
              failed",
    },
];

/// What was seen of a bug in its scenario with these checks switched off.
fn seen(suite: &Suite, bug: &BugCard, seed: u64, mute: &[&str]) -> Option<String> {
    let (scenario, _) = bug.directed.expect("it has a scenario of its own");
    let scenario = suite.scenario(scenario).expect("it is in the suite");
    let mut plan = suite.plan(scenario, seed, Some(bug.name));
    plan.mute = mute.iter().copied().map(String::from).collect();
    let report = sim::testing::run_watched(&suite.system, &plan, Record::Nothing);
    report.violation().map(|violation| violation.check.clone())
}

/// The bugs whose directed scenario names a check, by that check.
fn by_check(suites: &[Suite]) -> BTreeMap<&'static str, Vec<(&Suite, BugCard)>> {
    let mut named: BTreeMap<&'static str, Vec<(&Suite, BugCard)>> = BTreeMap::new();
    for suite in suites {
        for bug in suite.system.bugs() {
            if let Some((_, check)) = bug.directed {
                named.entry(check).or_default().push((suite, bug));
            }
        }
    }
    named
}

/// Each check that some bug names sees one of them, and does not when it is switched off: then nobody does, or another check.
#[test]
fn a_check_that_is_switched_off_is_missed() {
    let suites = common::all();
    for (check, bugs) in by_check(&suites) {
        let is_missed = bugs.iter().any(|(suite, bug)| {
            seen(suite, bug, 0, &[]).as_deref() == Some(check)
                && seen(suite, bug, 0, &[check]).as_deref() != Some(check)
        });
        assert!(is_missed, "nothing changes when `{check}` is switched off");
    }
}

/// A check is named by a bug or stands in the list with its reason, and not in both.
#[test]
fn checks_that_no_bug_names_are_listed_with_a_reason() {
    let suites = common::all();
    let named = by_check(&suites);
    let listed: Vec<&str> = UNNEEDED.iter().map(|one| one.check).collect();
    let without: Vec<&str> =
        cards().iter().map(|card| card.id).filter(|check| !named.contains_key(check)).collect();
    assert_eq!(without, listed, "these checks are first to see no planted bug; and these are listed");
    assert!(UNNEEDED.iter().all(|one| one.why.len() > 20), "each with its reason");
}

/// What is second to see a bug sees it, when it is left alone with it.
#[test]
fn checks_that_no_bug_names_see_one_when_left_alone() {
    let suites = common::all();
    for Unneeded { check, sees, .. } in UNNEEDED {
        let Some(name) = sees else { continue };
        let others: Vec<&str> =
            cards().iter().map(|card| card.id).filter(|id| id != check && !ENDS_THE_RUN.contains(id)).collect();
        let by = suites.iter().find_map(|suite| {
            let bug = suite.system.bugs().into_iter().find(|bug| bug.name == *name)?;
            Some(seen(suite, &bug, 0, &others))
        });
        assert_eq!(by.flatten().as_deref(), Some(*check), "{name}, with `{check}` alone");
    }
}
