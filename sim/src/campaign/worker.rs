//! The worker's side: jobs come in as lines of JSON, summaries go out.
//!
//! The code under test may print, and its threads write to the same pipes. So a worker holds standard output only
//! for a line, and its lines begin with a mark that its parent gave it; all else is no line of the protocol.

use super::Job;
use crate::lab::{Line, Record, run_plan};
use crate::scenario::Suite;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};

/// The hidden argument that makes a program a worker. The next one is what its lines begin with.
pub const WORKER: &str = "__worker";

/// What a worker is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    /// Comes back with the summary.
    pub id: u64,
    pub job: Job,
    /// Write every event to this file, a line each.
    #[serde(default)]
    pub lines_to: Option<std::path::PathBuf>,
}

/// What a worker says.
#[derive(Serialize, Deserialize)]
pub(super) enum Said {
    /// It begins with a task.
    Began(u64),
    /// It is done with one.
    Done(u64, Box<crate::lab::Summary>),
}

/// Works until there is no more to do. Returns whether all was well with the pipes.
pub fn work(suites: &[Suite]) -> bool {
    let Some(mark) = std::env::args().nth(2) else { return false };
    for line in std::io::stdin().lock().lines() {
        let Ok(task) = line.map_err(drop).and_then(|line| serde_json::from_str::<Task>(&line).map_err(drop)) else {
            return false;
        };
        if begin(&mark, task.id).is_err() {
            return false;
        }
        let plan = task.job.plan(suites);
        let system = &task.job.find(suites).expect("jobs are made from the suites that there are").0.system;
        let record = if task.lines_to.is_some() { Record::Everything } else { Record::Nothing };
        let report = run_plan(system, &plan, record);
        if let Some(path) = task.lines_to {
            let lines: String = report.trace.iter().map(digestible).collect();
            if std::fs::write(path, lines).is_err() {
                return false;
            }
        }
        if say(&mark, &Said::Done(task.id, Box::new(report.summary()))).is_err() {
            return false;
        }
    }
    true
}

/// On standard error the mark divides what one run writes from what the next does.
fn begin(mark: &str, id: u64) -> std::io::Result<()> {
    std::io::stderr().write_all(format!("\n{mark}\n").as_bytes())?;
    say(mark, &Said::Began(id))
}

/// The line break in front is for text that has none at its end.
fn say(mark: &str, said: &Said) -> std::io::Result<()> {
    let line = format!("\n{mark}{}\n", serde_json::to_string(said)?);
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// An event as a line that is equal for equal events and differs for others.
fn digestible(line: &Line) -> String {
    let node = line.node.map_or("lab".into(), |node| node.to_string());
    format!("{} {:>12} ns  {node:>4}  {}\n", line.nth, line.at, line.text)
}
