//! What must go with what was taken out.
//!
//! Without the step that binds a name, no other can use it; without the fault that puts up a rule, none can release what it
//! holds. What a plan that is impossible names as its fault is taken out in turn, until it is possible.

use crate::plan::{Plan, PlanError, Step};

/// More than this goes with nothing.
const MOST: usize = 200;

/// A plan that can be carried out, made of one that perhaps cannot. None: there is none.
pub(super) fn repaired(mut plan: Plan) -> Option<Plan> {
    for _ in 0..MOST {
        match plan.check() {
            Ok(()) => return Some(plan),
            Err(PlanError::Impossible { place, .. }) => take_out(&mut plan, &place)?,
            Err(PlanError::Syntax { .. }) => return None,
        }
    }
    None
}

/// Takes out of a plan what is at a place, as [`PlanError`] writes it.
fn take_out(plan: &mut Plan, place: &str) -> Option<()> {
    let numbers = numbers(place);
    let at = *numbers.first()?;
    let list = place.split('[').next()?;
    match list {
        "faults" if at < plan.faults.len() => _ = plan.faults.remove(at),
        "triggers" => {
            let trigger = plan.triggers.get_mut(at)?;
            let nth = *numbers.get(1)?;
            if nth >= trigger.then.len() {
                return None;
            }
            trigger.then.remove(nth);
            plan.triggers.retain(|trigger| !trigger.then.is_empty());
        }
        "script" => take_step(&mut plan.script, &numbers)?,
        // Others are spoken of by their numbers, so that the last one can go, and no other.
        "clients" if at + 1 == plan.clients.len() => _ = plan.clients.pop(),
        _ => return None,
    }
    Some(())
}

fn take_step(steps: &mut Vec<Step>, path: &[usize]) -> Option<()> {
    let (at, rest) = path.split_first()?;
    match (steps.get_mut(*at)?, rest) {
        (Step::Repeat { steps: inner, .. }, [_, ..]) => {
            take_step(inner, rest)?;
            if inner.is_empty() {
                steps.remove(*at);
            }
        }
        _ => _ = steps.remove(*at),
    }
    Some(())
}

/// The numbers in brackets. Those of a step end where something else of it is named.
fn numbers(place: &str) -> Vec<usize> {
    place.split('[').skip(1).map_while(|part| part.split(']').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Act, Cue, Fault, Selector, Trigger};
    use labrpc::sim::{Span, Spread};

    #[test]
    fn what_needs_a_name_goes_with_it() {
        let mut plan = Plan::new("x", 1, 3);
        plan.act(Act::Release("gone".into()));
        let inner = vec![Step::Do(Act::Crash { who: Selector::bound("gone"), power: false })];
        plan.then(Step::Repeat { times: 2, steps: inner });
        plan.sleep(Span::secs(1));
        plan.faults.push(Fault { at: Span::ZERO, act: Act::Lose("gone".into()) });
        plan.faults.push(Fault { at: Span::ZERO, act: Act::Heal });
        let then = [(Spread::ZERO, Act::Unrule("gone".into()))];
        plan.triggers.push(Trigger::on(Cue::Elected, then));
        let plan = repaired(plan).expect("something is left");
        assert_eq!(plan.script, [Step::Sleep(Span::secs(1))]);
        assert_eq!(plan.faults.len(), 1);
        assert_eq!(plan.triggers, []);
    }

    #[test]
    fn what_cannot_be_taken_out_is_not() {
        let mut plan = Plan::new("x", 1, 3);
        plan.knobs.heartbeat = Span::secs(5);
        assert_eq!(repaired(plan), None);
    }
}
