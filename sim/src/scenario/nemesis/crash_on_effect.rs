//! Crashes between two effects of a server: before it persists, between a write and its sync, after the sync and before it
//! sends, while a file is replaced, between the two files of a compaction, between applying and answering.
//!
//! For: whatever is promised before it is durable, or done in the wrong order. Which effect and the how-manieth come from the seed.

use super::{Nemesis, On, frequent_snapshots};
use crate::plan::{Act, Selector};
use labrpc::sim::{Edge, Effect, Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "crash-on-effect",
    about: "servers crash right before or after a write, a sync, a rename, a cut, a message or an event, and are back soon",
    on: On::Raft,
    aims: false,
    set: |draw, plan, lasts| {
        let often = [Effect::Write, Effect::Sync, Effect::Send, Effect::Emit];
        // Only where a file is replaced.
        let seldom = [Effect::Rename, Effect::SyncDir, Effect::Truncate];
        let who = [Selector::Leader, Selector::Followers.any(1), Selector::All.any(1), Selector::All];
        // Some only go for files that are replaced, and have many of these.
        let only_files = draw.rng.chance(600_000);
        if only_files {
            frequent_snapshots(draw, plan);
        }
        let pause = if only_files { Spread::millis(200, 1_500) } else { Spread::millis(400, 3_000) };
        for at in draw.moments(lasts, pause) {
            let (effect, nth) = if only_files || draw.rng.chance(200_000) {
                (*draw.rng.pick(&seldom), draw.rng.within(1..=2))
            } else {
                (*draw.rng.pick(&often), draw.rng.within(1..=12))
            };
            let act = Act::CrashAt {
                who: draw.rng.pick(&who).clone(),
                effect,
                on: String::new(),
                nth: nth as u32,
                edge: *draw.rng.pick(&[Edge::Before, Edge::After]),
                power: draw.rng.chance(700_000),
                back_after: Some(Span::micros(*draw.rng.pick(&[0, 5_000, 20_000, 200_000, 2_000_000]))),
            };
            plan.at(at, act);
        }
    },
};
