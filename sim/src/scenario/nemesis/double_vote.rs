//! Two candidates of one term, and a voter that forgets: it votes, loses power, is back at once, and is asked again by the other.
//!
//! For: a vote or a term that is not durable before it is told (§5.2), and votes that are counted twice.

use super::{FAST, NOW, Nemesis, On, crash, it, other, release, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "double-vote",
    about: "requests for votes are held back, voters lose power once they have voted, and are asked again",
    on: On::Raft,
    aims: true,
    set: |draw, plan, _| {
        // Two candidates at a time are likely where timeouts are nearly the same.
        plan.knobs.election = Spread::of(Span::millis(150), Span::millis(draw.rng.within(160..=220)));
        plan.knobs.heartbeat = Span::millis(50);
        let late = Spread::of(Span::millis(5), Span::millis(60));
        plan.whenever(
            Cue::Candidate,
            Span::ZERO,
            700_000,
            [
                (NOW, rule("late votes", Part::VoteRequest, it(), Selector::All.any(1), What::Hold)),
                (late, unrule("late votes")),
                (NOW, release("late votes")),
            ],
        );
        let power = draw.rng.chance(800_000);
        let soon = Spread::of(Span::ZERO, Span::millis(3));
        plan.whenever(
            Cue::Voted,
            Span::millis(20),
            500_000,
            [(soon, crash(it(), power)), (FAST, Act::Restart(it()))],
        );
        // What is answered to one candidacy comes in the next one.
        if draw.rng.chance(700_000) {
            let until = Spread::of(Span::millis(100), Span::millis(draw.rng.within(160..=350)));
            let old = rule("old votes", Part::VoteReply, Selector::All, it(), What::Hold);
            let then = [(NOW, old), (until, release("old votes")), (NOW, unrule("old votes"))];
            plan.whenever(Cue::Candidate, Span::millis(350), 800_000, then);
        }
        // And whoever wins is not left alone for long, so that there are more elections.
        let while_ = Spread::millis(200, 2_000);
        let away = [(while_, Act::Disconnect(it())), (Spread::millis(200, 800), Act::Connect(it()))];
        plan.whenever(Cue::Elected, Span::millis(300), 600_000, away);
        let cut = [(NOW, Act::Cut { from: other(), to: it() }), (late, Act::Mend { from: other(), to: it() })];
        plan.whenever(Cue::Voted, Span::millis(50), 200_000, cut);
    },
};
