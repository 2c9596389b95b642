//! Runs of many groups, measured in virtual time: what the bench of groups prints and a test demands.

use labrpc::{Event, ShardChange, Time};
use shardlab::rsm::lab::Lab;
use shardlab::shardkv::lab::ShardlabShards;
use shardlab::shardmaster::{ShardId, shard_of};
use sim::history::{Operation, Outcome as Told};
use sim::lab::{Outcome, Record, Report, run_plan};
use sim::plan::{Knobs, Plan};
use sim::raft::RaftSystem;
use sim::scenario::shard::{MOVES_AT, one_move, throughput};
use std::sync::Arc;
use std::time::Duration;

/// A message there and one back, in the runs of one move.
pub const ROUND_TRIP: Duration = Duration::from_millis(2);

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

/// Operations a second with so many groups, without the first tenth and the last fifth: then some clients have not begun, or
/// have ended.
pub fn rate(groups: u32) -> f64 {
    let report = run(&throughput(groups, 1));
    let mut ends: Vec<Duration> =
        report.history.operations.iter().filter_map(answered).map(|(_, end)| end).collect();
    ends.sort_unstable();
    let (first, last) = (ends.len() / 10, ends.len() * 4 / 5);
    (last - first) as f64 / (ends[last] - ends[first]).as_secs_f64()
}

/// A shard has moved from one group to another.
pub struct Move {
    /// Bytes of its keys and values; with versions and lengths there are a few more.
    pub bytes: usize,
    /// What all bytes take on one link.
    pub wire: Duration,
    /// From both groups having the configuration to serving it.
    pub took: Duration,
    /// How long operations on other shards took meanwhile, shortest first.
    pub meanwhile: Vec<Duration>,
    /// The same at other times.
    pub otherwise: Vec<Duration>,
}

impl Move {
    /// At most so long: three round trips, and all bytes on their way to the new leader and again to its followers.
    pub fn aim(&self) -> Duration {
        ROUND_TRIP * 3 + self.wire * 2
    }

    /// How much longer the longest operation on other shards took meanwhile.
    pub fn worst(&self) -> f64 {
        let longest = |times: &[Duration]| times.last().expect("there are some").as_secs_f64();
        longest(&self.meanwhile) / longest(&self.otherwise)
    }
}

/// Keys of a shard, or of all others.
fn keys(count: usize, of: impl Fn(ShardId) -> bool) -> Vec<String> {
    let shards = Knobs::default().shards;
    let names = (0..).map(|nth| format!("key-{nth:08}"));
    names.filter(|key| of(shard_of(key.as_bytes(), shards))).take(count).collect()
}

/// A shard with so many keys moves.
pub fn move_of(count: usize) -> Move {
    let (value, heavy) = (100, keys(count, |shard| shard.0 == 0));
    let plan = one_move(&heavy, &keys(40, |shard| shard.0 != 0), value);
    let report = run(&plan);
    let bytes: usize = heavy.iter().map(|key| key.len() + value).sum();
    let wire = Duration::from_secs_f64(bytes as f64 / plan.net.bandwidth.expect("it is limited") as f64);
    let (from, to) = moved(&report);
    let (mut meanwhile, mut otherwise) = (Vec::new(), Vec::new());
    for (begun, ended) in report.history.operations.iter().filter_map(answered) {
        if begun < MOVES_AT.0 - Duration::from_secs(2) {
            // The shard is still being written.
        } else if begun < to && ended > from {
            meanwhile.push(ended - begun);
        } else {
            otherwise.push(ended - begun);
        }
    }
    meanwhile.sort_unstable();
    otherwise.sort_unstable();
    Move { bytes, wire, took: to - from, meanwhile, otherwise }
}

/// When both groups had the configuration that moved shard 0 last, and when the second served it.
fn moved(report: &Report) -> (Duration, Duration) {
    let last = report.shards.iter().rev().find_map(|(at, event)| match event {
        Event::Shard { shard: 0, config, change: ShardChange::Installed { .. }, .. } => Some((*at, *config)),
        _ => None,
    });
    let (served, config) = last.expect("it has moved");
    let adopted = report.shards.iter().filter_map(|(at, event)| match event {
        Event::ConfigAdopted { config: its, .. } if *its == config => Some(*at),
        _ => None,
    });
    let both = adopted.max().expect("both have adopted it");
    (both.since(Time::ZERO), served.since(Time::ZERO))
}
