//! A file fits in a head, a function on a screen.

use super::{Say, caught};
use crate::source::{Code, Source};
use syn::visit::{self, Visit};

const FILE: usize = 600;
const FUNCTION: usize = 70;

/// The rule for files.
pub fn files(source: &Source, _: &Code, say: Say<'_>) {
    let lines = source.text.lines().count();
    if lines > FILE {
        say(
            FILE + 1,
            format!("the file has {lines} lines, and {FILE} are the most: divide it by what its parts are for"),
        );
    }
}

/// The rule for functions.
pub fn functions(_: &Source, code: &Code, say: Say<'_>) {
    Functions(say).visit_file(&code.syntax);
}

struct Functions<'a>(Say<'a>);

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let span = body.brace_token.span;
        let lines = span.close().end().line - span.open().start().line + 1;
        if lines > FUNCTION {
            let name = &signature.ident;
            let line = signature.fn_token.span.start().line;
            (self.0)(
                line,
                format!("`{name}` has {lines} lines, and {FUNCTION} are the most: give its steps names"),
            );
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn a_file_of_601_lines_is_caught_and_one_of_600_is_not() {
    assert_eq!(caught("file-length", "src/raft/core.rs", &"//\n".repeat(601)), [601]);
    assert_eq!(caught("file-length", "src/raft/core.rs", &"//\n".repeat(600)), [0; 0]);
}

#[test]
fn a_function_of_71_lines_is_caught_wherever_it_stands() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "//\n".repeat(lines - 2));
    let places = |lines| {
        let function = function(lines);
        ["", "impl A", "trait A", "mod a", "const A: () ="].map(|place| match place {
            "" => function.clone(),
            "const A: () =" => format!("{place} {{ {function} }};"),
            _ => format!("{place} {{ {function} }}"),
        })
    };
    for (long, fine) in places(71).into_iter().zip(places(70)) {
        assert_eq!(caught("function-length", "src/raft/core.rs", &long), [1], "{long}");
        assert_eq!(caught("function-length", "src/raft/core.rs", &fine), [0; 0], "{fine}");
    }
}
