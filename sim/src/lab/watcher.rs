//! The watcher: sees every event of the world, tells the oracle what it means, and writes it down if asked to.

use super::Record;
use super::controller_watch::ControllerWatch;
use super::disk_troubles::DiskTroubles;
use super::render::{Line, Recorder, fault};
use super::triggers::Triggers;
use super::what;
use super::words::{Asks, IsTold};
use crate::history::{At, Call, History, OpId, Outcome};
use crate::kv::{Lost, Place, Told};
use crate::oracle::{Fact, GroupAt, Oracles, ServiceMarks, Violation, violated};
use crate::plan::Plan;
use crate::raft::{Change, DiskFact, Follow, Part, RaftSystem, WireFacts};
use crate::shard::Ownership;
use bytes::Bytes;
use labrpc::sim::{Command, DiskAct, Face, Hook, Loss, NodeSet, Observed, Packet, Sending, Stamp, View};
use labrpc::{Direction, Event, Index, Kind, NodeId, ShardChange, Term, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Messages and bytes of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

/// What a task of the laboratory waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interest {
    /// One of these has applied an entry, and with it all up to there.
    Applied(NodeSet, Index),
    /// Somebody leads, or ceased to; somebody went down or came up; a message is held back.
    Change,
}

/// What takes longer on its way between two groups may be asked for again.
const PROMPT: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Watcher {
    system: Arc<dyn RaftSystem>,
    pub oracles: Oracles,
    pub violation: Option<Violation>,
    /// Checks that are switched off.
    mute: Vec<String>,
    /// Whether the implementation explains its messages.
    pub explains: bool,
    follows: Vec<Option<Box<dyn Follow>>>,
    /// Whether something was pending on the disk when the server went down.
    pending: Vec<bool>,
    /// Servers whose power has failed since they last started.
    power_failed: NodeSet,
    /// Servers that have cut a file since they last synced anything: what was followed of it may be gone.
    cut: NodeSet,
    /// Who may refuse to start, and has.
    pub troubles: DiskTroubles,
    /// What the service of each server has applied in this boot: hashes by index.
    applied: Vec<BTreeMap<Index, u64>>,
    /// The highest index that any service of each group has applied: from then on a client may know of it.
    served: Vec<Index>,
    traffic: Vec<(Kind, Direction, Traffic)>,
    waiters: Vec<(Interest, Waker)>,
    recorder: Option<Recorder>,
    facts: Vec<DiskFact>,
    /// What clients of a key/value service did and were told.
    pub history: History,
    /// The operation that each of them has begun: where it stands in the history.
    open: BTreeMap<u32, OpId>,
    /// What a client is about to report.
    call: Option<Call>,
    outcome: Option<Result<Told, Lost>>,
    /// What clients ask a shard controller, and are told.
    pub controller: ControllerWatch,
    /// Who has which shard of a sharded service.
    pub ownership: Ownership,
    /// What became of shards: each thing as it was said first, and when.
    pub shard_news: Vec<(Time, Event)>,
    /// What is rare among operations and shards.
    service: ServiceMarks,
    /// What waits for something to happen.
    pub triggers: Triggers,
    /// What a server is about to report that it has executed, and the last entry of each group of which that is known.
    executed: Option<(Bytes, bool)>,
    /// What a server is about to report that it refuses.
    refused: Option<Call>,
    known_to: Vec<Index>,
    /// What each server has said of shards since it last reported its state: the next entry that it reports has done that.
    moved: Vec<Vec<(u32, u64, ShardChange)>>,
    /// Until when something was done to the world that may keep groups from talking to each other.
    disturbed: Time,
    /// What servers of different groups say to each other.
    between_groups: Vec<Kind>,
}

impl Watcher {
    pub fn new(system: Arc<dyn RaftSystem>, plan: &Plan, record: Record) -> Watcher {
        let servers = plan.server_count() as usize + 1;
        let nothing = vec![Index(0); plan.groups as usize];
        let follows = (0..servers).map(|n| (n > 0).then(|| system.clone().follow(NodeId(n as u32)))).collect();
        Watcher {
            oracles: Oracles::new(plan, &system),
            violation: None,
            mute: plan.mute.clone(),
            explains: system.explains(),
            follows,
            pending: vec![false; servers],
            power_failed: NodeSet::NONE,
            cut: NodeSet::NONE,
            troubles: DiskTroubles::default(),
            applied: vec![BTreeMap::new(); servers],
            served: nothing.clone(),
            traffic: Vec::new(),
            waiters: Vec::new(),
            recorder: (record == Record::Everything).then(|| Recorder::new(system.clone(), plan)),
            facts: Vec::new(),
            history: History::default(),
            open: BTreeMap::new(),
            call: None,
            outcome: None,
            controller: ControllerWatch::default(),
            ownership: Ownership::default(),
            shard_news: Vec::new(),
            service: ServiceMarks::default(),
            triggers: Triggers::new(plan, &*system),
            executed: None,
            refused: None,
            known_to: nothing,
            moved: vec![Vec::new(); servers],
            disturbed: Time::ZERO,
            between_groups: system.kinds(Part::ServiceRequest).to_vec(),
            system,
        }
    }

    /// What was sent so far, by kind and direction.
    pub fn traffic(&self) -> Vec<(Kind, Direction, Traffic)> {
        self.traffic.clone()
    }

    fn count(&mut self, packet: &Packet) {
        let (kind, direction) = (packet.kind, packet.direction);
        let known = self.traffic.iter().position(|(of, goes, _)| (*of, *goes) == (kind, direction));
        let at = known.unwrap_or_else(|| {
            self.traffic.push((kind, direction, Traffic::default()));
            self.traffic.len() - 1
        });
        let (_, _, traffic) = &mut self.traffic[at];
        traffic.messages += 1;
        traffic.bytes += packet.body.len() as u64;
    }

    /// Wakes the task, once, when what it waits for may have come about.
    pub fn wait(&mut self, interest: Interest, waker: &Waker) {
        // Who waited in vain for a while, and waits again, is in the list already.
        let waits = |(known, by): &(Interest, Waker)| *known == interest && by.will_wake(waker);
        if !self.waiters.iter().any(waits) {
            self.waiters.push((interest, waker.clone()));
        }
    }

    /// A client is about to report that it begins an operation.
    pub fn begins(&mut self, call: Call) {
        self.call = Some(call);
    }

    /// A client is about to report that it is done with one, or has given it up.
    pub fn ends(&mut self, outcome: Option<Result<Told, Lost>>) {
        self.outcome = outcome;
    }

    /// A server is about to report its state, and with what it has applied just now; whether it has executed that.
    pub fn executes(&mut self, command: Option<Bytes>, executed: bool) {
        self.executed = command.map(|command| (command, executed));
    }

    /// A server is about to report that it refuses a command, or a query.
    pub fn refuses(&mut self, node: NodeId, asked: &[u8], reads: bool) {
        let (Some(group), Some(kv)) = (self.oracles.group_of(node), self.system.kv()) else { return };
        let Place { group, .. } = group.place(Index(0));
        self.refused =
            if reads { kv.explain_read(group, asked) } else { kv.explain(group, asked).map(|entry| entry.call) };
    }

    fn refused(&mut self, stamp: Stamp, group: GroupAt, index: Index) {
        let Some(call) = self.refused.take() else { return };
        let violation = self.oracles.refuses(stamp, group, index, &call);
        violation.into_iter().for_each(|violation| self.violate(violation));
    }

    /// How often each mark was reached.
    pub fn marks(&self) -> Vec<u32> {
        let marks = self.oracles.marks().into_iter().zip(self.service.counts());
        marks.map(|(of_groups, of_service)| of_groups + of_service).collect()
    }

    fn state(&mut self, stamp: Stamp, group: GroupAt, node: NodeId, index: Index, digest: u64) {
        let known_to = &mut self.known_to[group.slot()];
        let is_first = index > *known_to;
        *known_to = index.max(*known_to);
        for (shard, config, change) in self.moved[node.slot()].drain(..).filter(|_| is_first) {
            self.oracles.moves(group, index, (shard, config), &change);
        }
        let executed = self.executed.take().filter(|_| is_first);
        let Place { group: number, .. } = group.place(index);
        let explained = |(command, executed): (Bytes, bool)| {
            self.system.kv()?.explain(number, &command).map(|entry| (entry, executed))
        };
        match executed.and_then(explained) {
            Some((entry, true)) => {
                let violation = self.oracles.executes(stamp, group, index, &entry);
                violation.into_iter().for_each(|violation| self.violate(violation));
            }
            Some((entry, false)) if self.oracles.has_executed(group, index, &entry) => {
                self.service.is_there_again()
            }
            _ => {}
        }
        self.tell(stamp, group, &Fact::State { node, index, digest });
    }

    fn invoked(&mut self, stamp: Stamp, process: u32) {
        let Some(call) = self.call.take() else { return };
        let op = self.history.invoke(process, call, at(stamp));
        self.open.insert(process, op);
        self.oracles.asks(process);
    }

    fn returned(&mut self, stamp: Stamp, process: u32) {
        let (Some(op), Some(outcome)) = (self.open.remove(&process), self.outcome.take()) else { return };
        let outcome = match outcome {
            Ok(told) => {
                let call = self.history.operations[op.0].call.clone();
                let violation = self.oracles.is_told(stamp, process, &call, &told);
                violation.into_iter().for_each(|violation| self.violate(violation));
                Outcome::Ok { reply: told.reply, at: at(stamp) }
            }
            Err(Lost::Refused) => Outcome::Fail { at: at(stamp) },
            Err(Lost::Unknown) => {
                self.service.gives_up();
                Outcome::Unknown
            }
        };
        self.history.ret(op, outcome);
    }

    pub fn take_lines(&mut self) -> Vec<Line> {
        self.recorder.take().map(Recorder::into_lines).unwrap_or_default()
    }

    /// Something does not hold. The first counts of those that are not switched off.
    pub fn violate(&mut self, violation: Violation) {
        if self.mute.contains(&violation.check) {
            return;
        }
        self.violation.get_or_insert(violation);
    }

    fn tell(&mut self, stamp: Stamp, group: GroupAt, fact: &Fact<'_>) {
        if let Some(violation) = self.oracles.learn(group, stamp, fact) {
            self.violate(violation);
        }
    }

    /// The same of something that happened to a server, told to its group.
    fn tell_of(&mut self, stamp: Stamp, node: NodeId, fact: &Fact<'_>) {
        if let Some(group) = self.oracles.group_of(node) {
            self.tell(stamp, group, fact);
        }
    }

    fn wake(&mut self) {
        self.waiters.drain(..).for_each(|(_, waker)| waker.wake());
    }

    fn wake_for(&mut self, node: NodeId, applied: Index) {
        let hit = |(interest, _): &mut (Interest, Waker)| matches!(interest, Interest::Applied(on, index) if on.contains(node) && *index <= applied);
        self.waiters.extract_if(.., hit).for_each(|(_, waker)| waker.wake());
    }

    /// The hash of what the service of a server has applied at `index` in this boot.
    pub fn applied_at(&self, node: NodeId, index: Index) -> Option<u64> {
        self.applied[node.slot()].get(&index).copied()
    }

    /// The highest entry that the service of a server has applied in this boot.
    pub fn applied(&self, node: NodeId) -> Index {
        self.oracles.known_of(node).server(node).applied
    }

    /// The highest index that any service of a server's group has applied; in front of it the group, as a word.
    pub fn served(&self, node: NodeId) -> (u64, Index) {
        let group = self.oracles.group_of(node).expect("it is a server that is asked");
        (group.word(), self.served[group.slot()])
    }

    /// A server was asked, and says that it leads.
    pub fn claims(&mut self, node: NodeId, term: Term) {
        self.tell_of(self.oracles.stamp, node, &Fact::Claims { node, term });
    }

    fn is_server(&self, node: NodeId) -> bool {
        self.oracles.group_of(node).is_some()
    }

    fn sent(&mut self, stamp: Stamp, packet: &Packet, sending: Sending) {
        self.count(packet);
        if sending == Sending::Held {
            self.wake();
        }
        let wire = self.inspect(packet);
        if let Some(violation) = self.oracles.sent(stamp, packet, &Fact::Sent { packet, wire: wire.as_ref() }) {
            self.violate(violation);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.sent(stamp, packet, wire.as_ref(), sending);
        }
    }

    fn inspect(&self, packet: &Packet) -> Option<WireFacts> {
        if self.explains { self.system.inspect(packet.kind, packet.direction, &packet.body) } else { None }
    }

    /// A server says what has happened to it.
    fn emitted(&mut self, stamp: Stamp, node: NodeId, event: &Event) {
        self.tell_of(stamp, node, &Fact::Emitted { node, event });
        if self.ownership.is_news(event) {
            self.shard_news.push((stamp.at, event.clone()));
            self.service.news(event);
        }
        if let Some(group) = self.oracles.group_of(node) {
            self.service.says(group, event);
        }
        if let Err(detail) = self.ownership.learn(stamp.at, event) {
            self.violate(violated("shard-ownership", detail, stamp));
        }
        if let Event::Shard { shard, config, change, .. } = event {
            self.moved[node.slot()].push((*shard, *config, change.clone()));
        }
        if matches!(event, Event::Role { .. }) {
            self.wake();
        }
    }

    /// A copy of a shard may be kept for too long, now that this is seen.
    fn look_for_what_is_left(&mut self, stamp: Stamp, view: &View<'_>) {
        if let Some(detail) = self.ownership.left_behind(stamp.at, self.disturbed) {
            if self.oracles.can_all_talk(view) {
                self.violate(violated("shard-storage", detail, stamp));
            }
            self.disturbed = stamp.at;
        }
    }

    fn is_between_groups(&self, packet: &Packet) -> bool {
        self.between_groups.contains(&packet.kind)
    }

    /// Something may keep groups from talking to each other, or whoever has asked another group asks again and waits for that. What
    /// ends it is noted as well.
    fn note_disturbance(&mut self, now: Time, seen: &Observed<'_>) {
        let until = match seen {
            Observed::Crashed { .. } | Observed::Booting { .. } => now,
            Observed::Paused { .. } | Observed::Resumed { .. } => now,
            Observed::Ordered { what: Command::StallDisk { span, .. } } => now + span.0,
            Observed::Ordered { what: Command::TellWhenIdle { .. } } => return,
            Observed::Ordered { .. } => now,
            Observed::Sent { packet, sending: Sending::Lost(_) } if self.is_between_groups(packet) => now,
            Observed::Delivered { packet } | Observed::Lost { packet, why: Loss::Late }
                if self.is_between_groups(packet) && now.since(packet.sent) > PROMPT =>
            {
                now
            }
            // An answer that came in time and that nobody waits for any more was not needed.
            Observed::Lost { packet, why } if self.is_between_groups(packet) && *why != Loss::Late => now,
            _ => return,
        };
        self.disturbed = until.max(self.disturbed);
    }

    /// Part of a server's disk, or all of it, may have become durable.
    fn disk_changed(&mut self, stamp: Stamp, node: NodeId, change: Change<'_>, view: &View<'_>) {
        let change = if self.cut.contains(node) { Change::Everything } else { change };
        self.cut.remove(node);
        let Some(mut follow) = self.follows[node.slot()].take() else { return };
        let mut facts = std::mem::take(&mut self.facts);
        let outcome = follow.changed(&view.disk(node, Face::Durable), change, &mut facts);
        self.follows[node.slot()] = Some(follow);
        let mut snapshot = None;
        for fact in facts.drain(..) {
            if let DiskFact::Snapshot { index, content, .. } = &fact {
                snapshot = Some((*index, content.len() as u64));
            }
            if let Some(recorder) = &mut self.recorder {
                recorder.durable(stamp, node, &fact);
            }
            self.tell_of(stamp, node, &Fact::Durable { node, fact: &fact });
        }
        self.facts = facts;
        if let (Some((index, bytes)), Some(group)) = (snapshot, self.oracles.group_of(node)) {
            let disk = view.disk(node, Face::Durable);
            let all = disk.files().filter_map(|file| disk.read(file)).map(|content| content.len() as u64).sum();
            let violation = self.oracles.holds(stamp, (group, node), index, [bytes, all]);
            violation.into_iter().for_each(|violation| self.violate(violation));
        }
        if let Err(why) = outcome
            && !self.troubles.damaged().contains(node)
        {
            let detail = format!("if the power failed now, the disk of {node} could not be read: {why}");
            self.violate(crate::oracle::recovery_violated(detail, stamp));
        }
    }

    fn booting(&mut self, stamp: Stamp, node: NodeId, view: &View<'_>) {
        self.applied[node.slot()].clear();
        self.moved[node.slot()].clear();
        let was_pending = std::mem::take(&mut self.pending[node.slot()]) || view.has_pending(node);
        self.troubles.boots(node);
        // Where nothing was pending and no power failed, the disk is what was followed so far, byte for byte.
        // Otherwise it is read whole, and what was followed is held against that.
        let untouched = !was_pending && !self.power_failed.contains(node);
        self.power_failed.remove(node);
        let as_known = self.oracles.known_of(node).summary(node);
        let expected = if untouched && !self.troubles.damaged().contains(node) {
            Ok(as_known)
        } else {
            self.system.recover(node, &view.disk(node, Face::Current)).map(|found| found.summary())
        };
        // One that the plan has damaged must not start; the service reports that.
        let damaged = self.troubles.damaged().contains(node) && expected.is_err();
        let expected = if damaged { Ok(as_known) } else { expected };
        self.tell_of(stamp, node, &Fact::Booting { node, expected: &expected, was_pending });
    }

    fn service(&mut self, stamp: Stamp, node: Option<NodeId>, what: &str, words: [u64; 4]) {
        let [first, second, third, fourth] = words;
        let of_server = node.and_then(|node| Some((node, self.oracles.group_of(node)?)));
        match (what, of_server) {
            (what::APPLY | what::APPLY_OWN, Some((node, group))) => {
                let term = second.checked_sub(1).map(Term);
                let served = &mut self.served[group.slot()];
                *served = Index(first).max(*served);
                self.applied[node.slot()].insert(Index(first), third);
                self.tell(stamp, group, &Fact::Applied { node, index: Index(first), term, hash: third });
                if what == what::APPLY_OWN {
                    self.state(stamp, group, node, Index(first), fourth);
                }
                self.wake_for(node, Index(first));
            }
            (what::RESTORE, Some((node, group))) => {
                self.tell(stamp, group, &Fact::Restored { node, index: Index(first), digest: second });
                self.wake_for(node, Index(first));
            }
            (what::STATE, Some((node, group))) => {
                self.state(stamp, group, node, Index(first), second);
            }
            (what::REFUSE, Some((_, group))) => self.refused(stamp, group, Index(first)),
            (what::INVOKE, _) => self.invoked(stamp, first as u32),
            (what::RETURN, _) => self.returned(stamp, first as u32),
            (what::CONFIGURE, _) => self.controller.asked(first as u32),
            (what::CONFIGURED, _) => {
                if let Err(detail) = self.controller.answered(first as u32) {
                    self.violate(violated("configurations", detail, stamp));
                }
            }
            (what::ACK, _) => {
                self.tell(stamp, GroupAt::of_word(third), &Fact::Acked { hash: first, index: Index(second) });
            }
            (what::READ, _) => {
                let (index, floor, applied) = (Index(first), Index(second), Index(third));
                self.tell(stamp, GroupAt::of_word(fourth), &Fact::Read { index, floor, applied });
            }
            _ => {}
        }
    }

    /// What a client asks or is told, in words.
    fn words_of(&self, seen: &Observed<'_>) -> Option<String> {
        match *seen {
            Observed::Service { what: what::INVOKE, words: [process, ..], .. } => {
                self.call.as_ref().map(|call| Asks(process as u32, call).to_string())
            }
            Observed::Service { what: what::RETURN, words: [process, ..], .. } => {
                let told =
                    self.outcome.as_ref().map(|told| told.as_ref().map(|told| &told.reply).map_err(|lost| *lost));
                Some(IsTold(process as u32, told).to_string())
            }
            Observed::Service { what: what::CONFIGURE | what::CONFIGURED, words: [process, ..], .. } => {
                Some(self.controller.words(process as u32))
            }
            _ => None,
        }
    }

    fn take_in(&mut self, stamp: Stamp, seen: &Observed<'_>, view: &View<'_>, orders: &mut Vec<Command>) {
        match *seen {
            Observed::Sent { packet, sending } => return self.sent(stamp, packet, sending),
            Observed::Delivered { packet } => {
                let wire = self.inspect(packet);
                if let Some(recorder) = &mut self.recorder {
                    recorder.delivered(stamp, packet, wire.as_ref());
                }
                let fact = Fact::Delivered { packet, wire: wire.as_ref() };
                if let Some(violation) = self.oracles.delivered(stamp, packet, &fact) {
                    self.violate(violation);
                }
                // Rare, and the only time that it matters when a server has handled its messages.
                let term = wire.and_then(|wire| wire.term());
                let known = self.oracles.group_of(packet.to).map(|group| self.oracles.known(group));
                let known = known.and_then(|known| known.memory(packet.to)).map(|memory| memory.term);
                if term.zip(known).is_some_and(|(term, known)| term > known) {
                    orders.push(Command::TellWhenIdle { node: packet.to });
                }
                return;
            }
            _ => {}
        }
        self.look_for_what_is_left(stamp, view);
        let words = if self.recorder.is_some() { self.words_of(seen) } else { None };
        if let Some(recorder) = &mut self.recorder {
            match words {
                Some(words) => recorder.said(stamp, words),
                None => recorder.other(stamp, seen),
            }
            if let Some((what, detail)) = fault(seen) {
                self.history.annotate(at(stamp), what, detail);
            }
        }
        match *seen {
            Observed::Emitted { node, event } => self.emitted(stamp, node, event),
            Observed::Idle { node } => self.tell_of(stamp, node, &Fact::Idle { node }),
            Observed::Disk { node, act: DiskAct::Truncate, .. } => self.cut.insert(node),
            Observed::Disk { node, act: DiskAct::Sync, file, .. } if self.is_server(node) => {
                self.disk_changed(stamp, node, Change::File(file), view);
            }
            Observed::Disk { node, act: DiskAct::SyncDir, .. } if self.is_server(node) => {
                self.disk_changed(stamp, node, Change::Names, view);
            }
            Observed::Booting { node, .. } if self.is_server(node) => {
                self.booting(stamp, node, view);
                self.wake();
            }
            Observed::Crashed { node, power, pending } if self.is_server(node) => {
                self.pending[node.slot()] |= pending;
                self.tell_of(stamp, node, &Fact::Crashed { node });
                if power {
                    self.power_failed.insert(node);
                    self.disk_changed(stamp, node, Change::Everything, view);
                }
                self.wake();
            }
            Observed::Service { node, what, words } => self.service(stamp, node, what, words),
            _ => {}
        }
    }
}

impl Hook for Watcher {
    fn observe(&mut self, stamp: Stamp, seen: &Observed<'_>, world: &View<'_>, orders: &mut Vec<Command>) {
        if self.violation.is_some() {
            return;
        }
        if !self.triggers.are_none() {
            self.triggers.look(stamp, seen);
        }
        self.note_disturbance(stamp.at, seen);
        self.take_in(stamp, seen, world, orders);
        if self.violation.is_some() {
            orders.push(Command::End);
        }
    }
}

fn at(stamp: Stamp) -> At {
    At { nth: stamp.nth, nanos: stamp.at.nanos() }
}

/// A server that does not start from what is on its disk.
pub(super) fn refusal(node: NodeId, why: &str, stamp: Stamp) -> Violation {
    violated("refused-disk", format!("{node} does not start: {why}"), stamp)
}
