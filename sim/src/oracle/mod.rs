//! The oracle: what must hold in every run of any Raft, checked at every event.
//!
//! One file an invariant. Each names its property, where that comes from, and says in a sentence what a student
//! should take away from seeing it broken. An invariant looks at facts either *before* they are taken into what
//! is known, when the old state is still there to compare with, or *after*.
//!
//! The oracle believes nobody. What a server says is held against its disk and against the others; what it does
//! not say is not assumed. Where an implementation does not tell enough for a check, that check is reported as
//! *not checked*; it never counts as passed.

mod ack_honest;
mod acked_survives;
mod apply_order;
mod commit_quorum;
mod committed_immutable;
mod election_safety;
mod fact;
mod groups;
mod kept;
mod known;
mod leader_append_only;
mod leader_completeness;
mod log;
mod log_well_formed;
mod marks;
mod membership_change;
mod memberships;
mod message_immutable;
mod monotonic;
mod no_un_append;
mod ordering;
mod persist_before_send;
mod read_index;
mod recovery;
mod reference;
mod replication_match;
mod resources;
mod retry_storm;
mod service_marks;
mod snapshot_honest;
mod state_digest;
mod stores;
mod term_catch_up;
mod unique_entry;
mod vote_once;

#[cfg(test)]
mod testing;

pub use fact::{Fact, Sort};
pub use groups::{GroupAt, Messages, Oracles};
pub use known::{Committed, Durable, Known, Memory, Server, ServiceSnapshot, hash_of_command};
pub use known::{EMPTY_DIGEST, extend_digest};
pub use log::{Item, LogView, hash_of};
pub use marks::{MARKS, Mark, Marks};
pub use memberships::Electorate;
pub use service_marks::ServiceMarks;

use crate::plan::Plan;
use crate::raft::RaftSystem;
use labrpc::sim::Stamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What an invariant is about.
#[derive(Debug)]
pub struct Card {
    /// What it is called in reports, plans and on the command line.
    pub id: &'static str,
    /// The property.
    pub property: &'static str,
    /// Where the property comes from.
    pub source: &'static str,
    /// What a student should take away from seeing it broken.
    pub lesson: &'static str,
    /// The sorts of facts that it looks at.
    pub watches: &'static [Sort],
    /// Whether it looks at them with what was known before, or with what is known with them.
    pub when: When,
    /// What it cannot do without.
    pub needs: Needs,
}

/// When an invariant looks at a fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Before it is taken into what is known: the old state is still there to compare with.
    Before,
    /// After.
    After,
}

/// What a check needs from an implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing but what every implementation offers.
    Nothing,
    /// That it says what happens to it.
    Events,
    /// That it explains its messages.
    Wire,
    /// Both.
    EventsAndWire,
    /// Of a key/value service: that it explains its log.
    Log,
}

/// Fine, or what is wrong.
pub type Verdict = Result<(), String>;

/// Something that must hold.
pub trait Invariant: Send {
    /// What it is about.
    fn card(&self) -> &'static Card;

    /// Looks at a fact, given what was known before it.
    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let _ = (known, fact);
        Ok(())
    }

    /// Looks at a fact, given what is known with it.
    fn after(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let _ = (known, fact);
        Ok(())
    }

    /// Looks at the whole run when it is over: virtual seconds that it took, and messages that were sent.
    fn at_end(&mut self, known: &Known, seconds: f64, messages: &Messages) -> Verdict {
        let _ = (known, seconds, messages);
        Ok(())
    }
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// The check.
    pub check: String,
    /// The property.
    pub property: String,
    /// Where the property comes from.
    pub source: String,
    /// What to take away from it.
    pub lesson: String,
    /// What happened.
    pub detail: String,
    /// The event at which it was seen, by number; 0 if at no particular one.
    pub event: u64,
    /// True time of that event in nanoseconds.
    pub at: u64,
}

impl Violation {
    fn of(card: &Card, detail: String, stamp: Stamp) -> Violation {
        Violation {
            check: card.id.into(),
            property: card.property.into(),
            source: card.source.into(),
            lesson: card.lesson.into(),
            detail,
            event: stamp.nth,
            at: stamp.at.nanos(),
        }
    }
}

/// Checks that are not invariants of single events but demands of the laboratory.
pub const DEMANDS: &[Card] = &[
    Card {
        id: "progress",
        property: "Liveness: with a majority up and connected, a leader is elected and commands are committed",
        source: "§5.2, §5.4; Students' Guide to Raft",
        lesson: "Safety alone is easy: a cluster that does nothing is safe. Ask who could have won an election, and \
                 what kept it from winning.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "agreement",
        property: "A command that must be committed is, where it must be; one that must not be is not",
        source: "§5.3",
        lesson: "A majority is enough, and less is never enough.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "convergence",
        property: "When everything is healed and quiet, all servers come to the same state",
        source: "§5.3, §7",
        lesson: "Nobody should need a client's next command to catch up: what heals a follower must not wait for \
                 traffic.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "message-count",
        property: "The protocol takes no more messages or bytes than the work calls for",
        source: "the course's tests of counts and bytes",
        lesson: "Sending everything to everybody all the time hides bugs and does not scale.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "disk-size",
        property: "Log and snapshots take no more room than the state calls for",
        source: "§7; the course's tests of snapshot size",
        lesson: "A snapshot that holds what nobody can ask for any more is a log by another name.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "linearizability",
        property: "Every operation takes effect at one instant between its invocation and its return, whoever asks where",
        source: "Herlihy and Wing, Linearizability; §8",
        lesson: "To a client the cluster is one machine. Look at the first operation whose answer no order of the \
                 others explains, and ask which server gave it and what that server could know.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "configurations",
        property: "A shard controller's configurations are numbered for ever; each follows from the one before by one change, \
                   balanced and with the fewest moves; and nobody is told of one that is older than what was there",
        source: "the course, part 4A",
        lesson: "Everybody finds their data by it. What it is must depend on the log alone: not on the order of a hash \
                 table, not on who is asked, and not on what has become of it since.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "shard-ownership",
        property: "A shard is one group's, or on its way as that group froze it, sessions and all; no copy goes before another \
                   group has the shard for good; and groups adopt configurations one after the other",
        source: "the course, part 4B",
        lesson: "What moves is data and the memory of what was done with it. Ask at every step: if everybody crashed now, who \
                 would still know whose it is?",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "shard-storage",
        property: "What a group of a sharded store keeps is what it serves, what is coming, and what somebody waits for: a copy goes \
                   soon after it has arrived, if nothing keeps groups from talking, and a snapshot takes no more than that",
        source: "the course, part 4B, challenge 1",
        lesson: "Shards move for ever, and what they leave behind adds up. Whoever has got one must see to it that the other \
                 forgets it, and must still know that after a crash.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "shard-available",
        property: "A group executes what is asked of a shard that it has, whatever else it waits for",
        source: "the course, part 4B, challenge 2: shards that a change does not affect go on being served",
        lesson: "A configuration changes shards one by one. Whether an operation can be executed is a question about its own \
                 shard; a state of the group as a whole is nearly always too coarse an answer.",
        watches: &[],
        when: When::After,
        needs: Needs::Log,
    },
    Card {
        id: "undecided",
        property: "The checker of linearizability decides every history",
        source: "the laboratory: what is not decided is not a pass",
        lesson: "Too many operations whose outcome is unknown overlap. Give clients more time, or have fewer of them.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "panic",
        property: "No server panics",
        source: "assertions of the implementation",
        lesson: "An assertion that fires is an invariant that somebody wrote down and somebody else broke.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "stuck",
        property: "A run ends within its budget of events, bytes and virtual time",
        source: "the laboratory's limits",
        lesson: "Look at what repeats at the end of the trace: a storm of retries, or a loop that waits for nothing.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
    Card {
        id: "refused-disk",
        property: "A server starts from whatever a crash left on its disk",
        source: "Figure 2: persistent state",
        lesson: "A torn tail is what power failures leave. Refuse damage, but not that.",
        watches: &[],
        when: When::After,
        needs: Needs::Nothing,
    },
];

/// All invariants for a plan, those left out that it mutes.
fn invariants(plan: &Plan, is_operation: retry_storm::IsOperation) -> Vec<Box<dyn Invariant>> {
    let all: Vec<Box<dyn Invariant>> = vec![
        Box::new(election_safety::ElectionSafety::default()),
        Box::new(vote_once::VoteOnce::default()),
        Box::new(monotonic::Monotonic),
        Box::new(term_catch_up::TermCatchUp::default()),
        Box::new(persist_before_send::PersistBeforeSend::default()),
        Box::new(ordering::Ordering),
        Box::new(log_well_formed::LogWellFormed),
        Box::new(unique_entry::UniqueEntry::default()),
        Box::new(leader_append_only::LeaderAppendOnly),
        Box::new(no_un_append::NoUnAppend::default()),
        Box::new(replication_match::ReplicationMatch),
        Box::new(commit_quorum::CommitQuorum),
        Box::new(membership_change::MembershipChange),
        Box::new(committed_immutable::CommittedImmutable),
        Box::new(leader_completeness::LeaderCompleteness),
        Box::new(apply_order::ApplyOrder),
        Box::new(snapshot_honest::SnapshotHonest),
        Box::new(state_digest::StateDigest),
        Box::new(recovery::Recovery::default()),
        Box::new(acked_survives::AckedSurvives),
        Box::new(read_index::ReadIndex),
        Box::new(message_immutable::MessageImmutable),
        Box::new(resources::Resources::new(plan)),
        Box::new(retry_storm::RetryStorm::new(is_operation)),
    ];
    all.into_iter().filter(|invariant| !plan.mute.iter().any(|mute| mute == invariant.card().id)).collect()
}

/// What must hold of all groups together.
static ACROSS: [&Card; 1] = [&ack_honest::CARD];

/// The cards of all checks: invariants first, then demands.
pub fn cards() -> Vec<&'static Card> {
    let plan = Plan::default();
    let invariants = invariants(&plan, Box::new(|_| false));
    invariants.iter().map(|invariant| invariant.card()).chain(ACROSS).chain(DEMANDS).collect()
}

/// The card of a demand.
pub fn demand(id: &str) -> &'static Card {
    DEMANDS.iter().find(|card| card.id == id).expect("demands are named by literals")
}

/// What is known of a group, and everything that must hold of it.
pub struct Oracle {
    /// What is known.
    pub known: Known,
    /// How often each rare situation was reached.
    pub marks: Marks,
    invariants: Vec<Box<dyn Invariant>>,
    /// For each sort of fact, who looks at it before it is known and who after.
    before: [Vec<usize>; Sort::COUNT],
    after: [Vec<usize>; Sort::COUNT],
}

impl Oracle {
    /// The oracle for one group, from 1, in one run of that system.
    pub fn new(plan: &Plan, group: u32, system: &Arc<dyn RaftSystem>) -> Oracle {
        let of_service = system.clone();
        let is_operation = move |command: &[u8]| of_service.kv()?.explain(group, command).map(drop);
        let invariants = invariants(plan, Box::new(move |command| is_operation(command).is_some()));
        let (mut before, mut after): ([Vec<usize>; Sort::COUNT], [Vec<usize>; Sort::COUNT]) = Default::default();
        for (at, invariant) in invariants.iter().enumerate() {
            for sort in invariant.card().watches {
                match invariant.card().when {
                    When::Before => before[*sort as usize].push(at),
                    When::After => after[*sort as usize].push(at),
                }
            }
        }
        let voters = plan.voter_ids(group).into_iter().collect();
        let mut known = Known::with_voters(plan.group_ids(group)[0], plan.servers, voters);
        known.own_state = system.abilities().own_state;
        Oracle { known, marks: Marks::new(plan.server_count()), invariants, before, after }
    }

    /// Something has happened. The first invariant that does not hold any more is returned.
    pub fn learn(&mut self, stamp: Stamp, fact: &Fact<'_>) -> Option<Violation> {
        self.known.stamp = stamp;
        let sort = fact.sort() as usize;
        for &at in &self.before[sort] {
            if let Err(detail) = self.invariants[at].before(&self.known, fact) {
                return Some(Violation::of(self.invariants[at].card(), detail, stamp));
            }
        }
        self.marks.before(&self.known, fact);
        self.known.learn(fact);
        for &at in &self.after[sort] {
            if let Err(detail) = self.invariants[at].after(&self.known, fact) {
                return Some(Violation::of(self.invariants[at].card(), detail, stamp));
            }
        }
        None
    }

    /// The run is over.
    pub fn at_end(&mut self, stamp: Stamp, messages: &Messages) -> Option<Violation> {
        let seconds = stamp.at.nanos() as f64 / 1e9;
        let broken = |invariant: &mut Box<dyn Invariant>| {
            let detail = invariant.at_end(&self.known, seconds, messages).err()?;
            Some(Violation::of(invariant.card(), detail, stamp))
        };
        self.invariants.iter_mut().find_map(broken)
    }

    /// Checks that could not be made, since the implementation does not tell enough.
    pub fn not_checked(&self, explains: bool) -> Vec<&'static str> {
        let missing = |needs| match needs {
            Needs::Nothing => false,
            Needs::Events => !self.known.emits,
            Needs::Wire => !explains,
            Needs::EventsAndWire => !self.known.emits || !explains,
            // That is no group's own.
            Needs::Log => false,
        };
        let cards = self.invariants.iter().map(|invariant| invariant.card());
        cards.filter(|card| missing(card.needs)).map(|card| card.id).collect()
    }
}

/// A disk that could not be read after a power failure.
pub fn recovery_violated(detail: String, stamp: Stamp) -> Violation {
    Violation::of(&recovery::CARD, detail, stamp)
}

/// A violation of a demand.
pub fn violated(demand_id: &str, detail: String, stamp: Stamp) -> Violation {
    Violation::of(demand(demand_id), detail, stamp)
}
