//! The command line: for this repository's systems, and for whoever brings their own.
//!
//! ```no_run
//! # fn my_suites() -> Vec<sim::scenario::Suite> { Vec::new() }
//! fn main() -> std::process::ExitCode {
//!     sim::cli::main(&my_suites())
//! }
//! ```

mod history;
mod hunt;
mod jobs;
mod list;
mod near;
mod replay;
mod report;
mod run;
mod shrink;
mod zoo;

use crate::campaign;
use crate::scenario::Suite;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Everything was as it should be.
pub const OK: u8 = 0;
/// Something did not hold, or went two ways.
pub const VIOLATION: u8 = 1;
/// The command line, a plan or a file makes no sense.
pub const USAGE: u8 = 2;
/// Nothing is known to be wrong, but something could not be decided.
pub const UNKNOWN: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes: 0 everything held, 1 something did not or diverged, 2 the command line, a plan or a file makes no sense,
3 nothing is known to be wrong, but a run hung or died, the campaign was cut short, or something is missing or not yet sure.
`shrink` ends with 0 if it has written a plan that fails.";

/// A laboratory for distributed systems: runs them thousands of times, one seed each, under faults.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what there is: scenarios, planted bugs, checks, marks.
    List(list::Args),
    /// Run scenarios for many seeds.
    Run(run::Args),
    /// Let each seed draw what happens, over all systems, until something is found.
    Hunt(hunt::Args),
    /// Run one plan again and tell its story.
    Replay(replay::Args),
    /// Make a plan that fails as small as can be.
    Shrink(shrink::Args),
    /// Print the plan of a scenario and a seed.
    Plan(replay::PlanArgs),
    /// Decide whether histories, of any system, are linearizable.
    CheckHistory(history::Args),
    /// Put the results of several machines together; say what they are worth, and whether a fix holds.
    Report(report::Args),
    /// Measure how well planted bugs are seen, each in the course's scenarios and in all.
    Zoo(zoo::Args),
}

/// Why a command was not carried out: one line that says what to do.
struct Usage(String);

/// The program, for these suites. What it returns is its exit code.
pub fn main(suites: &[Suite]) -> ExitCode {
    main_beside(suites, "")
}

/// [`main`] for a program that has other commands too: its help ends with what those are.
pub fn main_beside(suites: &[Suite], others: &str) -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(campaign::WORKER) {
        return ExitCode::from(if campaign::work(suites) { OK } else { USAGE });
    }
    let gap = if others.is_empty() { "" } else { "\n\n" };
    let command = Cli::command().after_help(format!("{others}{gap}{EXIT_CODES}"));
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::List(args) => list::list(suites, &args),
        Command::Run(args) => run::run(suites, &args),
        Command::Hunt(args) => hunt::hunt(suites, &args),
        Command::Replay(args) => replay::replay(suites, &args),
        Command::Shrink(args) => shrink::shrink(suites, &args),
        Command::Plan(args) => replay::print_plan(suites, &args),
        Command::CheckHistory(args) => history::check_history(&args),
        Command::Report(args) => report::report(suites, &args),
        Command::Zoo(args) => zoo::zoo(suites, &args),
    };
    ExitCode::from(outcome.unwrap_or_else(|Usage(why)| {
        eprintln!("error: {why}");
        USAGE
    }))
}

/// Prints text. Whoever reads it may stop reading, as `head` does: then there is nobody left to print for.
fn show(text: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush()) {
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            eprintln!("error: cannot write: {error}");
        }
        std::process::exit(USAGE.into());
    }
}

/// Writes a file that was asked for.
fn write(path: &Path, text: &str) -> Result<(), Usage> {
    std::fs::write(path, text).map_err(|error| Usage(format!("cannot write `{}`: {error}", path.display())))
}

/// How this program was called, for commands that are printed.
fn program() -> String {
    // Under cargo the program has no name that a shell would find.
    match std::env::var_os("CARGO") {
        Some(_) => {
            format!("cargo run --release{} --", member().map_or(String::new(), |name| format!(" -p {name}")))
        }
        None => std::env::args().next().unwrap_or_default(),
    }
}

/// The package that cargo runs, if it is not the one of the directory in which cargo was called.
fn member() -> Option<String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let here = std::env::current_dir().ok()?;
    if here == Path::new(&package) { None } else { std::env::var("CARGO_PKG_NAME").ok() }
}

fn width() -> campaign::Width {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = std::io::stdout().is_terminal();
    campaign::Width(columns.unwrap_or(if terminal { 160 } else { 200 }))
}
