//! A leader whose clock is slow, answers to it that are late, and a new leader that it does not hear of, while clients read.
//!
//! For: leases that are counted from when an answer came, or by a clock that others do not have (thesis 6.4.1).

use super::{NOW, Nemesis, On, change_leaders, it, rule, unrule};
use crate::plan::{Act, Cue, ReadMode, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

/// How far clocks may be apart where there are leases, in ppm: what the scenarios of leases have.
const RATES: std::ops::RangeInclusive<u64> = 800_000..=1_200_000;

pub const NEMESIS: Nemesis = Nemesis {
    name: "lease-skew",
    about: "leaders with slow clocks and late answers are replaced without hearing of it, and read from",
    on: On::Service,
    aims: true,
    set: |draw, plan, lasts| {
        change_leaders(draw, plan, lasts);
        // Leases hold where clocks never jump: whoever draws jumps too takes them out.
        plan.knobs.reads = *draw.rng.pick(&[ReadMode::Lease, ReadMode::Lease, ReadMode::Index]);
        // Without an entry of its own term a leader has no lease to read by.
        plan.knobs.noop = draw.abilities.noop;
        plan.clocks = plan.all_servers().into_iter().map(|node| (node, draw.rng.within(RATES) as u32)).collect();
        // Whoever is not heard of is replaced as soon as it can be, and clients look elsewhere at once.
        let least = draw.rng.within(300..=1_000);
        let part = |percent| Span::millis(least * percent / 100);
        plan.knobs.election = Spread::of(part(100), part(draw.rng.within(105..=125)));
        plan.knobs.heartbeat = part(15);
        plan.knobs.client_timeout = Span::millis(200);
        // Nearly as late as an election: then a lease that begins with the answer lasts into the next leader's term.
        let late = Spread::of(part(50), part(draw.rng.within(60..=95)));
        // Answers still reach it, and nothing that would tell it of another leader.
        let no_news = |part| rule(&format!("no news by {part:?}"), part, Selector::All, it(), What::Drop);
        let news = |part| unrule(&format!("no news by {part:?}"));
        plan.whenever(
            Cue::Elected,
            // The next leader is left alone, so that clients find it.
            Span::millis(1_300 + least * 4),
            900_000,
            [
                (Spread::millis(100, 600), rule("late", Part::AppendReply, Selector::All, it(), What::Delay(late))),
                (Spread::millis(300, 700), Act::Cut { from: it(), to: Selector::All }),
                (NOW, no_news(Part::Append)),
                (NOW, no_news(Part::VoteRequest)),
                (Spread::of(part(150), part(400)), Act::Mend { from: it(), to: Selector::All }),
                (NOW, news(Part::Append)),
                (NOW, news(Part::VoteRequest)),
                (NOW, unrule("late")),
            ],
        );
    },
};
