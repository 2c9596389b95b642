//! A red run's story: what did not hold, how to see it again, and what happened last, a column for each server.

use super::found::Found;
use super::{Divergence, Drawn, Job};
use crate::lab::Line;
use crate::lab::{Detail, Report};
use crate::oracle::Violation;
use labrpc::NodeId;
use std::fmt::Write as _;
use std::time::Duration;

/// How wide lines may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Width(pub usize);

/// Lines shown of a red run unless asked for otherwise.
const LAST: usize = 40;

/// What was found, in words. `replay`: the command that shows it again. `report`: the same run, recorded.
pub fn story(replay: &str, job: &Job, found: &Found, report: Option<&Report>, width: Width) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", heading(job, found));
    match found {
        Found::Violation(violation) => text.push_str(&explained(violation)),
        Found::Hung { patience, said } => {
            let _ = writeln!(text, "  {}", hung(*patience));
            text.push_str(&last_words(said));
        }
        Found::Died { how, said } => {
            let _ = writeln!(text, "  the process of the run ended: {how}");
            text.push_str(&last_words(said));
        }
        Found::Diverged(divergence) => text.push_str(&parted(divergence)),
    }
    if let Some(report) = report
        && let Found::Violation(violation) = found
    {
        if !report.drawn.is_empty() {
            let _ = writeln!(text, "  The seed has drawn:");
            report.drawn.iter().for_each(|drawn| _ = writeln!(text, "      {drawn}"));
        }
        let at = violation.at;
        let until = if violation.event == 0 { u64::MAX } else { violation.event };
        let told = |line: &&Line| line.detail < Detail::Machinery && line.nth <= until;
        let lines: Vec<&Line> = report.trace.iter().filter(told).collect();
        let shown = &lines[lines.len().saturating_sub(LAST)..];
        let _ = writeln!(text, "  The last {} events (at {:.6} s it was seen):\n", shown.len(), at as f64 / 1e9);
        text.push_str(&columns(shown, report.servers, width));
    }
    let _ = writeln!(text, "\n  Replay it:  {replay}\n  All of it:  {replay} --trace");
    text
}

/// The first line of a story: what, and where.
pub fn heading(job: &Job, found: &Found) -> String {
    let scenario = job.drawn.as_ref().map_or(&job.scenario, |drawn| &drawn.plan.scenario);
    let (word, run) = (found.word(), format!("{} {scenario}, seed {}", job.suite, job.seed));
    match found {
        Found::Violation(violation) => format!("{word}  {}  in {run}", violation.check),
        _ => format!("{word}  {run}"),
    }
}

fn last_words(said: &str) -> String {
    let mut text = String::new();
    if !said.is_empty() {
        text.push_str("  It wrote to standard error last:\n");
        said.lines().for_each(|line| _ = writeln!(text, "      {line}"));
    }
    text
}

fn explained(violation: &Violation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "  {}", violation.detail);
    let _ = writeln!(text, "  Property: {}", violation.property);
    let _ = writeln!(text, "  Source:   {}", violation.source);
    let _ = writeln!(text, "  Lesson:   {}", violation.lesson);
    text
}

fn hung(patience: Duration) -> String {
    format!(
        "it did not end within {patience:?} of real time: some code loops without ever waiting. Its process was ended"
    )
}

fn parted(divergence: &Divergence) -> String {
    let mut text = String::new();
    if divergence.one.is_empty() && divergence.other.is_empty() {
        text.push_str(
            "  made again it had another digest, and made twice more the same: it depends on something rare\n",
        );
        return text;
    }
    text.push_str(
        "  made twice, it goes two ways. Something reads a clock, entropy, an address or a hash order.\n",
    );
    text.push_str("  Both begin:\n");
    divergence.common.iter().for_each(|line| _ = writeln!(text, "      {line}"));
    text.push_str("  and go on with either\n");
    divergence.one.iter().for_each(|line| _ = writeln!(text, "    A {line}"));
    text.push_str("  or\n");
    divergence.other.iter().for_each(|line| _ = writeln!(text, "    B {line}"));
    text
}

/// The command that makes the run again.
pub fn replay_command(program: &str, job: &Job) -> String {
    if let Some(Drawn { file, .. }) = &job.drawn {
        return format!("{program} replay {}", file.display());
    }
    let mut command = format!("{program} replay {} --seed {}", job.scenario, job.seed);
    if let Some(bug) = &job.bug {
        let _ = write!(command, " --bug {bug}");
    }
    for mute in &job.mute {
        let _ = write!(command, " --mute {mute}");
    }
    command
}

/// A whole trace, down to a level of detail.
pub fn trace(report: &Report, detail: Detail, width: Width) -> String {
    let lines: Vec<&Line> = report.trace.iter().filter(|line| line.detail <= detail).collect();
    columns(&lines, report.servers, width)
}

/// A column for each server, and one for all clients; what the laboratory does goes across.
fn columns(lines: &[&Line], servers: u32, width: Width) -> String {
    let time = 11;
    let has_clients = lines.iter().any(|line| line.node.is_some_and(|node| node.0 > servers));
    let count = servers + u32::from(has_clients);
    let column = ((width.0.saturating_sub(time + 2)) / count.max(1) as usize).clamp(22, 48);
    let mut text = String::new();
    let head = |n| if n > servers { "clients".into() } else { NodeId(n).to_string() };
    let heads: String = (1..=count).map(|n| format!("{:<column$}", head(n))).collect();
    let _ = writeln!(text, "{:>time$}  {}", "seconds", heads.trim_end());
    let mut last = u64::MAX;
    for line in lines {
        let at = if line.at / 1_000 == last { String::new() } else { format!("{:.6}", line.at as f64 / 1e9) };
        last = line.at / 1_000;
        match line.node.filter(|node| node.0 > 0) {
            None => _ = writeln!(text, "{at:>time$}  == {}", line.text),
            Some(node) => {
                let place = node.0.min(count);
                let indent = (place as usize - 1) * column;
                // The last column may run on; the others must leave room for their neighbours.
                let room =
                    if place == count { usize::MAX } else { width.0.max(time + 2 + count as usize * column) };
                let shown: String = line.text.chars().take(room).collect();
                let _ = writeln!(text, "{at:>time$}  {:indent$}{shown}", "");
            }
        }
    }
    text
}
