//! Nothing left over from the workbench: no `dbg!`, nothing unfinished, no test switched off, and no printing but
//! where a command line or a test speaks to somebody.

use super::{Say, caught, each_attribute, each_name};
use crate::area;
use crate::source::{Code, Source};
use proc_macro2::TokenTree;

const NEVER: &[(&str, &str)] = &[
    ("dbg", "remove it"),
    ("todo", "do it, or leave the whole thing out"),
    ("unimplemented", "do it, or leave the whole thing out"),
];

const PRINTS: &[&str] = &["print", "println", "eprint", "eprintln"];

/// The rule.
pub fn check(source: &Source, code: &Code, say: Say<'_>) {
    let prints = area::of(&source.path).is_some_and(|area| area.prints);
    each_name(&code.tokens, &mut |name, next| {
        if !matches!(next, Some(TokenTree::Punct(punct)) if punct.as_char() == '!') {
            return;
        }
        let (text, line) = (name.to_string(), name.span().start().line);
        if let Some((_, cure)) = NEVER.iter().find(|(never, _)| *never == text) {
            say(line, format!("`{text}!`: {cure}"));
        }
        if !prints && PRINTS.contains(&&*text) {
            say(
                line,
                format!(
                    "`{text}!` in a library: return the text, or emit an event, and let the command line print"
                ),
            );
        }
    });
    each_attribute(&code.tokens, &mut |attribute| {
        if let Some(TokenTree::Ident(name)) = attribute.stream().into_iter().next()
            && name == "ignore"
        {
            say(name.span().start().line, "`#[ignore]`: mend the test or delete it".into());
        }
    });
}

#[test]
fn leftovers_are_caught_everywhere_and_printing_in_libraries() {
    let code = "fn f() {\ndbg!(1);\ntodo!();\nunimplemented!()\n}\n#[test]\n#[ignore = \"slow\"]\nfn t() {}";
    assert_eq!(caught("macros", "src/raft/core.rs", code), [2, 3, 4, 7]);
    assert_eq!(caught("macros", "tests/raft.rs", code), [2, 3, 4, 7]);
    let prints = "fn f() {\nprintln!();\neprint!(\"a\");\n}";
    assert_eq!(caught("macros", "sim/src/oracle/mod.rs", prints), [2, 3]);
    assert_eq!(caught("macros", "sim/src/cli/run.rs", prints), [0; 0]);
    assert_eq!(caught("macros", "src/main.rs", prints), [0; 0]);
    let fine = "fn f(dbg: bool) -> bool { dbg != true }\nconst A: &str = \"dbg!\";";
    assert_eq!(caught("macros", "src/raft/core.rs", &fine.replace("dbg != true", "!dbg")), [0; 0]);
}
