//! For each planted bug of a shard controller, the shortest schedule in which a client, or another server, sees it.

use super::super::kv::usual::answered;
use super::super::raft::directed::{s, servers, stage};
use super::super::{Scenario, raft::Draw};
use super::{LATEST, config, give, idle, join, leave};
use crate::plan::{Act, Plan, Selector};
use labrpc::sim::Span;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "master-groups-come-and-go",
        "Groups join and leave, and each configuration is read.",
        come_and_go,
    ),
    Scenario::directed("master-a-move-stays", "A shard is moved, and the configuration read.", a_move),
    Scenario::directed("master-a-group-joins-twice", "A group joins that is there.", joins_twice),
    Scenario::directed("master-old-configurations", "Configurations are read, made, and read again.", old_ones),
    Scenario::directed(
        "master-query-at-a-deposed-leader",
        "A client asks a leader that was deposed without knowing it for the latest configuration.",
        deposed,
    ),
];

fn cluster(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.clients = vec![idle(Selector::All)];
    plan.lead(1);
    plan
}

fn come_and_go(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw);
    plan.asks([join(&[1]), LATEST, join(&[2]), LATEST, join(&[3]), LATEST, join(&[4, 5]), LATEST]);
    plan.asks([leave(&[2]), LATEST, join(&[6]), LATEST, leave(&[1, 3]), LATEST]);
    answered(&mut plan, 1, 14);
    plan
}

fn a_move(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw);
    plan.asks([join(&[1, 2]), LATEST, give(0, 1), LATEST, give(0, 2), LATEST, give(1, 2), LATEST]);
    answered(&mut plan, 1, 8);
    plan
}

fn joins_twice(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw);
    plan.asks([join(&[1]), join(&[2]), LATEST, join(&[2]), LATEST]);
    answered(&mut plan, 1, 5);
    plan
}

fn old_ones(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw);
    plan.asks([join(&[1])]).asks((0..2).map(config)).asks([join(&[2])]).asks((0..3).map(config));
    plan.asks([join(&[3])]).asks((0..4).map(config)).asks([give(0, 2), leave(&[1])]).asks((0..6).map(config));
    answered(&mut plan, 1, 20);
    plan
}

fn deposed(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.clients = vec![idle(s(1)), idle(servers([2, 3]))];
    plan.lead(1).asks([join(&[1])]);
    answered(&mut plan, 1, 1);
    plan.disconnect(s(1)).lead(2).act(Act::Ask { client: 2, op: join(&[2]) });
    answered(&mut plan, 2, 1);
    plan.asks([LATEST]).sleep(Span::secs(1)).connect(s(1));
    answered(&mut plan, 1, 2);
    plan
}
