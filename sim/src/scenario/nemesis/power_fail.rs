//! The power fails everywhere, or for a majority, right after a client was answered: within one sync.
//!
//! For: answers that are given before a majority has what they stand for on its disks.

use super::{NOW, Nemesis, On};
use crate::plan::{Act, Cue, Selector};
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "power-fail",
    about: "the power fails for a majority or for all, right after somebody was answered or something was committed",
    on: On::Raft,
    aims: false,
    set: |draw, plan, _| {
        let who = [
            Selector::All,
            Selector::Up.any(plan.servers / 2 + 1),
            Selector::Leader.or(Selector::Followers.any(1)),
        ];
        let who = draw.rng.pick(&who).clone();
        let cue = *draw.rng.pick(&[Cue::Answered, Cue::Committed]);
        let after = *draw.rng.pick(&[
            NOW,
            Spread::of(Span::ZERO, Span::millis(1)),
            Spread::of(Span::ZERO, Span::millis(5)),
        ]);
        let back = Spread::of(Span::ZERO, Span::millis(*draw.rng.pick(&[5, 300, 1_500])));
        let then = [(after, Act::Crash { who, power: true }), (back, Act::Restart(Selector::All))];
        plan.whenever(
            cue,
            Span::millis(draw.rng.within(1_000..=4_000)),
            draw.rng.within(50_000..=500_000) as u32,
            then,
        );
    },
};
