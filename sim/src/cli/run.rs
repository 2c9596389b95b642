//! `run`: a campaign.

use super::jobs::Jobs;
use super::{OK, UNKNOWN, Usage, VIOLATION, near, program, show, width};
use crate::campaign::{
    self, Drawn, Found, Job, Listed, Options, Results, Seeds, Shard, Source, heading, replay_command, story,
    watched,
};
use crate::lab::{Record, Report};
use crate::scenario::{Group, Scenario, Suite};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What to run, and how.
#[derive(clap::Args)]
pub struct Args {
    /// Suites and scenarios; none: everything.
    targets: Vec<String>,
    /// Seeds: a number of them (from 0), or a range A..B without B.
    #[arg(long, default_value = "100")]
    seeds: Seeds,
    /// Leave out the scenarios that are made for one planted bug each.
    #[arg(long)]
    without_directed: bool,
    #[command(flatten)]
    how: How,
}

/// How a campaign is run, whatever runs in it.
#[derive(clap::Args)]
pub(super) struct How {
    /// Runs side by side; as many as there are cores unless said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Make each run again in a fresh process and compare digests.
    #[arg(long)]
    check: bool,
    /// Only the i-th of n equal parts of the runs, to spread a campaign over machines.
    #[arg(long, value_name = "i/n")]
    pub(super) shard: Option<Shard>,
    /// Plant a bug (see `list bugs`).
    #[arg(long, value_name = "NAME")]
    pub(super) bug: Option<String>,
    /// Switch a check off (see `list checks`).
    #[arg(long, value_name = "CHECK")]
    pub(super) mute: Vec<String>,
    /// Write one line of JSON for each run; `found` is in those of runs that hung, died or diverged.
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
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

pub fn run(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let chosen = choose(suites, &args.targets, args.without_directed)?;
    let usual = if args.how.bug.is_some() { 1 } else { 10 };
    let results = carry_out(suites, &chosen, args.seeds.0.clone(), None, usual, &args.how)?;
    for suite in used_of(suites, &chosen).iter().filter(|suite| is_whole(suite, args)) {
        show(left_out(suite, args.without_directed));
    }
    show(results.text());
    Ok(code(&results))
}

/// The suites of the scenarios.
fn used_of<'a>(suites: &'a [Suite], chosen: &[(&'static str, &Scenario)]) -> Vec<&'a Suite> {
    suites.iter().filter(|suite| chosen.iter().any(|(name, _)| *name == suite.name)).collect()
}

/// Runs scenarios and tells what was found. With `lasts` no run is begun after that, in real time. `enough` failures end it
/// unless another number is asked for.
pub(super) fn carry_out(
    suites: &[Suite],
    chosen: &[(&'static str, &Scenario)],
    seeds: Range<u64>,
    lasts: Option<Duration>,
    enough: usize,
    how: &How,
) -> Result<Results, Usage> {
    known(suites, chosen, how)?;
    let jobs = Jobs::of(chosen, seeds, how.shard, how.bug.clone(), how.mute.clone())?;
    let ends = lasts.map(|lasts| Instant::now() + lasts);
    let in_time = jobs.iter().take_while(|_| ends.is_none_or(|ends| Instant::now() < ends));
    conduct(suites, &mut Listed(in_time), jobs.count(), enough, how)
}

/// Whether the scenarios' systems have that bug, and there are those checks.
pub(super) fn known(suites: &[Suite], chosen: &[(&'static str, &Scenario)], how: &How) -> Result<(), Usage> {
    if let Some(name) = &how.bug {
        near::bug(&used_of(suites, chosen), name)?;
    }
    how.mute.iter().try_for_each(|name| near::check(name))
}

/// Runs what a source gives out, so much, and tells what was found. `enough` failures end it unless another number is asked for.
pub(super) fn conduct(
    suites: &[Suite],
    source: &mut dyn Source,
    total: u64,
    enough: usize,
    how: &How,
) -> Result<Results, Usage> {
    let options = options(how, enough)?;
    let results = campaign::conduct(source, total, &options, tell)
        .map_err(|error| Usage(format!("the campaign could not be run: {error}")))?;
    // What was found beyond that by runs that were under way has been told.
    for (job, found) in results.failures.iter().take(options.max_failures) {
        let report = recorded(suites, job, found, options.hang_after);
        show(format_args!("{}\n", story(&replay_command(&program(), job), job, found, report.as_ref(), width())));
    }
    if how.marks {
        show(results.marks_text());
    }
    Ok(results)
}

fn options(args: &How, enough: usize) -> Result<Options, Usage> {
    if args.jobs == Some(0) {
        return Err(Usage("--jobs 0 would never make a run; take at least 1".into()));
    }
    Ok(Options {
        jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        max_failures: args.max_failures.unwrap_or(enough).max(1),
        hang_after: Duration::from_secs(args.hang_after.max(1)),
        check: args.check,
        json: args.json.clone(),
        quiet: args.quiet,
    })
}

/// Says at once what was found: nobody knows how the campaign will end. Its story is told then.
fn tell(job: &Job, found: &Found) {
    if let Some(Err(error)) = job.drawn.as_ref().map(Drawn::write) {
        show(format_args!("the plan could not be written, and can be had nowhere else: {error}\n"));
    }
    show(format_args!(
        "FOUND  {}\n       Replay it:  {}\n\n",
        heading(job, found),
        replay_command(&program(), job)
    ));
}

pub(super) fn code(results: &Results) -> u8 {
    match (results.has_failed(), results.is_decided()) {
        (true, _) => VIOLATION,
        (false, true) => OK,
        (false, false) => UNKNOWN,
    }
}

/// The same run again, written down. One that hung or ended its process is not made again here.
fn recorded(suites: &[Suite], job: &Job, found: &Found, patience: Duration) -> Option<Report> {
    let Found::Violation(_) = found else { return None };
    let (suite, _) = job.find(suites)?;
    watched(&suite.system, &job.plan(suites), Record::Everything, patience)
}

/// The scenarios that the targets name.
pub(super) fn choose<'a>(
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
