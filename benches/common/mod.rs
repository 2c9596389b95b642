//! What the benchmarks of services in the laboratory share: the usual scenarios of some suites, run again and again.
//!
//! It says first what is done, so that a figure cannot become better by doing less. Figures are of CPU time and not of
//! time that passes: others may use the machine.

use rustix::time::{ClockId, clock_gettime};
use sim::history::Outcome as Told;
use sim::lab::{Outcome, Record, Report, run_plan};
use sim::lin;
use sim::plan::Plan;
use sim::scenario::{Group, Suite};
use std::time::Duration;

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The seed of the course's own settings and sizes.
const SEED: u64 = 0;
/// How often all scenarios are run, if nothing else is asked for.
const ROUNDS: usize = 9;

/// Measures the usual scenarios of these suites. The first number among the program's arguments says how often they are run.
pub fn measure(suites: &[Suite]) {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let rounds = asked.unwrap_or(ROUNDS).max(1);
    let mut lines: Vec<Line<'_>> = suites.iter().flat_map(usual).collect();
    println!("the {} usual scenarios, seed {SEED}", lines.len());
    for _ in 0..rounds {
        lines.iter_mut().for_each(Line::time);
    }
    lines.iter().for_each(Line::print);
    Total::of(&lines).print(rounds);
}

fn usual(suite: &Suite) -> impl Iterator<Item = Line<'_>> {
    let usual = suite.scenarios.iter().filter(|scenario| scenario.group == Group::Usual);
    usual.map(|scenario| Line::of(suite, suite.plan(scenario, SEED, None)))
}

/// The CPU time that this process has used.
fn used() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("a process does not use less than none")
}

/// What something costs, and what comes of it.
fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let before = used();
    let outcome = what();
    (used() - before, outcome)
}

fn run(suite: &Suite, plan: &Plan) -> Report {
    let report = run_plan(&suite.system, plan, Record::Nothing);
    assert_eq!(report.outcome, Outcome::Ok, "{} {}", plan.scenario, plan.seed);
    report
}

/// One scenario.
struct Line<'a> {
    suite: &'a Suite,
    plan: Plan,
    messages: u64,
    events: u64,
    /// Operations that were answered, and that were begun.
    completed: usize,
    begun: usize,
    seconds: f64,
    digest: u64,
    /// What each round took, all in all, and to decide the history.
    whole: Vec<Duration>,
    deciding: Vec<Duration>,
}

impl Line<'_> {
    fn of(suite: &Suite, plan: Plan) -> Line<'_> {
        let report = run(suite, &plan);
        let operations = &report.history.operations;
        Line {
            messages: report.messages,
            events: report.events,
            completed: operations.iter().filter(|op| matches!(op.outcome, Told::Ok { .. })).count(),
            begun: operations.len(),
            seconds: report.virtual_nanos as f64 / 1e9,
            digest: report.digest,
            whole: Vec::new(),
            deciding: Vec::new(),
            suite,
            plan,
        }
    }

    fn time(&mut self) {
        let (whole, report) = timed(|| run(self.suite, &self.plan));
        assert_eq!(report.digest, self.digest, "{}", self.plan.scenario);
        self.whole.push(whole);
        // Once more, by itself: it is part of the run.
        let (deciding, verdict) = timed(|| lin::check(&report.history, &lin::Kv, lin::Limits::default()));
        assert!(verdict.is_ok());
        self.deciding.push(deciding);
    }

    fn print(&self) {
        let best = *self.whole.iter().min().expect("there is a round");
        println!(
            "  {:<54} {:>6} of {:>6} ops {:>7} messages {:>5.0} s {:>8.2} ms {:>6.2} us a message {:>4.1} % deciding",
            self.plan.scenario,
            self.completed,
            self.begun,
            self.messages,
            self.seconds,
            millis(best),
            millis(best) * 1e3 / self.messages as f64,
            100.0 * share(&self.deciding, &self.whole),
        );
    }
}

/// All scenarios.
struct Total {
    messages: u64,
    events: u64,
    completed: usize,
    begun: usize,
    seconds: f64,
    /// By round.
    whole: Vec<Duration>,
    deciding: Vec<Duration>,
}

impl Total {
    fn of(lines: &[Line<'_>]) -> Total {
        let rounds = 0..lines.first().map_or(0, |line| line.whole.len());
        Total {
            messages: lines.iter().map(|line| line.messages).sum(),
            events: lines.iter().map(|line| line.events).sum(),
            completed: lines.iter().map(|line| line.completed).sum(),
            begun: lines.iter().map(|line| line.begun).sum(),
            seconds: lines.iter().map(|line| line.seconds).sum(),
            whole: rounds.clone().map(|round| lines.iter().map(|line| line.whole[round]).sum()).collect(),
            deciding: rounds.map(|round| lines.iter().map(|line| line.deciding[round]).sum()).collect(),
        }
    }

    fn print(mut self, rounds: usize) {
        println!(
            "{} of {} operations completed, {} messages delivered, {:.0} virtual seconds, {} events",
            self.completed, self.begun, self.messages, self.seconds, self.events,
        );
        let deciding = 100.0 * share(&self.deciding, &self.whole);
        self.whole.sort_unstable();
        let (best, median) = (millis(self.whole[0]), millis(self.whole[rounds / 2]));
        let by_message = |total: f64| total * 1e3 / self.messages as f64;
        println!("CPU, best of {rounds}: {best:.1} ms, {:.2} us a message", by_message(best));
        println!("CPU, median:    {median:.1} ms, {:.2} us a message", by_message(median));
        println!("of which deciding whether histories are linearizable: {deciding:.1} %");
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn share(part: &[Duration], whole: &[Duration]) -> f64 {
    part.iter().sum::<Duration>().as_secs_f64() / whole.iter().sum::<Duration>().as_secs_f64()
}
