//! `check-history`, on histories that were written by hand.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

const CHILD: &str = "SIM_TEST_COMMAND_LINE";

/// This program is the command line itself when it is called as one, and the test of it otherwise.
fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return sim::cli::main(&[]);
    }
    verdicts_and_exit_codes();
    what_goes_wrong_is_told();
    a_page_to_look_at();
    what_makes_no_sense_is_said_with_its_line();
    ExitCode::SUCCESS
}

/// The exit code, and what was said.
fn check_history(args: &[&str]) -> (i32, String) {
    let histories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let program = std::env::current_exe().expect("this program is somewhere");
    let output = Command::new(program)
        .env(CHILD, "1")
        .arg("check-history")
        .args(args)
        .current_dir(histories)
        .output()
        .expect("the program can be started");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&said).into_owned())
}

fn verdicts_and_exit_codes() {
    let cases: [(&[&str], i32); 8] = [
        (&["ok.jsonl"], 0),
        (&["stale-read.jsonl"], 1),
        (&["--model", "register", "unknown-outcome.jsonl"], 0),
        (&["--model", "register", "happened-twice.jsonl"], 1),
        (&["malformed.jsonl"], 2),
        (&["--model", "register", "ok.jsonl"], 2),
        (&["--memory", "1", "too-large.jsonl"], 3),
        (&["--memory", "1", "ok.jsonl", "too-large.jsonl", "malformed.jsonl", "stale-read.jsonl"], 1),
    ];
    for (args, expected) in cases {
        let (code, said) = check_history(args);
        assert_eq!(code, expected, "{args:?} said\n{said}");
    }
}

fn what_goes_wrong_is_told() {
    let (_, said) = check_history(&["stale-read.jsonl"]);
    assert!(said.starts_with("stale-read.jsonl: VIOLATED, 4 operations, "), "{said}");
    assert!(said.contains("Key \"x\" goes wrong between events 0 and 8"), "{said}");
    assert!(said.contains("=> client 1: get \"x\" -> \"1\"  [#7 to #8]"), "{said}");
    assert!(!said.contains("\"y\""), "the other key has nothing to do with it: {said}");
    let (_, said) = check_history(&["--memory", "1", "too-large.jsonl"]);
    assert!(said.contains("1 of 1 keys would take more than 1 MiB of memory to decide"), "{said}");
}

fn a_page_to_look_at() {
    let path = std::env::temp_dir().join(format!("check-history-{}.html", std::process::id()));
    let (code, _) =
        check_history(&["--html", path.to_str().expect("a plain path"), "ok.jsonl", "stale-read.jsonl"]);
    let page = std::fs::read_to_string(&path).expect("the page was written");
    std::fs::remove_file(&path).expect("the page is there");
    assert_eq!(code, 1);
    for part in ["stale-read.jsonl", "class=\"breaks\"", "class=\"conflict\"", "cut S1 from S2, S3", "client 1"] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    assert!(!page.contains("src=") && !page.contains("href="), "it needs no other file");
}

fn what_makes_no_sense_is_said_with_its_line() {
    let (_, said) = check_history(&["malformed.jsonl"]);
    assert_eq!(said.trim(), "error: malformed.jsonl: line 3: process 0 invoked nothing");
    let (code, said) = check_history(&["nowhere.jsonl"]);
    assert!(code == 2 && said.starts_with("error: nowhere.jsonl: cannot read it: "), "{said}");
}
