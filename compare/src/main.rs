//! The same load on a cluster of etcd and on one of shardlab, in turn: short rounds, so that whatever else the machine does hits
//! both, and ratios of neighbouring rounds, since no other figure of a machine that is shared means much.
//!
//! Both clusters run all the time, on the same disk. The one that is not asked only keeps its leader, which the last lines of the
//! output put a figure on.

mod disk;
mod etcd;
mod load;
mod members;
mod ours;
mod table;

use clap::Parser;
use etcd::Etcd;
use hdrhistogram::Histogram;
use load::{Kind, Load, Store};
use members::{Members, own_cpu};
use ours::Ours;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::Side;

/// How long a cluster may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a sync is timed in each round.
const SYNCS: u32 = 100;

/// The same load on a cluster of etcd and on one of shardlab, in turn.
#[derive(Parser)]
struct Args {
    /// Where both keep their data; it must not be in memory. What is there is removed.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The program of ours.
    #[arg(long, value_name = "FILE")]
    shardlab: PathBuf,
    /// The program of etcd.
    #[arg(long, value_name = "FILE", default_value = "etcd")]
    etcd: PathBuf,
    /// How often each is asked.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// For how long it is measured in each round.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "3s")]
    span: Duration,
    /// For how long it is asked before that.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1s")]
    warm_up: Duration,
    /// How many clients. Each has one operation at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Bytes of a value.
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    value_size: usize,
    /// How many keys.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// How many connections with etcd the clients share. Ours have one with each server.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    etcd_connections: u64,
}

/// Both clusters.
struct Clusters {
    etcd: Etcd,
    ours: Ours,
}

/// What was found of both with one kind of operation.
#[derive(Default)]
struct Pair {
    etcd: Side,
    ours: Side,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a machine that runs two clusters gives a program threads");
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = compare(&args) => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn compare(args: &Args) -> Result<(), String> {
    let (etcd_dir, our_dir) = (args.dir.join("etcd"), args.dir.join("shardlab"));
    for dir in [&etcd_dir, &our_dir] {
        let _ = std::fs::remove_dir_all(dir);
        std::fs::create_dir_all(dir).map_err(|why| format!("cannot make {}: {why}", dir.display()))?;
    }
    disk::check(&args.dir)?;
    let load = Load {
        clients: args.clients,
        keys: args.keys,
        value_size: args.value_size,
        warm_up: args.warm_up,
        span: args.span,
    };
    let etcd = Etcd::start(&args.etcd, &etcd_dir, args.etcd_connections as usize, PATIENCE).await?;
    let ours = Ours::start(&args.shardlab, &our_dir, args.clients as usize, PATIENCE).await?;
    let mut both = Clusters { etcd, ours };
    both.etcd.store.fill(load).await.map_err(|why| format!("etcd: {why}"))?;
    both.ours.store.fill(load).await.map_err(|why| format!("shardlab: {why}"))?;
    let idle = both.idle().await;
    let mut syncs = load::microseconds();
    let (mut writes, mut reads, mut disk_operations) = (Pair::default(), Pair::default(), 0);
    for round in 0..args.rounds {
        disk::sync_times(&args.dir, SYNCS, &mut syncs).map_err(|why| format!("the disk: {why}"))?;
        both.measure(Kind::Write, load, round, &mut writes).await?;
        disk_operations += both.measure(Kind::Read, load, round, &mut reads).await?;
        eprintln!("round {} of {}", round + 1, args.rounds);
    }
    print(args, &syncs, &writes, &reads, disk_operations, idle);
    failures(&writes, &reads)
}

impl Clusters {
    /// Asks one after the other. How many operations on their disks our servers have made meanwhile.
    async fn measure(&mut self, kind: Kind, load: Load, round: u64, pair: &mut Pair) -> Result<u64, String> {
        let seed = round * 2 + u64::from(kind == Kind::Read);
        let before = self.etcd.syncs().await?;
        one(&self.etcd.store, &self.etcd.members, kind, load, seed, &mut pair.etcd).await;
        pair.etcd.syncs += self.etcd.syncs().await? - before;
        self.etcd.members.check()?;
        let before = self.ours.disk().await?;
        one(&self.ours.store, &self.ours.members, kind, load, seed, &mut pair.ours).await;
        let after = self.ours.disk().await?;
        pair.ours.syncs += after.syncs - before.syncs;
        self.ours.members.check()?;
        Ok(after.operations - before.operations)
    }

    /// What part of a core each takes when nobody asks: etcd's, and ours.
    async fn idle(&self) -> (f64, f64) {
        let cpu = || (self.etcd.members.cpu(), self.ours.members.cpu());
        let (before, begun) = (cpu(), Instant::now());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (after, seconds) = (cpu(), begun.elapsed().as_secs_f64());
        ((after.0 - before.0).as_secs_f64() / seconds, (after.1 - before.1).as_secs_f64() / seconds)
    }
}

async fn one(store: &Store, members: &Members, kind: Kind, load: Load, seed: u64, side: &mut Side) {
    let (found, before, after) = store.ask(kind, load, seed, || (members.cpu(), own_cpu())).await;
    side.rates.push(found.latency.len() as f64 / load.span.as_secs_f64());
    side.cpu.0 += after.0 - before.0;
    side.cpu.1 += after.1 - before.1;
    side.found.add(&found);
}

fn print(args: &Args, syncs: &Histogram<u64>, writes: &Pair, reads: &Pair, disk_operations: u64, idle: (f64, f64)) {
    let ms = |percent| syncs.value_at_percentile(percent) as f64 / 1e3;
    let (clients, value_size, keys) = (args.clients, args.value_size, args.keys);
    println!("three servers each on this machine, data in {}", args.dir.display());
    println!(
        "{clients} clients in a closed loop, values of {value_size} bytes, {keys} keys, {} rounds",
        args.rounds
    );
    println!(
        "fdatasync after an append of {} bytes, {} times: p50 {:.2} ms, p99 {:.2} ms",
        disk::APPENDED,
        syncs.len(),
        ms(50.0),
        ms(99.0)
    );
    println!("\n{:<38}{:>12}{:>12}{:>10}", "", version(&args.etcd), "shardlab", "ratio");
    print!("{}", table::rows("writes", &writes.etcd, &writes.ours));
    print!("{}", table::rows("reads", &reads.etcd, &reads.ours));
    let ratio = |pair: (&Side, &Side)| pair.0.rate() / pair.1.rate();
    let (etcd, ours) = (ratio((&reads.etcd, &writes.etcd)), ratio((&reads.ours, &writes.ours)));
    println!("{:<38}{etcd:>12.2}{ours:>12.2}", "reads / writes");
    println!("{:<38}{:>12}{disk_operations:>12}", "operations on disks during reads", "");
    println!("{:<38}{:>12.3}{:>12.3}", "cores taken when nobody asks", idle.0, idle.1);
}

/// Whoever fails fast would look quick.
fn failures(writes: &Pair, reads: &Pair) -> Result<(), String> {
    let sides =
        [("etcd", &writes.etcd), ("etcd", &reads.etcd), ("shardlab", &writes.ours), ("shardlab", &reads.ours)];
    match sides.iter().find(|(_, side)| side.found.failed.0 > 0) {
        Some((name, side)) => {
            Err(format!("{name}: {} operations failed, one of them: {}", side.found.failed.0, side.found.failed.1))
        }
        None => Ok(()),
    }
}

/// What etcd calls itself.
fn version(program: &Path) -> String {
    let output = std::process::Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
    format!("etcd {version}")
}
