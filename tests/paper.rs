//! The rules of the paper, one test each: Figure 2 (state, AppendEntries, RequestVote, rules for servers),
//! Figure 13 (InstallSnapshot), and §8 (reads).
//!
//! Each test plays the smallest story in which the rule decides, on one pure core. Where a planted bug is the
//! breach of the rule, the same story is played with it too, and must end as it would where the rule is not
//! kept: so each of these tests has failed once, and is known to be able to.

#[path = "paper/append_entries.rs"]
mod append_entries;
#[path = "paper/install_snapshot.rs"]
mod install_snapshot;
#[path = "paper/leaders.rs"]
mod leaders;
#[path = "paper/limits.rs"]
mod limits;
#[path = "paper/membership.rs"]
mod membership;
#[path = "paper/persistence.rs"]
mod persistence;
#[path = "paper/reads.rs"]
mod reads;
#[path = "paper/request_vote.rs"]
mod request_vote;
#[path = "paper/server.rs"]
mod server;
#[path = "paper/servers.rs"]
mod servers;

use shardlab::raft::Bug;
use std::fmt::Debug;

/// Plays a story, which returns what is seen at its end: on a sound server that must be `kept`; and with each
/// bug planted that is a breach of the rule, what is said for that bug.
fn rule<Seen: PartialEq + Debug>(kept: Seen, breaches: &[(Bug, Seen)], story: impl Fn(Option<Bug>) -> Seen) {
    assert_eq!(story(None), kept, "the rule is broken");
    for (bug, broken) in breaches.iter().filter(|_| cfg!(feature = "zoo")) {
        assert_ne!(*broken, kept, "{} does not show here", bug.name());
        assert_eq!(story(Some(*bug)), *broken, "with {} planted", bug.name());
    }
}

/// Bugs of the driver and of the disk: a pure core cannot have them.
const NOT_OF_THE_CORE: &[Bug] =
    &[Bug::SnapLogNotAtomic, Bug::TornStateFile, Bug::SnapshotBeforeTerm, Bug::NoFsync, Bug::ApplyRacesInstall];

#[test]
fn every_bug_of_the_core_is_the_breach_of_a_rule_here() {
    let rules = [
        include_str!("paper/append_entries.rs"),
        include_str!("paper/install_snapshot.rs"),
        include_str!("paper/leaders.rs"),
        include_str!("paper/membership.rs"),
        include_str!("paper/persistence.rs"),
        include_str!("paper/reads.rs"),
        include_str!("paper/request_vote.rs"),
        include_str!("paper/servers.rs"),
    ];
    for bug in Bug::every().filter(|bug| !NOT_OF_THE_CORE.contains(bug)) {
        let planted = format!("(Bug::{bug:?}, ");
        assert!(
            rules.iter().any(|text| text.contains(&planted)),
            "no rule is shown to be broken by {}",
            bug.name()
        );
    }
}
