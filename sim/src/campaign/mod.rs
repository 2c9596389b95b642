//! Campaigns: many runs, on all cores, with a verdict at the end.
//!
//! Runs happen in worker *processes*, each run on a fresh thread. A loop of somebody's code that never yields
//! cannot be stopped from inside its process; from outside it can, and the seed is known. A worker that dies
//! takes one run with it.

mod check;
mod found;
mod merge;
mod odds;
mod pool;
mod process;
mod progress;
mod results;
mod seeds;
mod story;
mod watched;
mod worker;

pub use check::compare;
pub use found::{Divergence, Found};
pub use merge::{Bad, Merged, Read, Run, Which, gaps};
pub use odds::{bound, clean_needed, interval, statement};
pub use pool::{Options, run};
pub use results::{CutShort, Results, marks_text, remarks};
pub use seeds::Seeds;
pub use story::{Width, heading, replay_command, story, trace};
pub use watched::watched;
pub use worker::{WORKER, work};

use crate::scenario::{Scenario, Suite};
use serde::{Deserialize, Serialize};

/// One run to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Which suite.
    pub suite: String,
    /// Which scenario.
    pub scenario: String,
    /// Which seed.
    pub seed: u64,
    /// Which bug to plant.
    #[serde(default)]
    pub bug: Option<String>,
    /// Which checks to switch off.
    #[serde(default)]
    pub mute: Vec<String>,
}

impl Job {
    /// The suite and the scenario that it names.
    pub fn find<'a>(&self, suites: &'a [Suite]) -> Option<(&'a Suite, &'a Scenario)> {
        let suite = suites.iter().find(|suite| suite.name == self.suite)?;
        Some((suite, suite.scenario(&self.scenario)?))
    }

    /// The plan of the run.
    ///
    /// # Panics
    /// If there is no such scenario: jobs are made from the suites that there are.
    pub fn plan(&self, suites: &[Suite]) -> crate::plan::Plan {
        let (suite, scenario) = self.find(suites).expect("jobs are made from the suites that there are");
        let mut plan = suite.plan(scenario, self.seed, self.bug.as_deref());
        plan.mute = self.mute.clone();
        plan
    }
}
