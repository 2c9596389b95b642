//! What comes of a campaign: counts, failures, and the statement that it supports.

use super::Job;
use super::found::Found;
use crate::lab::Summary;
use crate::oracle::MARKS;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What came of a campaign.
pub struct Results {
    /// Runs that were made.
    pub runs: u64,
    /// Of these, runs whose script was left because its situation did not come about.
    pub skipped: u64,
    /// What is wrong, in the order in which it was found.
    pub failures: Vec<(Job, Found)>,
    /// Messages delivered.
    pub messages: u64,
    /// Virtual time, in seconds.
    pub virtual_seconds: f64,
    /// For each mark, in how many runs it was reached and how often in all.
    pub marks: Vec<(u64, u64)>,
    /// Demands that were not made, and in how many runs.
    pub waived: BTreeMap<String, u64>,
    /// Checks that could not be made, and in how many runs.
    pub not_checked: BTreeMap<String, u64>,
    /// Real time.
    pub took: Duration,
    /// Whether each run was made twice.
    pub checked: bool,
    started: Instant,
    json: Option<BufWriter<File>>,
}

impl Results {
    pub(super) fn new(json: Option<&Path>) -> std::io::Result<Results> {
        Ok(Results {
            runs: 0,
            skipped: 0,
            failures: Vec::new(),
            messages: 0,
            virtual_seconds: 0.0,
            marks: vec![(0, 0); MARKS.len()],
            waived: BTreeMap::new(),
            not_checked: BTreeMap::new(),
            took: Duration::ZERO,
            checked: false,
            started: Instant::now(),
            json: json.map(File::create).transpose()?.map(BufWriter::new),
        })
    }

    pub(super) fn add(&mut self, job: Job, summary: Summary) -> std::io::Result<()> {
        self.runs += 1;
        self.skipped += u64::from(summary.skipped);
        self.messages += summary.messages;
        self.virtual_seconds += summary.virtual_nanos as f64 / 1e9;
        for ((runs, times), count) in self.marks.iter_mut().zip(&summary.marks) {
            *runs += u64::from(*count > 0);
            *times += u64::from(*count);
        }
        for waived in &summary.waived {
            *self.waived.entry(waived.clone()).or_default() += 1;
        }
        for check in &summary.not_checked {
            *self.not_checked.entry(check.clone()).or_default() += 1;
        }
        if let Some(file) = &mut self.json {
            serde_json::to_writer(&mut *file, &summary)?;
            file.write_all(b"\n")?;
        }
        if let Some(violation) = summary.violation {
            self.failures.push((job, Found::Violation(violation)));
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, job: Job, found: Found) {
        self.failures.push((job, found));
    }

    pub(super) fn finish(&mut self, checked: bool) {
        self.took = self.started.elapsed();
        self.checked = checked;
        if let Some(file) = &mut self.json {
            let _ = file.flush();
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let seconds = self.took.as_secs_f64().max(0.001);
        let _ = writeln!(
            text,
            "{} runs in {seconds:.1} s ({:.0} a second): {:.0} simulated seconds, {} messages",
            self.runs,
            self.runs as f64 / seconds,
            self.virtual_seconds,
            self.messages
        );
        if self.checked {
            let _ = writeln!(
                text,
                "each run was made again in another process, with the same digest unless said otherwise"
            );
        }
        if self.skipped > 0 {
            let _ = writeln!(text, "{} runs did not come to the situation that they are made for", self.skipped);
        }
        for (why, runs) in &self.waived {
            let _ = writeln!(text, "waived in {runs} runs: {why}");
        }
        for (check, runs) in &self.not_checked {
            let _ = writeln!(
                text,
                "NOT CHECKED in {runs} runs, since the implementation does not tell enough: {check}"
            );
        }
        let _ = writeln!(text, "{}", self.statement());
        text
    }

    /// Which marks were reached in how many runs.
    pub fn marks_text(&self) -> String {
        let mut text = String::new();
        for (label, (runs, times)) in MARKS.iter().zip(&self.marks) {
            let _ = writeln!(text, "{runs:>9} runs {times:>10} times  {label}");
        }
        text
    }

    /// What the campaign supports.
    pub fn statement(&self) -> String {
        match self.failures.len() {
            0 => format!("0 of {} runs failed: p < {:.1e} at 95 %", self.runs, bound(self.runs)),
            failed => format!("{failed} of {} runs failed", self.runs.max(failed as u64)),
        }
    }
}

/// If none of so many independent runs failed, a run fails with less than this probability, at 95 % confidence:
/// the p at which that many runs would all pass in one case of twenty.
pub fn bound(runs: u64) -> f64 {
    if runs == 0 { 1.0 } else { 1.0 - 0.05f64.powf(1.0 / runs as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_rule_of_three_for_many_runs() {
        assert!((bound(10_000) - 3.0e-4).abs() < 1e-6);
        assert!((bound(1) - 0.95).abs() < 1e-9);
    }
}
