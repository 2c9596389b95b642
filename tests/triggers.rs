//! Triggers: that what a plan waits for is answered when it happens, as often as it says, and not after the faults' time.

mod common;

use labrpc::sim::{Span, Spread};
use sim::lab::{Outcome, Record, Report, run_plan};
use sim::oracle::{MARKS, Mark};
use sim::plan::{Act, Cue, Plan, PlanError, Selector, Step, Trigger};

fn it() -> Selector {
    Selector::bound("it")
}

/// Three servers of which every leader dies at once and is back soon.
fn hunted() -> Plan {
    let mut plan = Plan::new("custom", 7, 3);
    let soon = Spread::of(Span::millis(1), Span::millis(15));
    let hunt = [(Spread::ZERO, Act::Crash { who: it(), power: true }), (soon, Act::Restart(it()))];
    plan.triggers = vec![Trigger { take: Some(4), ..Trigger::on(Cue::Elected, hunt) }];
    plan.sleep(Span::secs(10));
    plan
}

fn run(plan: &Plan) -> Report {
    assert_eq!(plan.check(), Ok(()));
    let report = run_plan(&common::raft().system, plan, Record::Nothing);
    assert_eq!(report.outcome, Outcome::Ok);
    report
}

fn count(report: &Report, mark: Mark) -> u32 {
    assert_eq!(report.marks.len(), MARKS.len());
    report.marks[mark as usize]
}

#[test]
fn each_cue_is_answered_as_often_as_the_plan_says() {
    let report = run(&hunted());
    assert_eq!((count(&report, Mark::RestartedFast), count(&report, Mark::Elected)), (4, 5));
    assert_eq!(report.unmet, [""; 0]);
}

#[test]
fn cues_are_let_pass_and_answered_by_chance() {
    let mut plan = hunted();
    plan.triggers[0].skip = 1;
    assert_eq!(count(&run(&plan), Mark::RestartedFast), 0, "who is elected first stays");
    plan.triggers[0].skip = 0;
    plan.triggers[0].chance = Some(0);
    assert_eq!(run(&plan).unmet, ["no trigger on elected was ever set off"]);
}

#[test]
fn a_trigger_rests() {
    let mut plan = hunted();
    plan.triggers[0].rest = Span::secs(20);
    assert_eq!(count(&run(&plan), Mark::RestartedFast), 1);
}

#[test]
fn nothing_is_answered_when_all_is_healed() {
    let mut plan = hunted();
    plan.triggers[0].take = None;
    let report = run(&plan);
    assert!(count(&report, Mark::RestartedFast) > 4, "all the time, and in the end somebody leads");
}

#[test]
fn the_other_one_is_known() {
    let mut plan = Plan::new("custom", 3, 5);
    let cut = [(Spread::ZERO, Act::Disconnect(Selector::bound("other")))];
    plan.triggers = vec![Trigger::on(Cue::Voted, cut)];
    // Whoever gets a vote is cut off before it hears of it.
    plan.then(Step::ExpectNoLeader { of: Selector::All, after: Span::secs(5) });
    run(&plan);
}

#[test]
fn names_are_known_in_answers_and_nowhere_else() {
    let refused = |plan: &Plan| plan.check().map_err(|error: PlanError| error.to_string());
    let mut plan = hunted();
    plan.crash(it());
    assert_eq!(refused(&plan), Err("script[1]: `$it` is not bound by an earlier step".into()));
    let mut plan = hunted();
    plan.triggers[0].then[0].act = Act::Crash { who: Selector::bound("that"), power: false };
    assert_eq!(refused(&plan), Err("triggers[0].then[0]: `$that` is not bound by an earlier step".into()));
    let mut plan = hunted();
    plan.triggers[0].then[1].after = Spread::millis(2, 1);
    assert_eq!(
        refused(&plan),
        Err("triggers[0].then[1].after: its shortest, 2ms, is longer than its longest, 1ms".into())
    );
    let plan = hunted();
    assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
}
