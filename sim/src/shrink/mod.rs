//! Shrinking: from a plan that violates something to the smallest that still violates the same.
//!
//! What is left of a plan explains what happened; what could be taken out had nothing to do with it. The search is delta
//! debugging (Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*): take out a half, a quarter, one by one,
//! and keep what still fails. It is pure: [`shrink`] asks an [`Oracle`] which of some smaller plans fails, and [`Runner`] answers
//! by running them.
//!
//! A plan can also be made so small that any system fails it: without the step that heals a partition nobody makes progress.
//! See [`Care`].

mod care;
mod chunks;
mod groups;
mod parts;
mod progress;
mod repair;
mod runner;
mod search;
mod settings;
mod times;

pub use care::Care;
pub use runner::{Lost, Options, Runner};
pub use search::{Oracle, shrink};

use crate::plan::{Plan, Step};
use std::fmt;

/// How much there is in a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Faults at fixed times.
    pub faults: usize,
    /// Reactions of all triggers.
    pub reactions: usize,
    /// Clients.
    pub clients: usize,
    /// Operations of all clients.
    pub ops: usize,
    /// Steps of the script, those that are repeated once.
    pub steps: usize,
    /// Servers of all groups.
    pub servers: usize,
}

impl Size {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Size {
        fn steps(of: &[Step]) -> usize {
            let inner = |step: &Step| if let Step::Repeat { steps: inner, .. } = step { steps(inner) } else { 0 };
            of.iter().map(|step| 1 + inner(step)).sum()
        }
        Size {
            faults: plan.faults.len(),
            reactions: plan.triggers.iter().map(|trigger| trigger.then.len()).sum(),
            clients: plan.clients.len(),
            ops: plan.clients.iter().map(|client| client.ops.len()).sum(),
            steps: steps(&plan.script),
            servers: plan.server_count() as usize,
        }
    }

    /// Faults of either kind, clients and their operations: what the size of a plan is judged by.
    pub fn entries(&self) -> usize {
        self.faults + self.reactions + self.clients + self.ops
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (faults, reactions) = (count(self.faults, "fault"), count(self.reactions, "reaction"));
        let (clients, ops) = (count(self.clients, "client"), count(self.ops, "operation"));
        let (steps, servers) = (count(self.steps, "step"), count(self.servers, "server"));
        write!(f, "{faults}, {reactions} of triggers, {clients} with {ops}, {steps}, {servers}")
    }
}
