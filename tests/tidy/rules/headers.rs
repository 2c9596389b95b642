//! A file begins by saying why it exists.

use super::{Say, caught};
use crate::source::{Code, Source};

/// The rule.
pub fn check(source: &Source, _: &Code, say: Say<'_>) {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|text| text.contains(char::is_alphabetic));
    if !says {
        say(1, "begin the file with `//!` and why it exists".into());
    }
}

#[test]
fn a_file_without_a_reason_to_exist_is_caught() {
    assert_eq!(caught("headers", "src/raft/core.rs", "fn f() {}"), [1]);
    assert_eq!(caught("headers", "src/raft/core.rs", "//!\nfn f() {}"), [1]);
    assert_eq!(caught("headers", "src/raft/core.rs", "\n//! Late."), [1]);
    assert_eq!(caught("headers", "src/raft/core.rs", "//! To be tested.\nfn f() {}"), [0; 0]);
}
