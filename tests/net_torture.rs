//! Real processes on real sockets and files, killed, frozen, stopped and given other shards at random, while clients use them. What the
//! clients were told is judged by the laboratory: it must be linearizable, and every acknowledged append must be there, once.
//!
//! The seed is printed with all that is done. `SHARDLAB_TORTURE_SEED` does the same again (to processes, which do not do the same
//! again), `SHARDLAB_TORTURE_ROUNDS` goes on for so many times 15 s, and `SHARDLAB_TORTURE_BUG` plants a bug in all nodes.

mod net;
mod record;
mod torture;

use net::Place;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use torture::links::{in_a_network_of_its_own, possible};
use torture::plan::ROUND;
use torture::run::{Torture, run};

/// One cluster at a time: they have a dozen processes each.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().ok().unwrap_or_else(|| panic!("{name} is {value}, which makes no sense")))
}

fn some_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    now.as_nanos() as u64 % 1_000_000
}

/// Does to a cluster what the environment of this process says.
fn as_told(links: bool) {
    let place = Place::new("torture");
    let torture = Torture {
        seed: set("SHARDLAB_TORTURE_SEED").unwrap_or_else(some_seed),
        length: ROUND * set("SHARDLAB_TORTURE_ROUNDS").unwrap_or(1),
        bug: set("SHARDLAB_TORTURE_BUG"),
        links,
    };
    let (_evidence, wrong) = run(&place, &torture);
    assert!(wrong.is_empty(), "seed {}: {}", torture.seed, wrong.join("\n"));
}

#[test]
fn what_a_cluster_says_is_true_whatever_is_done_to_it() {
    let _alone = alone();
    as_told(false);
}

/// Where it runs when it is in a network of its own.
const INSIDE: &str = "SHARDLAB_TORTURE_INSIDE";
const WITH_LINKS: &str = "what_a_cluster_says_is_true_when_links_are_cut_too";

/// The same where links are cut, also in one direction, while clients reach both sides. It takes a network of its own.
#[test]
fn what_a_cluster_says_is_true_when_links_are_cut_too() {
    let _alone = alone();
    if std::env::var_os(INSIDE).is_some() {
        return as_told(true);
    }
    if let Err(why) = possible() {
        return println!("SKIPPED: links cannot be cut on this machine: {why}");
    }
    let mut inside = in_a_network_of_its_own(&std::env::current_exe().unwrap());
    let status = inside.args(["--exact", WITH_LINKS, "--nocapture"]).env(INSIDE, "1").status().unwrap();
    assert!(status.success(), "see above");
}

/// The same with servers that serve a shard before its data have come: the first move under load shows it.
#[cfg(feature = "zoo")]
#[test]
fn a_store_that_loses_what_it_has_acknowledged_is_seen() {
    let _alone = alone();
    for attempt in 0..3 {
        let place = Place::new(&format!("torture-bug-{attempt}"));
        let bug = Some("serve-before-data".into());
        let torture = Torture { seed: some_seed(), length: Duration::from_secs(5), bug, links: false };
        let (_evidence, wrong) = run(&place, &torture);
        if !wrong.is_empty() {
            let contradicts = wrong.iter().any(|what| what.contains("not linearizable: key "));
            assert!(contradicts, "acknowledged writes are gone, and reads show it: {wrong:#?}");
            return;
        }
    }
    panic!("three times shards were served empty, and nobody has seen it");
}
