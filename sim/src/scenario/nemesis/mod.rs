//! Nemeses: faults that know what is going on. Chance alone seldom strikes in the two round trips that matter; each of these waits
//! for the moment that a certain kind of mistake needs, and makes it last.
//!
//! Each is a page, and says at its head which mistake it exists for. The swarm ([`super::swarm`]) draws some of them for each seed.

mod amnesiac;
mod companion;
mod config_storm;
mod crash_on_effect;
mod divergence;
mod double_vote;
mod fig8;
mod laggard;
mod leader_hunter;
mod lease_skew;
mod power_fail;
mod quiesce;
mod stint_bouncer;
mod topologies;

use super::raft::Draw;
use crate::plan::{Act, Cue, Fault, Plan, Selector, Trigger, What};
use crate::raft::Part;
use labrpc::sim::{Span, Spread};

/// What a nemesis can be set on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Any Raft, with whatever on top.
    Raft,
    /// A key/value service: it has clients that read.
    Service,
    /// A sharded store.
    Shards,
}

/// Faults that know what is going on.
#[derive(Clone, Copy)]
pub struct Nemesis {
    /// What it is called.
    pub name: &'static str,
    /// What it does, and to see which mistake.
    pub about: &'static str,
    /// What it can be set on.
    pub on: On,
    /// Whether it aims at messages, so that the system has to say what they are.
    pub aims: bool,
    /// Puts it into a plan, for so long from the beginning.
    pub set: fn(&mut Draw, &mut Plan, Span),
}

/// All of them.
pub const ALL: &[Nemesis] = &[
    fig8::NEMESIS,
    crash_on_effect::NEMESIS,
    leader_hunter::NEMESIS,
    double_vote::NEMESIS,
    stint_bouncer::NEMESIS,
    companion::NEMESIS,
    amnesiac::NEMESIS,
    divergence::NEMESIS,
    laggard::NEMESIS,
    topologies::NEMESIS,
    quiesce::NEMESIS,
    config_storm::NEMESIS,
    power_fail::NEMESIS,
    lease_skew::NEMESIS,
];

/// The server that a trigger's cue is about.
fn it() -> Selector {
    Selector::bound("it")
}

/// The other one.
fn other() -> Selector {
    Selector::bound("other")
}

/// At once.
const NOW: Spread = Spread::ZERO;
/// Within two round trips of the usual weather.
const MOMENTS: Spread = Spread::of(Span::ZERO, Span::millis(8));
/// Faster than anybody misses whoever was away.
const FAST: Spread = Spread::of(Span::ZERO, Span::millis(20));
/// Longer than an election takes.
const ELECTION: Spread = Spread::millis(300, 1_500);

fn crash(who: Selector, power: bool) -> Act {
    Act::Crash { who, power }
}

/// Something happens to messages of a part of the protocol, from some to some.
fn rule(name: &str, part: Part, from: Selector, to: Selector, what: What) -> Act {
    Act::Rule { name: name.into(), from, to, parts: vec![part], chance: None, skip: 0, take: None, what }
}

/// Takes a rule down.
fn unrule(name: &str) -> Act {
    Act::Unrule(name.into())
}

/// Delivers what a rule holds.
fn release(name: &str) -> Act {
    Act::Release(name.into())
}

/// Somebody else is to lead, now and then: what waits for a new leader would wait for ever in a calm cluster.
fn change_leaders(draw: &mut Draw, plan: &mut Plan, lasts: Span) {
    for at in draw.moments(lasts, Spread::millis(1_500, 5_000)) {
        plan.at(at, Act::Transfer { to: Selector::Followers.any(1) });
    }
}

/// A log that is compacted all the time.
fn frequent_snapshots(draw: &mut Draw, plan: &mut Plan) {
    if draw.abilities.own_state {
        plan.knobs.snapshot_bytes = Some(*draw.rng.pick(&[200, 500, 1_000]));
    } else {
        plan.knobs = plan.knobs.clone().draw_snapshots(&mut draw.rng);
    }
}

impl Draw {
    /// Times from the beginning to the end, with pauses between these.
    fn moments(&mut self, lasts: Span, pause: Spread) -> Vec<Span> {
        let end = lasts.0.as_micros() as u64;
        let (least, most) = (pause.min.0.as_micros() as u64, pause.max.0.as_micros() as u64);
        let mut at = self.rng.below(most.max(1));
        let mut moments = Vec::new();
        while at < end {
            moments.push(Span::micros(at));
            at += self.rng.within(least..=most).max(1);
        }
        moments
    }
}

impl Plan {
    /// Something happens at a time.
    fn at(&mut self, at: Span, act: Act) {
        self.faults.push(Fault { at, act });
    }

    /// Something is done about it, each time but for a rest.
    fn whenever(&mut self, on: Cue, rest: Span, chance: u32, then: impl IntoIterator<Item = (Spread, Act)>) {
        self.triggers.push(Trigger { rest, chance: Some(chance), ..Trigger::on(on, then) });
    }
}

fn later(at: Span, by: Span) -> Span {
    Span(at.0 + by.0)
}
