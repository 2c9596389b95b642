//! Exceptions: a comment that names the rule and says why.
//!
//! An exception that excuses nothing is a finding itself, as is one without a reason.

use crate::Finding;
use crate::source::Source;
use proc_macro2::{LineColumn, TokenStream, TokenTree};

/// How an exception begins. In two parts, since this file is read as well.
const MARK: &str = concat!("// ti", "dy: allow(");

struct Exception {
    line: usize,
    rule: String,
    has_reason: bool,
    used: bool,
}

/// The findings without those that are excused, with those about the exceptions, and how many exceptions there are.
pub fn excuse(source: &Source, findings: Vec<Finding>) -> (Vec<Finding>, usize) {
    let mut exceptions = exceptions(source);
    let mut left: Vec<Finding> = Vec::new();
    for finding in findings {
        let excuse =
            exceptions.iter_mut().find(|one| one.rule == finding.rule && covers(source, one.line, &finding));
        match excuse {
            Some(exception) => exception.used = true,
            None => left.push(finding),
        }
    }
    for exception in &exceptions {
        let what = match (exception.used, exception.has_reason) {
            (true, true) => continue,
            (true, false) => "the exception does not say why: end it with `: why`",
            (false, _) => "the exception excuses nothing: remove it",
        };
        let Exception { line, .. } = *exception;
        left.push(Finding { path: source.path.clone(), line, rule: "allow", what: what.into() });
    }
    (left, exceptions.len())
}

/// Its own line, and the first line below that is not a comment.
fn covers(source: &Source, line: usize, finding: &Finding) -> bool {
    let below = source.text.lines().enumerate().skip(line).find(|(_, text)| !text.trim_start().starts_with("//"));
    finding.line == line || below.is_some_and(|(index, _)| finding.line == index + 1)
}

fn exceptions(source: &Source) -> Vec<Exception> {
    let Some(code) = &source.code else { return Vec::new() };
    let mut literals = Vec::new();
    literal_spans(code.tokens.clone(), &mut literals);
    let mut exceptions = Vec::new();
    for (index, text) in source.text.lines().enumerate() {
        let Some(at) = text.find(MARK) else { continue };
        let place = LineColumn { line: index + 1, column: text[..at].chars().count() };
        if literals.iter().any(|(start, end)| (*start..*end).contains(&place)) {
            continue;
        }
        let (rule, reason) = text[at + MARK.len()..].split_once(')').unwrap_or_default();
        let has_reason = reason.strip_prefix(':').is_some_and(|why| why.trim().len() > 5);
        exceptions.push(Exception { line: index + 1, rule: rule.into(), has_reason, used: false });
    }
    exceptions
}

/// Strings and documentation: what looks like an exception in there is none.
fn literal_spans(tokens: TokenStream, spans: &mut Vec<(LineColumn, LineColumn)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => literal_spans(group.stream(), spans),
            TokenTree::Literal(literal) => spans.push((literal.span().start(), literal.span().end())),
            _ => {}
        }
    }
}

fn judged(code: &str) -> (Vec<String>, usize) {
    let (findings, count) = crate::examine(&Source::new("src/raft/core.rs", &format!("//! Planted.\n{code}\n")));
    (findings.into_iter().map(|finding| format!("{}:{}", finding.line, finding.rule)).collect(), count)
}

#[test]
fn an_exception_with_a_reason_excuses_its_line_and_the_next_and_is_counted() {
    let beside = format!("fn f() {{ dbg!(1); }} {MARK}macros): a planted reason");
    assert_eq!(judged(&beside), (vec![], 1));
    let above =
        format!("{MARK}macros): a planted reason\n// on two lines\nfn f() {{ dbg!(1); }}\nfn g() {{ dbg!(2); }}");
    assert_eq!(judged(&above), (vec!["5:macros".to_string()], 1));
}

#[test]
fn an_exception_must_say_why_name_the_rule_and_excuse_something() {
    let mute = format!("fn f() {{ dbg!(1); }} {MARK}macros)");
    assert_eq!(judged(&mute), (vec!["2:allow".to_string()], 1));
    let other = format!("fn f() {{ dbg!(1); }} {MARK}imports): a planted reason");
    assert_eq!(judged(&other), (vec!["2:macros".to_string(), "2:allow".to_string()], 1));
}

#[test]
fn an_exception_in_a_string_is_none() {
    assert_eq!(judged(&format!("const A: &str = \"{MARK}macros): a planted reason\";")), (vec![], 0));
}
