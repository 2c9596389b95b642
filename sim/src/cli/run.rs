//! `run`: a campaign.

use super::{OK, Usage, VIOLATION, near, program, show, width};
use crate::campaign::{self, Found, Job, Options, Seeds, replay_command, story};
use crate::lab::{Record, run_plan};
use crate::scenario::{Group, Scenario, Suite};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What to run, and how.
#[derive(clap::Args)]
pub struct Args {
    /// Suites and scenarios; none: everything.
    targets: Vec<String>,
    /// Seeds: a number of them (from 0), or a range A..B without B.
    #[arg(long, default_value = "100")]
    seeds: Seeds,
    /// Runs side by side; as many as there are cores unless said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Make each run again in a fresh process and compare digests.
    #[arg(long)]
    check: bool,
    /// Only the i-th of n equal parts of the runs, to spread a campaign over machines.
    #[arg(long, value_name = "i/n")]
    shard: Option<Shard>,
    /// Plant a bug (see `list bugs`).
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Switch a check off (see `list checks`).
    #[arg(long, value_name = "CHECK")]
    mute: Vec<String>,
    /// Leave out the scenarios that are made for one planted bug each.
    #[arg(long)]
    without_directed: bool,
    /// Write one line of JSON for each run.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Stop after so many failures; with a planted bug after the first unless said.
    #[arg(long, value_name = "N")]
    max_failures: Option<usize>,
    /// Seconds of real time after which a run counts as hung.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    hang_after: u64,
    /// Show how often each rare situation was reached.
    #[arg(long)]
    marks: bool,
    /// Say nothing while running.
    #[arg(long)]
    quiet: bool,
}

/// One of several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((index, of)) if 1 <= index && index <= of => Ok(Shard { index, of }),
            _ => Err(format!("`{text}` is no part; write 2/4 for the second of four")),
        }
    }
}

pub fn run(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let chosen = choose(suites, &args.targets, args.without_directed)?;
    let used: Vec<&Suite> =
        suites.iter().filter(|suite| chosen.iter().any(|(name, _)| *name == suite.name)).collect();
    if let Some(name) = &args.bug {
        near::bug(&used, name)?;
    }
    args.mute.iter().try_for_each(|name| near::check(name))?;
    let jobs = jobs(&chosen, args);
    let options = Options {
        jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        max_failures: args.max_failures.unwrap_or(if args.bug.is_some() { 1 } else { 10 }).max(1),
        hang_after: Duration::from_secs(args.hang_after.max(1)),
        check: args.check,
        json: args.json.clone(),
        quiet: args.quiet,
    };
    let results = campaign::run(jobs.into_iter(), &options)
        .map_err(|error| Usage(format!("the campaign could not be run: {error}")))?;
    for (job, found) in &results.failures {
        let report = recorded(suites, job, found);
        show(format_args!("{}\n", story(&replay_command(&program(), job), job, found, report.as_ref(), width())));
    }
    if args.marks {
        show(results.marks_text());
    }
    for suite in used.iter().filter(|suite| is_whole(suite, args)) {
        show(left_out(suite, args.without_directed));
    }
    show(results.text());
    Ok(if results.failures.is_empty() { OK } else { VIOLATION })
}

/// The same run again, written down. One that hung or ended its process is not made again here.
fn recorded(suites: &[Suite], job: &Job, found: &Found) -> Option<crate::lab::Report> {
    let Found::Violation(_) = found else { return None };
    let (suite, _) = job.find(suites)?;
    Some(run_plan(&suite.system, &job.plan(suites), Record::Everything))
}

/// The scenarios that the targets name.
fn choose<'a>(
    suites: &'a [Suite],
    targets: &[String],
    without_directed: bool,
) -> Result<Vec<(&'static str, &'a Scenario)>, Usage> {
    let all = || suites.iter().flat_map(|suite| suite.scenarios.iter().map(move |scenario| (suite.name, scenario)));
    let names = || suites.iter().map(|suite| suite.name).chain(all().map(|(_, scenario)| scenario.name));
    if let Some(target) = targets.iter().find(|target| !names().any(|name| name == target.as_str())) {
        return Err(near::scenario(suites, target, names()));
    }
    let is_target = |suite: &str, scenario: &Scenario| {
        targets.is_empty() || targets.iter().any(|target| target == suite || target == scenario.name)
    };
    let chosen: Vec<_> = all()
        .filter(|(suite, scenario)| is_target(suite, scenario))
        .filter(|(_, scenario)| !(without_directed && scenario.group == Group::Directed))
        .collect();
    if chosen.is_empty() { Err(Usage("there is nothing to run".into())) } else { Ok(chosen) }
}

/// Whether all scenarios of a suite were asked for.
fn is_whole(suite: &Suite, args: &Args) -> bool {
    args.targets.is_empty() || args.targets.iter().any(|target| target == suite.name)
}

/// The scenarios that were not run since they make no sense for the system: a line for each thing that it lacks.
fn left_out(suite: &Suite, without_directed: bool) -> String {
    let mut without: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (scenario, lacks) in &suite.left_out {
        if !(without_directed && scenario.group == Group::Directed) {
            without.entry(lacks.join(" and ")).or_default().push(scenario.name);
        }
    }
    let lines = without.iter().map(|(what, names)| {
        format!("LEFT OUT, since {} does not offer {what}: {}\n", suite.name, names.join(", "))
    });
    lines.collect()
}

/// One seed of every scenario after the other, so that a campaign that is cut short has seen all scenarios.
fn jobs(chosen: &[(&'static str, &Scenario)], args: &Args) -> Vec<Job> {
    let Shard { index, of } = args.shard.unwrap_or(Shard { index: 1, of: 1 });
    let all = args.seeds.0.clone().flat_map(|seed| chosen.iter().map(move |chosen| (seed, chosen)));
    let part = all.zip(0u64..).filter(|(_, nth)| nth % of == index - 1).map(|(job, _)| job);
    part.map(|(seed, (suite, scenario))| Job {
        suite: (*suite).into(),
        scenario: scenario.name.into(),
        seed,
        bug: args.bug.clone(),
        mute: args.mute.clone(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parts_of_a_whole() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        assert!(
            "0/4".parse::<Shard>().is_err() && "5/4".parse::<Shard>().is_err() && "x".parse::<Shard>().is_err()
        );
    }
}
