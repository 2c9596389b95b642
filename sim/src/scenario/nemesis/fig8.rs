//! Figure 8 of the paper, on purpose: leaders that get one entry to one follower and die before anything of a new term is out.
//!
//! For: counting replicas of an entry of an older term, and committing it by that (§5.4.2). Random faults come to it seldom, since all of
//! this has to happen to several leaders in a row, and who comes back must be who has diverged.

use super::{FAST, MOMENTS, NOW, Nemesis, On, crash, it, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "fig8",
    about: "leaders reach one follower and die; who has diverged most comes back first",
    on: On::Raft,
    aims: true,
    set: |draw, plan, _| {
        // One entry at a time, or all of it would be replicated at once.
        plan.knobs.max_entries = Some(1);
        plan.knobs.noop &= draw.rng.chance(300_000);
        let power = draw.rng.chance(300_000);
        // Its appends pass to one, and to nobody else.
        let all_but_one = Selector::All.any(plan.servers.saturating_sub(2)).and(it().not());
        plan.whenever(
            Cue::Elected,
            Span::millis(draw.rng.within(0..=500)),
            draw.rng.within(500_000..=1_000_000) as u32,
            [
                (NOW, rule("fig8", Part::Append, it(), all_but_one, What::Drop)),
                (Spread::of(Span::millis(3), Span::millis(40)), crash(it(), power)),
                (MOMENTS, unrule("fig8")),
                (FAST, Act::Restart(Selector::MostDivergent)),
                (Spread::millis(50, 900), Act::Restart(it())),
            ],
        );
    },
};
