//! Many groups and many shards: that they are right while configurations change, and that groups work side by side.
//!
//! The first is judged like everything else. The second is measured, in virtual time: see the plans below.

use super::super::Scenario;
use super::super::raft::Draw;
use super::kv::{FIRST, Storm, done};
use super::{LATEST, give, idle, join};
use crate::plan::{Act, Client, Fault, Knobs, KvOp, Op, Plan, Selector};
use crate::raft::Part;
use labrpc::sim::{DiskWeather, Limits, NetWeather, Span, Spread};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours("shard-scale-4", "Four groups and 64 shards, and configurations that change.", |draw| {
        of_many(draw, 4)
    }),
    Scenario::ours("shard-scale-8", "The same with eight groups.", |draw| of_many(draw, 8)),
    Scenario::ours("shard-scale-16", "The same with sixteen.", |draw| of_many(draw, 16)),
];

/// In all of these.
const SHARDS: u32 = 64;

fn of_many(draw: &mut Draw, groups: u32) -> Plan {
    Storm { shards: SHARDS, keys: 200, ..Storm::new(groups) }.plan(draw)
}

/// So many clients keep all groups busy: with fewer, some group is idle now and then although its turn comes.
const CLIENTS: u32 = 64;
/// Operations of each.
const OPS: u64 = 100;
/// The time that a server takes for each request of a client: most of what an operation takes.
const EACH: Span = Span::millis(20);

/// So many groups of three, which share 64 shards, and the same clients whatever their number. Half of the operations are reads.
///
/// Each server of a group takes one request after the other and 20 ms for each, so that a group can do so much and no more: without
/// that a simulated group would be as fast as many. What servers say to each other takes them nothing, since under load they say
/// less for each request: then groups that are not full would seem slower than they are.
pub fn throughput(groups: u32, seed: u64) -> Plan {
    let mut plan = Plan::new("shard-throughput", seed, 3);
    plan.suite = "shardkv".into();
    plan.groups = groups + 1;
    plan.knobs.shards = SHARDS;
    // All clients wait for one server at times.
    plan.knobs.client_timeout = Span::secs(20);
    plan.knobs.client_patience = Span::secs(60);
    let rng = &mut Plan::rng("shard-throughput", seed);
    let mut op = |client: u32, nth: u64| {
        // So many that all shards are asked for equally often.
        let key = format!("k{}", rng.below(100_000));
        let op = if rng.chance(500_000) {
            KvOp::Put { key, value: format!("{client}.{nth}") }
        } else {
            KvOp::Get { key }
        };
        Op::Kv { after: Span::ZERO, op }
    };
    let work = |client| Client {
        talks_to: Selector::All,
        from: Span::secs(4),
        ops: (0..OPS).map(|nth| op(client, nth)).collect(),
    };
    plan.clients = std::iter::once(idle(Selector::All)).chain((2..2 + CLIENTS).map(work)).collect();
    plan.asks([join(&(FIRST..FIRST + groups).collect::<Vec<_>>()), LATEST]).sleep(Span::secs(3));
    let (who, parts) = (Selector::Group(1).not(), vec![Part::ClientRequest]);
    plan.act(Act::Busy { who, each: EACH, parts });
    done(&mut plan);
    plan
}

/// When the shard of [`one_move`] moves. By then everything has been written.
pub const MOVES_AT: Span = Span::secs(40);

/// A shard with these keys, shard 0, and values of so many bytes moves from one group to another, while clients of both use keys of other shards.
///
/// Messages take a millisecond each way, links carry 125 million bytes a second, and disks take no time: so what is left is
/// what the protocol waits for.
pub fn one_move(heavy: &[String], light: &[String], bytes: usize) -> Plan {
    let mut plan = Plan::new("shard-one-move", 0, 3);
    plan.suite = "shardkv".into();
    plan.groups = 3;
    plan.knobs = Knobs { piece: 64 << 10, ..Knobs::default() };
    plan.net = NetWeather { delay: Spread::millis(1, 1), bandwidth: Some(125_000_000), ..NetWeather::default() };
    plan.disk = DiskWeather { write: Spread::ZERO, sync: Spread::ZERO, ..DiskWeather::default() };
    plan.limits = Limits { events: 1_000_000_000, bytes: 1 << 36, ..Limits::default() };
    let value = "v".repeat(bytes);
    let puts = |keys: &[String]| -> Vec<Op> {
        let put = |key: &String| KvOp::Put { key: key.clone(), value: value.clone() };
        keys.iter().map(|key| Op::Kv { after: Span::ZERO, op: put(key) }).collect()
    };
    let writes = |keys: &[String]| Client { talks_to: Selector::All, from: Span::secs(4), ops: puts(keys) };
    plan.clients = vec![idle(Selector::All)];
    plan.clients.extend(heavy.chunks(heavy.len().div_ceil(60).max(1)).map(writes));
    let rng = &mut Plan::rng("shard-one-move", 0);
    for client in 0..8 {
        let op = |nth| {
            let key = rng.pick(light).clone();
            let value = format!("{client}.{nth};");
            let op = if rng.chance(500_000) { KvOp::Append { key, value } } else { KvOp::Get { key } };
            Op::Kv { after: Span::micros(rng.below(5_000)), op }
        };
        let from = Span(MOVES_AT.0.saturating_sub(Span::secs(3).0));
        plan.clients.push(Client { talks_to: Selector::All, from, ops: (0..800).map(op).collect() });
    }
    plan.asks([join(&[FIRST, FIRST + 1]), give(0, FIRST)]);
    plan.faults = vec![Fault { at: MOVES_AT, act: Act::Ask { client: 1, op: give(0, FIRST + 1) } }];
    done(&mut plan);
    plan
}
