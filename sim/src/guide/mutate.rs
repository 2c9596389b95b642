//! A plan with a change or two. All that a change brings comes from a plan of the swarm, or is less than there was, so that what
//! comes of it keeps within the swarm's limits.

use crate::plan::{Act, Fault, Plan};
use crate::scenario::swarm;
use labrpc::Rng;
use labrpc::sim::Span;

/// Most changes at a time.
const MOST: u64 = 3;

/// A plan that has more is not given more: it is to be what a seed of the swarm could have drawn.
const MANY_FAULTS: usize = 120;
const MANY_TRIGGERS: usize = 12;

/// A change: to a plan, with what a fresh one has. And what is said of it.
type Change = (&'static str, fn(&mut Plan, &Plan, &mut Rng));

const CHANGES: &[Change] = &[
    ("its network", |plan, fresh, _| plan.net = fresh.net.clone()),
    ("its disks", |plan, fresh, _| plan.disk = fresh.disk.clone()),
    ("its settings and clocks", |plan, fresh, _| {
        let shards = (plan.knobs.shards, plan.knobs.piece);
        (plan.knobs, plan.clocks) = (fresh.knobs.clone(), fresh.clocks.clone());
        (plan.knobs.shards, plan.knobs.piece) = shards;
        // Clocks are of the servers that it has.
        let servers = plan.server_count();
        plan.clocks.retain(|(node, _)| node.0 <= servers);
    }),
    ("its faults instead", |plan, fresh, _| {
        plan.faults.retain(is_asked);
        plan.faults.extend(fresh.faults.iter().filter(|fault| !is_asked(fault)).cloned());
    }),
    ("its faults too", |plan, fresh, _| {
        if plan.faults.len() > MANY_FAULTS {
            return;
        }
        plan.faults.extend(fresh.faults.iter().filter(|fault| !is_asked(fault)).cloned());
    }),
    ("its triggers instead", |plan, fresh, _| plan.triggers = fresh.triggers.clone()),
    ("its triggers too", |plan, fresh, _| {
        let more: Vec<_> = fresh.triggers.iter().filter(|more| !plan.triggers.contains(more)).cloned().collect();
        if plan.triggers.len() < MANY_TRIGGERS {
            plan.triggers.extend(more);
        }
    }),
    ("its clients", |plan, fresh, _| plan.clients = fresh.clients.clone()),
    ("half of the faults", |plan, _, rng| plan.faults.retain(|fault| is_asked(fault) || rng.chance(500_000))),
    ("a trigger less", |plan, _, rng| {
        if !plan.triggers.is_empty() {
            plan.triggers.remove(rng.below(plan.triggers.len() as u64) as usize);
        }
    }),
    ("faults at other times", |plan, _, rng| {
        for fault in plan.faults.iter_mut().filter(|fault| !is_asked(fault)) {
            let by = Span::micros(rng.below(600_000));
            let later = (fault.at.0 + by.0).min(swarm::LASTS.0.max(fault.at.0));
            let at = if rng.chance(500_000) { later } else { fault.at.0.saturating_sub(by.0) };
            fault.at = Span(at);
        }
    }),
    ("another fate", |plan, _, rng| plan.seed = rng.below(u64::MAX)),
    ("another schedule", |plan, _, rng| plan.schedule = rng.below(u64::MAX)),
];

/// What a client is asked to do at a time is no fault.
fn is_asked(fault: &Fault) -> bool {
    matches!(fault.act, Act::Ask { .. })
}

/// The plan with a few changes, or if these make no sense together the fresh one.
pub(super) fn changed(plan: &Plan, fresh: &Plan, rng: &mut Rng) -> Plan {
    let mut changed = plan.clone();
    let mut names = Vec::new();
    for _ in 0..rng.within(1..=MOST) {
        let (name, change) = rng.pick(CHANGES);
        change(&mut changed, fresh, rng);
        names.push(*name);
    }
    let (of, with) = (plan.seed, fresh.seed);
    changed.drawn.retain(|said| !said.starts_with(CHANGED));
    changed.drawn.insert(0, format!("{CHANGED} of seed {of} with what seed {with} has: {}", names.join(", ")));
    swarm::keep_fair(&mut changed);
    if changed.check().is_ok() { changed } else { fresh.clone() }
}

/// How the line begins that says so.
const CHANGED: &str = "changed: a plan";

#[cfg(test)]
mod tests {
    use super::*;
    use labrpc::sim::NetWeather;

    #[test]
    fn every_change_changes_something_and_each_is_made() {
        let mut base = Plan::new("swarm", 1, 3);
        let crash = |at| Fault { at: Span::secs(at), act: Act::Heal };
        base.faults = (1..9).map(crash).collect();
        let mut fresh = Plan::new("swarm", 2, 3);
        fresh.net = NetWeather { drop: 1, ..NetWeather::default() };
        fresh.disk.tear += 1;
        fresh.knobs.heartbeat = Span::millis(33);
        fresh.faults = vec![crash(15)];
        let mut rng = Rng::new(1, "test");
        let plans: Vec<Plan> = (0..300).map(|_| changed(&base, &fresh, &mut rng)).collect();
        for (name, _) in CHANGES {
            assert!(plans.iter().any(|plan| plan.drawn[0].contains(name)), "{name}");
        }
        let any = |is: &dyn Fn(&Plan) -> bool| plans.iter().any(is);
        assert!(any(&|plan| plan.net == fresh.net) && any(&|plan| plan.disk == fresh.disk));
        assert!(any(&|plan| plan.knobs == fresh.knobs) && any(&|plan| plan.faults == fresh.faults));
        assert!(any(&|plan| plan.faults.len() == 9) && any(&|plan| plan.faults.len() < 7));
        assert!(any(&|plan| plan.seed != base.seed) && any(&|plan| plan.schedule != base.schedule));
        assert!(plans.iter().all(|plan| plan.check().is_ok()));
    }

    #[test]
    fn what_makes_no_sense_is_not_tried() {
        let base = Plan::new("swarm", 1, 3);
        let mut fresh = Plan::new("swarm", 2, 3);
        fresh.net.drop = u32::MAX;
        let mut rng = Rng::new(1, "test");
        assert!((0..100).any(|_| changed(&base, &fresh, &mut rng) == fresh));
    }
}
