//! The leader is struck within two round trips of what makes it matter: it was elected, has a command, knows that it is
//! committed, has answered, sends a snapshot.
//!
//! For: what a leader owes to its followers or clients at that moment and does not have in a safe place yet.

use super::{ELECTION, FAST, MOMENTS, NOW, Nemesis, On, crash, it};
use crate::plan::{Act, Cue};
use labrpc::sim::{Span, Spread};

pub const NEMESIS: Nemesis = Nemesis {
    name: "leader-hunter",
    about: "the leader is killed, cut off or paused within two round trips of what makes it matter",
    on: On::Raft,
    aims: false,
    set: |draw, plan, _| {
        let cues = [Cue::Elected, Cue::Appended, Cue::Committed, Cue::Answered, Cue::SnapshotSent];
        let cue = *draw.rng.pick(&cues);
        let after = *draw.rng.pick(&[NOW, MOMENTS, Spread::of(Span::ZERO, Span::millis(2))]);
        let (strike, undo) = match draw.rng.below(4) {
            0 => (crash(it(), false), Act::Restart(it())),
            1 => (crash(it(), true), Act::Restart(it())),
            2 => (Act::Disconnect(it()), Act::Connect(it())),
            _ => (Act::Pause(it()), Act::Resume(it())),
        };
        let back = *draw.rng.pick(&[FAST, ELECTION, ELECTION]);
        // Between two strikes something must get done, or there is nothing to lose.
        let rest = Span::millis(draw.rng.within(300..=3_000));
        plan.whenever(cue, rest, draw.rng.within(100_000..=1_000_000) as u32, [(after, strike), (back, undo)]);
    },
};
