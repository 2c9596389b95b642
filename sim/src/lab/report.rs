//! What is left of a run: a verdict, what was counted, and for a red one its story.

use super::render::Line;
use crate::history::History;
use crate::oracle::Violation;
use labrpc::{Event, Time};
use serde::{Deserialize, Serialize};

/// The verdict on a run.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Everything held that was checked.
    Ok,
    /// Something did not.
    Violated(Box<Violation>),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which system.
    pub suite: String,
    /// Which scenario.
    pub scenario: String,
    /// Which seed.
    pub seed: u64,
    /// Which schedule seed.
    pub schedule: u64,
    /// Which bug was planted.
    pub bug: Option<String>,
    /// What the seed has drawn, in words, if it draws much.
    pub drawn: Vec<String>,
    /// The verdict.
    pub outcome: Outcome,
    /// The situation that the script is made for did not come about, so the rest of it was left out.
    pub skipped: bool,
    /// What was planned and did not come about: a step's time passed, a rule decided over no message, nobody came
    /// to a crash point. Of a red run it is not known.
    pub unmet: Vec<String>,
    /// The digest of every event.
    pub digest: u64,
    /// How many events there were.
    pub events: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Virtual time, in nanoseconds.
    pub virtual_nanos: u64,
    /// Entries committed, in all groups together.
    pub commits: u64,
    /// How often each mark was reached, in the order of [`crate::oracle::MARKS`].
    pub marks: Vec<u32>,
    /// Demands that were not made, and why.
    pub waived: Vec<String>,
    /// Checks that were switched off.
    pub mute: Vec<String>,
    /// Checks that could not be made, since the implementation does not tell enough.
    pub not_checked: Vec<&'static str>,
    /// How many servers there are, in all groups together. Nodes behind them are clients.
    pub servers: u32,
    /// What became of the shards of a sharded store: each thing as the first server of a group has said it, and when.
    pub shards: Vec<(Time, Event)>,
    /// Every event, if they were recorded.
    pub trace: Vec<Line>,
    /// What clients of a key/value service did and were told; with the faults meanwhile, if events were recorded.
    pub history: History,
}

impl Report {
    /// What did not hold, if anything.
    pub fn violation(&self) -> Option<&Violation> {
        match &self.outcome {
            Outcome::Ok => None,
            Outcome::Violated(violation) => Some(violation),
        }
    }

    /// In a form that goes through a pipe or into a file, without the trace.
    pub fn summary(&self) -> Summary {
        Summary {
            suite: self.suite.clone(),
            scenario: self.scenario.clone(),
            seed: self.seed,
            schedule: self.schedule,
            bug: self.bug.clone(),
            mute: self.mute.clone(),
            violation: self.violation().map(|violation| Box::new(violation.clone())),
            skipped: self.skipped,
            unmet: self.unmet.clone(),
            digest: format!("{:016x}", self.digest),
            events: self.events,
            messages: self.messages,
            bytes: self.bytes,
            virtual_nanos: self.virtual_nanos,
            commits: self.commits,
            marks: self.marks.clone(),
            waived: self.waived.clone(),
            not_checked: self.not_checked.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A run, as one line of JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // as in `Report`
pub struct Summary {
    pub suite: String,
    pub scenario: String,
    pub seed: u64,
    pub schedule: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mute: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<Box<Violation>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
    pub digest: String,
    pub events: u64,
    pub messages: u64,
    pub bytes: u64,
    pub virtual_nanos: u64,
    pub commits: u64,
    pub marks: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<String>,
}
