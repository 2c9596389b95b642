//! Each leader in turn goes on alone with its clients for a while, so that logs of many terms lead away from each other, and from what
//! is committed.
//!
//! For: how followers' logs are found to differ and are cut (§5.3), and what elections ask of a log that is long and wrong (§5.4.1).

use super::{Nemesis, On, it};
use crate::plan::{Act, Cue, Selector};
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "divergence",
    about: "each leader is cut off in turn, goes on writing alone, and comes back with a log of its own",
    on: On::Raft,
    aims: false,
    set: |draw, plan, _| {
        let with = draw.rng.below(2) as u32;
        let side = it().or(Selector::Followers.any(with));
        let soon = Spread::of(Span::millis(5), Span::millis(draw.rng.within(20..=400)));
        let away = Spread::of(Span::millis(300), Span::millis(draw.rng.within(800..=4_000)));
        let rest = Span::millis(draw.rng.within(100..=1_500));
        let cut = if draw.rng.chance(500_000) { Act::Disconnect(it()) } else { Act::Partition(vec![side]) };
        let then = [(soon, cut), (away, Act::Heal)];
        plan.whenever(Cue::Elected, rest, 900_000, then);
    },
};
