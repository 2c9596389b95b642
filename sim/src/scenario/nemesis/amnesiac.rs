//! A leader restarts and leads again; others refuse what it had sent before, and it takes that for an answer to what it sends now,
//! while it is cut off and read from.
//!
//! For: what is counted in memory and named in messages, and starts anew with a restart: numbers of rounds that confirm reads
//! (thesis 6.4), or of requests.

use super::{FAST, NOW, Nemesis, On, change_leaders, crash, it, release, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "amnesiac",
    about: "leaders restart, lead again, and are refused what they had sent before, and then are cut off and read from",
    on: On::Raft,
    aims: true,
    set: |draw, plan, lasts| {
        change_leaders(draw, plan, lasts);
        // Who is cut off goes on believing that it leads, and clients soon look elsewhere.
        plan.knobs.check_quorum &= draw.rng.chance(200_000);
        plan.knobs.client_timeout = Span::millis(200);
        let long = Spread::of(Span::millis(100), Span::millis(draw.rng.within(300..=2_000)));
        let then = [
            (long, rule("sent before", Part::Append, it(), Selector::All, What::Hold)),
            (Spread::millis(20, 200), unrule("sent before")),
            (NOW, crash(it(), false)),
            (FAST, Act::Restart(it())),
            // Whoever leads meanwhile hands it back.
            (Spread::millis(200, 900), Act::Transfer { to: it() }),
            (Spread::millis(5, 200), release("sent before")),
            (Spread::millis(5, 300), Act::Disconnect(it())),
            (Spread::millis(800, 3_000), Act::Connect(it())),
        ];
        let rest = Span::millis(draw.rng.within(3_000..=5_000));
        plan.whenever(Cue::Elected, rest, 900_000, then);
    },
};
