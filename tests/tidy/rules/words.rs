//! Words of the workshop that mean nothing to a reader: paths of the machine, numbers of lists that are not here,
//! and where this machine gets its packages from.
//!
//! The needles are written in two parts, since this file is read as well.

use super::{Say, caught};
use crate::source::Source;

/// What must not stand there, in small letters, and how it has to be bounded: a word goes on to neither side.
const WORDS: &[(&str, &str)] = &[
    (concat!("/wo", "rk"), "a path of one machine: name the file from the root of the repository"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("..", "/shared"), "what lies outside the repository cannot be read by those who have the repository"),
    (concat!("iss", "ue #"), "say what the matter is: the number means nothing here"),
    (concat!("helper ", "agent"), "who wrote it is no matter of the reader's"),
    (concat!("sub", "agent"), "who wrote it is no matter of the reader's"),
    (concat!("index.", "crates.io"), "where packages come from is the machine's setting"),
    (concat!("static.", "crates.io"), "where packages come from is the machine's setting"),
    (concat!("arti", "factory"), "where packages come from is the machine's setting"),
    (concat!("sparse", "+http"), "where packages come from is the machine's setting"),
    (concat!("[source.", "crates-io]"), "where packages come from is the machine's setting"),
];

/// The only place that a lock file may name.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/crates.io", "-index");

/// The rule.
pub fn check(source: &Source, say: Say<'_>) {
    let is_lock = source.path.ends_with(".lock");
    for (index, line) in source.text.lines().enumerate() {
        let line_number = index + 1;
        if is_lock && line.starts_with("source = ") && line != format!("source = \"{REGISTRY}\"") {
            say(line_number, "a package from elsewhere: resolve it from the public registry".into());
        }
        let small = line.to_ascii_lowercase();
        for (word, why) in WORDS.iter().filter(|(word, _)| is_there(&small, word)) {
            say(line_number, format!("`{word}`: {why}"));
        }
        if let Some(id) = catalogue_id(line) {
            say(
                line_number,
                format!("`{id}` looks like a number of the catalogue of bugs: bugs go by their names"),
            );
        }
    }
}

/// Whether the word stands there, and is not part of a longer one.
fn is_there(line: &str, word: &str) -> bool {
    let goes_on = |one: Option<char>| one.is_some_and(|one| one.is_alphanumeric() || one == '_' || one == '-');
    line.match_indices(word).any(|(at, _)| {
        let open = |inner: Option<char>, outer| goes_on(inner) && goes_on(outer);
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        // A path of the machine begins with its slash; `network/work` is something else.
        let inside_a_path = word.starts_with('/') && (goes_on(before) || before == Some('.'));
        !inside_a_path && !open(word.chars().next(), before) && !open(word.chars().next_back(), after)
    })
}

/// A letter from A to K and two digits, standing alone.
fn catalogue_id(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let is_word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    (0..bytes.len().saturating_sub(2)).find_map(|at| {
        let fits = matches!(bytes[at], b'A'..=b'K') && bytes[at + 1..at + 3].iter().all(u8::is_ascii_digit);
        let alone = !is_word(at + 3) && (at == 0 || !is_word(at - 1));
        (fits && alone).then(|| &line[at..at + 3])
    })
}

#[test]
fn words_of_the_workshop_are_caught_in_every_kind_of_file() {
    for path in ["README.md", "src/raft/core.rs", "Cargo.toml", "scripts/stress.sh", "tests/plans/a.json"] {
        for (word, _) in WORDS {
            let ends_open = word.ends_with(['/', '#', ']']);
            let text = format!("//! One.\n// two {word}{}\n", if ends_open { "3" } else { "." });
            assert_eq!(caught("words", path, &text), [2], "{word} in {path}");
        }
        let id = concat!("A", "01");
        assert_eq!(caught("words", path, &format!("// of {id}: lost\n")), [1]);
    }
}

#[test]
fn what_only_looks_like_such_a_word_is_none() {
    let text = "// the /worker, a/workload, network/work\n// issues, tissue 3, 0xA01, A012, AB12, L01, A1, fooA01_\n\
                // crates.io, shared, roots, 1E12\n";
    assert_eq!(caught("words", "src/raft/core.rs", text), [0; 0]);
}

#[test]
fn a_lock_file_names_one_registry() {
    let text = format!("source = \"{REGISTRY}\"\nsource = \"registry+https://mirror.example/index\"\n");
    assert_eq!(caught("words", "Cargo.lock", &text), [2]);
}
