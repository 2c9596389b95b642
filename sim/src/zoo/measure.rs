//! One bug in one column: runs until it has been detected often enough, and the same runs without it.

use super::cache::Cache;
use super::column::{Caps, Column};
use crate::campaign::{self, CutShort, Found, Job, Options};
use crate::raft::{BugCard, Study};
use crate::scenario::Suite;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::path::PathBuf;

/// What came of looking for a bug in a column.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Which program.
    pub build: String,
    /// Which system.
    pub suite: String,
    /// Which bug.
    pub bug: String,
    /// Which column.
    pub column: Column,
    /// Runs at most.
    pub cap: u64,
    /// Detections that were enough.
    pub wanted: u64,
    /// Runs that were to be compared with those without the bug, at most.
    pub sample: u64,
    /// Runs that were made.
    pub runs: u64,
    /// Those of them that detected the bug.
    pub detections: Vec<Detection>,
    /// Red runs that are red without the bug as well, and so say nothing about it.
    pub dismissed: u64,
    /// Runs that were compared with the same without the bug.
    pub compared: u64,
    /// Of these, those in which the bug made any difference.
    pub live: u64,
    /// Virtual time of all runs, in nanoseconds.
    pub nanos: u64,
}

/// A run that detected the bug.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Detection {
    /// The how manieth run it was, from 1.
    pub nth: u64,
    /// Which scenario.
    pub scenario: String,
    /// Which seed.
    pub seed: u64,
    /// The check that saw it.
    pub check: String,
    /// Virtual time from the beginning of the run, in nanoseconds.
    pub nanos: u64,
}

/// A run without a bug.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clean {
    /// Which program.
    pub build: String,
    /// Which system.
    pub suite: String,
    /// Which scenario.
    pub scenario: String,
    /// Which seed.
    pub seed: u64,
    /// The digest of every event.
    pub digest: String,
    /// The check that it does not pass, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// A line of JSON that a campaign has written about a run.
#[derive(Deserialize)]
struct Line {
    scenario: String,
    seed: u64,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    virtual_nanos: u64,
    #[serde(default)]
    violation: Option<Seen>,
    /// Of a run that has no summary.
    #[serde(default)]
    found: Option<String>,
}

#[derive(Deserialize)]
struct Seen {
    check: String,
    at: u64,
}

impl Line {
    /// What was amiss, and when.
    fn amiss(&self) -> Option<(&str, u64)> {
        let violation = self.violation.as_ref().map(|seen| (seen.check.as_str(), seen.at));
        violation.or(self.found.as_deref().map(|found| (found, self.virtual_nanos)))
    }
}

/// Looks for a bug in a column, or takes what is known of it from the cache.
///
/// # Errors
/// If processes cannot be started or files not be written.
pub fn measure(
    suite: &Suite,
    bug: &BugCard,
    column: Column,
    caps: &Caps,
    options: &Options,
    cache: &mut Cache,
) -> Result<Cell> {
    let class = bug.study.map_or_else(Default::default, |Study { class, .. }| class);
    let cell = Cell {
        build: cache.build().into(),
        suite: suite.name.into(),
        bug: bug.name.into(),
        column,
        cap: caps.runs(column, class),
        wanted: caps.detections,
        sample: caps.sample,
        runs: 0,
        detections: Vec::new(),
        dismissed: 0,
        compared: 0,
        live: 0,
        nanos: 0,
    };
    if let Some(known) = cache.cell(&cell) {
        return Ok(known.clone());
    }
    let mut search = Search { scenarios: column.scenarios(suite), mute: column.mute(), cell, options, cache };
    while search.goes_on() {
        search.stretch()?;
    }
    let cell = search.cell;
    cache.add_cell(cell.clone())?;
    Ok(cell)
}

struct Search<'a> {
    scenarios: Vec<&'static str>,
    mute: Vec<String>,
    cell: Cell,
    options: &'a Options,
    cache: &'a mut Cache,
}

impl Search<'_> {
    fn goes_on(&self) -> bool {
        let Cell { detections, wanted, runs, cap, .. } = &self.cell;
        !self.scenarios.is_empty() && (detections.len() as u64) < *wanted && runs < cap
    }

    /// The run of that number, from 0: one seed of each scenario after the other.
    fn job(&self, nth: u64) -> Job {
        let count = self.scenarios.len() as u64;
        Job {
            suite: self.cell.suite.clone(),
            scenario: self.scenarios[(nth % count) as usize].into(),
            seed: nth / count,
            bug: Some(self.cell.bug.clone()),
            mute: self.mute.clone(),
            drawn: None,
        }
    }

    /// Runs until as many are red as are wanted still, and the same without the bug as far as they are needed.
    fn stretch(&mut self) -> Result<()> {
        let first = self.cell.runs;
        let jobs: Vec<Job> = (first..self.cell.cap).map(|nth| self.job(nth)).collect();
        let missing = self.cell.wanted as usize - self.cell.detections.len();
        let lines = made(&jobs, missing, self.options, self.cache.scratch())?;
        if lines.is_empty() {
            return Err(Error::other(format!("no run of {} came back", self.cell.bug)));
        }
        let red = |at: &usize| lines[*at].amiss().is_some();
        let sampled = |at: &usize| first + (*at as u64) < self.cell.sample;
        let wanted: Vec<&Job> = (0..lines.len()).filter(|at| red(at) || sampled(at)).map(|at| &jobs[at]).collect();
        without_bug(&wanted, self.options, self.cache)?;
        for (at, line) in lines.iter().enumerate() {
            self.take_in(first + at as u64, line);
        }
        Ok(())
    }

    fn take_in(&mut self, nth: u64, line: &Line) {
        let clean = self.cache.clean(&self.cell.suite, &line.scenario, line.seed);
        let cell = &mut self.cell;
        cell.runs += 1;
        cell.nanos += line.virtual_nanos;
        let is_green = clean.is_some_and(|clean| clean.check.is_none());
        let amiss = line.amiss();
        if nth < cell.sample
            && let Some(clean) = clean
        {
            cell.compared += 1;
            cell.live += u64::from(clean.digest != line.digest);
        }
        match amiss {
            Some((check, nanos)) if is_green => cell.detections.push(Detection {
                nth: nth + 1,
                scenario: line.scenario.clone(),
                seed: line.seed,
                check: check.into(),
                nanos,
            }),
            Some(_) => cell.dismissed += 1,
            None => {}
        }
    }
}

/// Runs until so many are red: what came of each, in the order of the jobs, up to the last that counts.
fn made(jobs: &[Job], failures: usize, options: &Options, scratch: PathBuf) -> Result<Vec<Line>> {
    let options = Options { max_failures: failures, json: Some(scratch.clone()), ..options.clone() };
    let results = campaign::run(jobs.iter().cloned(), jobs.len() as u64, &options, |_, _: &Found| {})?;
    if let Some(CutShort::Error(error)) = results.cut_short {
        return Err(error);
    }
    let text = std::fs::read_to_string(&scratch)?;
    std::fs::remove_file(&scratch)?;
    let mut lines: BTreeMap<(String, u64), Line> = BTreeMap::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).map_err(Error::other)?;
        lines.insert((line.scenario.clone(), line.seed), line);
    }
    let mut in_order = Vec::new();
    let mut red = 0;
    for job in jobs {
        // Beyond the last that counts some were made and some were not, as it happened.
        let Some(line) = lines.remove(&(job.scenario.clone(), job.seed)) else { break };
        red += usize::from(line.amiss().is_some());
        in_order.push(line);
        if red == failures {
            break;
        }
    }
    Ok(in_order)
}

/// Makes these runs without their bug and with all checks, those that have not been made yet.
fn without_bug(jobs: &[&Job], options: &Options, cache: &mut Cache) -> Result<()> {
    let unknown = jobs.iter().filter(|job| cache.clean(&job.suite, &job.scenario, job.seed).is_none());
    let jobs: Vec<Job> = unknown.map(|job| Job { bug: None, mute: Vec::new(), ..Job::clone(job) }).collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let lines = made(&jobs, usize::MAX, options, cache.scratch())?;
    for (job, line) in jobs.iter().zip(lines) {
        let check = line.amiss().map(|(check, _)| check.to_string());
        cache.add_clean(Clean {
            build: cache.build().into(),
            suite: job.suite.clone(),
            scenario: line.scenario,
            seed: line.seed,
            digest: line.digest,
            check,
        })?;
    }
    Ok(())
}
