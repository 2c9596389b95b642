//! Simulated code reads no clock, no entropy and nothing of the machine, starts no thread, and keeps nothing in a
//! static; a pure file does not even wait.
//!
//! The same seed must give the same run, in any process and on any thread.

use super::{Say, caught, each_name};
use crate::area::{self, World};
use crate::source::{Code, Source};
use proc_macro2::TokenTree;
use syn::spanned::Spanned;
use syn::visit::Visit;

const BANNED: &[(&str, &str)] = &[
    ("std::time::Instant", "time comes from the environment: `env.now()`"),
    ("std::time::SystemTime", "time comes from the environment: `env.now()`"),
    ("std::thread", "work is spawned through the environment: `env.spawn()`"),
    ("std::env", "settings come from the plan"),
    ("std::process", "the machine is not the simulation's business"),
    ("std::fs", "files come from the environment: `env.disk()`"),
    ("std::net", "the network comes from the environment"),
    ("std::io::stdin", "the machine is not the simulation's business"),
    ("rand::random", "randomness comes from the environment: `env.rng()`"),
    ("rand::rngs", "randomness comes from the environment: `env.rng()`"),
    ("getrandom", "randomness comes from the environment: `env.rng()`"),
];

/// Names that are as bad wherever they come from.
const NAMES: &[&str] = &["thread_rng", "from_entropy", "from_os_rng", "OsRng", "ThreadRng", "thread_local"];

/// What can change inside of a static.
const CELLS: &[&str] = &[
    "Cell",
    "LazyCell",
    "LazyLock",
    "Mutex",
    "Once",
    "OnceCell",
    "OnceLock",
    "RefCell",
    "RwLock",
    "SyncUnsafeCell",
    "UnsafeCell",
];

/// The rule.
pub fn check(source: &Source, code: &Code, say: Say<'_>) {
    let Some(area) = area::of(&source.path).filter(|area| area.world != World::Outside) else { return };
    for path in &code.paths {
        for (_, cure) in BANNED.iter().filter(|(banned, _)| path.reaches(banned)) {
            say(path.line, format!("`{}` in simulated code: {cure}", path.text()));
        }
    }
    each_name(&code.tokens, &mut |name, next| {
        let text = name.to_string();
        let line = name.span().start().line;
        if NAMES.contains(&&*text) {
            say(line, format!("`{text}` in simulated code: let the environment give it, so that a seed replays"));
        }
        let waits = (text == "async" || text == "await") && area.world == World::Pure;
        if waits && !matches!(next, Some(TokenTree::Punct(punct)) if punct.as_char() == ':') {
            say(line, format!("`{text}` in a pure file: take an input for what is waited for"));
        }
    });
    Statics(say).visit_file(&code.syntax);
}

struct Statics<'a>(Say<'a>);

impl<'ast> Visit<'ast> for Statics<'_> {
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mut changes = matches!(item.mutability, syn::StaticMutability::Mut(_));
        let ty = &item.ty;
        each_name(&quote(ty), &mut |name, _| {
            let name = name.to_string();
            changes |= CELLS.contains(&&*name) || name.starts_with("Atomic");
        });
        if changes {
            let why =
                format!("the static `{}` can change, and runs would share it: keep it in the node", item.ident);
            (self.0)(item.span().start().line, why);
        }
    }
}

/// The names of a type.
fn quote(ty: &syn::Type) -> proc_macro2::TokenStream {
    struct Names(Vec<TokenTree>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
            self.0.push(TokenTree::Ident(ident.clone()));
        }
    }
    let mut names = Names(Vec::new());
    names.visit_type(ty);
    names.0.into_iter().collect()
}

#[test]
fn clocks_entropy_threads_and_the_machine_are_caught_in_simulated_code_only() {
    let code = "use std::time::{Duration, Instant};\nuse std::time as clock;\nfn f() {\nclock::SystemTime::now();\n\
                std::thread::spawn(f);\nrand::thread_rng();\nstd::env::var(\"A\");\n}";
    for path in ["src/raft/core.rs", "src/raft/node.rs", "labrpc/src/sim/world.rs", "sim/src/oracle/mod.rs"] {
        assert_eq!(caught("pure", path, code), [1, 4, 5, 7, 6], "{path}");
    }
    assert_eq!(caught("pure", "sim/src/campaign/pool.rs", code), [0; 0]);
    assert_eq!(caught("pure", "src/raft/core.rs", "use std::time::Duration;"), [0; 0]);
    assert_eq!(caught("pure", "labrpc/src/sim/timer.rs", "use madsim::time::Instant;"), [0; 0]);
}

#[test]
fn statics_that_change_are_caught_and_tables_of_constants_are_not() {
    let code = "static A: Mutex<u8> = Mutex::new(0);\nstatic mut B: u8 = 0;\nfn f() { static C: std::sync::Once = X; }\n\
                thread_local! { static D: u8 = 0; }\nstatic E: &[AtomicU64] = &[];\nstatic F: &[&str] = &[\"Mutex\"];";
    assert_eq!(caught("pure", "src/raft/node.rs", code), [4, 1, 2, 3, 5]);
}

#[test]
fn a_pure_file_does_not_wait_and_a_driver_may() {
    let code = "async fn f() {\ng().await\n}";
    assert_eq!(caught("pure", "src/raft/core.rs", code), [1, 2]);
    assert_eq!(caught("pure", "src/raft/node.rs", code), [0; 0]);
}
