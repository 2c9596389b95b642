//! What comes of a campaign: counts, failures, and the statement that it supports.

use super::Job;
use super::found::Found;
use super::odds::statement;
use crate::lab::Summary;
use crate::oracle::MARKS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A campaign may be ended from outside at any moment; lines of JSON are in their file after this at the latest.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// What came of a campaign.
pub struct Results {
    /// Runs that were made.
    pub runs: u64,
    /// Of these, runs whose script was left because its situation did not come about.
    pub skipped: u64,
    /// What was found, in the order of the jobs, which is the same however many workers there are.
    pub failures: Vec<(Job, Found)>,
    /// Runs that were asked for.
    pub total: u64,
    /// Why not all of them were made.
    pub cut_short: Option<CutShort>,
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
    /// For each failure, the number of its job.
    nths: Vec<u64>,
    started: Instant,
    json: Option<Lines>,
}

/// Why a campaign ended before all runs were made.
#[derive(Debug)]
pub enum CutShort {
    /// So many failures were enough.
    Failures(usize),
    /// It could not go on.
    Error(std::io::Error),
}

/// A line of JSON for something that has no summary to be found in.
#[derive(Serialize)]
struct FoundLine<'a> {
    found: String,
    #[serde(flatten)]
    job: &'a Job,
    detail: String,
}

impl Results {
    pub(super) fn new(total: u64, json: Option<&Path>) -> std::io::Result<Results> {
        Ok(Results {
            runs: 0,
            skipped: 0,
            failures: Vec::new(),
            total,
            cut_short: None,
            nths: Vec::new(),
            messages: 0,
            virtual_seconds: 0.0,
            marks: vec![(0, 0); MARKS.len()],
            waived: BTreeMap::new(),
            not_checked: BTreeMap::new(),
            took: Duration::ZERO,
            checked: false,
            started: Instant::now(),
            json: json.map(Lines::create).transpose()?,
        })
    }

    pub(super) fn add(&mut self, summary: &Summary) -> std::io::Result<()> {
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
        self.json.as_mut().map_or(Ok(()), |lines| lines.write(summary))
    }

    pub(super) fn fail(&mut self, nth: u64, job: Job, found: Found) -> std::io::Result<()> {
        let detail = match &found {
            Found::Violation(_) => None, // it is in the summary
            Found::Hung { patience, said } => Some(format!("no end within {patience:?}; {said}")),
            Found::Died { how, said } => Some(format!("{how}; {said}")),
            Found::Diverged(_) => Some("made again, it had another digest".into()),
        };
        // There is no summary of what did not come to its end.
        self.runs += u64::from(matches!(found, Found::Hung { .. } | Found::Died { .. }));
        let named = match &job.drawn {
            // Summaries call it by that name.
            Some(drawn) => Job { scenario: drawn.plan.scenario.clone(), drawn: None, ..job.clone() },
            None => job.clone(),
        };
        let line = detail.map(|detail| FoundLine { found: found.word().to_lowercase(), job: &named, detail });
        let written = match (&mut self.json, line) {
            (Some(lines), Some(line)) => lines.write(&line),
            _ => Ok(()),
        };
        let at = self.nths.partition_point(|other| *other <= nth);
        self.nths.insert(at, nth);
        self.failures.insert(at, (job, found));
        written
    }

    /// The number of the job that has the last of so many failures, once there are that many.
    pub(super) fn enough(&self, failures: usize) -> Option<u64> {
        self.nths.get(failures.saturating_sub(1)).copied()
    }

    /// The number of the job that failed first, from 1.
    pub fn first_failure(&self) -> Option<u64> {
        self.enough(1)
    }

    /// Lets others see what there is, now and then.
    pub(super) fn tick(&mut self) -> std::io::Result<()> {
        self.json.as_mut().map_or(Ok(()), Lines::tick)
    }

    pub(super) fn finish(&mut self, checked: bool, ended: std::io::Result<Option<CutShort>>) {
        self.took = self.started.elapsed();
        self.checked = checked;
        let flushed = self.json.as_mut().map_or(Ok(()), Lines::flush);
        self.cut_short = match (ended, flushed) {
            (Err(error), _) | (Ok(None), Err(error)) => Some(CutShort::Error(error)),
            (Ok(ended), _) => ended,
        };
    }

    /// Whether something is wrong with the system.
    pub fn has_failed(&self) -> bool {
        self.failures.iter().any(|(_, found)| found.is_failure())
    }

    /// Whether every run that was asked for, or as many as failed, came to its end.
    pub fn is_decided(&self) -> bool {
        let is_broken = matches!(self.cut_short, Some(CutShort::Error(_)));
        !is_broken && self.failures.iter().all(|(_, found)| found.is_failure())
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
        text.push_str(&remarks(self.skipped, &self.waived, &self.not_checked));
        let made = format!("{} of {} runs were made", self.runs, self.total);
        match &self.cut_short {
            None => {}
            Some(CutShort::Failures(1)) => _ = writeln!(text, "stopped after 1 failure (--max-failures): {made}"),
            Some(CutShort::Failures(n)) => {
                _ = writeln!(text, "stopped after {n} failures (--max-failures): {made}")
            }
            Some(CutShort::Error(error)) => _ = writeln!(text, "CUT SHORT: {error}: {made}"),
        }
        let _ = writeln!(text, "{}", self.statement());
        text
    }

    /// Which marks were reached in how many runs.
    pub fn marks_text(&self) -> String {
        marks_text(&self.marks)
    }

    /// What the campaign supports.
    pub fn statement(&self) -> String {
        let count = |is_failure: bool| {
            let found = self.nths.iter().zip(&self.failures);
            let mut nths: Vec<u64> =
                found.filter(|(_, (_, found))| found.is_failure() == is_failure).map(|(nth, _)| *nth).collect();
            nths.dedup();
            nths.len() as u64
        };
        statement(count(true), count(false), self.runs)
    }
}

/// A file with a line of JSON for each run.
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Instant,
}

impl Lines {
    fn create(path: &Path) -> std::io::Result<Lines> {
        let file = File::create(path).map_err(|error| named(path, &error))?;
        Ok(Lines { path: path.into(), file: BufWriter::new(file), flushed: Instant::now() })
    }

    fn write(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|error| named(&self.path, &error))?;
        self.tick()
    }

    fn tick(&mut self) -> std::io::Result<()> {
        if self.flushed.elapsed() < FLUSH_EVERY { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.flushed = Instant::now();
        self.file.flush().map_err(|error| named(&self.path, &error))
    }
}

fn named(path: &Path, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()))
}

/// What is to be said about runs that were made but not in full.
pub fn remarks(skipped: u64, waived: &BTreeMap<String, u64>, not_checked: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    if skipped > 0 {
        let _ = writeln!(text, "{skipped} runs did not come to the situation that they are made for");
    }
    for (why, runs) in waived {
        let _ = writeln!(text, "waived in {runs} runs: {why}");
    }
    for (check, runs) in not_checked {
        let _ =
            writeln!(text, "NOT CHECKED in {runs} runs, since the implementation does not tell enough: {check}");
    }
    text
}

/// Which marks were reached in how many runs, and how often in all.
pub fn marks_text(marks: &[(u64, u64)]) -> String {
    let mut text = String::new();
    for (label, (runs, times)) in MARKS.iter().zip(marks) {
        let _ = writeln!(text, "{runs:>9} runs {times:>10} times  {label}");
    }
    text
}
