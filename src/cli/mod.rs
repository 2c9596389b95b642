//! The command line of real clusters: `node`, `cluster`, `kv` and `bench`.
//!
//! Every command ends with 0 if it did what it was asked, 1 if it did not, 2 if it makes no sense and 3 if nobody has
//! answered; with one line of errors at most.

mod bench;
mod cluster;
mod kv;
mod members;
mod node;
mod shell;
mod tls;
mod up;
mod where_to;

use clap::{Parser, Subcommand};
use shardlab::client::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The commands in short, for the help of those beside which they stand.
#[cfg(feature = "sim")]
pub const ABOUT: &str = "\
Clusters of processes on real sockets (more about each: `shardlab node --help`, ...):
  node           Run one node of a cluster
  cluster        Run a cluster on this machine; look at nodes, stop, kill and restart them; let groups join and leave
  kv             Ask the store of a cluster: get, put, append, delete, cas, scan; or a shell of these
  bench          Ask it much at a time, measure how long that takes, and write a history down";

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 not found, not as expected or refused, 2 the command line or a file makes no sense,
3 nobody has answered, or it is not known whether it was done.";

/// A sharded key/value store on Raft.
#[derive(Parser)]
#[command(version, name = "shardlab", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one node of a cluster.
    Node(Box<node::Args>),
    /// Run a cluster on this machine, look after it, and say which group has what.
    Cluster(cluster::Args),
    /// Ask the store of a cluster.
    Kv(kv::Args),
    /// Ask the store of a cluster much at a time, and measure how long it takes.
    Bench(Box<bench::Args>),
}

/// How a command ends that did not do what it was asked: its exit code, and one line.
enum Ending {
    /// Not found, not as expected, or refused.
    No(String),
    /// The command line or a file makes no sense.
    Usage(String),
    /// Nobody has answered, or nobody knows what came of it.
    Unknown(String),
}

type Outcome = Result<(), Ending>;

impl Ending {
    fn no(why: impl fmt::Display) -> Ending {
        Ending::No(why.to_string())
    }

    fn usage(why: impl fmt::Display) -> Ending {
        Ending::Usage(why.to_string())
    }

    fn unknown(why: impl fmt::Display) -> Ending {
        Ending::Unknown(why.to_string())
    }

    fn code(&self) -> u8 {
        match self {
            Ending::No(_) => 1,
            Ending::Usage(_) => 2,
            Ending::Unknown(_) => 3,
        }
    }

    fn why(&self) -> &str {
        let (Ending::No(why) | Ending::Usage(why) | Ending::Unknown(why)) = self;
        why
    }

    /// Prints its line, unless that was done.
    fn say(&self) {
        if !self.why().is_empty() {
            eprintln!("error: {}", self.why());
        }
    }

    /// The same, when its line was printed.
    fn said(self) -> Ending {
        match self {
            Ending::No(_) => Ending::No(String::new()),
            Ending::Usage(_) => Ending::Usage(String::new()),
            Ending::Unknown(_) => Ending::Unknown(String::new()),
        }
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Ending {
        match error {
            Error::TooLarge(_) => Ending::usage(error),
            Error::Refused(_) => Ending::no(error),
            _ => Ending::unknown(error),
        }
    }
}

/// The program, if the first word is one of these commands.
#[cfg(feature = "sim")]
pub fn main() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    let first = words.next()?;
    let meant = if first == "help" { words.next()? } else { first };
    ["node", "cluster", "kv", "bench"].contains(&&*meant).then(main_alone)
}

/// The program, where there is no other.
pub fn main_alone() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Node(args) => node::node(*args),
        Command::Cluster(args) => cluster::cluster(args),
        Command::Kv(args) => kv::kv(args),
        Command::Bench(args) => bench::bench(*args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(ending) => {
            ending.say();
            ExitCode::from(ending.code())
        }
    }
}

/// Runs a command that waits for others.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| Ending::no(format!("this machine gives no sockets or timers: {why}")))?.block_on(work)
}

/// Prints bytes. Whoever reads them may stop reading: then there is nobody left to print for.
fn show(text: impl AsRef<[u8]>) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Ending::no(format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// A time as people write it: `500ms`, `10s`.
fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|why| format!("{why}: write, say, 500ms or 10s"))?;
    if span.is_zero() { Err("it must be more than nothing".into()) } else { Ok(span) }
}

/// Ready when somebody wants this process to end.
fn asked_to_end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let (terminate, interrupt) = (std::pin::pin!(terminate.recv()), std::pin::pin!(interrupt.recv()));
        futures::future::select(terminate, interrupt).await;
    })
}
