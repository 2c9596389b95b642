//! `zoo`: how well planted bugs are seen.

use super::{OK, UNKNOWN, Usage, VIOLATION, near, show, write};
use crate::campaign::Options;
use crate::raft::{BugCard, Class};
use crate::scenario::Suite;
use crate::zoo::{
    Budget, Cache, Caps, Column, Row, build, compared, grow, guidance_page, hunted, measure, page, table,
};
use std::path::PathBuf;
use std::time::Duration;

/// What to measure, and how long.
#[derive(clap::Args)]
pub struct Args {
    /// Bugs, or suites for all bugs of theirs; none: everything.
    bugs: Vec<String>,
    /// Only a look: 20 runs at most, and one detection is enough.
    #[arg(long)]
    quick: bool,
    /// Instead, compare a swarm with guided ones, on the bugs that are named or else on all that are not easy.
    #[arg(long, conflicts_with = "quick")]
    guidance: bool,
    /// Runs side by side; as many as there are cores unless said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Where to keep what has been measured, so that an interrupted matrix goes on.
    #[arg(long, value_name = "DIR", default_value = "target/zoo")]
    cache: PathBuf,
    /// Write the page to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seconds of real time after which a run counts as hung.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    hang_after: u64,
}

pub fn zoo(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let chosen = choose(suites, &args.bugs)?;
    if args.jobs == Some(0) {
        return Err(Usage("--jobs 0 would never make a run; take at least 1".into()));
    }
    let options = Options {
        jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        max_failures: 1,
        hang_after: Duration::from_secs(args.hang_after.max(1)),
        check: false,
        json: None,
        quiet: true,
    };
    if args.guidance {
        return guidance(suites, &chosen, args, &options);
    }
    let caps = if args.quick { Caps::QUICK } else { Caps::FULL };
    let failed = |error: std::io::Error| Usage(format!("the zoo could not be measured: {error}"));
    let mut cache = build().and_then(|build| Cache::open(&args.cache, build)).map_err(failed)?;
    let mut rows = Vec::new();
    let all = chosen.len();
    for (at, (suite, bug)) in chosen.into_iter().enumerate() {
        show(format_args!("{} of {all}: {} of {}\n", at + 1, bug.name, suite.name));
        let mut cells = Vec::new();
        for column in Column::ALL {
            cells.push(measure(suite, &bug, column, &caps, &options, &mut cache).map_err(failed)?);
        }
        rows.push(Row { suite: suite.name, bug, cells });
    }
    show(table(&rows));
    if let Some(path) = &args.out {
        write(path, &page(&rows, &caps, &command(args)))?;
    }
    let is_seen = |row: &Row| row.cells.iter().any(|cell| !cell.detections.is_empty());
    Ok(if rows.iter().all(is_seen) { OK } else { UNKNOWN })
}

/// How guided hunts are compared with others.
const BUDGET: Budget = Budget { hunts: 3, runs: 200, growing: 500 };

fn guidance(suites: &[Suite], chosen: &[(&Suite, BugCard)], args: &Args, options: &Options) -> Result<u8, Usage> {
    let failed = |error: std::io::Error| Usage(format!("guidance could not be measured: {error}"));
    let is_easy = |bug: &BugCard| bug.study.is_some_and(|study| study.class == Class::Easy);
    let chosen: Vec<_> = chosen.iter().filter(|(_, bug)| !args.bugs.is_empty() || !is_easy(bug)).collect();
    let scratch = args.cache.join("guidance");
    let mut trials = Vec::new();
    for (at, (suite, bug)) in chosen.iter().enumerate() {
        show(format_args!("{} of {}: {} of {}\n", at + 1, chosen.len(), bug.name, suite.name));
        let grown = scratch.join(suite.name);
        if !chosen[..at].iter().any(|(before, _)| before.name == suite.name) {
            if grown.exists() {
                std::fs::remove_dir_all(&grown).map_err(failed)?;
            }
            grow(suites, suite, BUDGET.growing, &grown, options).map_err(failed)?;
        }
        let trial = hunted(suites, suite, bug, BUDGET, (&grown, &scratch), options).map_err(failed)?;
        for again in &trial.unfair {
            show(format_args!("UNFAIR: red without a bug too: {again}\n"));
        }
        trials.push(trial);
    }
    show(compared(&trials, BUDGET));
    if let Some(path) = &args.out {
        write(path, &guidance_page(&trials, BUDGET, &command(args)))?;
    }
    Ok(if trials.iter().all(|trial| trial.unfair.is_empty()) { OK } else { VIOLATION })
}

/// What makes the page again, wherever it is called.
fn command(args: &Args) -> String {
    let bugs = args.bugs.iter().map(|bug| format!(" {bug}"));
    let quick = if args.quick { " --quick" } else { "" };
    let guidance = if args.guidance { " --guidance" } else { "" };
    let out = args.out.as_ref().map(|path| format!(" --out {}", path.display())).unwrap_or_default();
    format!("shardlab zoo{}{quick}{guidance}{out}", bugs.collect::<String>())
}

/// The bugs that are named, each with its suite. Two systems may have a bug of the same name.
fn choose<'a>(suites: &'a [Suite], names: &[String]) -> Result<Vec<(&'a Suite, BugCard)>, Usage> {
    let is_suite = |name: &str| suites.iter().any(|suite| suite.name == name);
    let every: Vec<&Suite> = suites.iter().collect();
    for name in names.iter().filter(|name| !is_suite(name)) {
        near::bug(&every, name)?;
    }
    let all = suites.iter().flat_map(|suite| suite.system.bugs().into_iter().map(move |bug| (suite, bug)));
    let is_chosen = |(suite, bug): &(&Suite, BugCard)| {
        names.is_empty() || names.iter().any(|name| name == bug.name || name == suite.name)
    };
    let chosen: Vec<_> = all.filter(is_chosen).collect();
    if chosen.is_empty() {
        return Err(Usage("no bugs are compiled in: build with the feature `zoo`".into()));
    }
    Ok(chosen)
}
