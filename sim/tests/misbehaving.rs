//! Code that panics, dies, hangs, never waits or is not deterministic ends as a finding with its seed, and the
//! campaign goes on. Code that prints does no harm.
//!
//! This program is both the campaign and its worker processes, so it has a `main` of its own.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use labrpc::persister::Directory;
use labrpc::{Env, Index, NodeId, Term};
use sim::campaign::{Found, Job, Options, WORKER};
use sim::raft::{Booted, BugCard, PeerSetup, RaftPeer, RaftSystem, Recovered};
use sim::scenario::Suite;
use sim::zoo::{Cache, Caps, Column, measure};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A server that never leads, and misbehaves as it is told.
struct Rude;

struct Silent;

const MANNERS: [&str; 7] =
    ["does-nothing", "prints", "panics", "dies", "never-waits", "goes-round", "looks-at-addresses"];

/// The argument with which this program removes its own file and goes on.
const LOSES_ITS_FILE: &str = "loses-its-file";

impl RaftSystem for Rude {
    fn name(&self) -> &'static str {
        "rude"
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            env.spawn(misbehave(env.clone(), setup.bug.unwrap_or_default()));
            Ok(Booted { peer: Arc::new(Silent), applies: Box::pin(stream::pending()) })
        })
    }

    fn recover(&self, _: NodeId, _: &dyn Directory) -> Result<Recovered, String> {
        Ok(Recovered::default())
    }

    fn bugs(&self) -> Vec<BugCard> {
        MANNERS.map(|name| BugCard { name, about: "as it says", directed: None, study: None }).into()
    }
}

impl RaftPeer for Silent {
    fn start(&self, _: Bytes) -> BoxFuture<'_, Option<(Index, Term)>> {
        Box::pin(std::future::ready(None))
    }

    fn state(&self) -> (Term, bool) {
        (Term(0), false)
    }

    fn snapshot(&self, _: Index, _: Bytes) {}
}

async fn misbehave(env: Env, manner: String) {
    env.sleep(Duration::from_millis(5)).await;
    match manner.as_str() {
        "panics" => panic!("out of ideas"),
        "prints" => {
            println!("a line\n");
            print!("a line without an end");
            eprintln!("an error");
        }
        "dies" => {
            eprintln!("no way on");
            std::process::abort()
        }
        "never-waits" => {
            eprintln!("round and round");
            loop {
                std::hint::spin_loop();
            }
        }
        "goes-round" => loop {
            env.sleep(Duration::from_nanos(1)).await;
        },
        "looks-at-addresses" => {
            let address = &raw const manner as u64 ^ manner.as_ptr() as u64 ^ misbehave as *const () as u64;
            env.sleep(Duration::from_nanos(address % 1_000_003)).await;
        }
        _ => {}
    }
}

/// What a campaign of a few runs finds.
fn found(bug: &str, check: bool) -> Vec<Found> {
    let job = |seed| Job {
        suite: "rude".into(),
        scenario: "initial-election".into(),
        seed,
        bug: Some(bug.into()),
        mute: if check { vec!["progress".into()] } else { Vec::new() },
        drawn: None,
    };
    let jobs: Vec<Job> = (0..3).map(job).collect();
    let options =
        Options { jobs: 2, max_failures: 100, hang_after: Duration::from_secs(2), check, json: None, quiet: true };
    let mut told = Vec::new();
    let tell = |job: &Job, _: &Found| told.push(job.seed);
    let results = sim::campaign::run(jobs.into_iter(), 3, &options, tell).expect("workers can be started");
    let seeds: std::collections::BTreeSet<u64> = results.failures.iter().map(|(job, _)| job.seed).collect();
    assert_eq!(seeds.len(), 3, "{bug}: each run is accounted for: {:?}", results.failures);
    assert_eq!(told.len(), results.failures.len(), "{bug}: each failure is told when it is found");
    assert!(results.failures.is_sorted_by_key(|(job, _)| job.seed), "{bug}: they are in the order of the jobs");
    let (failed, decided) = (results.has_failed(), results.is_decided());
    assert_eq!(
        (failed, decided),
        if matches!(bug, "dies" | "never-waits") { (false, false) } else { (true, true) }
    );
    results.failures.into_iter().map(|(_, found)| found).collect()
}

/// Every run ends with a violation of this check, and the text says this.
fn violates(bug: &str, check: &str, says: &str) {
    for found in found(bug, false) {
        match found {
            Found::Violation(violation) => {
                assert_eq!(violation.check, check, "{bug}: {}", violation.detail);
                assert!(violation.detail.contains(says), "{bug}: {}", violation.detail);
            }
            other => panic!("{bug}: {other:?}"),
        }
    }
}

/// What the command line makes of it: how it ends, what it prints, and the lines of JSON.
fn commanded(arguments: &[&str]) -> (Option<i32>, String) {
    let this = std::env::current_exe().expect("this program has a file");
    let output = std::process::Command::new(this).args(arguments).output().expect("it starts");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into())
}

/// A run that does not come to its end is no failure of the system, and not a success: nobody knows.
fn undecided() {
    let (code, says) = commanded(&["replay", "initial-election", "--bug", "never-waits", "--hang-after", "1"]);
    assert!(code == Some(3) && says.starts_with("HUNG  rude initial-election, seed 0\n"), "{code:?}: {says}");
    let file = std::env::temp_dir().join(format!("misbehaving-{}.json", std::process::id()));
    let path = file.to_str().expect("the path is text");
    let (code, says) =
        commanded(&["run", "initial-election", "--seeds", "2", "--bug", "dies", "--quiet", "--json", path]);
    assert!(code == Some(3) && says.contains("stopped after 1 failure (--max-failures): "), "{code:?}: {says}");
    assert!(says.contains("It wrote to standard error last:\n      no way on\n"), "{says}");
    let lines = std::fs::read_to_string(&file).expect("the lines are written");
    std::fs::remove_file(&file).expect("it can be removed");
    assert!(lines.lines().any(|line| line.starts_with(r#"{"found":"died","suite":"rude""#)), "{lines}");
}

/// In the zoo nothing counts as seen that is wrong without the bug as well: this server makes no progress, bug or none.
fn dismissed() {
    let folder = std::env::temp_dir().join(format!("misbehaving-zoo-{}", std::process::id()));
    let suite = sim::scenario::raft::suite(Arc::new(Rude));
    let bug = suite.system.bugs().into_iter().find(|bug| bug.name == "panics").expect("it is one of its manners");
    let caps = Caps { usual: 7, whole: [9; 3], detections: 2, sample: 4 };
    let options = Options {
        jobs: 2,
        max_failures: 1,
        hang_after: Duration::from_secs(20),
        check: false,
        json: None,
        quiet: true,
    };
    let mut cache = Cache::open(&folder, "this".into()).expect("the folder can be used");
    for (column, runs) in [(Column::Usual, 7), (Column::Whole, 9)] {
        let cell = measure(&suite, &bug, column, &caps, &options, &mut cache).expect("workers can be started");
        assert_eq!((cell.runs, cell.detections.len(), cell.dismissed), (runs, 0, runs), "{cell:?}");
        assert_eq!((cell.compared, cell.live), (4, 4), "a panic is seen in the digest: {cell:?}");
        // It is known now, and no worker is asked again.
        let nobody = Options { hang_after: Duration::ZERO, ..options.clone() };
        let again = measure(&suite, &bug, column, &caps, &nobody, &mut cache).expect("it is in the cache");
        assert_eq!(again, cell);
    }
    std::fs::remove_dir_all(&folder).expect("it can be removed");
}

/// A campaign whose program is built anew in the middle goes on with the program that it began with.
#[cfg(target_os = "linux")]
fn survives_without_its_file() {
    let this = std::env::current_exe().expect("this program has a file");
    let copy = this.with_extension(format!("copy-{}", std::process::id()));
    std::fs::copy(&this, &copy).expect("it can be copied");
    let status = std::process::Command::new(&copy).arg(LOSES_ITS_FILE).status().expect("the copy starts");
    assert!(status.success(), "{status}");
    assert!(!copy.exists(), "it removed its file");
}

fn main() -> ExitCode {
    let suites: [Suite; 1] = [sim::scenario::raft::suite(Arc::new(Rude))];
    match std::env::args().nth(1).as_deref() {
        Some(WORKER | "run" | "replay") => return sim::cli::main(&suites),
        Some(LOSES_ITS_FILE) => {
            let file = std::env::current_exe().expect("this program has a file");
            std::fs::remove_file(file).expect("it can be removed");
            violates("does-nothing", "progress", "");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    violates("does-nothing", "progress", "");
    violates("prints", "progress", "");
    violates("panics", "panic", "out of ideas");
    violates("goes-round", "stuck", "");
    for found in found("dies", false) {
        assert!(matches!(&found, Found::Died { said, .. } if said.contains("no way on")), "{found:?}");
    }
    for found in found("never-waits", false) {
        assert!(matches!(&found, Found::Hung { said, .. } if said.contains("round and round")), "{found:?}");
    }
    let diverged = |found: &Found| matches!(found, Found::Diverged(_));
    assert!(found("looks-at-addresses", true).iter().any(diverged), "addresses differ from process to process");
    undecided();
    dismissed();
    #[cfg(target_os = "linux")]
    survives_without_its_file();
    println!("{} manners, each found", MANNERS.len());
    ExitCode::SUCCESS
}
