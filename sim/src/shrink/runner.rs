//! The oracle that runs plans: on several threads, with the same answer whatever their number.
//!
//! Runs are made in the order in which they were asked for, and the first that fails is the answer. Whatever other threads have
//! made beyond it counts for nothing, not even against the budget, so that the answer, and when the budget is spent, are those
//! of a single thread.

use super::progress::Progress;
use super::{Care, Oracle, Size};
use crate::campaign::watched;
use crate::lab::{Record, Report};
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::raft::RaftSystem;
use labrpc::sim::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// How much to spend.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads.
    pub jobs: usize,
    /// At most so many runs.
    pub budget: u64,
    /// At most so much real time; none: as much as it takes. With a limit the outcome is not the same each time.
    pub time: Option<Duration>,
    /// A run that takes longer than this, in real time, counts as one that does not fail.
    pub hang_after: Duration,
    /// Show no progress.
    pub quiet: bool,
}

/// Why there is nothing to shrink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The plan does not fail.
    Green,
    /// Its run does not end.
    Hung,
}

/// How a run failed. None: it does not violate the same, or only since it is no fair plan.
type Verdict = Option<Failed>;

#[derive(Clone, Copy)]
struct Failed {
    /// When the run ended.
    ended: Span,
    /// When the violation was seen, at the latest.
    seen: Span,
}

impl Failed {
    fn of(report: &Report) -> Failed {
        let seen = report.violation().map_or(0, |violation| violation.at);
        let [ended, seen] = [report.virtual_nanos, seen].map(|nanos| Span(Duration::from_nanos(nanos)));
        Failed { ended, seen: if seen == Span::ZERO { ended } else { seen.min(ended) } }
    }
}

/// Runs that hung keep their cores until the process ends, so that there must not be many.
const MOST_HUNG: usize = 4;
/// A run may take this much longer than the one that is to be made smaller, and no more: a run that finds nothing takes much
/// longer than one that does.
const SLACK: Span = Span::millis(1_500);

/// See the module.
pub struct Runner {
    system: Arc<dyn RaftSystem>,
    options: Options,
    /// What the plan violates.
    violation: Violation,
    care: Care,
    /// How the smallest run so far failed.
    failed: Failed,
    /// Known without a run, by the hash of the plan. Those that were made for nothing are in it, but still cost.
    known: BTreeMap<u128, (Verdict, u64)>,
    paid: BTreeSet<u128>,
    /// What was spent, in runs.
    runs: u64,
    hung: AtomicUsize,
    started: Instant,
    progress: Progress,
    /// A run has said that it is to end.
    is_spent: bool,
}

impl Runner {
    /// Runs the plan, to see what it violates.
    ///
    /// # Errors
    /// [`Lost`]: nothing.
    pub fn new(system: &Arc<dyn RaftSystem>, plan: &Plan, options: Options) -> Result<Runner, Lost> {
        let report = watched(system, plan, Record::Nothing, options.hang_after).ok_or(Lost::Hung)?;
        let violation = report.violation().ok_or(Lost::Green)?.clone();
        let sound = || watched(system, &sound(plan), Record::Nothing, options.hang_after);
        let is_fair = plan.bug.is_some() && sound().is_some_and(|report| report.violation().is_none());
        Ok(Runner {
            system: system.clone(),
            care: Care::of(&violation.check, is_fair),
            violation,
            failed: Failed::of(&report),
            known: BTreeMap::new(),
            paid: BTreeSet::new(),
            runs: if plan.bug.is_some() { 2 } else { 1 },
            hung: AtomicUsize::new(0),
            started: Instant::now(),
            progress: Progress::new(options.quiet),
            is_spent: false,
            options,
        })
    }

    /// What the plan that it began with violates.
    pub fn violation(&self) -> &Violation {
        &self.violation
    }

    /// What must be left alone.
    pub fn care(&self) -> Care {
        self.care
    }

    /// Runs that were made.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The search is over.
    pub fn finish(&self) {
        self.progress.finish();
    }

    /// Whether a run violates the same.
    pub fn is_same(&self, report: &Report) -> bool {
        report.violation().is_some_and(|violation| violation.check == self.violation.check)
    }

    fn is_late(&self) -> bool {
        let late = self.options.time.is_some_and(|time| self.started.elapsed() >= time);
        late || self.hung.load(Ordering::Relaxed) >= MOST_HUNG
    }

    /// Whether a plan violates the same, and what that took in runs.
    fn judge(&self, plan: &Plan) -> (Verdict, u64) {
        let run = |plan: &Plan| {
            let report = watched(&self.system, plan, Record::Nothing, self.options.hang_after);
            if report.is_none() {
                self.hung.fetch_add(1, Ordering::Relaxed);
            }
            report
        };
        let Some(report) = run(plan).filter(|report| self.is_same(report)) else { return (None, 1) };
        let failed = Failed::of(&report);
        if self.care != Care::Control {
            return (Some(failed), 1);
        }
        let is_fair = run(&sound(plan)).is_some_and(|report| report.violation().is_none());
        (is_fair.then_some(failed), 2)
    }

    /// The runs to make, in order: each candidate with several schedules, its own first.
    fn units(&self, candidates: &[Plan], tries: u32) -> Vec<Unit> {
        let mut units = Vec::new();
        for (nth, plan) in candidates.iter().enumerate() {
            let others = (0..u64::from(tries)).filter(|schedule| *schedule != plan.schedule);
            for schedule in std::iter::once(plan.schedule).chain(others).take(tries as usize) {
                let mut plan = plan.clone();
                plan.schedule = schedule;
                let key = xxh3_128(format!("{:?} {}", self.longest(), plan.to_json()).as_bytes());
                if !self.paid.contains(&key) {
                    units.push(Unit { nth, plan, key });
                }
            }
        }
        units.truncate(usize::try_from(self.options.budget.saturating_sub(self.runs)).unwrap_or(usize::MAX));
        units
    }

    /// How long a run may take.
    fn longest(&self) -> Span {
        Span(self.failed.ended.0 * 5 / 4 + SLACK.0)
    }

    /// Makes these runs until one of them is the first that fails. What is known of each, in order.
    fn make(&self, units: &[Unit]) -> Vec<Option<(Verdict, u64)>> {
        let made: Mutex<Vec<Option<(Verdict, u64)>>> = Mutex::new(vec![None; units.len()]);
        let (next, first) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= units.len() || at > first.load(Ordering::Relaxed) || self.is_late() {
                    return;
                }
                let known = self.known.get(&units[at].key).copied();
                let verdict = known.unwrap_or_else(|| {
                    let mut plan = units[at].plan.clone();
                    plan.limits.time = plan.limits.time.min(self.longest());
                    self.judge(&plan)
                });
                if verdict.0.is_some() {
                    first.fetch_min(at, Ordering::Relaxed);
                }
                made.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(verdict);
            }
        };
        std::thread::scope(|scope| {
            (1..self.options.jobs).for_each(|_| _ = scope.spawn(work));
            work();
        });
        made.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run to make.
struct Unit {
    /// Of which candidate.
    nth: usize,
    plan: Plan,
    key: u128,
}

/// The plan without the bug that is planted, and with all the time that it takes.
fn sound(plan: &Plan) -> Plan {
    let limits = labrpc::sim::Limits::default();
    let time = plan.limits.time.max(limits.time);
    Plan { bug: None, limits: labrpc::sim::Limits { time, ..plan.limits }, ..plan.clone() }
}

impl Oracle for Runner {
    fn first(&mut self, what: &str, candidates: &[Plan], tries: u32) -> Option<(usize, Plan)> {
        let units = self.units(candidates, tries);
        let made = self.make(&units);
        for (unit, made) in units.iter().zip(&made) {
            if let Some(made) = made {
                self.known.insert(unit.key, *made);
            }
        }
        for (unit, made) in units.into_iter().zip(made) {
            let Some((verdict, cost)) = made else {
                // Nobody had the time to make it.
                self.is_spent = true;
                break;
            };
            self.runs += cost;
            self.paid.insert(unit.key);
            if let Some(failed) = verdict {
                self.failed = failed;
                self.progress.tick(self.runs, self.options.budget, &Size::of(&unit.plan), what);
                return Some((unit.nth, unit.plan));
            }
        }
        let size = candidates.first().map(Size::of).unwrap_or_default();
        self.progress.tick(self.runs, self.options.budget, &size, what);
        None
    }

    fn seen(&self) -> Span {
        self.failed.seen
    }

    fn is_spent(&self) -> bool {
        self.is_spent || self.runs >= self.options.budget
    }
}
