//! Scenarios: functions from a seed to a plan.

pub mod kv;
mod nemesis;
pub mod raft;
pub mod shard;
pub mod swarm;

use crate::plan::Plan;
use crate::raft::{Part, RaftSystem};
use std::sync::Arc;

/// Where a scenario comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// One of the course's, under its usual name.
    Usual,
    /// One that other ports of the labs left out.
    Ours,
    /// Drawn whole by the seed.
    Swarm,
    /// Made for one planted bug.
    Directed,
}

/// What a scenario cannot do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// That the system takes snapshots.
    Snapshots,
    /// That it says which messages are its requests, so that faults can be aimed at them.
    Kinds,
    /// That it says which messages are the answers to these.
    Replies,
    /// That it says which messages go between groups.
    Service,
    /// That it hands leadership over.
    Transfer,
    /// That it confirms reads.
    Reads,
    /// That its membership can be changed.
    Membership,
}

impl Need {
    /// Whether a system offers it.
    fn is_met(self, system: &dyn RaftSystem) -> bool {
        let abilities = system.abilities();
        let tells = |parts: [Part; 2]| parts.iter().all(|part| !system.kinds(*part).is_empty());
        let tells_of = |part: Part| !abilities.snapshots || !system.kinds(part).is_empty();
        match self {
            Need::Snapshots => abilities.snapshots,
            Need::Kinds => tells([Part::VoteRequest, Part::Append]) && tells_of(Part::Install),
            Need::Replies => tells([Part::VoteReply, Part::AppendReply]) && tells_of(Part::InstallReply),
            Need::Service => tells([Part::ServiceRequest, Part::ServiceReply]),
            Need::Transfer => abilities.transfer,
            Need::Reads => abilities.reads,
            Need::Membership => abilities.membership,
        }
    }

    /// What is missing without it.
    fn about(self) -> &'static str {
        match self {
            Need::Snapshots => "snapshots",
            Need::Kinds => "the kinds of requests",
            Need::Replies => "the kinds of answers",
            Need::Service => "the kinds of messages between groups",
            Need::Transfer => "leadership transfer",
            Need::Reads => "confirmed reads",
            Need::Membership => "changes of the membership",
        }
    }
}

/// A family of plans, one a seed.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// Where it comes from.
    pub group: Group,
    /// What happens in it, in a sentence.
    pub about: &'static str,
    needs: &'static [Need],
    draw: fn(&mut raft::Draw) -> Plan,
}

impl Scenario {
    const fn of(
        group: Group,
        name: &'static str,
        about: &'static str,
        draw: fn(&mut raft::Draw) -> Plan,
    ) -> Scenario {
        Scenario { name, group, about, needs: &[], draw }
    }

    const fn usual(name: &'static str, about: &'static str, draw: fn(&mut raft::Draw) -> Plan) -> Scenario {
        Scenario::of(Group::Usual, name, about, draw)
    }

    const fn ours(name: &'static str, about: &'static str, draw: fn(&mut raft::Draw) -> Plan) -> Scenario {
        Scenario::of(Group::Ours, name, about, draw)
    }

    const fn swarm(name: &'static str, about: &'static str, draw: fn(&mut raft::Draw) -> Plan) -> Scenario {
        Scenario::of(Group::Swarm, name, about, draw)
    }

    const fn directed(name: &'static str, about: &'static str, draw: fn(&mut raft::Draw) -> Plan) -> Scenario {
        Scenario::of(Group::Directed, name, about, draw).needs(&[Need::Kinds])
    }

    const fn needs(self, needs: &'static [Need]) -> Scenario {
        Scenario { needs, ..self }
    }

    /// What it needs and a system does not offer. It makes sense where that is nothing.
    fn lacks(&self, system: &dyn RaftSystem) -> Vec<&'static str> {
        self.needs.iter().filter(|need| !need.is_met(system)).map(|need| need.about()).collect()
    }
}

/// A system and the scenarios that it is put through.
#[derive(Clone)]
pub struct Suite {
    /// What it is called.
    pub name: &'static str,
    /// The system.
    pub system: Arc<dyn RaftSystem>,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// Those that make no sense for it, and what it would have to offer.
    pub left_out: Vec<(Scenario, Vec<&'static str>)>,
}

impl Suite {
    /// Those of these scenarios that make sense for a system.
    fn of<'a>(system: Arc<dyn RaftSystem>, all: impl Iterator<Item = &'a Scenario>) -> Suite {
        let mut suite = Suite { name: system.name(), system, scenarios: Vec::new(), left_out: Vec::new() };
        for scenario in all {
            match scenario.lacks(&*suite.system) {
                lacks if lacks.is_empty() => suite.scenarios.push(*scenario),
                lacks => suite.left_out.push((*scenario, lacks)),
            }
        }
        suite
    }

    /// The plan of a scenario for a seed, with a bug planted or not.
    pub fn plan(&self, scenario: &Scenario, seed: u64, bug: Option<&str>) -> Plan {
        let mut draw = raft::Draw::new(scenario.name, seed, &*self.system);
        let mut plan = (scenario.draw)(&mut draw);
        plan.suite = self.name.into();
        plan.bug = bug.map(String::from);
        raft::waive(&mut plan);
        plan
    }

    /// The scenario of that name.
    pub fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }
}
