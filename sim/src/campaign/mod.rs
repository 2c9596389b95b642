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
mod source;
mod story;
mod watched;
mod worker;

pub use check::compare;
pub use found::{Divergence, Found};
pub use merge::{Bad, Merged, Read, Run, Which, gaps};
pub use odds::{bound, clean_needed, interval, statement};
pub use pool::{Options, conduct, run};
pub use results::{CutShort, Results, marks_text, remarks};
pub use seeds::{Seeds, Shard};
pub use source::{Listed, Next, Source};
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
    /// The plan, where it is none that the scenario draws for the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
}

/// A plan that no seed draws.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drawn {
    /// The plan.
    pub plan: Box<crate::plan::Plan>,
    /// Where it is written to if it fails.
    pub file: std::path::PathBuf,
}

impl Drawn {
    /// Writes it there.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn write(&self) -> std::io::Result<()> {
        self.file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&self.file, self.plan.to_json())
    }
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
        if let Some(Drawn { plan, .. }) = &self.drawn {
            return plan.as_ref().clone();
        }
        let (suite, scenario) = self.find(suites).expect("jobs are made from the suites that there are");
        let mut plan = suite.plan(scenario, self.seed, self.bug.as_deref());
        plan.mute = self.mute.clone();
        plan
    }
}
