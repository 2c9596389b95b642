//! Who may import whom: `labgob`, `labrpc`, `sim`, the labs, the tests, each only those before it; the pure files
//! of a lab hardly anything.

use super::{Say, caught};
use crate::area::{self, WATCHED, World};
use crate::path::Path;
use crate::source::{Code, Source};

/// All that a pure file may use of other crates. Plain data, and arithmetic on it.
const PURE: &[&str] = &[
    "bytes",
    "labgob",
    "labrpc::Boot",
    "labrpc::Content",
    "labrpc::Event",
    "labrpc::Index",
    "labrpc::Members",
    "labrpc::Kind",
    "labrpc::NodeId",
    "labrpc::NodeMap",
    "labrpc::Refusal",
    "labrpc::Rng",
    "labrpc::Role",
    "labrpc::ShardChange",
    "labrpc::Term",
    "labrpc::Time",
    "labrpc::persister::SnapshotId",
    "labrpc::wal::Records",
    "serde",
    "std::array",
    "std::borrow",
    "std::cmp",
    "std::collections",
    "std::convert",
    "std::error",
    "std::fmt",
    "std::hash",
    "std::iter",
    "std::marker",
    "std::mem",
    "std::num",
    "std::ops",
    "std::slice",
    "std::str",
    "std::sync::Arc",
    "std::time::Duration",
    "thiserror",
    "xxhash_rust",
];

/// First names of paths that are no crate.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32", "u64",
    "u128", "usize",
];

/// The rule.
pub fn check(source: &Source, code: &Code, say: Say<'_>) {
    let Some(area) = area::of(&source.path) else {
        return say(1, "this file is in no area: say in tests/tidy/area.rs what it is and may import".into());
    };
    for path in &code.paths {
        let text = path.text();
        let watched = WATCHED.iter().filter(|watched| path.reaches(watched)).max_by_key(|watched| watched.len());
        if let Some(watched) = watched.filter(|watched| !area.may_name.contains(watched)) {
            let allowed = area.may_name.join(", ");
            say(path.line, format!("`{text}`: `{watched}` is not for this file, which may name {allowed}"));
        } else if area.world == World::Pure
            && let Some(why) = impure(path)
        {
            say(path.line, format!("`{text}`: {why}"));
        }
    }
}

/// Why a pure file may not use that path, if it may not.
fn impure(path: &Path) -> Option<&'static str> {
    let first = &*path.segments[0];
    if first == "shardlab" {
        return local(path);
    }
    let is_type = first.starts_with(char::is_uppercase);
    if path.segments.len() == 1
        || is_type
        || PRIMITIVES.contains(&first)
        || PURE.iter().any(|pure| path.reaches(pure))
    {
        return None;
    }
    Some("a pure file knows no such thing: take it as an input, or do it in the driver")
}

/// A pure file may name pure files, and each by its own name: what `mod.rs` re-exports might be the driver.
fn local(path: &Path) -> Option<&'static str> {
    let [_, lab, name, ..] = &*path.segments else {
        return Some("a pure file names other files, not the whole lab");
    };
    if name == "*" || name.starts_with(char::is_uppercase) {
        return Some("a pure file imports from the file that defines it, not from mod.rs");
    }
    let of_its_file = area::of(&format!("src/{lab}/{name}.rs"));
    match of_its_file {
        Some(area) if area.world == World::Pure => None,
        _ => Some("a pure file does not know the driver: turn the dependency round"),
    }
}

#[test]
fn a_pure_core_knows_no_driver_backend_laboratory_or_runtime() {
    let code = "use super::node::Node;\nuse labrpc::Env;\nuse labrpc::sim::Lab;\nuse madsim::time;\nuse sim::plan::Plan;\n\
                use tokio::sync::Notify;\nuse std::sync::Mutex;\nuse super::Node;\nuse super::*;\nuse futures::Stream;";
    assert_eq!(caught("imports", "src/raft/core.rs", code), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let fine = "use super::log::Log; use labrpc::{NodeId, Time}; use std::collections::BTreeMap; use bytes::Bytes;
                fn f() -> u64 { u64::MAX.max(Log::new()) }";
    assert_eq!(caught("imports", "src/raft/core.rs", fine), [0; 0]);
}

#[test]
fn a_breach_inside_a_macro_or_under_another_name_is_seen() {
    assert_eq!(caught("imports", "src/raft/node.rs", "fn f() { g!(madsim::time::now()); }"), [1]);
    assert_eq!(caught("imports", "src/raft/node.rs", "use labrpc as below;\n\nfn f() { below::sim::run(); }"), [3]);
    assert_eq!(
        caught("imports", "src/raft/node.rs", "//! About madsim::time.\n\nconst A: &str = \"madsim::b\";"),
        [0; 0]
    );
}

#[test]
fn the_laboratory_names_no_system_and_its_judges_no_runs() {
    assert_eq!(caught("imports", "sim/src/lab/mod.rs", "use shardlab::raft::Raft;"), [1]);
    assert_eq!(caught("imports", "sim/src/oracle/mod.rs", "use crate::lab::Report;"), [1]);
    assert_eq!(caught("imports", "sim/src/lab/mod.rs", "use crate::campaign::Found;"), [1]);
    assert_eq!(caught("imports", "tests/foreign/src/lib.rs", "use shardlab::raft::Raft;"), [1]);
}

#[test]
fn only_the_simulated_backend_knows_madsim_and_only_the_seam_knows_the_backend() {
    let code = "use madsim::time::Sleep;";
    assert_eq!(caught("imports", "labrpc/src/sim/timer.rs", code), [0; 0]);
    assert_eq!(caught("imports", "labrpc/src/disk.rs", code), [1]);
    assert_eq!(caught("imports", "labrpc/src/wal.rs", "use crate::sim::World;"), [1]);
    assert_eq!(caught("imports", "labrpc/src/env.rs", "use crate::sim::World;"), [0; 0]);
    assert_eq!(caught("imports", "labgob/src/lib.rs", "use labrpc::Time;"), [1]);
}

#[test]
fn only_the_real_backend_knows_tokio() {
    let code = "use tokio::sync::Notify;\nuse tokio_util::codec::Decoder;\nuse crate::net::Host;";
    assert_eq!(caught("imports", "labrpc/src/net/peer.rs", code), [0; 0]);
    assert_eq!(caught("imports", "labrpc/src/disk.rs", code), [1, 2, 3]);
    assert_eq!(caught("imports", "labrpc/src/sim/timer.rs", code), [1, 2, 3]);
    assert_eq!(caught("imports", "labrpc/src/env.rs", code), [1, 2]);
    assert_eq!(caught("imports", "labrpc/src/net/peer.rs", "use crate::sim::World;\nuse madsim::time;"), [1, 2]);
    assert_eq!(caught("imports", "src/raft/node.rs", code.replace("crate::", "labrpc::").as_str()), [1, 2, 3]);
}

#[test]
fn the_labs_do_not_know_the_processes_that_run_them() {
    let code = "use crate::cluster::Layout;\nuse crate::client::Client;";
    assert_eq!(caught("imports", "src/raft/core.rs", code), [1, 2]);
    assert_eq!(caught("imports", "src/shardkv/server.rs", code), [1, 2]);
    assert_eq!(caught("imports", "src/cluster/node.rs", code), [0; 0]);
    let outside = "use labrpc::net::Host;\nuse std::time::Instant;\nuse tokio::time::sleep;";
    assert_eq!(caught("imports", "src/shardkv/server.rs", outside), [1, 3]);
    assert_eq!(caught("imports", "src/cluster/node.rs", outside), [3], "time is that of the node's environment");
}

#[test]
fn a_file_in_no_area_is_a_finding() {
    assert_eq!(caught("imports", "attic/old.rs", "fn f() {}"), [1]);
}
