//! Clients fall silent, and then servers restart or links heal: whoever comes back must find its way without a client's help.
//!
//! For: what is done only when the next command comes along, or when somebody asks.

use super::{Nemesis, On, later};
use crate::plan::{Act, Selector};
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "quiesce",
    about: "clients are silent for a while, and meanwhile servers restart and links heal",
    on: On::Raft,
    aims: false,
    set: |draw, plan, lasts| {
        for at in draw.moments(lasts, Spread::millis(3_000, 8_000)) {
            let silence = Span::millis(draw.rng.within(1_000..=3_000));
            plan.at(at, Act::Hush(silence));
            let who = if draw.rng.chance(400_000) { Selector::All } else { Selector::All.any(1) };
            let soon = later(at, Span::millis(draw.rng.within(50..=600)));
            plan.at(soon, Act::Heal);
            plan.at(soon, Act::Crash { who, power: draw.rng.chance(500_000) });
            plan.at(later(soon, Span::millis(draw.rng.within(0..=400))), Act::Restart(Selector::All));
        }
    },
};
