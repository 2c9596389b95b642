//! `shardlab bench`: much at a time on the store of a cluster, and how long it takes.

use super::tls::Certificates;
use super::where_to::Where;
use super::{Ending, Outcome, asked_to_end, show, span};
use clap::{Parser, ValueEnum};
use shardlab::cluster::bench::{self, BenchError, Finished, Pace, Popularity, Settings};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HELP: &str = "\
Closed and open loops: without --rate each client begins its next operation when its last one is over (a closed loop). While the
cluster stalls nothing is sent, so what users would have waited for in that time is in no percentile. With --rate operations are due at
times that do not depend on answers (an open loop), and their latency counts from when they were due, also if no client was free to
begin them. That the first kind hides what it did not send is called coordinated omission.

Exit codes: 0 done, 1 refused, or a file cannot be written, 2 the command line makes no sense, 3 no operation was done.";

/// Ask the store of a cluster much at a time, and measure how long it takes. Ctrl-C ends it, and prints what there is.
#[derive(Parser)]
#[command(after_help = HELP)]
pub struct Args {
    /// How many clients. Each has one operation at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    clients: u32,
    /// Begin so many operations a second, whatever becomes of them: an open loop.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// When they are due: at equal distances, or at random ones as those of many independent users.
    #[arg(long, value_enum, default_value_t = Spacing::Fixed, requires = "rate")]
    arrivals: Spacing,
    /// How many keys.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    keys: u64,
    /// The nth most popular key is asked for in proportion to 1/n^EXPONENT; without it all are asked for as often.
    #[arg(long, value_name = "EXPONENT", num_args = 0..=1, default_missing_value = "0.99")]
    zipf: Option<f64>,
    /// How keys begin. With --history none such may be there, and without this they begin as no others do.
    #[arg(long)]
    prefix: Option<String>,
    /// Bytes of a value.
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    value_size: usize,
    /// How many of a hundred operations are reads.
    #[arg(long, value_name = "PERCENT", default_value_t = 50)]
    reads: u32,
    /// For how long it is measured.
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "10s")]
    span: Duration,
    /// For how long it is asked before that.
    #[arg(long, value_name = "TIME", value_parser = maybe_nothing, default_value = "2s")]
    warm_up: Duration,
    /// Do not write each key once before it begins.
    #[arg(long)]
    no_load: bool,
    /// What decides which operations are asked for, and when those of an open loop are due.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write the result there, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write there what clients asked for and were told, for `shardlab check-history`. Nothing is written before it begins.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// A node of the cluster, as host:port. If there are several, the first that can be used is.
    #[arg(long, value_name = "HOST:PORT")]
    entry: Vec<String>,
    /// The directory of a cluster on this machine, instead.
    #[arg(long, value_name = "DIR", conflicts_with = "entry")]
    dir: Option<PathBuf>,
    /// How long one operation may take.
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "10s")]
    timeout: Duration,
    /// The file with the secret that the cluster's nodes share.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    certificates: Certificates,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spacing {
    Fixed,
    Poisson,
}

/// A time that may be none.
fn maybe_nothing(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|why| format!("{why}: write, say, 0s or 2s"))
}

pub fn bench(args: Args) -> Outcome {
    // Clients and what they are told take all cores: one would be measured itself.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Ending::no(format!("this machine gives no sockets or timers: {why}")))?;
    let outcome = runtime.block_on(carry_out(args));
    // Whatever is under way when somebody has ended it, nobody waits for.
    runtime.shutdown_background();
    outcome
}

async fn carry_out(args: Args) -> Outcome {
    let settings = args.settings();
    settings.check().map_err(Ending::usage)?;
    // Found out before, and not when all is over.
    let json = args.json.as_deref().map(create).transpose()?;
    let history = args.history.as_deref().map(create).transpose()?;
    let Args { dir, entry, secret_file, certificates, timeout, .. } = args;
    let at = Where { dir, entry, secret_file, certificates, timeout };
    let stop = asked_to_end().map_err(Ending::no)?;
    let (client, _) = at.connect().await?;
    let span = humantime::format_duration(settings.span);
    eprintln!("measuring for {span} in a moment; Ctrl-C ends it, and prints what there is");
    let Finished { report, history: told } = bench::bench(client, settings, stop).await.map_err(ending)?;
    show(format!("{}\n{report}", report.settings))?;
    if let (Some(file), Some(path)) = (json, &args.json) {
        write(file, |file| writeln!(file, "{}", report.to_json())).map_err(|why| lost(path, why))?;
    }
    if let (Some(file), Some(path), Some(told)) = (history, &args.history, told) {
        write(file, |file| told.write(file)).map_err(|why| lost(path, why))?;
        let (path, count) = (path.display(), told.operations.len());
        show(format!("history {count} operations: decide them with `shardlab check-history {path}`\n"))?;
    }
    if report.done() == 0 { Err(Ending::unknown("no operation was done")) } else { Ok(()) }
}

impl Args {
    fn settings(&self) -> Settings {
        let pace = match (self.rate, self.arrivals) {
            (None, _) => Pace::Closed,
            (Some(rate), Spacing::Fixed) => Pace::Fixed(rate),
            (Some(rate), Spacing::Poisson) => Pace::Poisson(rate),
        };
        let prefix = match &self.prefix {
            Some(prefix) => prefix.clone(),
            None if self.history.is_some() => format!("bench-{:08x}/", draw()),
            None => "bench/".into(),
        };
        Settings {
            clients: self.clients,
            pace,
            keys: self.keys,
            popularity: self.zipf.map_or(Popularity::Uniform, Popularity::Zipf),
            prefix,
            value_size: self.value_size,
            reads: self.reads,
            warm_up: self.warm_up,
            span: self.span,
            seed: self.seed,
            load: !self.no_load,
            history: self.history.is_some(),
        }
    }
}

/// A number that nobody has drawn before, most likely.
fn draw() -> u32 {
    getrandom::u32().expect("the machine has entropy, or nothing on it can be trusted")
}

/// A file that can be written. What it holds stays there until there is something to be written.
fn create(path: &Path) -> Result<File, Ending> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(|why| lost(path, why))
}

fn lost(path: &Path, why: std::io::Error) -> Ending {
    Ending::no(format!("cannot write {}: {why}", path.display()))
}

fn write(file: File, text: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> std::io::Result<()> {
    // A pipe has no length.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    let mut file = BufWriter::new(file);
    text(&mut file)?;
    file.flush()
}

fn ending(error: BenchError) -> Ending {
    match error {
        BenchError::Unfit(why) => Ending::usage(why),
        BenchError::NotEmpty(_) => Ending::no(error),
        BenchError::TooEarly | BenchError::NotReady(_) => Ending::unknown(error),
    }
}
