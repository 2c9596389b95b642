//! `replay`: one run again, and its story. `plan`: a run as data.

use super::{OK, UNKNOWN, Usage, VIOLATION, near, program, show, width};
use crate::campaign::{Found, Job, replay_command, story, trace, watched};
use crate::history::html;
use crate::lab::{Detail, Record, Report};
use crate::lin::{Kv, Limits, check};
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::scenario::Suite;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which run.
#[derive(clap::Args)]
pub struct Args {
    /// A scenario, or a file with a plan.
    what: String,
    /// The seed of a scenario, 0 unless said. A plan has its own.
    #[arg(long)]
    seed: Option<u64>,
    /// Plant a bug.
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Switch a check off.
    #[arg(long, value_name = "CHECK")]
    mute: Vec<String>,
    /// Print every event; `story` only what changes the run's course, `all` timers and disks too.
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "messages",
        value_name = "HOW MUCH"
    )]
    trace: Option<Level>,
    /// Write what clients did and were told as JSON lines (see docs/history-format.md).
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Write the same as a page to look at.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Seconds of real time after which the run counts as hung.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    hang_after: u64,
}

/// Which plan.
#[derive(clap::Args)]
pub struct PlanArgs {
    /// The scenario.
    scenario: String,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Plant a bug.
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Story,
    Messages,
    All,
}

impl Level {
    fn detail(self) -> Detail {
        match self {
            Level::Story => Detail::Story,
            Level::Messages => Detail::Message,
            Level::All => Detail::Machinery,
        }
    }
}

pub fn replay(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let (suite, mut plan) = find(suites, &args.what, args.seed, args.bug.as_deref())?;
    args.mute.iter().try_for_each(|name| near::check(name))?;
    plan.mute.extend(args.mute.clone());
    plan.check().map_err(|error| Usage(error.to_string()))?;
    let job = Job {
        suite: plan.suite.clone(),
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        bug: plan.bug.clone(),
        mute: args.mute.clone(),
        drawn: None,
    };
    let again = if is_file(&args.what) { of_file(args) } else { replay_command(&program(), &job) };
    let patience = Duration::from_secs(args.hang_after.max(1));
    let Some(report) = watched(&suite.system, &plan, Record::Everything, patience) else {
        let hung = Found::Hung { patience, said: String::new() };
        show(format_args!("{}\n", story(&again, &job, &hung, None, width())));
        return Ok(UNKNOWN);
    };
    if let Some(level) = args.trace {
        show(format_args!("{}\n", trace(&report, level.detail(), width())));
    }
    show(summary(&report));
    if let Some(violation) = report.violation() {
        tell(args, &again, &job, &report, violation);
    }
    write_history(args, &report)?;
    Ok(if report.violation().is_some() { VIOLATION } else { OK })
}

/// The story of a red run.
fn tell(args: &Args, again: &str, job: &Job, report: &Report, violation: &Violation) {
    let found = Found::Violation(Box::new(violation.clone()));
    // The trace was just printed; its end need not be printed again.
    let shown = if args.trace.is_some() { None } else { Some(report) };
    show(format_args!("\n{}\n", story(again, job, &found, shown, width())));
}

fn write_history(args: &Args, report: &Report) -> Result<(), Usage> {
    if (args.history.is_some() || args.html.is_some()) && report.history.operations.is_empty() {
        let why = "it has no clients of a key/value service, and so no history to write";
        return Err(Usage(format!("`{}`: {why}", report.scenario)));
    }
    if let Some(path) = &args.history {
        super::write(path, &report.history.to_lines())?;
    }
    if let Some(path) = &args.html {
        let verdict = check(&report.history, &Kv, Limits::default());
        super::write(
            path,
            &html(&format!("{}, seed {}", report.scenario, report.seed), &report.history, &verdict),
        )?;
    }
    Ok(())
}

pub fn print_plan(suites: &[Suite], args: &PlanArgs) -> Result<u8, Usage> {
    let (_, plan) = find(suites, &args.scenario, Some(args.seed), args.bug.as_deref())?;
    show(plan.to_json());
    Ok(OK)
}

/// The command that replays a plan from its file.
fn of_file(args: &Args) -> String {
    let bug = args.bug.iter().map(|bug| format!(" --bug {bug}"));
    let mute = args.mute.iter().map(|mute| format!(" --mute {mute}"));
    format!("{} replay {}{}", program(), args.what, bug.chain(mute).collect::<String>())
}

pub(super) fn is_file(what: &str) -> bool {
    what.ends_with(".json") || Path::new(what).is_file()
}

pub(super) fn find<'a>(
    suites: &'a [Suite],
    what: &str,
    seed: Option<u64>,
    bug: Option<&str>,
) -> Result<(&'a Suite, Plan), Usage> {
    if let Some(bug) = bug {
        near::bug(&suites.iter().collect::<Vec<_>>(), bug)?;
    }
    if is_file(what) {
        if seed.is_some() {
            return Err(Usage(format!("`{what}` is a plan and has its seed; leave out --seed")));
        }
        let text =
            std::fs::read_to_string(what).map_err(|error| Usage(format!("cannot read `{what}`: {error}")))?;
        let mut plan = Plan::from_json(&text).map_err(|error| Usage(format!("`{what}`: {error}")))?;
        let suite = suites
            .iter()
            .find(|suite| suite.name == plan.suite)
            .ok_or_else(|| near::unknown("suite", &plan.suite, suites.iter().map(|suite| suite.name)))?;
        if let Some(planted) = &plan.bug {
            near::bug(&[suite], planted)?;
        }
        let ops = plan.service_ops();
        let missing = match (suite.system.kv(), suite.system.controller()) {
            (None, _) if ops.iter().any(|op| !op.is_of_controller()) => Some("key/value service"),
            (_, None) if ops.iter().any(|op| op.is_of_controller()) => Some("shard controller"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(Usage(format!("`{what}`: its clients want a {missing}, and `{}` is none", suite.name)));
        }
        if plan.groups > 1 && !suite.system.abilities().groups {
            let why = format!("it has {} groups, and `{}` runs as one", plan.groups, suite.name);
            return Err(Usage(format!("`{what}`: {why}")));
        }
        plan.bug = bug.map(String::from).or(plan.bug);
        return Ok((suite, plan));
    }
    for suite in suites {
        if let Some(scenario) = suite.scenario(what) {
            return Ok((suite, suite.plan(scenario, seed.unwrap_or(0), bug)));
        }
    }
    let names = suites.iter().flat_map(|suite| suite.scenarios.iter().map(|scenario| scenario.name));
    Err(near::scenario(suites, what, names))
}

fn summary(report: &Report) -> String {
    let bug = report.bug.as_ref().map_or(String::new(), |bug| format!(", bug {bug}"));
    let skipped = if report.skipped { "; its situation did not come about" } else { "" };
    let verdict = if report.violation().is_some() { "VIOLATED" } else { "ok" };
    let unmet: String = report.unmet.iter().map(|what| format!("  did not come about: {what}\n")).collect();
    format!(
        "{} {}, seed {}{bug}: {verdict}{skipped}\n  {} events, {} messages, {:.3} simulated s, {} entries committed, \
         digest {:016x}\n{unmet}",
        report.suite,
        report.scenario,
        report.seed,
        report.events,
        report.messages,
        report.virtual_nanos as f64 / 1e9,
        report.commits,
        report.digest
    )
}
