//! `check-history`: whether histories of any system are linearizable.

use super::{OK, UNKNOWN, USAGE, Usage, VIOLATION, show};
use crate::history::{History, Vocabulary, describe, html, quoted};
use crate::lin::{Kv, Limits, Register, Verdict, check};
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::Instant;

/// Which histories, and how they are read.
#[derive(clap::Args)]
pub struct Args {
    /// Files with JSON lines (see docs/history-format.md).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What keys are.
    #[arg(long, value_enum, default_value_t = Kind::Kv)]
    model: Kind,
    /// Write a page to look at it: of the first history that does not hold, or of the last.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Mebibytes that the search may take.
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Registers: read, write, compare and set.
    Register,
    /// A key/value store: get, put, append, delete, compare and set, scan.
    Kv,
}

pub fn check_history(args: &Args) -> Result<u8, Usage> {
    let limits = Limits { memory: args.memory.saturating_mul(1 << 20) };
    let mut worst = OK;
    let mut page = None;
    for file in &args.files {
        let name = file.display().to_string();
        let history = match read(file, args.model) {
            Ok(history) => history,
            Err(why) => {
                eprintln!("error: {name}: {why}");
                worst = worse(worst, USAGE);
                continue;
            }
        };
        let start = Instant::now();
        let verdict = match args.model {
            Kind::Register => check(&history, &Register, limits),
            Kind::Kv => check(&history, &Kv, limits),
        };
        let took = start.elapsed();
        let (operations, millis) = (history.operations.len(), took.as_secs_f64() * 1e3);
        show(format_args!("{name}: {}, {operations} operations, {millis:.3} ms\n", word(&verdict)));
        show(details(&history, &verdict));
        if args.html.is_some() && (worst == OK || page.is_none()) {
            page = Some(html(&name, &history, &verdict));
        }
        worst = worse(worst, code(&verdict));
    }
    if let (Some(path), Some(page)) = (&args.html, page) {
        super::write(path, &page)?;
    }
    Ok(worst)
}

fn read(file: &PathBuf, model: Kind) -> Result<History, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}"))?;
    let vocabulary = match model {
        Kind::Register => Vocabulary::Register,
        Kind::Kv => Vocabulary::Kv,
    };
    History::parse(&text, vocabulary).map_err(|error| error.to_string())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Violated(_) => "VIOLATED",
        Verdict::Unknown(_) => "UNKNOWN",
    }
}

fn code(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Ok => OK,
        Verdict::Violated(_) => VIOLATION,
        Verdict::Unknown(_) => UNKNOWN,
    }
}

/// A violation is worse than a file that makes no sense, and that is worse than one that was not decided.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |code: &u8| [OK, UNKNOWN, USAGE, VIOLATION].iter().position(|known| known == code);
    [one, other].into_iter().max_by_key(rank).unwrap_or(USAGE)
}

fn details(history: &History, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ok => String::new(),
        Verdict::Unknown(why) => format!("  {why}\n"),
        Verdict::Violated(window) => {
            let lines = window.conflict.iter().map(|id| {
                let mark = if *id == window.breaks { "=>" } else { "  " };
                format!("  {mark} {}\n", describe(&history.operations[id.0]))
            });
            format!(
                "  Key {} goes wrong between events {} and {}, {} operations. These contradict one another:\n{}",
                quoted(&window.key),
                window.from.nth,
                window.to.nth,
                window.operations.len(),
                lines.collect::<String>()
            )
        }
    }
}
