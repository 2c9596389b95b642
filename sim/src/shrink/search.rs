//! The search: what is taken out in which order, until nothing more can be.

use super::care::Care;
use super::chunks::without_chunks;
use super::parts::List;
use super::repair::repaired;
use super::{groups, settings, times};
use crate::plan::Plan;
use labrpc::sim::Span;

/// Knows which plans fail.
pub trait Oracle {
    /// The first of these that violates the same as ever, and that plan with the schedule under which it does. `what` is being
    /// tried, with so many schedules for each. None: none of them does, or there is no more to spend.
    fn first(&mut self, what: &str, candidates: &[Plan], tries: u32) -> Option<(usize, Plan)>;

    /// When the violation was seen in the last plan that was found, or in the one that it began with.
    fn seen(&self) -> Span;

    /// Whether there is no more to spend.
    fn is_spent(&self) -> bool;
}

/// A change that makes a plan smaller, or leaves it as it is.
pub(super) type Edit = Box<dyn Fn(&mut Plan)>;

/// Schedules tried for each plan: few while there is much to take out, since most of what goes goes at once.
const TRIES: [u32; 2] = [2, 5];
/// Plans made at once.
const BATCH: usize = 16;

/// A smaller plan that violates the same. With an oracle that has spent what it may, the smallest so far.
pub fn shrink(plan: &Plan, care: Care, oracle: &mut dyn Oracle) -> Plan {
    let mut search = Search { plan: plan.clone(), care, oracle, tries: 0 };
    for tries in TRIES {
        search.tries = tries;
        while search.round() && !search.oracle.is_spent() {}
    }
    let mut smallest = search.plan;
    // It says what was drawn, and perhaps none of it is left.
    smallest.drawn.clear();
    smallest
}

struct Search<'a> {
    plan: Plan,
    care: Care,
    oracle: &'a mut dyn Oracle,
    tries: u32,
}

impl Search<'_> {
    /// Everything once. Whether something could be taken out.
    fn round(&mut self) -> bool {
        let before = self.plan.clone();
        let is_free = self.care.frees_script(&self.plan);
        // What would have happened after the violation did not lead to it.
        if is_free {
            self.edits("time", times::cuts(self.oracle.seen()));
        }
        if self.care.frees_faults(&self.plan) {
            self.list(List::Faults);
            self.list(List::Reactions);
        }
        for list in [List::Clients, List::Ops, List::Clocks] {
            self.list(list);
        }
        self.script(is_free);
        self.edits("finale", settings::finale());
        self.edits("weather", settings::weather());
        self.edits("pauses", times::pauses(&self.plan));
        if is_free {
            self.edits("servers", groups::fewer(&self.plan));
            self.edits("knobs", settings::knobs());
            self.edits("triggers", times::triggers(&self.plan));
            self.edits("times", times::shorter(&self.plan));
        }
        !is_same(&before, &self.plan)
    }

    fn script(&mut self, is_free: bool) {
        if is_free {
            self.list(List::Steps);
            self.edits("counts", times::counts(&self.plan));
            return;
        }
        while !self.plan.script.is_empty() {
            let last = |plan: &Plan, _| {
                let mut less = plan.clone();
                less.script.pop();
                less
            };
            if self.first(List::Steps.name(), 1, last).is_none() {
                return;
            }
        }
    }

    /// Takes out of a list what it can do without.
    fn list(&mut self, list: List) {
        let (len, care) = (list.len(&self.plan), self.care);
        without_chunks(len, |parts| {
            let nth = self.first(list.name(), parts.len(), |plan, nth| list.without(plan, &parts[nth], care))?;
            Some((nth, list.len(&self.plan)))
        });
    }

    /// Makes each of these changes if it can be made.
    fn edits(&mut self, what: &str, edits: Vec<Edit>) {
        let mut edits = edits.as_slice();
        let edited = |plan: &Plan, edit: &Edit| {
            let mut edited = plan.clone();
            edit(&mut edited);
            edited
        };
        while let Some(nth) = self.first(what, edits.len(), |plan, nth| edited(plan, &edits[nth])) {
            edits = &edits[nth + 1..];
        }
    }

    /// Goes on with the first of so many smaller plans that fails.
    fn first(&mut self, what: &str, count: usize, make: impl Fn(&Plan, usize) -> Plan) -> Option<usize> {
        for from in (0..count).step_by(BATCH) {
            if self.oracle.is_spent() {
                return None;
            }
            let mut numbers = Vec::new();
            let mut candidates = Vec::new();
            for nth in from..count.min(from + BATCH) {
                let Some(plan) = repaired(make(&self.plan, nth)) else { continue };
                if !is_same(&plan, &self.plan) {
                    numbers.push(nth);
                    candidates.push(plan);
                }
            }
            if candidates.is_empty() {
                continue;
            }
            if let Some((nth, plan)) = self.oracle.first(what, &candidates, self.tries) {
                self.plan = plan;
                return Some(numbers[nth]);
            }
        }
        None
    }
}

/// The same but for the schedule.
fn is_same(one: &Plan, other: &Plan) -> bool {
    Plan { schedule: one.schedule, ..other.clone() } == *one
}

#[cfg(test)]
mod tests;
