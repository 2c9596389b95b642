//! What each part of the tree is, and therefore what it may know and touch.
//!
//! A new file falls into the strictest area that its place gives: in a lab's directory it is pure until it is
//! listed here as something else.

/// A part of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// How the paths of its files begin. `*` stands for one name. The first area that fits is a file's own.
    places: &'static [&'static str],
    /// Which of [`WATCHED`] it may name.
    pub may_name: &'static [&'static str],
    pub world: World,
    /// Whether it may print: only what is a command line, or runs under a test harness.
    pub prints: bool,
}

/// On which side of the simulation the code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum World {
    /// Inputs to outputs, and nothing else: the protocols themselves.
    Pure,
    /// Inside a simulated run: whatever it touches must come from its environment.
    Simulated,
    /// Around the runs: command lines, campaigns, tests.
    Outside,
}

/// What not everybody may name. Of two that fit, the longer counts.
pub const WATCHED: &[&str] = &[
    "bincode",
    "clap",
    "foreign",
    "futures",
    "history",
    "indicatif",
    "labgob",
    "labrpc",
    "labrpc::net",
    "labrpc::sim",
    "madsim",
    "rand",
    "rand_chacha",
    "rcgen",
    "rustls",
    "shardlab",
    "shardlab::cli",
    "shardlab::client",
    "shardlab::cluster",
    "sim",
    "sim::campaign",
    "sim::cli",
    "sim::lab",
    "sim::scenario",
    "tokio",
    "tokio_rustls",
    "tokio_util",
];

const INSIDE: Area = Area { places: &[], may_name: &[], world: World::Simulated, prints: false };
const AROUND: Area = Area { places: &[], may_name: &[], world: World::Outside, prints: false };

const AREAS: &[Area] = &[
    // The codec, and the only one who knows the library behind it.
    Area { places: &["labgob/src/"], may_name: &["labgob", "bincode"], ..INSIDE },
    Area { places: &["labgob/"], may_name: &["labgob"], prints: true, ..AROUND },
    // The environment of a node. madsim is behind `sim` and tokio behind `net`, and nowhere else; only the seam knows that
    // there is either. What is behind `net` is the machine itself, so nothing there is simulated.
    Area {
        places: &["labrpc/src/net/tls.rs"],
        may_name: &["labrpc", "labrpc::net", "rustls", "tokio", "tokio_rustls", "tokio_util"],
        ..AROUND
    },
    Area {
        places: &["labrpc/src/net/"],
        may_name: &["labgob", "labrpc", "labrpc::net", "tokio", "tokio_util", "futures"],
        ..AROUND
    },
    Area {
        places: &["labrpc/src/sim/"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "madsim", "futures"],
        ..INSIDE
    },
    Area {
        places: &["labrpc/src/env.rs"],
        may_name: &["labgob", "labrpc", "labrpc::net", "labrpc::sim", "futures"],
        ..INSIDE
    },
    Area {
        places: &["labrpc/src/persister/mod.rs"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "futures"],
        ..INSIDE
    },
    // A request knows its way back.
    Area { places: &["labrpc/src/message.rs"], may_name: &["labrpc", "labrpc::net"], ..INSIDE },
    Area { places: &["labrpc/src/rng.rs"], may_name: &["labrpc", "rand", "rand_chacha"], ..INSIDE },
    Area { places: &["labrpc/src/"], may_name: &["labgob", "labrpc", "futures"], ..INSIDE },
    // The benchmark compares our network with madsim's own.
    Area {
        places: &["labrpc/benches/"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "madsim", "futures"],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["labrpc/"],
        may_name: &[
            "futures",
            "labgob",
            "labrpc",
            "labrpc::net",
            "labrpc::sim",
            "rcgen",
            "tokio",
            "tokio_rustls",
            "tokio_util",
        ],
        prints: true,
        ..AROUND
    },
    // Histories, which name nobody: those who judge them and those who write them both know this.
    Area { places: &["history/"], may_name: &["history"], ..INSIDE },
    // The laboratory, which names no system. The command line is above campaigns, those above runs, those above
    // the judges.
    Area {
        places: &["sim/src/cli/"],
        may_name: &[
            "labgob",
            "labrpc",
            "labrpc::sim",
            "sim",
            "sim::cli",
            "sim::campaign",
            "sim::lab",
            "sim::scenario",
            "clap",
        ],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["sim/src/campaign/progress.rs"],
        may_name: &["sim", "sim::campaign", "indicatif"],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["sim/src/campaign/", "sim/src/guide/", "sim/src/zoo/", "sim/src/testing.rs"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "sim", "sim::campaign", "sim::lab", "sim::scenario"],
        ..AROUND
    },
    // Shrinking is pure but for what runs the plans, and says how far it has come.
    Area { places: &["sim/src/shrink/progress.rs"], may_name: &["sim", "indicatif"], prints: true, ..AROUND },
    Area {
        places: &["sim/src/shrink/runner.rs"],
        may_name: &["labrpc", "labrpc::sim", "sim", "sim::campaign", "sim::lab"],
        ..AROUND
    },
    Area { places: &["sim/src/scenario/"], may_name: &["labrpc", "labrpc::sim", "sim", "sim::scenario"], ..INSIDE },
    Area {
        places: &["sim/src/lab/"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "sim", "sim::lab", "futures"],
        ..INSIDE
    },
    Area { places: &["sim/src/history/"], may_name: &["history", "sim"], ..INSIDE },
    Area { places: &["sim/src/"], may_name: &["labgob", "labrpc", "labrpc::sim", "sim", "futures"], ..INSIDE },
    // Real processes are around the labs, and only they know what is on the other side of a node's environment.
    Area {
        places: &["src/cli/"],
        may_name: &[
            "clap",
            "futures",
            "labrpc",
            "labrpc::net",
            "shardlab",
            "shardlab::cli",
            "shardlab::client",
            "shardlab::cluster",
            "tokio",
        ],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["src/cluster/authority.rs"],
        may_name: &["labrpc", "labrpc::net", "rcgen", "shardlab", "shardlab::cluster"],
        ..AROUND
    },
    Area {
        places: &["src/cluster/"],
        may_name: &[
            "futures",
            "history",
            "labgob",
            "labrpc",
            "labrpc::net",
            "shardlab",
            "shardlab::client",
            "shardlab::cluster",
        ],
        ..AROUND
    },
    // The labs. Drivers wait, adapters know the laboratory, all else is pure.
    Area {
        places: &["src/main.rs"],
        may_name: &["shardlab", "shardlab::cli", "sim", "sim::cli", "sim::scenario"],
        prints: true,
        ..AROUND
    },
    Area { places: &["src/lib.rs"], may_name: &["shardlab", "shardlab::client", "shardlab::cluster"], ..INSIDE },
    Area {
        places: &["src/*/lab.rs", "src/*/zoo.rs"],
        may_name: &["labgob", "labrpc", "labrpc::sim", "shardlab", "sim", "futures"],
        ..INSIDE
    },
    Area {
        places: &[
            "src/*/mod.rs",
            "src/*/node.rs",
            "src/*/driver.rs",
            "src/*/mailbox.rs",
            "src/*/servers.rs",
            "src/*/server.rs",
            "src/*/clerk.rs",
            "src/*/errands.rs",
        ],
        may_name: &["labgob", "labrpc", "shardlab", "futures"],
        ..INSIDE
    },
    Area { places: &["src/"], may_name: &["labgob", "labrpc", "shardlab"], world: World::Pure, ..INSIDE },
    // A second Raft, as a reader would bring their own: it knows nothing of the first.
    Area {
        places: &["tests/foreign/src/main.rs"],
        may_name: &["foreign", "sim", "sim::cli", "sim::scenario"],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["tests/foreign/src/"],
        may_name: &["foreign", "labgob", "labrpc", "labrpc::sim", "sim", "futures"],
        ..INSIDE
    },
    Area {
        places: &["tests/foreign/"],
        may_name: &[
            "foreign",
            "futures",
            "labgob",
            "labrpc",
            "labrpc::sim",
            "sim",
            "sim::campaign",
            "sim::cli",
            "sim::lab",
            "sim::scenario",
        ],
        prints: true,
        ..AROUND
    },
    // What decoders must hold. The tests of labrpc include some of it, those of shardlab the rest.
    Area {
        places: &["fuzz/"],
        may_name: &["futures", "labgob", "labrpc", "labrpc::net", "shardlab", "tokio", "tokio_util"],
        ..AROUND
    },
    // Our client and somebody else's, side by side.
    Area {
        places: &["compare/"],
        may_name: &["clap", "shardlab", "shardlab::client", "shardlab::cluster", "tokio"],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["tests/net/", "tests/net_cluster.rs", "tests/net_members.rs", "tests/net_trouble.rs"],
        may_name: &["shardlab", "shardlab::client", "shardlab::cluster", "tokio"],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["benches/recovery.rs"],
        may_name: &["futures", "labgob", "labrpc", "labrpc::net", "shardlab", "tokio"],
        prints: true,
        ..AROUND
    },
    // Real processes and sockets, judged by the laboratory.
    Area {
        places: &["tests/net_smoke.rs", "tests/net_torture.rs", "tests/record/", "tests/smoke/", "tests/torture/"],
        may_name: &[
            "futures",
            "labrpc",
            "labrpc::net",
            "shardlab",
            "shardlab::client",
            "shardlab::cluster",
            "sim",
            "tokio",
        ],
        prints: true,
        ..AROUND
    },
    Area {
        places: &["tests/", "benches/", "sim/"],
        may_name: &[
            "foreign",
            "futures",
            "labgob",
            "labrpc",
            "labrpc::sim",
            "shardlab",
            "sim",
            "sim::campaign",
            "sim::cli",
            "sim::lab",
            "sim::scenario",
        ],
        prints: true,
        ..AROUND
    },
];

/// The area of a file of Rust.
pub fn of(path: &str) -> Option<Area> {
    AREAS.iter().find(|area| area.places.iter().any(|place| fits(path, place))).copied()
}

fn fits(path: &str, place: &str) -> bool {
    match place.split_once('*') {
        None => path.starts_with(place),
        Some((before, after)) => path
            .strip_prefix(before)
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| after.strip_prefix('/').is_some_and(|after| rest.starts_with(after))),
    }
}

#[test]
fn a_new_file_of_a_lab_is_pure_until_it_is_listed() {
    let world = |path: &str| of(path).map(|area| area.world);
    assert_eq!(world("src/raft/core.rs"), Some(World::Pure));
    assert_eq!(world("src/shardkv/migration.rs"), Some(World::Pure));
    assert_eq!(world("src/raft/node.rs"), Some(World::Simulated));
    assert_eq!(world("src/main.rs"), Some(World::Outside));
    assert_eq!(world("attic/old.rs"), None);
}
