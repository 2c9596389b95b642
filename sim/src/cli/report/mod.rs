//! `report`: what several machines have run, put together; and what it says about a fix.

mod fix;
mod missing;

use super::run::choose;
use super::{OK, UNKNOWN, Usage, VIOLATION, program, show};
use crate::campaign::{self, Merged, Read, Run, Seeds, Which, replay_command};
use crate::oracle::MARKS;
use crate::scenario::Suite;
use fix::Rate;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Bad lines shown of a file: if it is none of ours, they are all bad.
const BAD_SHOWN: usize = 5;

/// What to read, and what is expected of it.
#[derive(clap::Args)]
pub struct Args {
    /// Files that `run --json` and `hunt --json` have written.
    #[arg(required_unless_present = "after_fix")]
    files: Vec<PathBuf>,
    /// The seeds that the campaign was to run: each that is not there is missing.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// The suites and scenarios that it was to run; unless said, those that are there.
    #[arg(long, value_name = "TARGET", requires = "seeds")]
    of: Vec<String>,
    /// Leave out the scenarios that are made for one planted bug each, as the campaign did.
    #[arg(long, requires = "of")]
    without_directed: bool,
    /// Into how many parts `--shard` divided it: says what is missing of which.
    #[arg(long, value_name = "N", requires = "of", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    shards: Option<u64>,
    /// Results from before a fix: says how many clean seeds are still needed to rely on it.
    #[arg(long, value_name = "FILE", requires = "files")]
    before: Vec<PathBuf>,
    /// The same, with the rate of failures before the fix given: 3/1000, or a probability such as 0.003.
    #[arg(long, value_name = "RATE", conflicts_with = "before")]
    after_fix: Option<Rate>,
    /// Failures to show.
    #[arg(long, value_name = "N", default_value_t = 20)]
    failures: usize,
    /// Show how often each rare situation was reached.
    #[arg(long)]
    marks: bool,
}

pub fn report(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    if let (Some(rate), []) = (&args.after_fix, args.files.as_slice()) {
        show(rate.needed_text());
        return Ok(OK);
    }
    let before = if args.before.is_empty() { None } else { Some(read(&args.before)?) };
    let (merged, has_bad) = read(&args.files)?;
    let mut is_open = has_bad || before.as_ref().is_some_and(|(_, has_bad)| *has_bad);
    show(counts(&merged));
    show(failures(&merged, args.failures));
    show(remarks(&merged));
    show(marks(&merged, args.marks));
    match &args.seeds {
        Some(Seeds(seeds)) => {
            let chosen = if args.of.is_empty() {
                missing::seen(&merged)
            } else {
                let chosen = choose(suites, &args.of, args.without_directed)?;
                chosen.iter().map(|(suite, scenario)| (suite.to_string(), scenario.name.to_string())).collect()
            };
            let missing = missing::of(&merged, &chosen, seeds, args.shards);
            is_open |= missing.is_some();
            show(missing.unwrap_or_else(|| "nothing is missing\n".into()));
        }
        None => show(missing::between(&merged)),
    }
    show(statements(&merged));
    let fixed = match (&before, &args.after_fix) {
        (Some((before, _)), _) => Some(fix::since(before, &merged)?),
        (None, Some(rate)) => Some(rate.since(&merged)),
        (None, None) => None,
    };
    if let Some(fixed) = fixed {
        show(fixed.text);
        is_open |= fixed.is_open;
    }
    Ok(code(&merged, is_open))
}

fn code(merged: &Merged, is_open: bool) -> u8 {
    let mut runs = merged.runs().values().flat_map(BTreeMap::values);
    if runs.clone().any(Run::is_failure) {
        VIOLATION
    } else if is_open || runs.any(Run::is_undecided) {
        UNKNOWN
    } else {
        OK
    }
}

/// Reads files, and says what was in them. Also whether something could not be read.
fn read(paths: &[PathBuf]) -> Result<(Merged, bool), Usage> {
    let mut merged = Merged::default();
    let (mut has_bad, mut known) = (false, BTreeSet::new());
    for path in paths {
        // Shells that expand a pattern twice do this; nothing would come of it but runs that are there already.
        if !known.insert(path) {
            return Err(Usage(format!("`{}` is named twice", path.display())));
        }
        let read =
            merged.read(path).map_err(|error| Usage(format!("cannot read `{}`: {error}", path.display())))?;
        has_bad |= !read.bad.is_empty();
        complain(path, &read);
        show(told(path, &read));
    }
    if merged.is_empty() {
        return Err(Usage("there is no run in these files; `run --json FILE` writes them".into()));
    }
    Ok((merged, has_bad))
}

fn complain(path: &Path, read: &Read) {
    for bad in read.bad.iter().take(BAD_SHOWN) {
        eprintln!("{}:{}: {}", path.display(), bad.line, bad.why);
    }
    if let more @ 1.. = read.bad.len().saturating_sub(BAD_SHOWN) {
        eprintln!("{}: and {more} lines more", path.display());
    }
}

fn told(path: &Path, read: &Read) -> String {
    let mut text = format!("{}: {} runs", path.display(), read.fresh + read.again);
    if read.again > 0 {
        let _ = write!(text, ", {} of them read before", read.again);
    }
    if !read.bad.is_empty() {
        let _ = write!(text, "; LEFT OUT: {} lines that cannot be read", read.bad.len());
    }
    text + "\n"
}

/// Runs and failures of each scenario.
fn counts(merged: &Merged) -> String {
    let mut text = String::from("\n     runs   failed  seeds\n");
    for (which, runs) in merged.runs() {
        let failed = runs.values().filter(|run| run.is_failure()).count();
        let (first, last) = (runs.keys().next(), runs.keys().next_back());
        let (first, last) = first.zip(last).expect("what is there has a run");
        let seeds = format!("{first}..={last}");
        let _ = writeln!(text, "{:>9} {failed:>8}  {seeds:<20}  {}", runs.len(), named(which));
    }
    text + "\n"
}

fn named(which: &Which) -> String {
    format!("{} {}{}", which.suite, which.scenario, with(which))
}

/// What was changed about the runs: a bug planted, checks switched off.
fn with(which: &Which) -> String {
    let bug = which.bug.as_ref().map_or(String::new(), |bug| format!(" --bug {bug}"));
    which.mute.iter().fold(bug, |text, mute| format!("{text} --mute {mute}"))
}

/// What is wrong with which runs, and how to see them again.
fn failures(merged: &Merged, most: usize) -> String {
    let mut text = String::new();
    let all =
        || merged.runs().iter().flat_map(|(which, runs)| runs.iter().map(move |(seed, run)| (which, seed, run)));
    let wrong = || all().filter(|(_, _, run)| run.is_failure() || run.is_undecided());
    for (which, seed, run) in wrong().take(most) {
        let job = which.job(*seed);
        let at = format!("{} {}, seed {seed}", which.suite, which.scenario);
        for (word, what) in run.wrong() {
            let check = if word == "VIOLATED" { format!("  {what}") } else { String::new() };
            let _ = writeln!(text, "{word}{check}  in {at}  ({})", merged.place(run));
        }
        let digests = merged.digests(run);
        if !digests.is_empty() {
            let _ = writeln!(
                text,
                "DIVERGED  in {at}: files have other digests, so that it is not deterministic or was"
            );
            let _ = writeln!(text, "          made by different builds; --check on one machine tells these apart");
            digests.iter().for_each(|digest| _ = writeln!(text, "          {digest}"));
        }
        let _ = writeln!(text, "       Replay it:  {}\n", replay_command(&program(), &job));
    }
    if let more @ 1.. = wrong().count().saturating_sub(most) {
        let _ = writeln!(text, "and {more} more of these: --failures {} shows them", most + more);
    }
    let mut checks: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, _, run) in all() {
        for (word, what) in run.wrong() {
            *checks.entry(if word == "VIOLATED" { what } else { word }).or_default() += 1;
        }
    }
    checks.iter().for_each(|(check, runs)| _ = writeln!(text, "{runs:>9} runs: {check}"));
    text
}

/// What a campaign would have said of its runs beside what failed.
fn remarks(merged: &Merged) -> String {
    let (runs, seconds) = (merged.len(), merged.virtual_seconds);
    let mut text = format!("{runs} runs: {seconds:.0} simulated seconds, {} messages\n", merged.messages);
    text.push_str(&campaign::remarks(merged.skipped, &merged.waived, &merged.not_checked));
    text
}

/// The rare situations that were never reached, whatever is asked for: nothing was tested there.
fn marks(merged: &Merged, all: bool) -> String {
    let mut text = if all { campaign::marks_text(&merged.marks) } else { String::new() };
    let never = MARKS.iter().zip(&merged.marks).filter(|(_, (runs, _))| *runs == 0);
    let never: Vec<&str> = never.map(|(label, _)| *label).collect();
    if !never.is_empty() {
        let _ = writeln!(text, "never reached, so not tested:");
        never.iter().for_each(|label| _ = writeln!(text, "    {label}"));
    }
    text
}

/// What the whole supports; runs with a bug planted or a check switched off are each a whole of their own.
fn statements(merged: &Merged) -> String {
    let mut wholes: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for (which, runs) in merged.runs() {
        let [failed, undecided, all] = wholes.entry(with(which)).or_default();
        *failed += runs.values().filter(|run| run.is_failure()).count() as u64;
        *undecided += runs.values().filter(|run| run.is_undecided()).count() as u64;
        *all += runs.len() as u64;
    }
    let line = |(with, [failed, undecided, all]): (&String, &[u64; 3])| {
        let statement = campaign::statement(*failed, *undecided, *all);
        if with.is_empty() { format!("{statement}\n") } else { format!("with{with}: {statement}\n") }
    };
    wholes.iter().map(line).collect()
}
