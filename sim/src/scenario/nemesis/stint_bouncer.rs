//! A server leads, is deposed, and leads again, and only then hears what it was answered in its first stint.
//!
//! For: answers that are believed without asking to which term, or to which message, they are the answer.

use super::{NOW, Nemesis, On, change_leaders, it, release, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "stint-bouncer",
    about: "leadership comes and goes, and answers of an earlier stint come in a later one",
    on: On::Raft,
    aims: true,
    set: |draw, plan, lasts| {
        change_leaders(draw, plan, lasts);
        let parts = [Part::AppendReply, Part::AppendReply, Part::VoteReply, Part::InstallReply, Part::Append];
        let part = *draw.rng.pick(&parts);
        // A request is late at those whom it was for, an answer at whoever asked.
        let (from, to) = if part == Part::Append { (it(), Selector::All) } else { (Selector::All, it()) };
        let soon = Spread::of(Span::ZERO, Span::millis(100));
        plan.whenever(
            Cue::Elected,
            Span::millis(draw.rng.within(100..=2_000)),
            700_000,
            [
                (soon, rule("old answers", part, from, to, What::Hold)),
                (Spread::millis(20, 200), unrule("old answers")),
                (NOW, Act::Disconnect(it())),
                (Spread::millis(400, 1_500), Act::Connect(it())),
                // Whoever leads meanwhile hands it back.
                (Spread::millis(200, 900), Act::Transfer { to: it() }),
                (Spread::millis(5, 200), release("old answers")),
            ],
        );
    },
};
