//! Less time, and less often: what comes after the violation, sleeps, pauses of clients, repetitions, triggers.

use super::parts::{each_act, each_step};
use super::search::Edit;
use crate::plan::{Act, Op, Plan, Step};
use labrpc::sim::{Span, Spread};
use std::time::Duration;

/// Nothing happens by plan after a time: half of the time until the violation, three quarters, all of it.
pub(super) fn cuts(seen: Span) -> Vec<Edit> {
    let parts = [1, 2, 3, 4].map(|part| whole(seen.0 * part / 4));
    parts.into_iter().map(|until| -> Edit { Box::new(move |plan| cut(plan, until)) }).collect()
}

fn cut(plan: &mut Plan, until: Span) {
    plan.faults.retain(|fault| fault.at <= until);
    plan.clients.retain(|client| client.from <= until || client.ops.is_empty());
    each_step(&mut plan.script, &mut |step| {
        if let Step::Sleep(span) = step {
            *span = until.min(*span);
        }
    });
}

/// Sleeps left out or halved; faults at fixed times earlier, all of them and the sleeps together, or one by one.
pub(super) fn shorter(plan: &Plan) -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![Box::new(|plan| {
        plan.faults.iter_mut().for_each(|fault| fault.at = half(fault.at));
        each_sleep(plan, |_, span| *span = half(*span));
    })];
    let mut sleeps = 0;
    each_step(&mut plan.script.clone(), &mut |step| sleeps += usize::from(matches!(step, Step::Sleep(_))));
    for at in 0..sleeps {
        for change in [|_| Span::ZERO, half] {
            let change_one = move |nth, span: &mut Span| {
                if nth == at {
                    *span = change(*span);
                }
            };
            edits.push(Box::new(move |plan| each_sleep(plan, change_one)));
        }
    }
    for at in 0..plan.faults.len() {
        for change in [|_| Span::ZERO, half] {
            edits.push(Box::new(move |plan| {
                plan.faults.get_mut(at).into_iter().for_each(|fault| fault.at = change(fault.at));
            }));
        }
    }
    edits
}

fn half(span: Span) -> Span {
    whole(span.0 / 2)
}

/// In whole milliseconds, which are easier to read. Less than one is nothing.
fn whole(time: Duration) -> Span {
    Span::millis(time.as_millis() as u64)
}

fn each_sleep(plan: &mut Plan, mut change: impl FnMut(usize, &mut Span)) {
    let mut nth = 0;
    each_step(&mut plan.script, &mut |step| {
        if let Step::Sleep(span) = step {
            change(nth, span);
            nth += 1;
        }
    });
}

/// Clients that begin at once and never pause: all of them, then one by one.
pub(super) fn pauses(plan: &Plan) -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![Box::new(|plan| (0..plan.clients.len()).for_each(|at| hurry(plan, at)))];
    edits.extend((0..plan.clients.len()).map(|at| -> Edit { Box::new(move |plan| hurry(plan, at)) }));
    edits
}

fn hurry(plan: &mut Plan, at: usize) {
    let Some(client) = plan.clients.get_mut(at) else { return };
    client.from = Span::ZERO;
    for op in &mut client.ops {
        let (Op::Write { after, .. } | Op::Read { after } | Op::Kv { after, .. }) = op;
        *after = Span::ZERO;
    }
}

/// Steps repeated once, or half as often; commands likewise.
pub(super) fn counts(plan: &Plan) -> Vec<Edit> {
    let mut repeats = 0;
    each_step(&mut plan.script.clone(), &mut |step| repeats += usize::from(count_of(step).is_some()));
    let mut edits: Vec<Edit> = Vec::new();
    for at in 0..repeats {
        for change in [|_| 1, |count: u32| count.div_ceil(2)] {
            edits.push(Box::new(move |plan| {
                let mut nth = 0;
                each_step(&mut plan.script, &mut |step| {
                    let Some(count) = count_of(step) else { return };
                    if nth == at {
                        *count = change(*count);
                    }
                    nth += 1;
                });
            }));
        }
    }
    edits.push(Box::new(|plan| plan.script = unrolled(std::mem::take(&mut plan.script))));
    edits.push(Box::new(|plan| {
        plan.faults.iter_mut().for_each(|fault| {
            if let Act::Propose { count, .. } = &mut fault.act {
                *count = 1;
            }
        });
    }));
    edits
}

fn count_of(step: &mut Step) -> Option<&mut u32> {
    match step {
        Step::Repeat { times: count, .. } | Step::Agree { count, .. } | Step::Do(Act::Propose { count, .. }) => {
            Some(count)
        }
        _ => None,
    }
}

/// What is done once is not repeated.
fn unrolled(steps: Vec<Step>) -> Vec<Step> {
    let unroll = |step| match step {
        Step::Repeat { times: 1, steps } => unrolled(steps),
        Step::Repeat { times, steps } => vec![Step::Repeat { times, steps: unrolled(steps) }],
        step => vec![step],
    };
    steps.into_iter().flat_map(unroll).collect()
}

/// Triggers that are answered once, whatever chance says, and at once.
pub(super) fn triggers(plan: &Plan) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for at in 0..plan.triggers.len() {
        edits.push(Box::new(move |plan| {
            if let Some(trigger) = plan.triggers.get_mut(at) {
                (trigger.chance, trigger.skip, trigger.take, trigger.rest) = (None, 0, Some(1), Span::ZERO);
            }
        }));
        edits.push(Box::new(move |plan| {
            plan.triggers.get_mut(at).into_iter().for_each(|trigger| trigger.chance = None);
        }));
        edits.push(Box::new(move |plan| {
            let reactions = plan.triggers.get_mut(at).into_iter().flat_map(|trigger| &mut trigger.then);
            reactions.for_each(|reaction| reaction.after = Spread::ZERO);
        }));
    }
    // What comes back by itself need not wait.
    edits.push(Box::new(|plan| {
        each_act(plan, &mut |act| {
            if let Act::CrashAt { back_after: Some(after), .. } = act {
                *after = Span::ZERO;
            }
        });
    }));
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Client, Cue, Fault, Selector, Trigger};

    fn plan() -> Plan {
        let mut plan = Plan::new("x", 1, 3);
        plan.faults = [1, 5, 9].map(|at| Fault { at: Span::secs(at), act: Act::Heal }).into();
        plan.sleep(Span::secs(8));
        let agree =
            Step::Agree { count: 9, size: 16, via: Selector::All, on: Selector::All, within: Span::secs(10) };
        plan.then(Step::Repeat { times: 4, steps: vec![agree, Step::Sleep(Span::millis(3))] });
        let ops = vec![Op::Read { after: Span::secs(1) }];
        plan.clients = vec![Client { talks_to: Selector::All, from: Span::secs(2), ops }; 2];
        plan.triggers = vec![Trigger { rest: Span::secs(1), chance: Some(5), ..Trigger::on(Cue::Elected, []) }];
        plan
    }

    /// The plan after each of the edits alone.
    fn each(edits: Vec<Edit>) -> Vec<Plan> {
        let edited = |edit: Edit| {
            let mut plan = plan();
            edit(&mut plan);
            plan
        };
        edits.into_iter().map(edited).collect()
    }

    #[test]
    fn nothing_is_planned_after_the_cut() {
        let counts: Vec<(usize, usize)> =
            each(cuts(Span::secs(6))).iter().map(|plan| (plan.faults.len(), plan.clients.len())).collect();
        assert_eq!(counts, [(1, 0), (1, 2), (1, 2), (2, 2)]);
        assert_eq!(each(cuts(Span::secs(6)))[3].script[0], Step::Sleep(Span::secs(6)));
    }

    #[test]
    fn times_are_halved_until_nothing_is_left() {
        let sleeps = |plan: &Plan| {
            let mut sleeps = Vec::new();
            each_step(&mut plan.script.clone(), &mut |step| {
                if let Step::Sleep(span) = step {
                    sleeps.push(span.0.as_millis());
                }
            });
            sleeps
        };
        let edited = each(shorter(&plan()));
        assert_eq!(edited.len(), 1 + 2 * 2 + 2 * 3);
        assert_eq!(sleeps(&edited[0]), [4_000, 1]);
        assert_eq!(edited[0].faults[0].at, Span::millis(500));
        assert_eq!(sleeps(&edited[1]), [0, 3]);
        assert_eq!(sleeps(&edited[4]), [8_000, 1]);
        assert_eq!(half(Span::millis(1)), Span::ZERO);
    }

    #[test]
    fn counts_pauses_and_triggers_become_simple() {
        let mut all = plan();
        for edits in [counts(&plan()), pauses(&plan()), triggers(&plan())] {
            edits.iter().for_each(|edit| edit(&mut all));
        }
        assert!(matches!(all.script[1], Step::Agree { count: 1, .. }), "{:?}", all.script);
        assert_eq!(all.clients[1].from, Span::ZERO);
        assert_eq!(all.clients[1].ops, [Op::Read { after: Span::ZERO }]);
        assert_eq!(all.triggers, [Trigger { take: Some(1), ..Trigger::on(Cue::Elected, []) }]);
        let halves = each(counts(&plan()));
        assert!(matches!(&halves[1].script[1], Step::Repeat { times: 2, .. }));
    }
}
