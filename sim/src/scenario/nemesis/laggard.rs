//! One follower is away for longer than two snapshots, and when it is back it hears things that were sent to it before.
//!
//! For: snapshots that are installed over something newer, twice, in part, or beside what the service takes of its own (§7).

use super::{Nemesis, On, later, rule, unrule};
use crate::plan::{Act, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "laggard",
    about: "a follower is away for several snapshots, and hears older messages when it is back",
    on: On::Raft,
    aims: true,
    set: |draw, plan, lasts| {
        if draw.abilities.own_state {
            plan.knobs.snapshot_bytes = Some(*draw.rng.pick(&[200, 500, 1_000]));
        } else {
            plan.knobs = plan.knobs.clone().draw_snapshots(&mut draw.rng);
        }
        let late = Spread::of(Span::millis(200), Span::millis(draw.rng.within(400..=4_000)));
        let part = *draw.rng.pick(&[Part::Install, Part::Install, Part::Append]);
        for (nth, at) in draw.moments(lasts, Spread::millis(1_500, 6_000)).into_iter().enumerate() {
            let (who, rule_name) = (format!("laggard {nth}"), format!("twice {nth}"));
            let laggard = Selector::bound(&who);
            plan.at(at, Act::Bind { name: who, who: Selector::Followers.any(1) });
            let down = draw.rng.chance(300_000);
            let leaves = if down {
                Act::Crash { who: laggard.clone(), power: true }
            } else {
                Act::Disconnect(laggard.clone())
            };
            plan.at(at, leaves);
            let back = later(at, Span::millis(draw.rng.within(500..=4_000)));
            plan.at(back, rule(&rule_name, part, Selector::All, laggard.clone(), What::Duplicate(late)));
            plan.at(back, if down { Act::Restart(laggard) } else { Act::Connect(laggard) });
            plan.at(later(back, Span::millis(1_500)), unrule(&rule_name));
        }
    },
};
