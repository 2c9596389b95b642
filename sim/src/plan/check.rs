//! What a plan must satisfy before it is run: a plan that is impossible is refused and not half carried out.

use super::{Act, Client, FORMAT, Moment, Plan, Selector, Step};
use std::collections::BTreeSet;

/// Why a plan is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// It is no plan.
    #[error("line {line}, column {column}, field `{field}`: {why}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Path of the field.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// It cannot be carried out.
    #[error("{place}: {why}")]
    Impossible {
        /// Where in the plan.
        place: String,
        /// What is wrong.
        why: String,
    },
}

/// More servers than this make no sense in a simulated cluster.
const MOST_SERVERS: u32 = 64;

impl Plan {
    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// [`PlanError::Impossible`].
    pub fn check(&self) -> Result<(), PlanError> {
        let fail = |place: &str, why: String| Err(PlanError::Impossible { place: place.into(), why });
        if self.format != FORMAT {
            return fail("format", format!("this is a plan of format {}; this program runs {FORMAT}", self.format));
        }
        if self.servers == 0 || self.servers > MOST_SERVERS {
            return fail("servers", format!("{} servers; there can be 1 to {MOST_SERVERS}", self.servers));
        }
        if self.knobs.election.min.nanos() == 0 || self.knobs.election.max < self.knobs.election.min {
            return fail(
                "knobs.election",
                "an election timeout lasts, and its longest is not below its shortest".into(),
            );
        }
        if self.knobs.heartbeat.nanos() == 0 || self.knobs.max_inflight == 0 || self.knobs.chunk == 0 {
            return fail("knobs", "heartbeat, max_inflight and chunk are at least 1".into());
        }
        for (node, ppm) in &self.clocks {
            if node.0 == 0 || node.0 > self.servers || *ppm == 0 {
                return fail(
                    "clocks",
                    format!("{node} at {ppm} ppm: there are {} servers, and clocks run", self.servers),
                );
            }
        }
        if self.finale.converge && !self.knobs.noop {
            let why = "without knobs.noop, entries of an older term stay uncommitted until somebody sends a command: \
                       servers need not converge in silence";
            return fail("finale.converge", why.into());
        }
        let known: Vec<&str> = crate::oracle::cards().iter().map(|card| card.id).collect();
        if let Some(mute) = self.mute.iter().find(|mute| !known.contains(&mute.as_str())) {
            return fail("mute", format!("there is no check `{mute}`; there are {}", known.join(", ")));
        }
        let mut names = Names {
            plan: self,
            bound: BTreeSet::new(),
            tags: BTreeSet::new(),
            counts: BTreeSet::new(),
            rules: BTreeSet::new(),
        };
        for (at, fault) in self.faults.iter().enumerate() {
            names.act(&format!("faults[{at}]"), &fault.act)?;
        }
        for (at, client) in self.clients.iter().enumerate() {
            names.selector(&format!("clients[{at}].talks_to"), &client.talks_to)?;
            if client.is_kv() && client.ops.iter().any(|op| !matches!(op, super::Op::Kv { .. })) {
                return fail(
                    &format!("clients[{at}].ops"),
                    "a client of a key/value service does only that".into(),
                );
            }
        }
        if self.servers as usize + self.clients.iter().filter(|client| client.is_kv()).count()
            >= MOST_SERVERS as usize
        {
            return fail("clients", format!("there can be at most {MOST_SERVERS} servers and clients in all"));
        }
        names.steps("script", &self.script)?;
        self.finale.core.iter().try_for_each(|core| names.selector("finale.core", core))
    }
}

/// What is named so far.
struct Names<'a> {
    plan: &'a Plan,
    bound: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
    counts: BTreeSet<&'a str>,
    rules: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn fail<T>(place: &str, why: String) -> Result<T, PlanError> {
        Err(PlanError::Impossible { place: place.into(), why })
    }

    fn selector(&self, place: &str, selector: &Selector) -> Result<(), PlanError> {
        let servers = self.plan.servers;
        if selector.largest() > servers || selector.asks_for() > servers {
            return Self::fail(place, format!("`{selector}` asks for more servers than there are ({servers})"));
        }
        match selector.names().iter().find(|name| !self.bound.contains(*name)) {
            Some(name) => Self::fail(place, format!("`${name}` is not bound by an earlier step")),
            None => Ok(()),
        }
    }

    fn steps(&mut self, place: &str, steps: &'a [Step]) -> Result<(), PlanError> {
        for (at, step) in steps.iter().enumerate() {
            self.step(&format!("{place}[{at}]"), step)?;
        }
        Ok(())
    }

    fn step(&mut self, place: &str, step: &'a Step) -> Result<(), PlanError> {
        match step {
            Step::Do(act) => self.act(place, act),
            Step::Repeat { steps, .. } => self.steps(&format!("{place}.repeat"), steps),
            Step::WaitLeader { of, .. } | Step::ExpectNoLeader { of, .. } => self.selector(place, of),
            Step::ExpectRefused(who) => self.selector(place, who),
            Step::Agree { via, on, .. } => self.selector(place, via).and_then(|()| self.selector(place, on)),
            Step::ExpectCommitted { tag, on, .. } => {
                self.tag(place, tag)?;
                self.selector(place, on)
            }
            Step::ExpectNone { tag } => self.tag(place, tag),
            Step::ExpectCount { since, .. } if !self.counts.contains(since.as_str()) => {
                Self::fail(place, format!("nothing was counted under `{since}` before"))
            }
            Step::Await { event, .. } => match event {
                Moment::Down(who)
                | Moment::Up(who)
                | Moment::CaughtUp(who)
                | Moment::Snapshot(who)
                | Moment::LeaderAmong(who) => self.selector(place, who),
                Moment::Stored { tag, on } => {
                    self.tag(place, tag)?;
                    self.selector(place, on)
                }
                Moment::Held { rule, .. } => self.rule(place, rule),
                Moment::Answered { client, .. } => self.client(place, *client),
            },
            Step::Sleep(_)
            | Step::ExpectStableTerm { .. }
            | Step::ExpectCount { .. }
            | Step::AwaitClients { .. } => Ok(()),
        }
    }

    fn tag(&self, place: &str, tag: &str) -> Result<(), PlanError> {
        if self.tags.contains(tag) {
            Ok(())
        } else {
            Self::fail(place, format!("nothing was proposed as `{tag}` before"))
        }
    }

    fn client(&self, place: &str, client: u32) -> Result<(), PlanError> {
        let there = client > 0 && self.plan.clients.get(client as usize - 1).is_some_and(Client::is_kv);
        if there {
            Ok(())
        } else {
            Self::fail(place, format!("there is no client {client} of a key/value service"))
        }
    }

    fn rule(&self, place: &str, name: &str) -> Result<(), PlanError> {
        if self.rules.contains(name) {
            Ok(())
        } else {
            Self::fail(place, format!("no rule `{name}` was put up before"))
        }
    }

    fn act(&mut self, place: &str, act: &'a Act) -> Result<(), PlanError> {
        match act {
            Act::Rule { name, from, to, .. } => {
                self.rules.insert(name);
                self.selector(place, from)?;
                self.selector(place, to)
            }
            Act::Unrule(name) | Act::Release(name) | Act::Lose(name) => self.rule(place, name),
            Act::Cut { from, to } | Act::Mend { from, to } => {
                self.selector(place, from)?;
                self.selector(place, to)
            }
            Act::Partition(parts) => parts.iter().try_for_each(|part| self.selector(place, part)),
            Act::ClockRate { ppm: 0, .. } => Self::fail(place, "a clock that stands still fires no timer".into()),
            Act::Disconnect(who)
            | Act::Connect(who)
            | Act::Restart(who)
            | Act::Pause(who)
            | Act::Resume(who)
            | Act::Crash { who, .. }
            | Act::CrashAt { who, .. }
            | Act::ClockRate { who, .. }
            | Act::ClockJump { who, .. }
            | Act::Disk { who, .. }
            | Act::StallDisk { who, .. }
            | Act::SlowService { who, .. }
            | Act::Corrupt { who, .. }
            | Act::Transfer { to: who }
            | Act::Read { from: who } => self.selector(place, who),
            Act::Propose { to, tag, .. } => {
                self.tags.insert(tag);
                self.selector(place, to)
            }
            Act::Bind { name, who } => {
                self.selector(place, who)?;
                self.bound.insert(name);
                Ok(())
            }
            Act::Ask { client, .. } => self.client(place, *client),
            Act::Count(name) => {
                self.counts.insert(name);
                Ok(())
            }
            Act::KeepUp { at_least } | Act::KeepConnected { at_least } if *at_least > self.plan.servers => {
                Self::fail(place, format!("there are only {} servers", self.plan.servers))
            }
            Act::KeepUp { .. } | Act::KeepConnected { .. } => Ok(()),
            Act::Heal | Act::Net(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut Plan)) -> String {
        let mut plan = Plan::default();
        change(&mut plan);
        Plan::from_json(&plan.to_json()).expect_err("it is impossible").to_string()
    }

    #[test]
    fn a_plan_is_json_and_comes_back() {
        let mut plan = Plan::new("x", 7, 5);
        plan.wait_leader(Selector::All).bind("old", Selector::Leader).disconnect(Selector::bound("old"));
        plan.agree_on(2, 100, Selector::bound("old").not());
        assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
    }

    #[test]
    fn what_is_impossible_is_refused_with_its_place() {
        let cases: [(&str, String); 7] = [
            ("script[0]: no rule `x` was put up", refused(|plan| _ = plan.act(Act::Release("x".into())))),
            ("script[0]: `S9` asks for more servers", refused(|plan| _ = plan.disconnect(Selector::s(9)))),
            ("script[0]: `any(4, all)` asks for more", refused(|plan| _ = plan.crash(Selector::All.any(4)))),
            ("script[0]: `$old` is not bound", refused(|plan| _ = plan.crash(Selector::bound("old")))),
            ("servers: 0 servers", refused(|plan| plan.servers = 0)),
            ("mute: there is no check `x`", refused(|plan| plan.mute.push("x".into()))),
            ("format: this is a plan of format 9", refused(|plan| plan.format = 9)),
        ];
        for (expected, found) in cases {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn what_does_not_parse_is_refused_with_line_and_field() {
        let plan = Plan::default().to_json().replace("\"300ms\"", "\"soon\"");
        let error = Plan::from_json(&plan).unwrap_err().to_string();
        assert!(error.contains("field `knobs.election.min`") && error.starts_with("line "), "{error}");
        assert!(error.contains("`soon` is not a duration"), "{error}");
    }
}
