//! The files of the repository, read once.

use crate::path::{Path, paths};
use proc_macro2::TokenStream;
use std::fs;
use walkdir::{DirEntry, WalkDir};

/// The files that the rule on words reads.
const TEXT: [&str; 11] = ["rs", "md", "toml", "sh", "json", "txt", "snap", "yml", "yaml", "lock", "html"];

/// One file.
pub struct Source {
    /// From the root of the repository, with slashes.
    pub path: String,
    pub text: String,
    /// Only of a Rust file.
    pub code: Option<Code>,
}

/// A file of Rust.
pub struct Code {
    pub tokens: TokenStream,
    pub syntax: syn::File,
    /// Every path that the file names, also inside macros.
    pub paths: Vec<Path>,
}

impl Source {
    /// Reads Rust if the name says so, and must be able to.
    pub fn new(path: &str, text: &str) -> Source {
        let code = path.ends_with(".rs").then(|| {
            let tokens: TokenStream = text.parse().unwrap_or_else(|why| panic!("{path} is no Rust: {why}"));
            let syntax = syn::parse2(tokens.clone()).unwrap_or_else(|why| panic!("{path} is no Rust: {why}"));
            let paths = paths(path, tokens.clone());
            Code { tokens, syntax, paths }
        });
        Source { path: path.into(), text: text.into(), code }
    }
}

/// All text of the repository, in order of path.
pub fn tree(root: &std::path::Path) -> Vec<Source> {
    let files = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_ours);
    let mut sources = Vec::new();
    for file in files {
        let file = file.expect("the repository can be read while its tests run");
        if !file.file_type().is_file() || !is_text(&file) {
            continue;
        }
        let relative = file.path().strip_prefix(root).expect("the walk began at the root");
        let path = relative.to_str().expect("our names are plain").replace('\\', "/");
        let text = fs::read_to_string(file.path()).unwrap_or_else(|why| panic!("{path}: {why}"));
        sources.push(Source::new(&path, &text));
    }
    sources
}

fn is_text(file: &DirEntry) -> bool {
    let name = file.file_name().to_string_lossy();
    match name.rsplit_once('.') {
        Some((_, extension)) => TEXT.contains(&extension),
        None => name.starts_with("LICENSE"),
    }
}

/// Not what cargo built (it marks its directories), and nothing hidden but the settings that we share.
fn is_ours(entry: &DirEntry) -> bool {
    if entry.depth() == 0 {
        return true;
    }
    let name = entry.file_name().to_string_lossy();
    let is_hidden = name.starts_with('.') && name != ".cargo" && name != ".github";
    let is_built = entry.file_type().is_dir() && (name == "target" || entry.path().join("CACHEDIR.TAG").exists());
    !(is_hidden || is_built)
}
