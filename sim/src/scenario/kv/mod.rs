//! The scenarios of a key/value service: the course's, under their usual names, and those that ports left out. In all of
//! them the history of the clients is checked for linearizability.

mod directed;
pub(in crate::scenario) mod load;
mod ours;
pub(in crate::scenario) mod usual;

use super::raft::{Draw, ELECTION, unreliable};
use super::{Scenario, Suite};
use crate::plan::{Act, Plan, Selector, Step};
use crate::raft::RaftSystem;
use labrpc::sim::Span;
use load::{Load, Mix};
use std::sync::Arc;

/// The suite for a key/value service.
pub fn suite(system: Arc<dyn RaftSystem>) -> Suite {
    Suite::of(
        system,
        [usual::SCENARIOS, ours::SCENARIOS, super::swarm::KV, directed::SCENARIOS].into_iter().flatten(),
    )
}

impl Draw {
    /// A plan for a cluster of a key/value service.
    fn kv_plan(&mut self, servers: u32) -> Plan {
        let mut plan = self.plan_with_knobs(servers);
        // The service has a state of its own, and takes its own snapshots.
        plan.knobs.snapshot_every = None;
        // Some clients give up while what they asked for is still under way.
        plan.knobs.client_patience = *self.rng.pick(&[Span::secs(8), Span::secs(8), Span::secs(8), Span::secs(1)]);
        plan
    }
}

impl Plan {
    /// The clients have done all that they had to do, or it is a violation of progress.
    fn await_clients(&mut self) -> &mut Plan {
        self.then(Step::AwaitClients { within: Span::secs(300) })
    }

    /// The servers fall apart into two parts at random, again and again.
    fn partition_again(&mut self, draw: &mut Draw, times: u32) -> &mut Plan {
        for _ in 0..times {
            let part = draw.rng.within(1..=u64::from(self.servers) - 1) as usize;
            self.act(Act::Partition(vec![Selector::All.any(part as u32)]));
            let pause = ELECTION.0.as_millis() as u64 + draw.rng.below(200);
            self.sleep(Span::millis(pause));
        }
        self.act(Act::Heal)
    }

    /// Clients are quiet for a while.
    fn hush(&mut self, draw: &mut Draw) -> &mut Plan {
        let span = Span::millis(draw.rng.within(500..=2_000));
        self.act(Act::Hush(span)).sleep(Span::millis(draw.rng.below(500)))
    }

    /// All servers go down at once and come back a moment later.
    fn restart_all(&mut self, power: bool) -> &mut Plan {
        self.act(Act::Crash { who: Selector::All, power }).sleep(Span::millis(500)).restart(Selector::All)
    }
}
