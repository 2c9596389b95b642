//! What a plan must satisfy before it is run: a plan that is impossible is refused and not half carried out.

mod bounds;
mod names;
mod size;
#[cfg(test)]
mod tests;

use super::{FORMAT, Plan};
use labrpc::sim::NodeSet;
use names::Names;

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
/// Servers and the nodes of clients: each has a number from 1, below what a set of nodes can hold.
const MOST_NODES: u32 = NodeSet::CAPACITY - 1;

/// Checks that end the run: without them there is nothing to go on with.
const NEVER_MUTE: [&str; 2] = ["panic", "stuck"];

/// Refuses a plan.
fn refuse<T>(place: &str, why: String) -> Result<T, PlanError> {
    Err(PlanError::Impossible { place: place.into(), why })
}

impl Plan {
    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// [`PlanError::Impossible`].
    pub fn check(&self) -> Result<(), PlanError> {
        if self.format != FORMAT {
            return refuse(
                "format",
                format!("this is a plan of format {}; this program runs {FORMAT}", self.format),
            );
        }
        if self.servers == 0 || self.servers > MOST_SERVERS {
            return refuse("servers", format!("{} servers; there can be 1 to {MOST_SERVERS}", self.servers));
        }
        if self.groups == 0 || self.server_count() > MOST_SERVERS {
            let (groups, servers) = (self.groups, self.servers);
            let why = format!(
                "{groups} groups of {servers} servers; there is at least 1, and {MOST_SERVERS} servers in all"
            );
            return refuse("groups", why);
        }
        if let Some(voters) = self.voters {
            if voters == 0 || voters > self.servers {
                return refuse("voters", format!("{voters} of {} servers; there is at least 1", self.servers));
            }
            if self.finale.core.is_some() {
                let why =
                    "who is a majority depends on who belongs to the cluster by then: leave it out, with `voters`";
                return refuse("finale.core", why.into());
            }
            if !self.knobs.noop {
                let why =
                    "without knobs.noop a leader may have to wait for a command before it may change anything";
                return refuse("voters", why.into());
            }
            if !self.knobs.pre_vote && !self.knobs.check_quorum {
                let why = "without knobs.pre_vote and knobs.check_quorum, a server that was taken out and does not know it \
                           deposes every leader (thesis 4.2.3)";
                return refuse("voters", why.into());
            }
        }
        if self.finale.converge && !self.knobs.noop {
            let why = "without knobs.noop, entries of an older term stay uncommitted until somebody sends a command: \
                       servers need not converge in silence";
            return refuse("finale.converge", why.into());
        }
        let known: Vec<&str> = crate::oracle::cards().iter().map(|card| card.id).collect();
        for mute in &self.mute {
            if !known.contains(&mute.as_str()) {
                return refuse("mute", format!("there is no check `{mute}`; there are {}", known.join(", ")));
            }
            if NEVER_MUTE.contains(&mute.as_str()) {
                return refuse("mute", format!("`{mute}` ends the run: it cannot be switched off"));
            }
        }
        Names::new(self).all()?;
        bounds::all(self)
    }
}
