//! No table whose order depends on a hash.
//!
//! Under the simulator the order of a standard table is the same in every run and on every node, which hides the
//! very bugs that it causes outside. Ordered tables cost us nothing that we could measure.

use super::{Say, caught, each_name};
use crate::source::{Code, Source};

const HASHED: &[&str] = &["HashMap", "HashSet", "hash_map", "hash_set", "RandomState", "DefaultHasher"];

/// The rule.
pub fn check(_: &Source, code: &Code, say: Say<'_>) {
    each_name(&code.tokens, &mut |name, _| {
        let text = name.to_string();
        if HASHED.contains(&&*text) {
            say(
                name.span().start().line,
                format!("`{text}`: take a BTreeMap or BTreeSet, whose order means something"),
            );
        }
    });
}

#[test]
fn tables_in_hash_order_are_caught_wherever_they_hide() {
    let code = "use std::collections::{BTreeMap, HashMap};\nuse std::collections::hash_map::Entry;\n\n\
                fn f() { g!(std::collections::HashSet::<u8>::new()) }";
    for path in ["src/raft/core.rs", "labrpc/src/sim/world.rs", "sim/src/cli/run.rs"] {
        assert_eq!(caught("hashing", path, code), [1, 2, 4]);
    }
    let fine = "//! No HashMap.\nuse std::collections::BTreeMap; // not a HashMap\nconst A: &str = \"HashMap\";";
    assert_eq!(caught("hashing", "src/raft/core.rs", fine), [0; 0]);
}
