//! What a reader relies on and no compiler checks: who imports whom, what simulated code may touch, how long a
//! file may grow, and which words must never leave the workshop.
//!
//! Each rule is a file under `rules`, with a test that plants a breach and sees it caught. The rules read Rust as
//! tokens and syntax, not as text, so a forbidden name in a string or a comment is no breach, and one inside a
//! macro is.
//!
//! An exception is a comment on the line, or on the line above: `tidy: allow(rule): why`, after two slashes. They
//! are counted, and the count is pinned here.

mod allow;
mod area;
mod path;
mod rules;
mod source;

use source::Source;
use std::path::Path;

/// How many exceptions the whole tree holds. Lower it when one goes; raise it only with a reason that a
/// reviewer would accept.
const EXCEPTIONS: usize = 4;

/// What a rule found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    /// What is wrong and what to do about it.
    what: String,
}

/// All that is wrong with one file, and the exceptions that it makes.
fn examine(source: &Source) -> (Vec<Finding>, usize) {
    let mut findings: Vec<Finding> = rules::ALL.iter().flat_map(|rule| rule.findings(source)).collect();
    findings.sort();
    findings.dedup();
    allow::excuse(source, findings)
}

#[test]
fn the_tree_is_tidy() {
    let mut exceptions = 0;
    let mut report = String::new();
    for source in source::tree(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let (findings, excused) = examine(&source);
        exceptions += excused;
        for Finding { path, line, rule, what } in findings {
            report.push_str(&format!("{path}:{line}: [{rule}] {what}\n"));
        }
    }
    assert!(report.is_empty(), "the tree is not tidy:\n{report}");
    assert_eq!(
        exceptions, EXCEPTIONS,
        "the number of exceptions changed: do without the new one, or change EXCEPTIONS in tests/tidy/main.rs"
    );
}

/// A rule that finds nothing because it read nothing would stay green for ever.
#[test]
fn the_whole_tree_is_read() {
    let tree = source::tree(Path::new(env!("CARGO_MANIFEST_DIR")));
    let has = |path: &str| tree.iter().any(|source| source.path == path);
    for path in [
        "labgob/src/lib.rs",
        "labrpc/src/sim/world.rs",
        "sim/src/lab/mod.rs",
        "src/raft/core.rs",
        "tests/tidy/main.rs",
        ".cargo/config.toml",
        "Cargo.lock",
    ] {
        assert!(has(path), "{path} is not among the {} files read", tree.len());
    }
    assert!(!tree.iter().any(|source| source.path.starts_with("target/")), "what cargo built is not ours to judge");
}

#[test]
fn one_file_with_a_breach_is_reported_with_its_line_rule_and_cure() {
    let source = Source::new("src/raft/core.rs", "//! Planted.\n\nuse super::node::Node;\n");
    let (findings, _) = examine(&source);
    let [finding] = &*findings else { panic!("one finding, not {findings:?}") };
    assert_eq!((finding.line, finding.rule), (3, "imports"));
    assert!(finding.what.contains("shardlab::raft::node::Node"), "{}", finding.what);
}
