//! Configurations that change faster than shards can move: swaps, there and back, everybody out and in again, a move to whoever has
//! the shard; with crashes between having got a shard and having it in the log, and messages that are late by configurations.
//!
//! For: steps of a migration that forget to which configuration they belong, are done twice, or die with the leader that began them.

use super::{ELECTION, FAST, MOMENTS, NOW, Nemesis, On, crash, it};
use crate::plan::{Act, Cue, KvOp, Plan};
use crate::scenario::raft::Draw;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "config-storm",
    about: "configurations change faster than shards move, and those who move them crash",
    on: On::Shards,
    aims: false,
    set: |draw, plan, lasts| {
        let pace = Spread::of(Span::millis(20), Span::millis(draw.rng.within(100..=1_500)));
        for at in draw.moments(lasts, pace) {
            for op in changes(draw, plan) {
                plan.at(at, Act::Ask { client: 1, op });
            }
        }
        let cues = [Cue::ShardFrozen, Cue::ShardInstalled, Cue::ConfigAdopted, Cue::ShardDeleted];
        let cue = *draw.rng.pick(&cues);
        let after = *draw.rng.pick(&[NOW, MOMENTS]);
        let back = *draw.rng.pick(&[FAST, ELECTION]);
        let power = draw.rng.chance(500_000);
        let then = [(after, crash(it(), power)), (back, Act::Restart(it()))];
        plan.whenever(cue, Span::millis(400), 200_000, then);
    },
};

/// One change, or some that belong together.
fn changes(draw: &mut Draw, plan: &Plan) -> Vec<KvOp> {
    // Group 1 is the controller.
    let group = |draw: &mut Draw| draw.rng.within(2..=u64::from(plan.groups)) as u32;
    let shard = |draw: &mut Draw| draw.rng.below(plan.knobs.shards.into()) as u32;
    let all: Vec<u32> = (2..=plan.groups).collect();
    let (one, other, which) = (group(draw), group(draw), shard(draw));
    let give = |shard, group| KvOp::Move { shard, group };
    match draw.rng.below(8) {
        0 => vec![KvOp::Leave { groups: vec![one] }],
        1 => vec![KvOp::Leave { groups: vec![one] }, KvOp::Join { groups: vec![one] }],
        2 => vec![KvOp::Leave { groups: all.clone() }, KvOp::Join { groups: all }],
        3 => vec![KvOp::Join { groups: all }],
        // There and back.
        4 => vec![give(which, one), give(which, other), give(which, one)],
        // They exchange two.
        5 => vec![give(which, one), give(shard(draw), other)],
        _ => vec![give(which, one)],
    }
}
