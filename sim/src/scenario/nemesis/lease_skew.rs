//! A leader whose clock is slow, answers to it that are late, and a new leader that it does not hear of, while clients read.
//!
//! For: leases that are counted from when an answer came, or by a clock that others do not have (thesis 6.4.1).

use super::{ELECTION, NOW, Nemesis, On, it, rule, unrule};
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
    set: |draw, plan, _| {
        // Leases hold where clocks never jump: whoever draws jumps too takes them out.
        plan.knobs.reads = *draw.rng.pick(&[ReadMode::Lease, ReadMode::Lease, ReadMode::Index]);
        plan.clocks = plan.all_servers().into_iter().map(|node| (node, draw.rng.within(RATES) as u32)).collect();
        // Whoever is not heard of is replaced as soon as it can be, and clients look elsewhere at once.
        plan.knobs.election = Spread::of(Span::millis(300), Span::millis(draw.rng.within(320..=400)));
        plan.knobs.heartbeat = Span::millis(50);
        plan.knobs.client_timeout = Span::millis(200);
        // Nearly as late as an election: then a lease that begins with the answer lasts into the next leader's term.
        let late = Spread::of(Span::millis(150), Span::millis(draw.rng.within(200..=290)));
        plan.whenever(
            Cue::Elected,
            Span::millis(500),
            800_000,
            [
                (Spread::millis(100, 600), rule("late", Part::AppendReply, Selector::All, it(), What::Delay(late))),
                (Spread::millis(300, 700), Act::Cut { from: it(), to: Selector::All }),
                (ELECTION, Act::Mend { from: it(), to: Selector::All }),
                (NOW, unrule("late")),
            ],
        );
    },
};
