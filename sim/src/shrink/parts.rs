//! What a plan is made of, as lists that something can be taken out of.

use super::care::Care;
use crate::plan::{Act, Moment, Plan, Step, Trigger};
use std::ops::Range;

/// A list in a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    /// Triggers, and behind them faults at fixed times.
    Faults,
    /// The reactions of all triggers.
    Reactions,
    /// Clients whole.
    Clients,
    /// The operations of all clients.
    Ops,
    /// The script, steps that are repeated too, each behind what repeats it.
    Steps,
    /// Clocks that do not run at the true rate.
    Clocks,
}

impl List {
    /// What it is called where progress is told.
    pub fn name(self) -> &'static str {
        match self {
            List::Faults => "faults",
            List::Reactions => "reactions",
            List::Clients => "clients",
            List::Ops => "operations",
            List::Steps => "steps",
            List::Clocks => "clocks",
        }
    }

    /// How much is in it.
    pub fn len(self, plan: &Plan) -> usize {
        let size = super::Size::of(plan);
        match self {
            List::Faults => plan.triggers.len() + plan.faults.len(),
            List::Reactions => size.reactions,
            List::Clients => size.clients,
            List::Ops => size.ops,
            List::Steps => size.steps,
            List::Clocks => plan.clocks.len(),
        }
    }

    /// The plan without a part of it. It may be impossible now.
    pub fn without(self, plan: &Plan, part: &Range<usize>, care: Care) -> Plan {
        let mut plan = plan.clone();
        // Whether the next one stays: it is out of the part, or must not go.
        let mut nth = 0;
        let mut stays = |is_kept: bool| {
            nth += 1;
            is_kept || !part.contains(&(nth - 1))
        };
        match self {
            List::Faults => {
                let heals = |trigger: &Trigger| trigger.then.iter().all(|reaction| care.keeps(&reaction.act));
                plan.triggers.retain(|trigger| stays(heals(trigger)));
                plan.faults.retain(|fault| stays(care.keeps(&fault.act)));
            }
            List::Reactions => {
                for trigger in &mut plan.triggers {
                    trigger.then.retain(|reaction| stays(care.keeps(&reaction.act)));
                }
                plan.triggers.retain(|trigger| !trigger.then.is_empty());
            }
            List::Clients => {
                let kept: Vec<bool> = plan.clients.iter().map(|_| stays(false)).collect();
                keep_clients(&mut plan, &kept);
            }
            List::Ops => {
                let was_idle: Vec<bool> = plan.clients.iter().map(|client| client.ops.is_empty()).collect();
                plan.clients.iter_mut().for_each(|client| client.ops.retain(|_| stays(false)));
                // Whoever has nothing to do any more goes; who waits to be asked had nothing before.
                let left = plan.clients.iter().zip(was_idle);
                let kept: Vec<bool> = left.map(|(client, was_idle)| was_idle || !client.ops.is_empty()).collect();
                keep_clients(&mut plan, &kept);
            }
            List::Steps => keep_steps(&mut plan.script, &mut stays, care),
            List::Clocks => plan.clocks.retain(|_| stays(false)),
        }
        plan
    }
}

fn keep_steps(steps: &mut Vec<Step>, stays: &mut impl FnMut(bool) -> bool, care: Care) {
    steps.retain_mut(|step| {
        let is_kept = matches!(step, Step::Do(act) if care.keeps(act));
        let stay = stays(is_kept);
        let Step::Repeat { steps: inner, .. } = step else { return stay };
        keep_steps(inner, stays, care);
        stay && !inner.is_empty()
    });
}

/// Drops clients. Others are asked by the numbers that they have then; who is gone is asked for nothing, which makes the
/// plan impossible where somebody asks.
fn keep_clients(plan: &mut Plan, kept: &[bool]) {
    let mut next = 0;
    let numbers: Vec<u32> = kept
        .iter()
        .map(|kept| {
            next += u32::from(*kept);
            if *kept { next } else { 0 }
        })
        .collect();
    let mut nth = 0;
    plan.clients.retain(|_| {
        nth += 1;
        kept[nth - 1]
    });
    let renumber = |client: &mut u32| {
        *client = numbers.get((*client as usize).wrapping_sub(1)).copied().unwrap_or(0);
    };
    each_act(plan, &mut |act| {
        if let Act::Ask { client, .. } = act {
            renumber(client);
        }
    });
    each_step(&mut plan.script, &mut |step| {
        if let Step::Await { event: Moment::Answered { client, .. }, .. } = step {
            renumber(client);
        }
    });
}

/// Every act of a plan.
pub(super) fn each_act(plan: &mut Plan, change: &mut impl FnMut(&mut Act)) {
    plan.faults.iter_mut().for_each(|fault| change(&mut fault.act));
    let reactions = plan.triggers.iter_mut().flat_map(|trigger| &mut trigger.then);
    reactions.for_each(|reaction| change(&mut reaction.act));
    each_step(&mut plan.script, &mut |step| {
        if let Step::Do(act) = step {
            change(act);
        }
    });
}

/// Every step, those that are repeated too.
pub(super) fn each_step(steps: &mut [Step], change: &mut dyn FnMut(&mut Step)) {
    for step in steps {
        change(step);
        if let Step::Repeat { steps: inner, .. } = step {
            each_step(inner, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Client, Cue, Fault, KvOp, Op, Reaction, Selector};
    use crate::shrink::repair::repaired;
    use labrpc::sim::{Span, Spread};

    fn client(ops: usize) -> Client {
        let op = Op::Kv { after: Span::ZERO, op: KvOp::Get { key: "x".into() } };
        Client { talks_to: Selector::All, from: Span::ZERO, ops: vec![op; ops] }
    }

    fn ask(client: u32) -> Fault {
        Fault { at: Span::ZERO, act: Act::Ask { client, op: KvOp::Get { key: format!("of {client}") } } }
    }

    fn plan() -> Plan {
        let mut plan = Plan::new("x", 1, 3);
        plan.clients = vec![client(2), client(0), client(3)];
        plan.faults = vec![ask(1), ask(2), ask(3)];
        let act = Act::Heal;
        let then = vec![Reaction { after: Spread::ZERO, act }; 2];
        plan.triggers = vec![Trigger { then, ..Trigger::on(Cue::Elected, []) }; 2];
        plan.sleep(Span::secs(1));
        let inner = vec![Step::Sleep(Span::secs(2)), Step::Sleep(Span::secs(3))];
        plan.then(Step::Repeat { times: 2, steps: inner });
        plan
    }

    fn without(list: List, part: Range<usize>) -> Plan {
        list.without(&plan(), &part, Care::None)
    }

    #[test]
    fn parts_are_counted_across_what_holds_them() {
        let all = [List::Faults, List::Reactions, List::Clients, List::Ops, List::Steps, List::Clocks];
        assert_eq!(all.map(|list| list.len(&plan())), [5, 4, 3, 5, 4, 0]);
        for list in all {
            let whole = list.len(&plan());
            assert_eq!(list.len(&without(list, 0..whole)), 0, "{list:?}");
            assert_eq!(without(list, 0..0), plan(), "{list:?}");
        }
        assert_eq!(without(List::Reactions, 1..4).triggers.len(), 1);
        let faults = without(List::Faults, 1..3);
        assert_eq!((faults.triggers.len(), faults.faults), (1, vec![ask(2), ask(3)]));
        let steps = without(List::Steps, 2..4).script;
        assert_eq!(steps, [Step::Sleep(Span::secs(1))], "what repeats nothing goes too");
    }

    #[test]
    fn a_client_that_goes_takes_along_what_it_was_asked_for() {
        let less = repaired(without(List::Clients, 1..2)).expect("it is possible");
        let acts: Vec<&Act> = less.faults.iter().map(|fault| &fault.act).collect();
        let op = |of| KvOp::Get { key: format!("of {of}") };
        assert_eq!(acts, [&Act::Ask { client: 1, op: op(1) }, &Act::Ask { client: 2, op: op(3) }]);
    }

    #[test]
    fn a_client_without_operations_goes_unless_it_had_none() {
        assert_eq!(without(List::Ops, 0..2).clients, [client(0), client(3)]);
        assert_eq!(without(List::Ops, 1..5).clients, [client(1), client(0)]);
    }

    #[test]
    fn what_undoes_a_fault_stays_where_care_is_taken() {
        let mut plan = plan();
        plan.faults = vec![Fault { at: Span::ZERO, act: Act::Heal }, ask(1)];
        plan.triggers[0].then[0].act = Act::Pause(Selector::All);
        let less = List::Faults.without(&plan, &(0..4), Care::Remedies);
        assert_eq!((less.triggers.len(), less.faults.len()), (1, 1), "what only heals stays");
        assert_eq!(List::Faults.without(&plan, &(0..4), Care::Control).faults.len(), 0);
    }
}
