//! Scripts of the protocol, and the traces that they must give.
//!
//! Each `tests/scripts/*.txt` is a story that can be read in class: figure 8 of the paper, a split vote, a
//! snapshot over a conflicting log. [`script`] plays it on the pure cores, one message at a time, and the trace
//! is compared with the golden file beside it, line by line. `INSTA_UPDATE=always` writes new ones, which a
//! person must read against the paper before they are committed.

mod script;

use insta::Settings;
#[cfg(feature = "zoo")]
use shardlab::raft::Bug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "scripts"].iter().collect()
}

/// The names of the files with this ending, in order.
fn names(ending: &str) -> Vec<String> {
    let files = std::fs::read_dir(directory()).expect("the scripts are there");
    let names = files.map(|file| file.expect("it can be listed").file_name().into_string().expect("plain names"));
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(ending).map(str::to_string)).collect();
    names.sort();
    names
}

fn text(name: &str) -> String {
    std::fs::read_to_string(directory().join(format!("{name}.txt"))).expect("the script can be read")
}

fn told(name: &str) -> String {
    script::run(&text(name), None).unwrap_or_else(|why| panic!("{name} cannot be played: {why}"))
}

#[test]
fn every_script_gives_the_trace_that_it_gave_before() {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(directory());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let differs = |name: &String| {
        let compare = || settings.bind(|| insta::assert_snapshot!(name.as_str(), told(name)));
        catch_unwind(AssertUnwindSafe(compare)).is_err()
    };
    let different: Vec<String> = names(".txt").into_iter().filter(differs).collect();
    assert!(different.is_empty(), "these scripts give another trace than before: {different:?}");
}

/// A script that cannot fail shows nothing. With the bug planted that it is about, it must tell another story,
/// with this line in it. (Those that show what a knob is for have none; `pre-vote-off` is what `pre-vote` is
/// without it.)
#[cfg(feature = "zoo")]
const SPOILED: &[(&str, Bug, &str)] = &[
    ("append-reordered", Bug::AeTruncatesAlways, "S2  cuts its log from 2 on"),
    ("append-reordered", Bug::MatchFromCurrentLog, "S1  applies 1@1 a 2@1 b 3@1 c"),
    ("conflict-back-up", Bug::BacktrackStuck, "S2  follower       term 7, vote S1  log 4 5 5  commit 0  durable 3"),
    ("figure-7", Bug::MatchGuessOnElection, "S3  follower       term 8, vote S1  log 1 1 1 4  commit 0  durable 4"),
    ("figure-8", Bug::CommitOldTerm, "!! S5 applies 2@3 where S1 applied 2@2"),
    ("figure-8-own-term", Bug::VoteIgnoresLog, "!! S2 applies 2@3 where S1 applied 2@2"),
    ("membership-correction", Bug::ChangeBeforeTermCommit, "!! S"),
    ("persist-ack", Bug::AckBeforeDurable, "!! S2 applies 1@2 where S1 applied 1@1"),
    ("persist-candidate", Bug::SelfVoteNotDurable, "!! S2 leads term 1, and S1 did before"),
    (
        "persist-leader",
        Bug::LeaderCountsUndurableSelf,
        "S1  leader         term 1, vote S1  log 1  commit 1  durable 0",
    ),
    ("persist-vote", Bug::VoteNotDurable, "!! S2 leads term 1, and S1 did before"),
    ("read-index-late-answer", Bug::StaleRoundConfirmsReads, "!! S1 reads at 2, and entry 4 was applied before"),
    ("snapshot-chunks", Bug::SnapshotNeverSentWhenIdle, "no such message is under way"),
    ("snapshot-conflict", Bug::BoundaryTermWrong, "S1 -> S3  append term 4, after 3@0: no entries, commit 4"),
    ("snapshot-conflict", Bug::InstallKeepsConflict, "S3  adopts snapshot 3@3 and keeps what follows it"),
    ("snapshot-conflict", Bug::StaleInstallRollsBack, "S3  adopts snapshot 3@3 and keeps what follows it"),
    ("split-vote", Bug::ElectionQuorumEven, "!! S4 leads term 1, and S1 did before"),
    ("vote-denied", Bug::VoteIndexBeforeTerm, "S3  becomes leader"),
    ("vote-denied", Bug::VoteRejectsIfEitherGreater, "S3  refuses S1 for term 4: the log is behind"),
    ("vote-denied-shorter", Bug::VoteIgnoresLog, "S2  becomes leader"),
];

#[cfg(feature = "zoo")]
#[test]
fn every_script_notices_the_bug_that_it_is_about() {
    let mut unmoved = Vec::new();
    for (name, bug, line) in SPOILED {
        assert!(!told(name).contains(line), "{name} says {line:?} without {}", bug.name());
        let spoiled = script::run(&text(name), Some(*bug)).unwrap_or_else(|trace| trace);
        if !spoiled.contains(line) {
            unmoved.push(format!("{name} with {} does not say {line:?}:\n{spoiled}", bug.name()));
        }
    }
    assert!(unmoved.is_empty(), "{}", unmoved.join("\n"));
}

/// (That a script without a golden file is not overlooked is up to `insta`.)
#[test]
fn every_golden_file_belongs_to_a_script() {
    let scripts = names(".txt");
    let orphans: Vec<String> = names(".snap").into_iter().filter(|name| !scripts.contains(name)).collect();
    assert!(orphans.is_empty(), "no script gives these traces: {orphans:?}");
}
