//! What `docs/bring-your-own-raft.md` shows of this crate is what this crate is. (Its other Rust is compiled by
//! the doc tests.)

use std::path::Path;

/// The page's blocks: what follows the three ticks, and the lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            blocks.push((language, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    blocks
}

#[test]
fn the_page_shows_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read =
        |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let page = read("docs/bring-your-own-raft.md");
    let mut shown = Vec::new();
    for (language, lines) in blocks(&page) {
        let mark = if language == "toml" { "# " } else { "// " };
        let Some(file) = lines.first().and_then(|line| line.strip_prefix(mark)) else { continue };
        if !root.join(file).is_file() {
            continue;
        }
        let content = read(file);
        let content: Vec<&str> = content.lines().filter(|line| !line.starts_with("# ")).collect();
        for piece in lines[1..].split(|line| *line == "// ...") {
            let is_there = content.windows(piece.len()).any(|window| window == piece);
            assert!(is_there, "{file} has no such lines:\n{}", piece.join("\n"));
        }
        shown.push(file);
    }
    for file in [".cargo/config.toml", "tests/foreign/src/main.rs", "tests/foreign/src/lab.rs"] {
        assert!(shown.contains(&file), "the page shows nothing of {file}");
    }
}

/// The page says of each bug how it is seen.
#[test]
fn the_page_knows_the_bugs() {
    let page = include_str!("../../../docs/bring-your-own-raft.md");
    for bug in foreign::Bug::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", bug.name())));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", bug.name()));
        assert!(row.contains(&format!("| `{}`", bug.directed().1)), "{row}");
    }
}
