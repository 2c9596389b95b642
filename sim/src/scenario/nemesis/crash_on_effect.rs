//! Crashes between two effects of a server: before it persists, between a write and its sync, after the sync and before it
//! sends, between the two files of a compaction, between applying and answering.
//!
//! For: whatever is promised before it is durable, or done in the wrong order. Which effect and the how-manieth come from the seed.

use super::{Nemesis, On};
use crate::plan::{Act, Selector};
use labrpc::sim::{Edge, Effect, Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "crash-on-effect",
    about: "servers crash right before or after a write, a sync, a rename, a message or an event, and are back soon",
    on: On::Raft,
    aims: false,
    set: |draw, plan, lasts| {
        let effects = [Effect::Write, Effect::Sync, Effect::Rename, Effect::SyncDir, Effect::Send, Effect::Emit];
        let who = [Selector::Leader, Selector::Followers.any(1), Selector::All.any(1), Selector::All];
        for at in draw.moments(lasts, Spread::millis(400, 3_000)) {
            let act = Act::CrashAt {
                who: draw.rng.pick(&who).clone(),
                effect: *draw.rng.pick(&effects),
                on: String::new(),
                nth: draw.rng.within(1..=12) as u32,
                edge: *draw.rng.pick(&[Edge::Before, Edge::After]),
                power: draw.rng.chance(700_000),
                back_after: Some(Span::micros(*draw.rng.pick(&[0, 5_000, 20_000, 200_000, 2_000_000]))),
            };
            plan.at(at, act);
        }
    },
};
