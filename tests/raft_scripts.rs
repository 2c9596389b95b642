//! Scripts of the protocol, and the traces that they must give.
//!
//! Each `tests/scripts/*.txt` is a story that can be read in class: figure 8 of the paper, a split vote, a snapshot over a
//! conflicting log. [`script`] plays it on the pure cores, one message at a time, and the trace is compared with the
//! golden file beside it, line by line. `INSTA_UPDATE=always` writes new ones, which a person must read against the paper
//! before they are committed.

mod script;

use insta::Settings;
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

/// A script that cannot fail shows nothing. With the bug planted that it is about, it must tell another story, with this
/// line in it.
const SPOILED: &[(&str, Bug, &str)] = &[];

#[test]
fn every_script_notices_the_bug_that_it_is_about() {
    for (name, bug, line) in SPOILED {
        let sound = told(name);
        assert!(!sound.contains(line), "{name} says {line:?} without {}", bug.name());
        let spoiled = script::run(&text(name), Some(*bug)).unwrap_or_else(|trace| trace);
        assert!(spoiled.contains(line), "{name} with {} does not say {line:?}:\n{spoiled}", bug.name());
    }
}

#[test]
fn no_script_breaks_raft() {
    for name in names(".txt") {
        let trace = told(&name);
        assert!(!trace.contains(script::BROKEN), "{name} breaks Raft:\n{trace}");
    }
}

#[test]
fn every_golden_file_belongs_to_a_script() {
    assert_eq!(names(".snap"), names(".txt"));
}
