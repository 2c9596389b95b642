//! The rules, one file each.

mod hashing;
mod headers;
mod imports;
mod length;
mod macros;
mod pure;
mod words;

use crate::Finding;
use crate::source::{Code, Source};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// Where a rule says what it found: in which line, and what is to be done.
pub type Say<'a> = &'a mut dyn FnMut(usize, String);

/// One rule.
pub struct Rule {
    pub name: &'static str,
    check: Check,
}

enum Check {
    /// Of every text.
    Text(fn(&Source, Say<'_>)),
    /// Of Rust.
    Code(fn(&Source, &Code, Say<'_>)),
}

pub const ALL: &[Rule] = &[
    Rule { name: "imports", check: Check::Code(imports::check) },
    Rule { name: "pure", check: Check::Code(pure::check) },
    Rule { name: "hashing", check: Check::Code(hashing::check) },
    Rule { name: "file-length", check: Check::Code(length::files) },
    Rule { name: "function-length", check: Check::Code(length::functions) },
    Rule { name: "macros", check: Check::Code(macros::check) },
    Rule { name: "headers", check: Check::Code(headers::check) },
    Rule { name: "words", check: Check::Text(words::check) },
];

impl Rule {
    pub fn findings(&self, source: &Source) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |line, what| {
            findings.push(Finding { path: source.path.clone(), line, rule: self.name, what });
        };
        match (&self.check, &source.code) {
            (Check::Text(check), _) => check(source, &mut say),
            (Check::Code(check), Some(code)) => check(source, code, &mut say),
            (Check::Code(_), None) => {}
        }
        findings
    }
}

/// Calls for every name in the code, with the token after it.
fn each_name(tokens: &TokenStream, call: &mut dyn FnMut(&Ident, Option<&TokenTree>)) {
    let mut tokens = tokens.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) => call(&ident, tokens.peek()),
            TokenTree::Group(group) => each_name(&group.stream(), call),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Calls for every attribute, with what stands between its brackets.
fn each_attribute(tokens: &TokenStream, call: &mut dyn FnMut(&Group)) {
    let mut after_hash = false;
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) if after_hash && group.delimiter() == Delimiter::Bracket => call(&group),
            TokenTree::Group(group) => each_attribute(&group.stream(), call),
            // An inner attribute has its mark of exclamation between.
            TokenTree::Punct(punct) if after_hash && punct.as_char() == '!' => continue,
            TokenTree::Punct(punct) => {
                after_hash = punct.as_char() == '#';
                continue;
            }
            _ => {}
        }
        after_hash = false;
    }
}

/// What a rule says of planted code at that path, as the lines it points at.
fn caught(rule: &str, path: &str, text: &str) -> Vec<usize> {
    let rule = ALL.iter().find(|one| one.name == rule).expect("the rule exists");
    rule.findings(&Source::new(path, text)).into_iter().map(|finding| finding.line).collect()
}
