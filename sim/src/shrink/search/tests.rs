//! The search with an oracle that runs nothing.

use super::*;
use crate::plan::{Act, Client, Cue, Fault, Knobs, Moment, Op, Otherwise, Selector, Step, Trigger};
use labrpc::sim::{NetWeather, Spread};

/// Says that a plan fails by looking at it.
struct Fake {
    fails: fn(&Plan) -> bool,
    seen: Span,
    asked: u32,
    budget: u32,
}

impl Oracle for Fake {
    fn first(&mut self, _: &str, candidates: &[Plan], _: u32) -> Option<(usize, Plan)> {
        let budget = self.budget;
        let found = candidates.iter().position(|plan| {
            assert_eq!(plan.check(), Ok(()), "only what is possible is tried");
            self.asked += 1;
            self.asked <= budget && (self.fails)(plan)
        })?;
        Some((found, Plan { schedule: 3, ..candidates[found].clone() }))
    }

    fn seen(&self) -> Span {
        self.seen
    }

    fn is_spent(&self) -> bool {
        self.asked >= self.budget
    }
}

fn crash(n: u32) -> Act {
    Act::Crash { who: Selector::s(n), power: false }
}

/// Much of everything.
fn large() -> Plan {
    let mut plan = Plan::new("x", 1, 5);
    plan.drawn = vec!["much".into()];
    plan.faults = (0..60).map(|n| Fault { at: Span::millis(200 * n), act: crash(1 + n as u32 % 5) }).collect();
    plan.triggers = vec![Trigger::on(Cue::Elected, [(Spread::ZERO, crash(2)), (Spread::ZERO, Act::Heal)]); 4];
    let ops = vec![Op::Write { after: Span::millis(9), size: 16 }; 50];
    plan.clients = vec![Client { talks_to: Selector::All, from: Span::ZERO, ops }; 6];
    plan.knobs = Knobs { max_entries: Some(1), max_inflight: 2, ..Knobs::default() };
    plan.net = NetWeather { drop: 100_000, duplicate: 5, ..NetWeather::default() };
    plan.bind("x", Selector::Leader).crash(Selector::bound("x"));
    plan.sleep(Span::secs(20));
    plan.finale.core = Some(plan.majority_of_each());
    plan
}

fn least(plan: &Plan, care: Care, budget: u32, fails: fn(&Plan) -> bool) -> (Plan, u32) {
    let mut oracle = Fake { fails, seen: Span::secs(7), asked: 0, budget };
    assert!(fails(plan), "there is something to shrink");
    let least = shrink(plan, care, &mut oracle);
    assert!(fails(&least));
    (least, oracle.asked)
}

#[test]
fn what_fails_anyway_becomes_empty() {
    let (least, asked) = least(&large(), Care::None, u32::MAX, |_| true);
    let mut empty = Plan::new("x", 1, 1);
    empty.schedule = 3;
    (empty.finale.converge, empty.finale.serve) = (false, false);
    assert_eq!(least, empty);
    assert!(asked < 50, "{asked} runs");
}

#[test]
fn what_is_needed_is_left() {
    let fails = |plan: &Plan| {
        let crashed = |n| plan.faults.iter().any(|fault| fault.act == crash(n));
        let ops: usize = plan.clients.iter().map(|client| client.ops.len()).sum();
        crashed(2) && crashed(3) && ops >= 3 && plan.knobs.max_inflight == 2 && plan.net.drop > 0
    };
    let (least, asked) = least(&large(), Care::None, u32::MAX, fails);
    assert_eq!((least.faults.len(), least.triggers.len(), least.servers), (2, 0, 3));
    assert_eq!((least.clients.len(), least.clients[0].ops.len()), (1, 3));
    assert_eq!(least.knobs, Knobs { max_inflight: 2, ..Knobs::default() });
    assert_eq!(least.net, NetWeather { drop: 100_000, ..NetWeather::default() });
    assert_eq!((least.script, least.drawn), (vec![], vec![]));
    assert!(asked < 400, "{asked} runs");
}

#[test]
fn a_name_goes_with_what_uses_it() {
    let is_bound = |plan: &Plan| plan.script.iter().any(|step| matches!(step, Step::Do(Act::Bind { .. })));
    let (least, _) = least(&large(), Care::None, u32::MAX, is_bound);
    assert_eq!(least.script, [Step::Do(Act::Bind { name: "x".into(), who: Selector::Leader })]);
}

#[test]
fn a_reaction_goes_by_itself() {
    let heals = |plan: &Plan| {
        plan.triggers.iter().any(|trigger| trigger.then.iter().any(|reaction| reaction.act == Act::Heal))
    };
    let (least, _) = least(&large(), Care::None, u32::MAX, heals);
    assert_eq!(least.triggers.len(), 1);
    assert_eq!(least.triggers[0].then.len(), 1);
}

#[test]
fn a_budget_ends_the_search_with_the_smallest_so_far() {
    let fails = |plan: &Plan| plan.faults.len() >= 7;
    let (few, asked) = least(&large(), Care::None, 12, fails);
    assert!(few.faults.len() < 60 && asked <= 12 + BATCH as u32, "{} faults, {asked} runs", few.faults.len());
    assert_eq!(least(&large(), Care::None, u32::MAX, fails).0.faults.len(), 7);
}

/// What heals is left, and a script that demands something is cut at its end only.
#[test]
fn with_care_a_plan_stays_fair() {
    let mut plan = large();
    plan.faults.push(Fault { at: Span::secs(1), act: Act::Heal });
    plan.wait_leader(Selector::All);
    plan.sleep(Span::secs(1));
    let waits = |plan: &Plan| plan.script.iter().any(|step| matches!(step, Step::WaitLeader { .. }));
    let (careful, _) = least(&plan, Care::Remedies, u32::MAX, waits);
    assert_eq!(careful.script.len(), plan.script.len() - 1);
    assert!(careful.faults.iter().all(|fault| fault.act == Act::Heal) && careful.faults.len() == 1);
    assert_eq!((careful.servers, &careful.knobs), (plan.servers, &plan.knobs));
    let (careless, _) = least(&plan, Care::Control, u32::MAX, waits);
    assert_eq!((careless.script.len(), careless.faults.len()), (1, 0));

    // What must come about may do so because of a fault.
    let event = Moment::Down(Selector::All);
    plan.script.insert(0, Step::Await { event, within: Span::secs(5), or: Otherwise::Violation });
    let (careful, _) = least(&plan, Care::Remedies, u32::MAX, waits);
    assert_eq!(careful.faults, plan.faults);
}
