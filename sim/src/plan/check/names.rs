//! That what a plan names is there when it is spoken of: servers, and what earlier steps have bound, proposed,
//! counted or put up.

use super::{MOST_NODES, PlanError, refuse};
use crate::plan::trigger::NAMES;
use crate::plan::{Act, Client, Moment, Op, Plan, Selector, Step};
use std::collections::BTreeSet;

/// What is named so far.
pub(super) struct Names<'a> {
    plan: &'a Plan,
    bound: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
    counts: BTreeSet<&'a str>,
    rules: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Nothing is named yet.
    pub fn new(plan: &'a Plan) -> Names<'a> {
        let (bound, tags, counts, rules) = Default::default();
        Names { plan, bound, tags, counts, rules }
    }

    /// All that the plan speaks of, in the order in which it comes about.
    pub fn all(&mut self) -> Result<(), PlanError> {
        let plan = self.plan;
        for (at, fault) in plan.faults.iter().enumerate() {
            self.act(&format!("faults[{at}]"), &fault.act)?;
        }
        for (at, trigger) in plan.triggers.iter().enumerate() {
            self.bound.extend(NAMES);
            for (nth, reaction) in trigger.then.iter().enumerate() {
                self.act(&format!("triggers[{at}].then[{nth}]"), &reaction.act)?;
            }
            NAMES.iter().for_each(|name| _ = self.bound.remove(name));
        }
        for (at, client) in plan.clients.iter().enumerate() {
            self.selector(&format!("clients[{at}].talks_to"), &client.talks_to)?;
            if client.is_kv() && client.ops.iter().any(|op| !matches!(op, Op::Kv { .. })) {
                let why = "a client of a key/value service does only that";
                return refuse(&format!("clients[{at}].ops"), why.into());
            }
        }
        let nodes = plan.server_count() as usize + plan.clients.iter().filter(|client| client.is_kv()).count();
        if nodes > MOST_NODES as usize {
            return refuse(
                "clients",
                format!("{nodes} servers and clients in all; there can be {MOST_NODES} at most"),
            );
        }
        self.steps("script", &plan.script)?;
        plan.finale.core.iter().try_for_each(|core| self.selector("finale.core", core))
    }

    fn selector(&self, place: &str, selector: &Selector) -> Result<(), PlanError> {
        let (servers, groups) = (self.plan.server_count(), self.plan.groups);
        if let Some(group) = selector.groups().into_iter().find(|group| !(1..=groups).contains(group)) {
            return refuse(place, format!("`{selector}`: there is no group {group} (there are {groups})"));
        }
        if selector.largest() > servers || selector.asks_for() > servers {
            return refuse(place, format!("`{selector}` asks for more servers than there are ({servers})"));
        }
        match selector.names().iter().find(|name| !self.bound.contains(*name)) {
            Some(name) => refuse(place, format!("`${name}` is not bound by an earlier step")),
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
            Step::ExpectRefused(who) | Step::ExpectDisk { on: who, .. } => self.selector(place, who),
            Step::Agree { via, on, .. } => self.selector(place, via).and_then(|()| self.selector(place, on)),
            Step::ExpectCommitted { tag, on, .. } => {
                self.tag(place, tag)?;
                self.selector(place, on)
            }
            Step::ExpectNone { tag } => self.tag(place, tag),
            Step::ExpectCount { since, .. } if !self.counts.contains(since.as_str()) => {
                refuse(place, format!("nothing was counted under `{since}` before"))
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
                Moment::Reconfigured => Ok(()),
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
            refuse(place, format!("nothing was proposed as `{tag}` before"))
        }
    }

    fn client(&self, place: &str, client: u32) -> Result<(), PlanError> {
        let there = client > 0 && self.plan.clients.get(client as usize - 1).is_some_and(Client::is_kv);
        if there { Ok(()) } else { refuse(place, format!("there is no client {client} of a key/value service")) }
    }

    fn rule(&self, place: &str, name: &str) -> Result<(), PlanError> {
        if self.rules.contains(name) {
            Ok(())
        } else {
            refuse(place, format!("no rule `{name}` was put up before"))
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
            | Act::Busy { who, .. }
            | Act::SlowService { who, .. }
            | Act::Corrupt { who, .. }
            | Act::Transfer { to: who }
            | Act::Reconfigure { voters: who }
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
                let in_each = if self.plan.groups == 1 { "" } else { " in a group" };
                refuse(place, format!("there are only {} servers{in_each}", self.plan.servers))
            }
            Act::KeepUp { .. } | Act::KeepConnected { .. } => Ok(()),
            Act::Heal | Act::Net(_) | Act::Hush(_) => Ok(()),
        }
    }
}
