//! What the tests of whole runs share.

#![allow(dead_code, unused_macros, unused_imports, reason = "each test program uses a part of it")]

use shardlab::kvraft::lab::ShardlabKv;
use shardlab::raft::lab::ShardlabRaft;
use shardlab::rsm::lab::Lab;
use shardlab::shardkv::lab::ShardlabShards;
use shardlab::shardmaster::lab::ShardlabMaster;
use sim::scenario::Suite;
use std::sync::Arc;

/// This repository's Raft and its scenarios.
pub fn raft() -> Suite {
    sim::scenario::raft::suite(Arc::new(ShardlabRaft))
}

/// This repository's key/value service and its scenarios.
pub fn kvraft() -> Suite {
    sim::scenario::kv::suite(Arc::new(Lab(ShardlabKv)))
}

/// This repository's shard controller and its scenarios.
pub fn shardmaster() -> Suite {
    sim::scenario::shard::master(Arc::new(Lab(ShardlabMaster)))
}

/// This repository's sharded store and its scenarios.
pub fn shardkv() -> Suite {
    sim::scenario::shard::kv(Arc::new(Lab(ShardlabShards)))
}

/// Everything that can be run here.
pub fn all() -> [Suite; 4] {
    [raft(), kvraft(), shardmaster(), shardkv()]
}

/// A test for each of these scenarios, and `NAMES` of them.
macro_rules! scenarios {
    ($($name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                sim::testing::passes(&crate::common::raft(), &stringify!($name).replace('_', "-"));
            }
        )+

        pub const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}
pub(crate) use scenarios;

/// Every scenario of these groups has its test.
pub fn all_are_tested(groups: &[sim::scenario::Group], tested: &[&[&str]]) {
    let tested: Vec<String> = tested.iter().copied().flatten().map(|name| name.replace('_', "-")).collect();
    let suite = raft();
    let scenarios = suite.scenarios.iter().filter(|scenario| groups.contains(&scenario.group));
    let missing: Vec<&str> =
        scenarios.map(|scenario| scenario.name).filter(|name| !tested.iter().any(|it| it == name)).collect();
    assert!(missing.is_empty(), "these scenarios have no test: {missing:?}");
}
