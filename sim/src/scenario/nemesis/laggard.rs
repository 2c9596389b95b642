//! One follower is away for longer than two snapshots, and when it is back it hears things that were sent to it before, or is still
//! busy with what it had heard then.
//!
//! For: snapshots that are installed over something newer, twice, in part, or beside what the service takes of its own (§7).

use super::{Nemesis, On, frequent_snapshots, later, rule, unrule};
use crate::plan::{Act, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "laggard",
    about: "a follower is away for several snapshots, and hears older messages when it is back",
    on: On::Raft,
    aims: true,
    set: |draw, plan, lasts| {
        frequent_snapshots(draw, plan);
        let late = Spread::of(Span::millis(200), Span::millis(draw.rng.within(400..=4_000)));
        let part = *draw.rng.pick(&[Part::Install, Part::Install, Part::Append]);
        // Slower than commands come, so that it has some to apply when it leaves, and still when it is back.
        let lag = Spread::of(Span::millis(40), Span::millis(draw.rng.within(50..=250)));
        let slow = (!draw.abilities.own_state && draw.rng.chance(700_000)).then_some(lag);
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
            if let Some(lag) = slow {
                plan.at(at, Act::SlowService { who: laggard.clone(), lag });
            }
            let leaves_at = later(at, slow.map_or(Span::ZERO, |_| Span::millis(draw.rng.within(200..=1_000))));
            plan.at(leaves_at, leaves);
            let away = if slow.is_some() { 300..=2_000 } else { 500..=4_000 };
            let back = later(leaves_at, Span::millis(draw.rng.within(away)));
            plan.at(back, rule(&rule_name, part, Selector::All, laggard.clone(), What::Duplicate(late)));
            plan.at(back, if down { Act::Restart(laggard) } else { Act::Connect(laggard) });
            plan.at(later(back, Span::millis(1_500)), unrule(&rule_name));
            if slow.is_some() {
                plan.at(
                    later(back, Span::secs(2)),
                    Act::SlowService { who: Selector::All, lag: plan.knobs.apply_lag },
                );
            }
        }
    },
};
