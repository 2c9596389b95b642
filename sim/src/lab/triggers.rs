//! Triggers at work: the watcher sees their cues, and the laboratory's hands answer them.

use super::control::Control;
use super::watcher::Watcher;
use super::what;
use crate::plan::{Cue, Plan, Reaction};
use crate::raft::{Part, RaftSystem};
use labrpc::sim::{NodeSet, Observed, Packet, Stamp};
use labrpc::{Event, Kind, NodeId, Rng, Role, ShardChange};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A cue that is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
    /// By which trigger.
    trigger: usize,
    /// How many of its cues came before this one.
    nth: u32,
    it: NodeId,
    other: Option<NodeId>,
}

/// What one trigger waits for, and how often it has.
struct Waiting {
    cue: Cue,
    /// The messages that are meant, if any are.
    kinds: Vec<Kind>,
    skip: u32,
    take: u32,
    chance: u32,
    rest: u64,
    rng: Rng,
    seen: u32,
    taken: u32,
    /// Until when it rests, in nanoseconds.
    rests_until: u64,
}

/// All triggers of a plan.
pub(super) struct Triggers {
    waiting: Vec<Waiting>,
    /// Who takes itself for a leader.
    leads: NodeSet,
    fired: VecDeque<Fired>,
    waker: Option<Waker>,
}

/// What the cue is about, if it is there.
type About = Option<(NodeId, Option<NodeId>)>;

impl Triggers {
    pub fn new(plan: &Plan, system: &dyn RaftSystem) -> Triggers {
        let waiting = plan.triggers.iter().zip(0u32..).map(|(trigger, number)| Waiting {
            cue: trigger.on,
            kinds: match trigger.on {
                Cue::Sent(part) | Cue::Delivered(part) => system.kinds(part).to_vec(),
                Cue::Answered => system.kinds(Part::ClientReply).to_vec(),
                _ => Vec::new(),
            },
            skip: trigger.skip,
            take: trigger.take.unwrap_or(u32::MAX),
            chance: trigger.chance.unwrap_or(1_000_000),
            rest: trigger.rest.nanos(),
            rng: Rng::new(plan.seed, &format!("trigger {number}")),
            seen: 0,
            taken: 0,
            rests_until: 0,
        });
        Triggers { waiting: waiting.collect(), leads: NodeSet::NONE, fired: VecDeque::new(), waker: None }
    }

    /// Whether there is nothing to wait for.
    pub fn are_none(&self) -> bool {
        self.waiting.is_empty()
    }

    /// From now on nothing is answered, and what was to be answered is not. Returns those that never were.
    pub fn disarm(&mut self) -> Vec<Cue> {
        self.fired.clear();
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter(|one| one.taken == 0).map(|one| one.cue).collect()
    }

    /// Something has happened.
    pub fn look(&mut self, stamp: Stamp, seen: &Observed<'_>) {
        let before = self.fired.len();
        for trigger in 0..self.waiting.len() {
            let Some((it, other)) = self.waiting[trigger].is_cue(seen, self.leads) else { continue };
            if let Some(nth) = self.waiting[trigger].answers(stamp.at.nanos()) {
                self.fired.push_back(Fired { trigger, nth, it, other });
            }
        }
        match *seen {
            Observed::Emitted { node, event: Event::Role { role: Role::Leader, .. } } => self.leads.insert(node),
            Observed::Emitted { node, event: Event::Role { .. } } => self.leads.remove(node),
            Observed::Crashed { node, .. } => self.leads.remove(node),
            _ => {}
        }
        if self.fired.len() > before
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn next(&mut self, waker: &Waker) -> Option<Fired> {
        let next = self.fired.pop_front();
        if next.is_none() {
            self.waker = Some(waker.clone());
        }
        next
    }
}

impl Waiting {
    /// Whether this one is to be answered, and how many came before.
    fn answers(&mut self, now: u64) -> Option<u32> {
        self.seen += 1;
        if self.seen <= self.skip || self.taken >= self.take || now < self.rests_until {
            return None;
        }
        // Drawn for each that could be answered, so that what one does not answer decides nothing about the next.
        if !self.rng.chance(self.chance) {
            return None;
        }
        self.rests_until = now.saturating_add(self.rest);
        self.taken += 1;
        Some(self.taken - 1)
    }

    fn is_cue(&self, seen: &Observed<'_>, leads: NodeSet) -> About {
        match *seen {
            Observed::Emitted { node, event } => self.is_event(node, event, leads),
            Observed::Sent { packet, .. } => match self.cue {
                Cue::Answered | Cue::Sent(_) => self.is_message(packet).then_some((packet.from, Some(packet.to))),
                _ => None,
            },
            Observed::Delivered { packet } => {
                let is_it = matches!(self.cue, Cue::Delivered(_)) && self.is_message(packet);
                is_it.then_some((packet.to, Some(packet.from)))
            }
            // A client of a Raft without a service was told that its command is committed: by one that takes itself for a leader.
            Observed::Service { what: what::ACK, .. } if self.cue == Cue::Answered => {
                leads.iter().next().map(|leader| (leader, None))
            }
            Observed::Crashed { node, .. } => (self.cue == Cue::Crashed).then_some((node, None)),
            Observed::Booting { node, .. } => (self.cue == Cue::Started).then_some((node, None)),
            _ => None,
        }
    }

    fn is_message(&self, packet: &Packet) -> bool {
        let goes = match self.cue {
            Cue::Sent(part) | Cue::Delivered(part) => part.directions().contains(&packet.direction),
            _ => Part::ClientReply.directions().contains(&packet.direction),
        };
        goes && self.kinds.contains(&packet.kind)
    }

    fn is_event(&self, node: NodeId, event: &Event, leads: NodeSet) -> About {
        let is_it = match (self.cue, event) {
            (Cue::Voted, Event::Term { vote: Some(whom), .. }) if *whom != node => {
                return Some((node, Some(*whom)));
            }
            (Cue::SnapshotSent, Event::SnapshotSent { to, .. }) => return Some((node, Some(*to))),
            (Cue::Elected, Event::Role { role: Role::Leader, .. }) => true,
            (Cue::Candidate, Event::Role { role: Role::Candidate, .. }) => true,
            (Cue::Deposed, Event::Role { role, .. }) => *role != Role::Leader && leads.contains(node),
            (Cue::Appended, Event::Appended { content, .. }) => {
                leads.contains(node) && matches!(content, labrpc::Content::Command(_))
            }
            (Cue::Truncated, Event::Truncated { .. }) => true,
            (Cue::Committed, Event::Committed { .. }) => leads.contains(node),
            (Cue::Compacted, Event::Compacted { .. }) => true,
            (Cue::SnapshotInstalled, Event::Installed { .. }) => true,
            (Cue::ConfigAdopted, Event::ConfigAdopted { .. }) => true,
            (Cue::ShardFrozen, Event::Shard { change: ShardChange::Frozen { .. }, .. }) => true,
            (Cue::ShardInstalled, Event::Shard { change: ShardChange::Installed { .. }, .. }) => true,
            (Cue::ShardDeleted, Event::Shard { change: ShardChange::Deleted, .. }) => true,
            _ => false,
        };
        is_it.then_some((node, None))
    }
}

impl Control {
    /// Lets each trigger wait for its cue.
    pub fn start_triggers(&mut self) {
        if self.plan.triggers.is_empty() {
            return;
        }
        let hands = self.hands();
        self.lab.spawn(async move {
            loop {
                let next = |watcher: &mut Watcher, waker: &Waker| watcher.triggers.next(waker);
                let fired = poll_fn(|context| {
                    let fired = hands.lab.with_hook(|watcher: &mut Watcher| next(watcher, context.waker()));
                    fired.map_or(Poll::Pending, Poll::Ready)
                });
                let fired = fired.await;
                let mut own = hands.hands();
                own.rng = Rng::new(own.plan.seed, &format!("answer {} {}", fired.trigger, fired.nth));
                // Commands of its own, apart from the script's, the faults' and other answers'.
                own.commands = (fired.trigger as u64 + 2) * 1_000_000_000 + u64::from(fired.nth) * 1_000_000;
                own.bound.insert("it".into(), fired.it.into());
                own.bound.insert("other".into(), fired.other.map(NodeSet::from).unwrap_or_default());
                let then = own.plan.triggers[fired.trigger].then.clone();
                hands.lab.spawn(async move { own.react(then).await });
            }
        });
    }

    /// Answers a cue, unless the time for that is over.
    async fn react(mut self, then: Vec<Reaction>) {
        for Reaction { after, act } in then {
            let after = self.rng.between(after.min.0, after.max.0);
            self.lab.sleep_until(self.lab.now() + after).await;
            if self.shared.is_disarmed() {
                return;
            }
            self.act(&act).await;
        }
    }

    /// Before all is healed: no cue is answered any more. Those that never came are noted.
    pub fn disarm_triggers(&mut self) {
        self.shared.disarm();
        for cue in self.lab.with_hook(|watcher: &mut Watcher| watcher.triggers.disarm()) {
            self.unmet(format!("no trigger on {} was ever set off", cue.name()));
        }
    }
}
