//! Whether groups work side by side, and what it takes to move a shard: in virtual time, so that both are the same everywhere.
//!
//! `cargo bench --bench groups`

use labrpc::{Event, ShardChange, Time};
use shardlab::rsm::lab::Lab;
use shardlab::shardkv::lab::ShardlabShards;
use shardlab::shardmaster::{ShardId, shard_of};
use sim::history::{Operation, Outcome as Told};
use sim::lab::{Outcome, Record, Report, run_plan};
use sim::plan::Plan;
use sim::raft::RaftSystem;
use sim::scenario::shard::{MOVES_AT, one_move, throughput};
use std::sync::Arc;
use std::time::Duration;

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys of the shard that moves.
const KEYS: usize = 100_000;
/// Bytes of each value.
const VALUE: usize = 100;
/// A message there and one back.
const ROUND_TRIP: Duration = Duration::from_millis(2);

fn main() {
    side_by_side();
    println!();
    a_move();
}

fn run(plan: &Plan) -> Report {
    let system: Arc<dyn RaftSystem> = Arc::new(Lab(ShardlabShards));
    assert_eq!(plan.check(), Ok(()));
    let report = run_plan(&system, plan, Record::Nothing);
    assert_eq!(report.outcome, Outcome::Ok, "{}", plan.scenario);
    report
}

/// When an operation was begun, and when its answer was there.
fn answered(operation: &Operation) -> Option<(Duration, Duration)> {
    let Told::Ok { at, .. } = &operation.outcome else { return None };
    Some((Duration::from_nanos(operation.invoked.nanos), Duration::from_nanos(at.nanos)))
}

/// Operations a second, without the first tenth and the last fifth: then some clients have not begun, or have ended.
fn rate(report: &Report) -> f64 {
    let mut ends: Vec<Duration> =
        report.history.operations.iter().filter_map(answered).map(|(_, end)| end).collect();
    ends.sort_unstable();
    let (first, last) = (ends.len() / 10, ends.len() * 4 / 5);
    (last - first) as f64 / (ends[last] - ends[first]).as_secs_f64()
}

fn side_by_side() {
    println!("64 clients, 64 shards, groups of three; each server takes 20 ms of virtual time for each request");
    println!("groups  operations a second  of one group's");
    let mut one = None;
    for groups in [1, 2, 4, 8, 16] {
        let rate = rate(&run(&throughput(groups, 1)));
        let times = rate / *one.get_or_insert(rate);
        println!("{groups:>6} {rate:>20.0} {times:>14.2}  {}", "#".repeat((times * 4.0).round() as usize));
    }
}

/// Keys of a shard, or of all others.
fn keys(count: usize, of: impl Fn(ShardId) -> bool) -> Vec<String> {
    let shards = sim::plan::Knobs::default().shards;
    let names = (0..).map(|nth| format!("key-{nth:08}"));
    names.filter(|key| of(shard_of(key.as_bytes(), shards))).take(count).collect()
}

fn a_move() {
    let heavy = keys(KEYS, |shard| shard.0 == 0);
    let plan = one_move(&heavy, &keys(40, |shard| shard.0 != 0), VALUE);
    let report = run(&plan);
    let is_last = |config: u64| move |event: &Event| matches!(event, Event::ConfigAdopted { config: its, .. } if *its == config);
    let config = report.shards.iter().rev().find_map(|(_, event)| match event {
        Event::Shard { shard: 0, config, change: ShardChange::Installed { .. }, .. } => Some(*config),
        _ => None,
    });
    let config = config.expect("the shard has moved");
    let of = |found: &dyn Fn(&Event) -> bool| -> Vec<Time> {
        report.shards.iter().filter(|(_, event)| found(event)).map(|(at, _)| *at).collect()
    };
    // Of the two groups the later one.
    let adopted = *of(&is_last(config)).iter().max().expect("both have adopted it");
    let installed =
        |event: &Event| matches!(event, Event::Shard { shard: 0, change: ShardChange::Installed { .. }, .. });
    let served = *of(&installed).last().expect("it was installed");
    let took = served.since(adopted);
    // Those of keys and values; with versions and lengths there are a few more.
    let moved: usize = heavy.iter().map(|key| key.len() + VALUE).sum();
    let wire = Duration::from_secs_f64(moved as f64 / plan.net.bandwidth.expect("it is limited") as f64);
    let aim = ROUND_TRIP * 3 + wire * 2;
    println!(
        "a shard of {KEYS} keys, {moved} bytes, round trips of {ROUND_TRIP:?}, links of 125 MB/s ({wire:.1?} for all bytes)"
    );
    println!("from both groups having the configuration to serving: {took:.1?}; aim: at most {aim:.1?}");
    others(&report, (adopted.since(Time::ZERO), served.since(Time::ZERO)));
}

/// How long operations on other shards take meanwhile.
fn others(report: &Report, (from, to): (Duration, Duration)) {
    let (mut within, mut outside) = (Vec::new(), Vec::new());
    for (begun, ended) in report.history.operations.iter().filter_map(answered) {
        if begun < MOVES_AT.0 - Duration::from_secs(2) {
            // Other keys are still being written.
        } else if begun < to && ended > from {
            within.push(ended - begun);
        } else {
            outside.push(ended - begun);
        }
    }
    for (when, times) in [("meanwhile", &mut within), ("before and after", &mut outside)] {
        times.sort_unstable();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "operations on other shards, {when}: {} of them, median {median:.1?}, worst {worst:.1?}",
            times.len()
        );
    }
    let (worst, usual) = (within[within.len() - 1], outside[outside.len() - 1]);
    println!("worst against worst: {:.2}; aim: at most 2", worst.as_secs_f64() / usual.as_secs_f64());
}
