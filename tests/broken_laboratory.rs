//! Who watches the watchmen: mistakes that laboratories like this one have been built with, each of which makes it blind
//! or makes it cry wolf, and for each a test that fails if it is made here.
//!
//! They are made of whole runs. The parts have tests of their own: what an unknown outcome may be, in `sim/src/lin/tests`; streams
//! of random numbers, in `labrpc/src/rng.rs`; what a disk loses, in `labrpc/src/sim/disk_tests.rs`.

mod common;
#[path = "../labrpc/tests/world/mod.rs"]
mod world;

use labrpc::Env;
use labrpc::sim::{Command, DiskWeather, Lab, NetWeather, Span};
use sim::history::{At, History, Outcome, Reply};
use sim::lab::{Record, Report, run_plan};
use sim::lin;
use sim::plan::{Act, Client, KvOp, Op, Plan, Selector, Step, What};
use sim::raft::Part;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{S1, S2, booter, start, world};

/// One client appends and is never answered, although what it asks for is done; another one reads after that.
fn unanswered(seed: u64) -> Report {
    let mut plan = Plan::new("custom", seed, 3);
    plan.suite = "kvraft".into();
    plan.knobs.client_patience = Span::secs(4);
    let (key, value) = ("k".to_string(), "0;".to_string());
    let kv = |after, op| Op::Kv { after, op };
    let writes = vec![
        kv(Span::ZERO, KvOp::Put { key: key.clone(), value }),
        kv(Span::secs(10), KvOp::Append { key: key.clone(), value: "1;".into() }),
    ];
    let reads = vec![kv(Span::ZERO, KvOp::Get { key })];
    let client = |from, ops| Client { talks_to: Selector::All, from, ops };
    plan.clients = vec![client(Span::secs(5), writes), client(Span::secs(30), reads)];
    let (name, parts) = ("lost".to_string(), vec![Part::ClientReply]);
    let (from, to, what) = (Selector::All, Selector::All, What::Drop);
    plan.sleep(Span::secs(12));
    plan.act(Act::Rule { name: name.clone(), from, to, parts, chance: None, skip: 0, take: None, what });
    plan.sleep(Span::secs(13)).act(Act::Unrule(name)).then(Step::AwaitClients { within: Span::secs(20) });
    assert_eq!(plan.check(), Ok(()));
    run_plan(&common::kvraft().system, &plan, Record::Nothing)
}

fn is_linearizable(history: &History) -> bool {
    match lin::check(history, &lin::Kv, lin::Limits::default()) {
        lin::Verdict::Unknown(why) => panic!("it is small: {why}"),
        verdict => verdict.is_ok(),
    }
}

/// What the laboratory writes down of an operation whose outcome its client does not know stays open, and the run is
/// green. If it were taken for a failure, as if what a client is not told of had not happened, or left out, then a correct
/// service would stand there as a liar.
#[test]
fn what_nobody_knows_is_no_failure_and_is_not_left_out() {
    for seed in 0..5 {
        let report = unanswered(seed);
        assert_eq!(report.violation(), None, "seed {seed}");
        let history = report.history;
        let [put, append, get] = history.operations.as_slice() else { panic!("seed {seed}: {history:?}") };
        assert!(matches!(put.outcome, Outcome::Ok { .. }), "seed {seed}: {put:?}");
        assert_eq!(append.outcome, Outcome::Unknown, "seed {seed}");
        let Outcome::Ok { reply: Reply::Value { value: Some(value), .. }, .. } = &get.outcome else {
            panic!("seed {seed}: {get:?}")
        };
        assert_eq!(value.as_ref(), b"0;1;", "seed {seed}: it was executed");
        assert!(is_linearizable(&history), "seed {seed}");

        let mut as_failed = history.clone();
        let at = At { nth: append.invoked.nth + 1, ..append.invoked };
        as_failed.operations[1].outcome = Outcome::Fail { at };
        assert!(!is_linearizable(&as_failed), "seed {seed}: a timeout as a failure");
        let mut left_out = history;
        left_out.operations.remove(1);
        assert!(!is_linearizable(&left_out), "seed {seed}: left out");
    }
}

/// What S2 draws, while S1 draws so many numbers between any two of its own.
fn drawn(seed: u64, by_the_other: u32) -> Vec<u64> {
    let (draws, _, _) = world(seed, NetWeather::default(), move |lab| async move {
        let draws = Arc::new(Mutex::new(Vec::new()));
        let kept = draws.clone();
        let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
        start(
            &lab,
            S1,
            booter(move |env| async move {
                let mut rng = env.rng("election");
                for _ in 0..20 {
                    (0..by_the_other).for_each(|_| _ = rng.below(1_000));
                    env.sleep(millisecond).await;
                }
            }),
        );
        let own = booter(move |env: Env| {
            let kept = kept.clone();
            async move {
                let mut rng = env.rng("election");
                for _ in 0..10 {
                    kept.lock().expect("one at a time").push(rng.below(1 << 40));
                    env.sleep(millisecond).await;
                }
            }
        });
        start(&lab, S2, own);
        lab.sleep(second).await;
        std::mem::take(&mut *draws.lock().expect("one at a time"))
    });
    draws
}

/// If all nodes drew from one stream, whatever is taken away from one of them would change what the others do, and no
/// failing run could be made smaller. And their election timeouts would never be equal.
#[test]
fn what_one_node_draws_is_no_matter_of_another() {
    let alone = drawn(3, 0);
    assert_eq!(alone.len(), 10);
    assert_eq!(drawn(3, 1), alone);
    assert_eq!(drawn(3, 7), alone);
    assert_ne!(drawn(4, 0), alone, "it depends on the seed");
}

/// What a node finds after a crash of which it had synced the first word and not the second.
fn found_after_a_crash(keep: u32, power: bool) -> Vec<u8> {
    let (found, _, _) = world(1, NetWeather::default(), move |lab: Lab| async move {
        let found = Arc::new(Mutex::new(Vec::new()));
        let kept = found.clone();
        let node = booter(move |env: Env| {
            let kept = kept.clone();
            async move {
                let disk = env.disk();
                if let Ok(content) = disk.read("f").await {
                    *kept.lock().expect("one at a time") = content;
                    return;
                }
                disk.append("f", b"synced".to_vec()).await.expect("the disk is well");
                disk.sync("f").await.expect("the disk is well");
                disk.sync_dir().await.expect("the disk is well");
                disk.append("f", b"+not".to_vec()).await.expect("the disk is well");
                std::future::pending::<()>().await;
            }
        });
        lab.add_node(S1, DiskWeather { keep, tear: 0, ..DiskWeather::default() }, node);
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
        lab.order(Command::Crash { node: S1, power });
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
        std::mem::take(&mut *found.lock().expect("one at a time"))
    });
    found
}

/// A disk that makes everything durable when a node is killed has never lost a byte: nothing that depends on syncs was
/// tested on it.
#[test]
fn a_power_failure_takes_what_was_not_synced_and_a_crash_does_not() {
    assert_eq!(found_after_a_crash(0, true), b"synced");
    assert_eq!(found_after_a_crash(0, false), b"synced+not");
    assert_eq!(found_after_a_crash(1_000_000, true), b"synced+not");
}

/// The checks that look at disks at every instant, and so need no power failure to see what would be lost in one.
#[cfg(feature = "zoo")]
const OF_DISKS: [&str; 5] =
    ["persist-before-send", "election-safety", "replication-match", "commit-quorum", "convergence"];

/// A server that never syncs does no harm on such a disk, and does on this one, for every seed.
#[cfg(feature = "zoo")]
#[test]
fn a_disk_that_keeps_everything_hides_what_this_one_shows() {
    let suite = common::raft();
    let scenario = suite.scenario("power-lost-by-all").expect("it is one of ours");
    for seed in 0..10 {
        let mut plan = suite.plan(scenario, seed, Some("no-fsync"));
        plan.mute = OF_DISKS.map(String::from).into();
        let on = |keep| {
            let mut plan = plan.clone();
            plan.disk.keep = keep;
            run_plan(&suite.system, &plan, Record::Nothing)
        };
        let seen = on(plan.disk.keep);
        let seen = seen.violation().map(|violation| violation.check.as_str());
        assert_eq!(seen, Some("vote-once"), "seed {seed}: what was promised is forgotten");
        assert_eq!(on(1_000_000).violation(), None, "seed {seed}");
    }
}

/// What does not hold for a moment and is mended by itself is nowhere to be seen when the run is over. With the checks of
/// the moment switched off, the same run goes on to an end at which all is well: so it was they that saw it, then and there.
#[cfg(feature = "zoo")]
#[test]
fn what_is_mended_later_is_seen_when_it_happens() {
    let suite = common::raft();
    let scenario = suite.scenario("basic-agree").expect("it is one of ours");
    for (bug, checks) in [
        // It is durable a moment later.
        ("vote-not-durable", &["persist-before-send"] as &[&str]),
        ("ack-before-durable", &["persist-before-send"]),
        // It is committed a moment later.
        ("apply-uncommitted", &["commit-quorum", "ordering"]),
    ] {
        for seed in 0..5 {
            let mut plan = suite.plan(scenario, seed, Some(bug));
            let red = run_plan(&suite.system, &plan, Record::Nothing);
            let violation = red.violation().unwrap_or_else(|| panic!("{bug}, seed {seed} is not seen"));
            assert!(checks.contains(&violation.check.as_str()), "{bug}, seed {seed}: {}", violation.check);
            plan.mute = checks.iter().map(ToString::to_string).collect();
            let whole = run_plan(&suite.system, &plan, Record::Nothing);
            assert_eq!(whole.violation(), None, "{bug}, seed {seed}: it is mended by the end");
            let (at, end) = (violation.event, whole.events);
            assert!(0 < at && at == red.events && at < end / 2, "{bug}, seed {seed}: seen at {at} of {end}");
        }
    }
}
