//! Directed scenarios: for each planted bug, the shortest schedule in which it does its damage.
//!
//! Nothing happens by itself in them. Election timeouts are so long that nobody campaigns unless told to, and
//! whoever is told to has its clock put forward. The seed still decides how long messages and disks take.
//!
//! A schedule goes all the way to the harm that the bug does to users, although most bugs are seen long before:
//! with the checks that see them early switched off (`--mute`), the later ones must see them still.

mod elections;
mod membership;
mod persistence;
mod replication;
mod snapshots;

pub use elections::SCENARIOS as ELECTIONS;
pub use membership::SCENARIOS as MEMBERSHIP;
pub use persistence::SCENARIOS as PERSISTENCE;
pub use replication::SCENARIOS as REPLICATION;
pub use snapshots::SCENARIOS as SNAPSHOTS;

use super::{Draw, Need, Scenario};
use crate::plan::{Act, Finale, Moment, Otherwise, Plan, Selector, Step, What};
use crate::raft::Part;
use labrpc::sim::{DiskWeather, Edge, Effect, Span, Spread};

/// Long enough for every message on its way and every write, and much shorter than an election timeout.
pub(in crate::scenario) const MOMENT: Span = Span::millis(50);

/// Farther than any election timeout of [`stage`].
const JUMP: Span = Span::secs(30);

/// Server number `n`.
pub(in crate::scenario) fn s(n: u32) -> Selector {
    Selector::s(n)
}

/// These servers.
pub(in crate::scenario) fn servers<const N: usize>(numbers: [u32; N]) -> Selector {
    let all = numbers.into_iter().map(s);
    all.reduce(Selector::or).unwrap_or(Selector::None)
}

/// A cluster in which nothing happens by itself, on disks that lose whatever was not synced.
pub(in crate::scenario) fn stage(draw: &mut Draw, servers: u32) -> Plan {
    let mut plan = draw.plan(servers);
    plan.knobs.election = Spread::of(Span::secs(10), Span::secs(20));
    plan.knobs.heartbeat = Span::millis(200);
    plan.disk = DiskWeather { keep: 0, tear: 0, ..DiskWeather::default() };
    plan.finale = Finale { within: Span::secs(120), ..Finale::default() };
    // Everybody has started.
    plan.sleep(MOMENT);
    plan
}

impl Plan {
    /// Its election timeout passes.
    pub(in crate::scenario) fn campaign(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::ClockJump { who, by: JUMP }).sleep(MOMENT)
    }

    /// It campaigns, and wins.
    pub(in crate::scenario) fn lead(&mut self, who: u32) -> &mut Plan {
        self.campaign(s(who)).wait_leader(s(who))
    }

    /// These two groups cannot talk to each other any more.
    pub(in crate::scenario) fn split(&mut self, one: Selector, other: Selector) -> &mut Plan {
        self.act(Act::Cut { from: one.clone(), to: other.clone() }).act(Act::Cut { from: other, to: one })
    }

    /// They can again.
    pub(in crate::scenario) fn mend(&mut self, one: Selector, other: Selector) -> &mut Plan {
        self.act(Act::Mend { from: one.clone(), to: other.clone() }).act(Act::Mend { from: other, to: one })
    }

    /// Something happens to messages of a part from now on.
    pub(in crate::scenario) fn rule(
        &mut self,
        name: &str,
        part: Part,
        from: Selector,
        to: Selector,
        what: What,
    ) -> &mut Plan {
        let (name, parts) = (name.into(), vec![part]);
        self.act(Act::Rule { name, from, to, parts, chance: None, skip: 0, take: None, what })
    }

    /// The next message of a part arrives a second time, so much later.
    pub(in crate::scenario) fn twice(
        &mut self,
        part: Part,
        from: Selector,
        to: Selector,
        later: Span,
    ) -> &mut Plan {
        let (name, parts, what) = ("twice".into(), vec![part], What::Duplicate(Spread::of(later, later)));
        self.act(Act::Rule { name, from, to, parts, chance: None, skip: 0, take: Some(1), what })
    }

    /// Messages of a part are held back from now on.
    pub(in crate::scenario) fn hold(&mut self, name: &str, part: Part, from: Selector, to: Selector) -> &mut Plan {
        self.rule(name, part, from, to, What::Hold)
    }

    /// Messages of a part are lost from now on.
    pub(in crate::scenario) fn lose(&mut self, name: &str, part: Part, from: Selector, to: Selector) -> &mut Plan {
        self.rule(name, part, from, to, What::Drop)
    }

    /// What a rule holds back arrives, and it holds nothing more.
    pub(in crate::scenario) fn release(&mut self, name: &str) -> &mut Plan {
        self.act(Act::Unrule(name.into())).act(Act::Release(name.into())).sleep(MOMENT)
    }

    /// Takes a rule down.
    pub(in crate::scenario) fn unrule(&mut self, name: &str) -> &mut Plan {
        self.act(Act::Unrule(name.into()))
    }

    /// Waits until what was proposed under a tag is durable on these. It must come about, bug or not.
    pub(in crate::scenario) fn stored(&mut self, tag: &str, on: Selector) -> &mut Plan {
        let event = Moment::Stored { tag: tag.into(), on };
        self.then(Step::Await { event, within: Span::secs(5), or: Otherwise::Violation })
    }

    /// What was proposed under a tag is applied on these.
    pub(in crate::scenario) fn committed(&mut self, tag: &str, on: Selector) -> &mut Plan {
        self.then(Step::ExpectCommitted { tag: tag.into(), on, within: Span::secs(5) })
    }

    /// They lose power, and with it what was not synced.
    pub(in crate::scenario) fn power_off(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::Crash { who, power: true })
    }

    /// They start again, and are there a moment later.
    pub(in crate::scenario) fn back(&mut self, who: Selector) -> &mut Plan {
        self.restart(who.clone());
        self.then(Step::Await { event: Moment::Up(who), within: Span::secs(10), or: Otherwise::Violation })
            .sleep(MOMENT)
    }

    /// It loses power behind its next effect of a kind, and comes back a moment later.
    pub(in crate::scenario) fn power_off_at(
        &mut self,
        who: u32,
        effect: Effect,
        on: &str,
        edge: Edge,
    ) -> &mut Plan {
        let back_after = Some(Span::millis(10));
        self.act(Act::CrashAt { who: s(who), effect, on: on.into(), nth: 1, edge, power: true, back_after })
    }
}
