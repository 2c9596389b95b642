//! The worker's side: jobs come in as lines of JSON, summaries go out.

use super::Job;
use crate::lab::{Line, Record, run_plan};
use crate::scenario::Suite;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// The hidden argument that makes a program a worker.
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

/// Starts this program as a worker.
pub(super) fn spawn_worker() -> std::io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(WORKER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdin = child.stdin.take().expect("it is piped");
    Ok((child, stdin))
}

/// Works until there is no more to do. Returns whether all was well with the pipes.
pub fn work(suites: &[Suite]) -> bool {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(task) = line.map_err(drop).and_then(|line| serde_json::from_str::<Task>(&line).map_err(drop)) else {
            return false;
        };
        if say(&mut out, &Said::Began(task.id)).is_err() {
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
        if say(&mut out, &Said::Done(task.id, Box::new(report.summary()))).is_err() {
            return false;
        }
    }
    true
}

fn say(out: &mut impl Write, said: &Said) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// An event as a line that is equal for equal events and differs for others.
fn digestible(line: &Line) -> String {
    let node = line.node.map_or("lab".into(), |node| node.to_string());
    format!("{} {:>12} ns  {node:>4}  {}\n", line.nth, line.at, line.text)
}
