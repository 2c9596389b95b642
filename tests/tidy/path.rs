//! The paths that a file names, made absolute: `use`d or spelled out, in code or inside a macro.
//!
//! Names are resolved as far as the rules need it: `crate`, `self` and `super`, modules declared in the file, and
//! what the file imports, under its new name too. What another file re-exports is not followed; the rule on
//! imports makes up for that where it matters.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// A path as the compiler would see it: `std::time::Instant`, `shardlab::raft::node::Node`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    pub line: usize,
    /// The first is a crate, or else a name that is local to the file. A glob ends with `*`.
    pub segments: Vec<String>,
}

impl Path {
    pub fn text(&self) -> String {
        self.segments.join("::")
    }

    /// Whether it is that, or something inside of that, or a glob that brings it in.
    pub fn reaches(&self, prefix: &str) -> bool {
        let prefix: Vec<&str> = prefix.split("::").collect();
        self.segments.len() >= prefix.len()
            && self.segments.iter().zip(&prefix).all(|(ours, wanted)| ours == wanted || ours == "*")
    }
}

/// Which crate a file belongs to, and which module of it is the file.
pub fn home(path: &str) -> Vec<String> {
    let (package, rest) = match path.split_once("src/") {
        Some(("", rest)) => ("shardlab", rest),
        Some((package, rest)) => (package.trim_end_matches('/').rsplit('/').next().unwrap_or(package), rest),
        None => ("test", path),
    };
    let mut module: Vec<String> = vec![package.into()];
    module.extend(rest.trim_end_matches(".rs").split('/').map(String::from));
    if module.len() > 1 && module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&&**last)) {
        module.pop();
    }
    // Tests that outgrew their file sit beside it, and are a module inside of it.
    if let Some(tested) = module.last().and_then(|last| last.strip_suffix("_tests")).map(String::from) {
        module.pop();
        module.extend([tested, "tests".into()]);
    }
    module
}

/// Every path in the file with more than one name in it.
pub fn paths(file: &str, tokens: TokenStream) -> Vec<Path> {
    let mut reader = Reader::default();
    reader.read(tokens, &home(file));
    let Reader { found, names, modules } = reader;
    found.into_iter().map(|found| found.absolute(&names, &modules)).collect()
}

/// A path as written, and in which module.
struct Written {
    line: usize,
    segments: Vec<String>,
    module: Vec<String>,
}

impl Written {
    fn absolute(self, names: &BTreeMap<String, Vec<String>>, modules: &BTreeSet<String>) -> Path {
        let local = rooted(&self.segments, &self.module, modules);
        let segments = match names.get(&local[0]) {
            Some(full) if local.len() > 1 && full[0] != local[0] => {
                let full = rooted(full, &self.module, modules);
                full.into_iter().chain(local.into_iter().skip(1)).collect()
            }
            _ => local,
        };
        Path { line: self.line, segments }
    }
}

/// With `crate`, `self`, `super` and modules of the same file replaced.
fn rooted(segments: &[String], module: &[String], modules: &BTreeSet<String>) -> Vec<String> {
    let mut base: Option<Vec<String>> = None;
    let mut rest = segments;
    while let Some((first, after)) = rest.split_first() {
        match &**first {
            "crate" => base = Some(module[..1].to_vec()),
            "self" => base = Some(base.unwrap_or_else(|| module.to_vec())),
            "super" => {
                let mut parent = base.unwrap_or_else(|| module.to_vec());
                parent.pop();
                base = Some(parent);
            }
            _ => break,
        }
        rest = after;
    }
    match base {
        None if modules.contains(&segments[0]) => module.iter().chain(segments).cloned().collect(),
        None if segments[0] == "core" || segments[0] == "alloc" => {
            std::iter::once("std".into()).chain(segments[1..].iter().cloned()).collect()
        }
        None => segments.to_vec(),
        Some(base) => base.into_iter().chain(rest.iter().cloned()).collect(),
    }
}

#[derive(Default)]
struct Reader {
    found: Vec<Written>,
    /// What the file imports, by the name it has here.
    names: BTreeMap<String, Vec<String>>,
    /// Modules declared in this file.
    modules: BTreeSet<String>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read(group.stream(), module);
                    at + 1
                }
                TokenTree::Ident(ident) if ident == "mod" => self.module(&tokens, at, module),
                TokenTree::Ident(ident) if ident == "use" && !is_punct(tokens.get(at + 1), '<') => {
                    let end =
                        (at..tokens.len()).find(|&end| is_punct(tokens.get(end), ';')).unwrap_or(tokens.len());
                    self.imports(&tokens[at + 1..end], &[], module);
                    end + 1
                }
                TokenTree::Ident(_) => self.path(&tokens, at, module),
                _ => at + 1,
            };
        }
    }

    fn module(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else { return at + 1 };
        self.modules.insert(name.to_string());
        match tokens.get(at + 2) {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => {
                let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
                self.read(body.stream(), &inner);
                at + 3
            }
            _ => at + 2,
        }
    }

    /// One tree of a `use`: `a::b`, `a::{b, c as d}`, `a::*`.
    fn imports(&mut self, tokens: &[TokenTree], prefix: &[String], module: &[String]) {
        let mut segments = prefix.to_vec();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(ident) if ident == "as" => break,
                TokenTree::Ident(ident) if ident == "self" && !prefix.is_empty() => {}
                TokenTree::Ident(ident) => segments.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => segments.push("*".into()),
                TokenTree::Group(group) => return self.import_group(group, &segments, module),
                _ => {}
            }
            at += 1;
        }
        let (Some(last), Some(token)) = (segments.last(), tokens.first()) else { return };
        let name = match tokens.get(at + 1) {
            Some(TokenTree::Ident(new)) => new.to_string(),
            _ => last.clone(),
        };
        if name != "*" && name != "_" {
            self.names.insert(name, segments.clone());
        }
        self.find(token.span(), segments, module);
    }

    fn import_group(&mut self, group: &Group, prefix: &[String], module: &[String]) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        for tree in tokens.split(|token| is_punct(Some(token), ',')).filter(|tree| !tree.is_empty()) {
            self.imports(tree, prefix, module);
        }
    }

    /// A path that begins at this name, if one does. Returns where to go on.
    fn path(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let mut segments = vec![tokens[at].to_string()];
        let mut next = at + 1;
        while is_punct(tokens.get(next), ':') && is_punct(tokens.get(next + 1), ':') {
            let Some(TokenTree::Ident(ident)) = tokens.get(next + 2) else { break };
            segments.push(ident.to_string());
            next += 3;
        }
        if segments.len() > 1 && !goes_on(tokens, at) {
            self.find(tokens[at].span(), segments, module);
        }
        next
    }

    fn find(&mut self, span: Span, segments: Vec<String>, module: &[String]) {
        self.found.push(Written { line: span.start().line, segments, module: module.to_vec() });
    }
}

/// Whether the name at this place is not the first of its path: a field, a method, `Vec::<u8>::new`, `$name::of`.
fn goes_on(tokens: &[TokenTree], at: usize) -> bool {
    let back = |steps: usize| at.checked_sub(steps).and_then(|before| tokens.get(before));
    if is_punct(back(1), '$') {
        return !matches!(&tokens[at], TokenTree::Ident(ident) if ident == "crate");
    }
    let after_colons = is_punct(back(1), ':') && is_punct(back(2), ':');
    is_punct(back(1), '.') && !is_punct(back(2), '.')
        || after_colons && (is_punct(back(3), '>') || matches!(back(3), Some(TokenTree::Ident(_))))
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn texts(file: &str, code: &str) -> Vec<String> {
    paths(file, code.parse().expect("planted Rust")).iter().map(Path::text).collect()
}

#[test]
fn imports_are_unfolded_and_made_absolute() {
    let code = "use super::{core::{Raft, Input as In}, log::*}; use crate::x; use std::{self, fmt};";
    assert_eq!(
        texts("src/raft/node.rs", code),
        [
            "shardlab::raft::core::Raft",
            "shardlab::raft::core::Input",
            "shardlab::raft::log::*",
            "shardlab::x",
            "std",
            "std::fmt"
        ]
    );
}

#[test]
fn paths_in_code_and_in_macros_are_seen_under_their_full_name() {
    let code = "use std::time as clock; fn f() { g!(clock::Instant::now()); x.y::<u8>(); Vec::<u8>::new(); }";
    assert_eq!(texts("src/raft/node.rs", code), ["std::time", "std::time::Instant::now"]);
    assert_eq!(texts("src/raft/node.rs", "type A = ::tokio::sync::Notify;"), ["tokio::sync::Notify"]);
    assert_eq!(texts("src/raft/mod.rs", "mod core; use core::Raft;"), ["shardlab::raft::core::Raft"]);
    assert_eq!(texts("src/a.rs", "use core::fmt;"), ["std::fmt"]);
}

#[test]
fn modules_inside_a_file_have_the_file_above_them() {
    assert_eq!(texts("src/raft/log.rs", "mod tests { use super::Log; }"), ["shardlab::raft::log::Log"]);
    assert_eq!(texts("src/raft/log_tests.rs", "use super::Log;"), ["shardlab::raft::log::Log"]);
    assert_eq!(texts("labrpc/src/sim/mod.rs", "use super::Env;"), ["labrpc::Env"]);
    assert_eq!(texts("tests/foreign/src/lib.rs", "use self::a::B;"), ["foreign::a::B"]);
}

#[test]
fn a_path_reaches_what_it_names_what_is_inside_and_what_its_glob_brings_in() {
    let path = |text: &str| Path { line: 1, segments: text.split("::").map(String::from).collect() };
    assert!(path("std::time::Instant::now").reaches("std::time::Instant"));
    assert!(path("std::time::*").reaches("std::time::Instant"));
    assert!(!path("std::time::Duration").reaches("std::time::Instant"));
    assert!(!path("std::time").reaches("std::time::Instant"));
    assert!(!path("std::*").reaches("std::time::Instant"), "a module, whose own paths will be seen");
}
