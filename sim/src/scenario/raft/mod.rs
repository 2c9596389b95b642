//! The scenarios of the first lab: the course's, under their usual names, and those that ports left out.

pub(super) mod chaos;
pub(super) mod directed;
mod disks;
pub(super) mod membership;
mod networks;
mod usual_2a;
mod usual_2b;
mod usual_2c;
mod usual_2d;

use super::{Need, Scenario, Suite};
use crate::plan::{Act, Knobs, Plan, Selector, Step, What};
use crate::raft::{Abilities, Part, RaftSystem};
use labrpc::Rng;
use labrpc::sim::{NetWeather, Span, Spread, Tail};
use std::sync::Arc;

/// What the course calls the election timeout: the time in which a leader must be there.
pub(super) const ELECTION: Span = Span::secs(1);

/// The suite for a Raft.
pub fn suite(system: Arc<dyn RaftSystem>) -> Suite {
    let all = [
        usual_2a::SCENARIOS,
        usual_2b::SCENARIOS,
        usual_2c::SCENARIOS,
        usual_2d::SCENARIOS,
        networks::SCENARIOS,
        disks::SCENARIOS,
        membership::SCENARIOS,
        chaos::SCENARIOS,
        super::swarm::RAFT,
        directed::ELECTIONS,
        directed::REPLICATION,
        directed::PERSISTENCE,
        directed::SNAPSHOTS,
        directed::MEMBERSHIP,
    ];
    Suite::of(system, all.into_iter().flatten())
}

impl Plan {
    /// As the course does it: half a second for the dust to settle, and then there must be a leader.
    fn check_one_leader(&mut self) -> &mut Plan {
        self.sleep(Span::millis(500)).wait_leader(Selector::All)
    }
}

/// What a plan is drawn from.
pub struct Draw {
    /// The scenario's name.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// The scenario's own randomness under that seed.
    pub rng: Rng,
    /// What the system can do.
    pub abilities: Abilities,
    /// Whether faults can be aimed at its answers.
    knows_replies: bool,
    /// And at its requests.
    knows_requests: bool,
}

impl Draw {
    /// For one scenario and seed.
    pub fn new(name: &'static str, seed: u64, system: &dyn RaftSystem) -> Draw {
        let (knows_requests, knows_replies) = (Need::Kinds.is_met(system), Need::Replies.is_met(system));
        let abilities = system.abilities();
        Draw { name, seed, rng: Plan::rng(name, seed), abilities, knows_replies, knows_requests }
    }

    /// An empty plan with the usual knobs, as far as the system has them.
    pub(super) fn plan(&mut self, servers: u32) -> Plan {
        let mut plan = Plan::new(self.name, self.seed, servers);
        plan.knobs = self.able(Knobs::default());
        plan
    }

    /// An empty plan. Every fourth seed runs with the course's own settings, the others with what they draw.
    pub(super) fn plan_with_knobs(&mut self, servers: u32) -> Plan {
        let mut plan = self.plan(servers);
        if !self.seed.is_multiple_of(4) {
            plan.knobs = Knobs::draw(&mut self.rng);
            plan.knobs = self.able(plan.knobs);
        }
        plan
    }

    /// An empty plan with knobs that the seed has drawn, whatever the seed.
    pub(super) fn plan_with_drawn_knobs(&mut self, servers: u32) -> Plan {
        let mut plan = self.plan(servers);
        plan.knobs = Knobs::draw(&mut self.rng);
        plan.knobs = self.able(plan.knobs);
        plan
    }

    /// Whether faults can be aimed at the system's messages, both ways.
    pub(super) fn knows_requests(&self) -> bool {
        self.knows_requests && self.knows_replies
    }

    /// The same with snapshots after every few entries.
    fn plan_with_snapshots(&mut self, servers: u32) -> Plan {
        let mut plan = self.plan_with_knobs(servers);
        plan.knobs.snapshot_every = Some(10);
        if !self.seed.is_multiple_of(4) {
            plan.knobs = plan.knobs.draw_snapshots(&mut self.rng);
        }
        plan
    }

    /// What the system does not know is off.
    fn able(&self, mut knobs: Knobs) -> Knobs {
        knobs.noop &= self.abilities.noop;
        knobs.pre_vote &= self.abilities.pre_vote;
        knobs.check_quorum &= self.abilities.check_quorum;
        if !self.abilities.snapshots {
            knobs.snapshot_every = None;
        }
        knobs
    }
}

/// Something that a scenario would demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// Progress while some links are cut one way, or some pairs cannot talk to each other.
    ProgressUnderPartialCuts,
    /// That all servers come to the same state without a client's help.
    ConvergenceInSilence,
}

/// When a demand is waived: standard Raft cannot promise it with these knobs. The one place where that is
/// decided; each waiver that is used is counted and printed.
pub fn waiver(demand: Demand, knobs: &Knobs) -> Option<&'static str> {
    match demand {
        // A server that cannot hear the leader campaigns for ever, and without pre-vote and check-quorum each
        // new term deposes a leader that works (thesis 9.6, 6.2).
        Demand::ProgressUnderPartialCuts if !knobs.pre_vote || !knobs.check_quorum => {
            Some("progress under partial cuts: pre-vote or check-quorum is off")
        }
        // A leader may not commit entries of older terms by themselves (§5.4.2).
        Demand::ConvergenceInSilence if !knobs.noop => Some("convergence in silence: no no-op on election"),
        _ => None,
    }
}

/// Takes out of a plan what is waived for its knobs.
pub(super) fn waive(plan: &mut Plan) {
    if plan.finale.converge
        && let Some(why) = waiver(Demand::ConvergenceInSilence, &plan.knobs)
    {
        plan.finale.converge = false;
        plan.waived.push(why.into());
    }
}

impl Plan {
    /// A demand that is made unless the knobs waive it.
    fn demand(&mut self, demand: Demand, step: Step) -> &mut Plan {
        match waiver(demand, &self.knobs) {
            None => self.then(step),
            Some(why) => {
                self.waived.push(why.into());
                self
            }
        }
    }
}

/// The course's unreliable network: short delays, and one in ten requests and replies lost.
pub(super) fn unreliable() -> NetWeather {
    NetWeather {
        delay: Spread::of(Span::micros(200), Span::millis(27)),
        drop: 100_000,
        drop_reply: 100_000,
        ..NetWeather::default()
    }
}

/// The course's long reordering: two thirds of all replies come 200 to 2,200 ms late.
fn long_reordering(draw: &Draw, plan: &mut Plan) {
    let late = Spread::millis(200, 2_200);
    if !draw.knows_replies {
        // Where nothing is known of the messages, answers to calls are still seen to be answers.
        let weather = NetWeather { reply_tails: vec![Tail { ppm: 666_666, delay: late }], ..unreliable() };
        plan.act(Act::Net(weather));
        return;
    }
    // A protocol of one-way messages has replies too.
    plan.act(Act::Net(unreliable()));
    plan.act(Act::Rule {
        name: "late replies".into(),
        from: Selector::All,
        to: Selector::All,
        parts: vec![Part::VoteReply, Part::AppendReply, Part::InstallReply],
        chance: Some(666_666),
        skip: 0,
        take: None,
        what: What::Delay(late),
    });
}
