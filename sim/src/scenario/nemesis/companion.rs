//! A leader writes on with a companion where they cannot commit; that is overwritten, the companion sleeps, and what it had
//! acknowledged comes when the same server leads again.
//!
//! For: acknowledgements that are believed in another term than the one that they were given in. The log that they speak of is gone
//! from the leader, and still on the follower.

use super::{NOW, Nemesis, On, change_leaders, it, release, rule, unrule};
use crate::plan::{Act, Cue, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "companion",
    about: "leaders write on with too few to commit, are overwritten, lead again, and hear then what those had acknowledged",
    on: On::Raft,
    aims: true,
    set: |draw, plan, lasts| {
        change_leaders(draw, plan, lasts);
        // Together they are no majority, if that is possible.
        let too_few = (plan.servers - plan.majority()).saturating_sub(1).max(1);
        // Of each group some: which group's leader it will be is not known.
        let of_group = |group| Selector::Followers.and(Selector::Group(group)).any(too_few);
        let companions = (1..=plan.groups).map(of_group).reduce(Selector::or).expect("there is a group");
        let companion = || Selector::bound("companion");
        let then = [
            (Spread::of(Span::ZERO, Span::millis(100)), Act::Bind { name: "companion".into(), who: companions }),
            (NOW, Act::Partition(vec![it().or(companion())])),
            (NOW, rule("acknowledged", Part::AppendReply, companion(), it(), What::Hold)),
            (Spread::millis(400, 1_500), unrule("acknowledged")),
            (NOW, Act::Pause(companion())),
            (NOW, Act::Heal),
            // Whoever leads meanwhile hands it back.
            (Spread::millis(200, 900), Act::Transfer { to: it() }),
            (Spread::millis(5, 100), release("acknowledged")),
            (Spread::millis(5, 300), Act::Resume(companion())),
        ];
        let rest = Span::millis(draw.rng.within(2_500..=4_000));
        plan.whenever(Cue::Elected, rest, 900_000, then);
    },
};
