//! What simulating Raft costs, with everything on: codec, digest, disk, oracle.
//!
//! `cargo bench --bench raft`
//!
//! Before the timings it prints what each case does, so that a figure cannot become better by doing less.

use divan::Bencher;
use divan::counter::ItemsCount;
use shardlab::raft::lab::ShardlabRaft;
use sim::lab::{Outcome, Record, Report, run_plan};
use sim::labrpc::sim::Span;
use sim::plan::{Finale, Plan, Selector};
use sim::scenario::{Group, Suite, raft};
use std::sync::Arc;

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The seed of the course's own settings and sizes.
const SEED: u64 = 0;
/// Seeds over which the whole suite is measured.
const SEEDS: u64 = 4;
/// Virtual time of the idle cluster.
const IDLE: Span = Span::secs(1_000);

fn main() {
    describe("the 26 usual scenarios, one seed", &usual());
    describe("the whole suite, four seeds", &whole_suite());
    describe("an idle cluster of three", &[idle()]);
    divan::main();
}

fn suite() -> Suite {
    raft::suite(Arc::new(ShardlabRaft))
}

fn run(suite: &Suite, plan: &Plan) -> Report {
    let report = run_plan(&suite.system, plan, Record::Nothing);
    assert_eq!(report.outcome, Outcome::Ok, "{} {}", plan.scenario, plan.seed);
    report
}

fn usual() -> Vec<Report> {
    let suite = suite();
    let usual = suite.scenarios.iter().filter(|scenario| scenario.group == Group::Usual);
    usual.map(|scenario| run(&suite, &suite.plan(scenario, SEED, None))).collect()
}

fn whole_suite() -> Vec<Report> {
    let suite = suite();
    let seeds = |scenario| (0..SEEDS).map(move |seed| (scenario, seed));
    let all = suite.scenarios.iter().flat_map(seeds);
    all.map(|(scenario, seed)| run(&suite, &suite.plan(scenario, seed, None))).collect()
}

fn idle() -> Report {
    let suite = suite();
    let mut plan = Plan::new("idle", SEED, 3);
    plan.wait_leader(Selector::All).sleep(IDLE);
    plan.finale = Finale { converge: false, serve: false, ..Finale::default() };
    plan.limits.time = Span::secs(2_000);
    run(&suite, &plan)
}

fn describe(what: &str, reports: &[Report]) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    println!(
        "{what}: {} runs, {} messages delivered, {:.0} virtual seconds, {} events, {} entries committed",
        reports.len(),
        sum(|report| report.messages),
        sum(|report| report.virtual_nanos) as f64 / 1e9,
        sum(|report| report.events),
        sum(|report| report.commits),
    );
}

fn messages(reports: &[Report]) -> ItemsCount {
    ItemsCount::new(reports.iter().map(|report| report.messages).sum::<u64>())
}

/// Items are delivered messages.
#[divan::bench(sample_count = 20)]
fn usual_scenarios(bencher: Bencher<'_, '_>) {
    bencher.counter(messages(&usual())).bench_local(usual);
}

/// Items are delivered messages.
#[divan::bench(sample_count = 5)]
fn suite_per_message(bencher: Bencher<'_, '_>) {
    bencher.counter(messages(&whole_suite())).bench_local(whole_suite);
}

/// Items are simulated seconds.
#[divan::bench(sample_count = 10)]
fn idle_seconds(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(IDLE.0.as_secs())).bench_local(idle);
}
