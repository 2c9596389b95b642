//! A server leads, is deposed, and leads again, and only then hears what it was answered in its first stint.
//!
//! For: answers that are believed without asking to which term, or to which message, they are the answer.

use super::{NOW, Nemesis, On, it, release, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "stint-bouncer",
    about: "leadership comes and goes, and answers of an earlier stint come in a later one",
    on: On::Raft,
    aims: true,
    set: |draw, plan, _| {
        let parts = [Part::AppendReply, Part::AppendReply, Part::VoteReply, Part::InstallReply, Part::Append];
        let part = *draw.rng.pick(&parts);
        // A request is late at those whom it was for, an answer at whoever asked.
        let (from, to) = if part == Part::Append { (it(), Selector::All) } else { (Selector::All, it()) };
        let away = Spread::millis(400, 1_500);
        let later = Spread::millis(300, 2_500);
        plan.whenever(
            Cue::Elected,
            Span::millis(100),
            700_000,
            [
                (Spread::of(Span::ZERO, Span::millis(100)), rule("old answers", part, from, to, What::Hold)),
                (Spread::millis(20, 200), unrule("old answers")),
                (NOW, Act::Disconnect(it())),
                (away, Act::Connect(it())),
                (later, release("old answers")),
            ],
        );
        // The one that was cut off is the next to lead, now and then.
        if draw.rng.chance(500_000) {
            let pause = Spread::millis(300, 900);
            let handed = [(pause, Act::Transfer { to: Selector::Followers.any(1) })];
            plan.whenever(Cue::Elected, Span::millis(200), 500_000, handed);
        }
    },
};
