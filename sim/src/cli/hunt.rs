//! `hunt`: swarm plans over all systems, until so many were run, until a time has passed, or until something is found.

use super::run::{How, carry_out, code, conduct, known};
use super::{Usage, show};
use crate::campaign::{Results, Seeds};
use crate::guide::{Corpus, Guided};
use crate::scenario::{Group, Scenario, Suite};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where to look, and for how long.
#[derive(clap::Args)]
pub struct Args {
    /// Suites; none: all.
    suites: Vec<String>,
    /// Seeds for each suite: a number of them (from 0), or a range A..B without B. Unless said: 1000, or with `--for` as many as
    /// there is time for.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// Begin no run after so long, such as `8h` or `10m`.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<humantime::Duration>,
    /// Every other plan is one that reached something rare, with changes. Such plans are kept in this folder and taken up from it
    /// the next time; to merge the folders of several machines, copy them together.
    #[arg(long, value_name = "DIR")]
    guided: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

/// Seeds if neither they nor a time is given.
const SEEDS: u64 = 1_000;
/// More than there is ever time for.
const MANY: u64 = 1_000_000_000;

pub fn hunt(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let chosen = choose(suites, &args.suites)?;
    let lasts: Option<Duration> = args.lasts.map(Into::into);
    let many = if lasts.is_some() { MANY } else { SEEDS };
    let seeds = args.seeds.as_ref().map_or(0..many, |seeds| seeds.0.clone());
    // What is found first ends the hunt.
    let results = match &args.guided {
        None => carry_out(suites, &chosen, seeds, lasts, 1, &args.how)?,
        Some(dir) => guided(suites, &chosen, seeds, lasts, dir, &args.how)?,
    };
    show(results.text());
    Ok(code(&results))
}

fn guided(
    suites: &[Suite],
    chosen: &[(&'static str, &Scenario)],
    seeds: Range<u64>,
    lasts: Option<Duration>,
    dir: &Path,
    how: &How,
) -> Result<Results, Usage> {
    known(suites, chosen, how)?;
    let ends = lasts.map(|lasts| Instant::now() + lasts);
    let failed = |error: std::io::Error| Usage(format!("the hunt could not be guided: {error}"));
    let corpus = Corpus::open(dir).map_err(failed)?;
    let guide = Guided::new(suites, chosen, seeds, corpus, ends).map_err(failed)?;
    let mut guide = guide.with(how.bug.clone(), how.mute.clone(), how.shard.unwrap_or_default());
    let total = guide.count();
    let results = conduct(suites, &mut guide, total, 1, how)?;
    match guide.finish() {
        Ok(said) => show(said),
        // What was found counts for more.
        Err(error) if results.has_failed() => show(format_args!("the folder is not complete: {error}\n")),
        Err(error) => return Err(failed(error)),
    }
    Ok(results)
}

/// The swarm of each suite that is named.
fn choose<'a>(suites: &'a [Suite], names: &[String]) -> Result<Vec<(&'static str, &'a Scenario)>, Usage> {
    if let Some(name) = names.iter().find(|name| !suites.iter().any(|suite| suite.name == name.as_str())) {
        let known: Vec<&str> = suites.iter().map(|suite| suite.name).collect();
        return Err(Usage(format!("there is no suite `{name}`; there are {}", known.join(", "))));
    }
    let is_asked = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    let swarm = |suite: &'a Suite| suite.scenarios.iter().filter(|scenario| scenario.group == Group::Swarm);
    let chosen: Vec<_> =
        suites.iter().filter(is_asked).flat_map(|suite| swarm(suite).map(move |one| (suite.name, one))).collect();
    if chosen.is_empty() { Err(Usage("there is no swarm to hunt with".into())) } else { Ok(chosen) }
}
