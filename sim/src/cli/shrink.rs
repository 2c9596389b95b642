//! `shrink`: the smallest plan that still violates the same.

use super::replay::{find, is_file};
use super::{OK, UNKNOWN, Usage, VIOLATION, near, program, show, width};
use crate::campaign::{Found, Job, story, watched};
use crate::lab::Record;
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::scenario::Suite;
use crate::shrink::{Lost, Options, Runner, Size, shrink as smaller};
use labrpc::sim::Span;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Which plan, and how.
#[derive(clap::Args)]
pub struct Args {
    /// A scenario, or a file with a plan, that violates something.
    what: String,
    /// The seed of a scenario, 0 unless said. A plan has its own.
    #[arg(long)]
    seed: Option<u64>,
    /// The schedule seed, if it is not the plan's own.
    #[arg(long, value_name = "N")]
    schedule: Option<u64>,
    /// Plant a bug.
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Switch a check off; the smaller plan has it switched off too.
    #[arg(long, value_name = "CHECK")]
    mute: Vec<String>,
    /// Where to write the smaller plan; unless said, to `PLAN.min.json` or `SCENARIO-SEED.min.json`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads; as many as there are cores unless said. The outcome does not depend on it.
    #[arg(long)]
    jobs: Option<usize>,
    /// Make at most so many runs.
    #[arg(long, default_value_t = 3_000, value_name = "RUNS")]
    budget: u64,
    /// Take at most so much real time, such as 30s or 5m. The outcome is then not the same each time.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Option<Duration>,
    /// Seconds of real time after which a run counts as hung.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    hang_after: u64,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let span: Result<Span, _> = serde_json::from_value(text.into());
    span.map(|span| span.0).map_err(|error| error.to_string())
}

pub fn shrink(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    let (suite, mut plan) = find(suites, &args.what, args.seed, args.bug.as_deref())?;
    args.mute.iter().try_for_each(|name| near::check(name))?;
    plan.mute.extend(args.mute.clone());
    plan.schedule = args.schedule.unwrap_or(plan.schedule);
    plan.check().map_err(|error| Usage(error.to_string()))?;
    let out = args.out.clone().unwrap_or_else(|| beside(args, &plan));
    if out.exists() {
        return Err(Usage(format!("`{}` is there already; say --out FILE, or remove it", out.display())));
    }
    if out.parent().is_some_and(|place| place != Path::new("") && !place.is_dir()) {
        return Err(Usage(format!("cannot write `{}`: there is no such directory", out.display())));
    }
    let options = options(args)?;
    let (patience, started) = (options.hang_after, Instant::now());
    let mut runner = Runner::new(&suite.system, &plan, options).map_err(|lost| match lost {
        Lost::Green => Usage(format!("`{}` violates nothing: there is nothing to shrink", called(args, &plan))),
        Lost::Hung => Usage(format!("`{}` did not end within {patience:?}: it is not shrunk", called(args, &plan))),
    })?;
    let violation = runner.violation().clone();
    let care = runner.care();
    let least = smaller(&plan, care, &mut runner);
    runner.finish();
    write_new(&out, &least.to_json())?;
    let taken = format!("{} runs, {:.1} s", runner.runs(), started.elapsed().as_secs_f64());
    confirm(suite, &Written { out: &out, before: &plan, violation: &violation, patience, taken })
}

fn options(args: &Args) -> Result<Options, Usage> {
    if args.jobs == Some(0) || args.budget == 0 {
        return Err(Usage("--jobs 0 or --budget 0 would never make a run; take at least 1".into()));
    }
    Ok(Options {
        jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        budget: args.budget,
        time: args.lasts,
        hang_after: Duration::from_secs(args.hang_after.max(1)),
        quiet: args.quiet,
    })
}

/// Where the smaller plan goes unless said.
fn beside(args: &Args, plan: &Plan) -> PathBuf {
    if is_file(&args.what) {
        return Path::new(&args.what).with_extension("min.json");
    }
    PathBuf::from(format!("{}-{}.min.json", plan.scenario, plan.seed))
}

fn called(args: &Args, plan: &Plan) -> String {
    if is_file(&args.what) { args.what.clone() } else { format!("{}, seed {}", plan.scenario, plan.seed) }
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), Usage> {
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Usage(format!("cannot write `{}`: {error}", path.display())))
}

/// What is said of a plan that was written.
struct Written<'a> {
    out: &'a Path,
    before: &'a Plan,
    violation: &'a Violation,
    patience: Duration,
    /// Runs and time.
    taken: String,
}

/// Runs what stands in the file, twice, and tells of it. Nothing else is believed.
fn confirm(suite: &Suite, written: &Written<'_>) -> Result<u8, Usage> {
    let name = written.out.display();
    let text =
        std::fs::read_to_string(written.out).map_err(|error| Usage(format!("cannot read `{name}`: {error}")))?;
    let plan = Plan::from_json(&text).map_err(|error| Usage(format!("`{name}`: {error}")))?;
    let run = |record| watched(&suite.system, &plan, record, written.patience);
    let (Some(first), Some(second)) = (run(Record::Nothing), run(Record::Everything)) else {
        show(format_args!("HUNG  the plan in {name} did not end within {:?}\n", written.patience));
        return Ok(UNKNOWN);
    };
    let check = |violation: Option<&Violation>| violation.map(|violation| violation.check.clone());
    let found = second.violation().filter(|found| found.check == written.violation.check);
    let (Some(found), true) =
        (found, first.digest == second.digest && check(first.violation()) == check(second.violation()))
    else {
        show(format_args!(
            "DIVERGED  the plan in {name} does not violate {} each time it is run\n",
            written.violation.check
        ));
        return Ok(VIOLATION);
    };
    let (before, after) = (Size::of(written.before), Size::of(&plan));
    show(format_args!("from  {before}\nto    {after}\nin    {}, to {name}\n\n", written.taken));
    let job = Job {
        suite: plan.suite.clone(),
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        bug: plan.bug.clone(),
        mute: plan.mute.clone(),
        drawn: None,
    };
    let again = format!("{} replay {name}", program());
    show(format_args!(
        "{}\n",
        story(&again, &job, &Found::Violation(Box::new(found.clone())), Some(&second), width())
    ));
    Ok(OK)
}
