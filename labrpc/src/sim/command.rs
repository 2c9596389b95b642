//! Carrying out what the laboratory orders.

use super::Ending;
use super::node::{Service, State};
use super::observe::{Command, Observed};
use super::world::{Deferred, Event, World};
use crate::id::NodeId;
use std::fmt;

impl World {
    /// Does what is ordered. An order about a node that does not exist is an error of the laboratory.
    pub fn execute(&mut self, command: Command) {
        if self.ended.is_some() {
            return;
        }
        // These are shown as what they are, when they happen.
        let shown = matches!(command, Command::Crash { .. } | Command::Boot { .. } | Command::Pause { .. })
            || matches!(command, Command::Resume { .. } | Command::After(..) | Command::End)
            || matches!(command, Command::TellWhenIdle { .. });
        if !shown {
            self.see(&Observed::Ordered { what: &command });
        }
        match command {
            Command::Cut { from, to } => self.net.cut(from, to),
            Command::Mend { from, to } => self.net.mend(from, to),
            Command::AddRule(rule) => self.net.rules.add(rule),
            Command::RemoveRule(name) => self.net.rules.remove(&name),
            Command::RemoveAllRules => self.net.rules.clear(),
            Command::Release { rule, deliver } => self.release(&rule, deliver),
            Command::Net(weather) => self.net.weather = weather,
            Command::Crash { node, power } => self.crash(node, power),
            Command::CrashAt(point) => self.add_crash_point(Some(point)),
            Command::DisarmCrashes => self.add_crash_point(None),
            Command::Boot { node } => self.start_soon(node),
            Command::Pause { node } => self.pause(node),
            Command::Resume { node } => self.resume(node),
            Command::ClockRate { node, ppm } => {
                self.nodes[node.slot()].clock.set_rate(ppm, self.now);
                self.ring(node);
            }
            Command::ClockJump { node, by } => {
                self.nodes[node.slot()].clock.jump(by.nanos(), self.now);
                self.ring(node);
            }
            Command::Disk { node, weather } => self.nodes[node.slot()].disk_weather = weather,
            Command::StallDisk { node, span } => {
                let until = self.now.saturating_add(span.nanos());
                let stalled = &mut self.nodes[node.slot()].disk_stalled_until;
                *stalled = until.max(*stalled);
            }
            Command::Corrupt { node, file, offset } => {
                self.nodes[node.slot()].disk.corrupt(&file, offset);
            }
            Command::Service { node, span, kinds } => {
                self.nodes[node.slot()].service = Service { each: span.nanos(), kinds };
            }
            Command::TellWhenIdle { node } => self.nodes[node.slot()].tell_when_idle = true,
            Command::After(span, command) => self.order_later(span.nanos(), *command),
            Command::End => self.end(Ending::Hook),
        }
    }

    fn release(&mut self, rule: &str, deliver: bool) {
        for packet in self.net.take_held(rule) {
            if deliver {
                let now = self.now;
                self.schedule(now, Event::Arrival(packet));
            }
        }
    }

    fn start_soon(&mut self, node: NodeId) {
        if self.nodes[node.slot()].state == State::Down {
            self.defer(Deferred::Start(node));
        }
    }

    fn pause(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.slot()];
        if node.state == State::Up {
            node.state = State::Paused;
            if let Some(machine) = self.machines[id.slot()].clone() {
                self.defer(Deferred::Pause(machine));
            }
            self.see(&Observed::Paused { node: id });
        }
    }

    fn resume(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.slot()];
        if node.state == State::Paused {
            node.state = State::Up;
            if let Some(machine) = self.machines[id.slot()].clone() {
                self.defer(Deferred::Resume(machine));
            }
            self.see(&Observed::Resumed { node: id });
        }
    }
}

/// As a trace shows it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Cut { from, to } => write!(f, "cut {from} -> {to}"),
            Command::Mend { from, to } => write!(f, "mend {from} -> {to}"),
            Command::AddRule(rule) => {
                let kinds = if rule.kinds.is_empty() { "everything".into() } else { rule.kinds.join(", ") };
                write!(f, "rule `{}`: {kinds} {} -> {}: {:?}", rule.name, rule.from, rule.to, rule.verdict)
            }
            Command::RemoveRule(name) => write!(f, "no more rule `{name}`"),
            Command::RemoveAllRules => write!(f, "no more rules"),
            Command::Release { rule, deliver: true } => write!(f, "deliver what `{rule}` holds"),
            Command::Release { rule, deliver: false } => write!(f, "lose what `{rule}` holds"),
            Command::Net(weather) => write!(f, "{weather:?}"),
            Command::Crash { node, power: false } => write!(f, "crash {node}"),
            Command::Crash { node, power: true } => write!(f, "power failure of {node}"),
            Command::CrashAt(point) => {
                let power = if point.power { "power failure" } else { "crash" };
                let on = if point.on.is_empty() { String::new() } else { format!(" of `{}`", point.on) };
                let (edge, effect) = (point.edge, point.effect);
                write!(f, "{power} of {} {edge:?} {effect:?}{on} no. {}", point.node, point.nth)
            }
            Command::DisarmCrashes => write!(f, "no more crash points"),
            Command::Boot { node } => write!(f, "boot {node}"),
            Command::Pause { node } => write!(f, "pause {node}"),
            Command::Resume { node } => write!(f, "resume {node}"),
            Command::ClockRate { node, ppm } => write!(f, "clock of {node} at {ppm} ppm"),
            Command::ClockJump { node, by } => write!(f, "clock of {node} jumps by {by}"),
            Command::Disk { node, weather } => write!(f, "disk of {node}: {weather:?}"),
            Command::StallDisk { node, span } => write!(f, "disk of {node} stalls for {span}"),
            Command::Corrupt { node, file, offset } => write!(f, "bit flip in `{file}` of {node} at {offset}"),
            Command::Service { node, span, kinds } if kinds.is_empty() => {
                write!(f, "{node} takes {span} for each message")
            }
            Command::Service { node, span, kinds } => {
                write!(f, "{node} takes {span} for each {}", kinds.join(", "))
            }
            Command::TellWhenIdle { node } => write!(f, "tell when {node} has handled its messages"),
            Command::After(span, command) => write!(f, "in {span}: {command}"),
            Command::End => write!(f, "end"),
        }
    }
}
