//! Does guidance help? A bug is hunted several times with as many runs: by a swarm, by a guided one that begins with nothing, and by
//! one that takes up a folder of plans that was filled while there was no bug.

use super::waits::median;
use crate::campaign::{self, Drawn, Found, Job, Listed, Options, Source, replay_command};
use crate::guide::{Corpus, Guided};
use crate::lab::{Record, run_plan};
use crate::raft::BugCard;
use crate::scenario::{Group, Scenario, Suite};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How a bug is hunted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// By a swarm.
    Swarm,
    /// By a guided one that begins with nothing.
    Guided,
    /// By a guided one with a folder of plans.
    Grown,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Swarm, Way::Guided, Way::Grown];
}

/// How long.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// How often a bug is hunted in each way.
    pub hunts: u64,
    /// With how many runs at most.
    pub runs: u64,
    /// How many runs fill the folder of plans.
    pub growing: u64,
}

/// What came of hunting a bug: for each hunt of each way after how many runs it was seen, if it was.
pub struct Trial {
    /// Of which system.
    pub suite: &'static str,
    /// Which bug.
    pub bug: &'static str,
    /// See the type.
    pub seen: BTreeMap<Way, Vec<Option<u64>>>,
    /// How to make runs again that are red without the bug too: their plans are no fair ones, and a mistake of ours.
    pub unfair: Vec<String>,
}

/// The swarm of a suite.
fn swarm(suite: &Suite) -> Result<&Scenario> {
    let swarm = suite.scenarios.iter().find(|scenario| scenario.group == Group::Swarm);
    swarm.ok_or_else(|| Error::other(format!("{} has no swarm", suite.name)))
}

/// Fills a folder with plans of the system without a bug.
///
/// # Errors
/// If that cannot be done, or a run is red.
pub fn grow(suites: &[Suite], suite: &Suite, runs: u64, dir: &Path, options: &Options) -> Result<()> {
    let swarms = [(suite.name, swarm(suite)?)];
    let mut source = Guided::new(suites, &swarms, GROWN_FROM..GROWN_FROM + runs, Corpus::open(dir)?, None)?;
    let total = source.count();
    let results = campaign::conduct(&mut source, total, options, |_, _: &Found| {})?;
    if let Some((job, _)) = results.failures.first() {
        let again = kept_red(job)?;
        return Err(Error::other(format!("a run of {} is red without any bug: {again}", suite.name)));
    }
    source.finish().map(drop)
}

/// The command that makes a red run again, its plan being written down if no seed draws it.
fn kept_red(job: &Job) -> Result<String> {
    job.drawn.as_ref().map_or(Ok(()), Drawn::write)?;
    Ok(replay_command("shardlab", job))
}

/// Seeds that no hunt has.
const GROWN_FROM: u64 = 1_000_000;

/// Hunts a bug. `grown`: the folder of plans of its system; `scratch`: where others may be made.
///
/// # Errors
/// If processes cannot be started or files not be written.
pub fn hunted(
    suites: &[Suite],
    suite: &Suite,
    bug: &BugCard,
    budget: Budget,
    (grown, scratch): (&Path, &Path),
    options: &Options,
) -> Result<Trial> {
    let (seen, unfair) = Default::default();
    let mut trial = Trial { suite: suite.name, bug: bug.name, seen, unfair };
    for nth in 0..budget.hunts {
        let seeds = nth * budget.runs..(nth + 1) * budget.runs;
        for way in Way::ALL {
            // Plans that are red stay: a folder for each hunt.
            let dir = scratch.join(format!("{}-{}-{nth}-{way:?}", suite.name, bug.name));
            fresh_dir(&dir)?;
            if way == Way::Grown {
                for plan in Corpus::open(grown)?.plans()? {
                    Corpus::open(&dir)?.add(&plan)?;
                }
            }
            let seen = trial.hunt(suites, (suite, bug.name), way, seeds.clone(), &dir, options)?;
            trial.seen.entry(way).or_default().push(seen);
        }
    }
    Ok(trial)
}

fn fresh_dir(dir: &PathBuf) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)
}

impl Trial {
    /// After how many runs the bug is seen, if it is.
    fn hunt(
        &mut self,
        suites: &[Suite],
        (suite, bug): (&Suite, &str),
        way: Way,
        seeds: Range<u64>,
        dir: &Path,
        options: &Options,
    ) -> Result<Option<u64>> {
        let most = seeds.end - seeds.start;
        let scenario = swarm(suite)?;
        let job = |seed| Job {
            suite: suite.name.into(),
            scenario: scenario.name.into(),
            seed,
            bug: Some(bug.into()),
            mute: Vec::new(),
            drawn: None,
        };
        let mut listed = Listed(seeds.clone().map(job));
        let mut guided = Guided::new(suites, &[(suite.name, scenario)], seeds, Corpus::open(dir)?, None)?.with(
            Some(bug.into()),
            Vec::new(),
            Default::default(),
        );
        let source: &mut dyn Source = if way == Way::Swarm { &mut listed } else { &mut guided };
        let results = campaign::conduct(source, most, options, |_, _: &Found| {})?;
        let Some((job, _)) = results.failures.first() else { return Ok(None) };
        let plan = crate::plan::Plan { bug: None, ..job.plan(suites) };
        if run_plan(&suite.system, &plan, Record::Nothing).violation().is_some() {
            let sound = |drawn: &Drawn| Drawn { plan: Box::new(plan.clone()), ..drawn.clone() };
            self.unfair.push(kept_red(&Job { bug: None, drawn: job.drawn.as_ref().map(sound), ..job.clone() })?);
            return Ok(None);
        }
        // What a folder holds is run first, beyond the seeds; it is to cost as much as other runs do.
        Ok(results.first_failure().filter(|nth| *nth <= most))
    }

    /// The runs that the hunts of a way took, those in vain with all that they had.
    fn spent(&self, way: Way, most: u64) -> u64 {
        self.seen.get(&way).into_iter().flatten().map(|seen| seen.unwrap_or(most)).sum()
    }
}

/// A page of it. `command` is what makes it again.
pub fn guidance_page(trials: &[Trial], budget: Budget, command: &str) -> String {
    let table = compared(trials, budget);
    format!("# Does guidance help?\n\nThis page is made, not written: `{command}`.\n\n{table}")
}

/// A table, and what it comes to.
pub fn compared(trials: &[Trial], budget: Budget) -> String {
    let Budget { hunts, runs, growing } = budget;
    let mut text = format!(
        "Each bug is hunted {hunts} times, with {runs} runs of its swarm at most. A cell says in how many hunts it was seen, and after \
         how many runs in the middle, those in vain counted with all their runs. *Guided* begins with nothing; *with a folder* takes \
         up plans that {growing} guided runs without any bug have left, and runs these first.\n\n\
         | suite | bug | swarm | guided | with a folder |\n|---|---|---:|---:|---:|\n"
    );
    for trial in trials {
        let cell = |way: &Way| {
            let seen = trial.seen.get(way).map_or(&[][..], Vec::as_slice);
            let found = seen.iter().flatten().count();
            let middle = median(&mut seen.iter().map(|seen| seen.unwrap_or(runs)).collect::<Vec<u64>>());
            format!("{found} of {}, {}", seen.len(), middle.unwrap_or(runs))
        };
        let cells: Vec<String> = Way::ALL.iter().map(cell).collect();
        let _ = writeln!(text, "| {} | `{}` | {} |", trial.suite, trial.bug, cells.join(" | "));
    }
    let totals: Vec<String> = Way::ALL
        .iter()
        .map(|way| {
            let found: usize = trials.iter().filter_map(|trial| trial.seen.get(way)).flatten().flatten().count();
            let spent: u64 = trials.iter().map(|trial| trial.spent(*way, runs)).sum();
            format!("{found} of {}, {spent} runs", hunts * trials.len() as u64)
        })
        .collect();
    let _ = writeln!(text, "| all | hunts that found, runs that were made | {} |", totals.join(" | "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunts_in_vain_count_with_all_their_runs() {
        let budget = Budget { hunts: 3, runs: 100, growing: 7 };
        let seen = [
            (Way::Swarm, vec![Some(10), None, Some(30)]),
            (Way::Guided, vec![Some(1), Some(2), Some(3)]),
            (Way::Grown, vec![None; 3]),
        ];
        let trial = Trial { suite: "raft", bug: "x", seen: seen.into(), unfair: Vec::new() };
        let text = compared(&[trial], budget);
        assert!(text.contains("| raft | `x` | 2 of 3, 30 | 3 of 3, 2 | 0 of 3, 100 |"), "{text}");
        assert!(text.contains("| 2 of 3, 140 runs | 3 of 3, 6 runs | 0 of 3, 300 runs |"), "{text}");
    }
}
