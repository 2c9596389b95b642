//! Code that panics, dies, hangs, never waits or is not deterministic ends as a finding with its seed, and the
//! campaign goes on.
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
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A server that never leads, and misbehaves as it is told.
struct Rude;

struct Silent;

const MANNERS: [&str; 6] = ["does-nothing", "panics", "dies", "never-waits", "goes-round", "looks-at-addresses"];

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
        MANNERS.map(|name| BugCard { name, about: "as it says", directed: None }).into()
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
        "dies" => std::process::abort(),
        "never-waits" => loop {
            std::hint::spin_loop();
        },
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
    };
    let jobs: Vec<Job> = (0..3).map(job).collect();
    let options =
        Options { jobs: 2, max_failures: 100, hang_after: Duration::from_secs(2), check, json: None, quiet: true };
    let results = sim::campaign::run(jobs.into_iter(), &options).expect("workers can be started");
    let seeds: std::collections::BTreeSet<u64> = results.failures.iter().map(|(job, _)| job.seed).collect();
    assert_eq!(seeds.len(), 3, "{bug}: each run is accounted for: {:?}", results.failures);
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

fn main() -> ExitCode {
    let suites: [Suite; 1] = [sim::scenario::raft::suite(Arc::new(Rude))];
    if std::env::args().nth(1).as_deref() == Some(WORKER) {
        return sim::cli::main(&suites);
    }
    violates("does-nothing", "progress", "");
    violates("panics", "panic", "out of ideas");
    violates("goes-round", "stuck", "");
    assert!(found("dies", false).iter().all(|found| matches!(found, Found::Died(_))));
    assert!(found("never-waits", false).iter().all(|found| matches!(found, Found::Hung(_))));
    let diverged = |found: &Found| matches!(found, Found::Diverged(_));
    assert!(found("looks-at-addresses", true).iter().any(diverged), "addresses differ from process to process");
    println!("6 manners, each found");
    ExitCode::SUCCESS
}
