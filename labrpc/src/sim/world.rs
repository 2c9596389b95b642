//! The world of one run: every node, link, disk and clock, and what will happen to them.
//!
//! All of it is behind one lock that only one thread ever takes. Operations of nodes come in through
//! [`super::env`]; what is due comes in through [`super::pump`]. Each step is shown to the hook and goes into
//! the digest; what the hook orders is done before the operation returns.

use super::digest::Digest;
use super::disk::{DiskView, Face};
use super::fate::Fate;
use super::net::Network;
use super::node::{Node, State};
use super::observe::{Command, CrashPoint, Edge, Effect, Hook, Observed, Packet, Stamp};
use super::queue::{Queue, Ticket};
use super::rule::NodeSet;
use super::timer::Timer;
use super::{Counters, Ending, Limits};
use crate::id::NodeId;
use crate::time::Time;
use madsim::runtime::NodeHandle;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

/// The world, shared by everything that runs in it.
pub(crate) struct Shared(Mutex<World>);

impl Shared {
    pub fn new(world: World) -> Arc<Shared> {
        let shared = Arc::new(Shared(Mutex::new(world)));
        let bell = Waker::from(Arc::new(Bell(Arc::downgrade(&shared))));
        shared.lock().timer.set_bell(bell);
        shared
    }

    /// The world as of now. A node that panicked inside does not take the others' world with it.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = world.timer.now();
        world
    }

    /// A timer rang: the next event is due. See [`super::timer`] for what must not be done here.
    fn rung(&self) {
        let mut world = self.lock();
        if world.rings_owed > 0 {
            world.rings_owed -= 1;
            return;
        }
        let Some(due) = world.queue.next_at() else { return };
        world.now = world.now.max(due);
        world.turn();
        world.rings_owed = world.rings_owed.saturating_sub(1);
    }
}

/// What madsim's timers call.
struct Bell(Weak<Shared>);

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        if let Some(shared) = self.0.upgrade() {
            shared.rung();
        }
    }
}

/// A boot of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Who {
    pub node: NodeId,
    pub boot: u32,
}

/// What will happen.
pub(crate) enum Event {
    Arrival(Packet),
    Delivery(Packet),
    Alarm { node: NodeId, at: u64 },
    DiskDone(Who, u64),
    Order(Command),
    TimeIsUp,
}

/// What must be done outside the lock, since it runs code of nodes.
pub(crate) enum Deferred {
    Start(NodeId),
    Kill(NodeHandle),
    Pause(NodeHandle),
    Resume(NodeHandle),
}

/// See the module.
pub(crate) struct World {
    /// Of fates, node clocks and the nodes' randomness.
    pub seed: u64,
    /// True time, in nanoseconds since the start, as of the last lock.
    pub now: u64,
    pub timer: Timer,
    pub nodes: Vec<Node>,
    pub machines: Vec<Option<NodeHandle>>,
    pub net: Network,
    pub counters: Counters,
    pub deferred: Vec<Deferred>,
    pub ended: Option<Ending>,
    pub end_waiter: Option<Waker>,
    queue: Queue<Event>,
    /// Inside a turn no timers can be set: these events still need theirs.
    turning: bool,
    untimed: Vec<Ticket>,
    /// Timers that have not rung and whose events have happened.
    rings_owed: u64,
    digest: Digest,
    hook: Option<Box<dyn Hook>>,
    orders: VecDeque<Command>,
    crash_points: Vec<(CrashPoint, u32)>,
    limits: Limits,
    /// The millisecond that is being counted, and how many events it had.
    instant: (u64, u64),
}

impl World {
    pub fn new(seed: u64, timer: Timer, net: Network, limits: Limits, hook: Box<dyn Hook>) -> World {
        World {
            seed,
            now: 0,
            timer,
            nodes: Vec::new(),
            machines: Vec::new(),
            net,
            counters: Counters::default(),
            deferred: Vec::new(),
            ended: None,
            end_waiter: None,
            queue: Queue::new(),
            turning: false,
            untimed: Vec::new(),
            rings_owed: 0,
            digest: Digest::new(),
            hook: Some(hook),
            orders: VecDeque::new(),
            crash_points: Vec::new(),
            limits,
            instant: (0, 0),
        }
    }

    /// Makes room for nodes up to this one.
    pub fn grow(&mut self, node: NodeId) {
        while self.nodes.len() <= node.slot() {
            // Clocks start anywhere within a day: nobody may compare those of two nodes.
            let slot = self.nodes.len() as u64;
            let offset = Fate::of(self.seed, [slot, 0, 0xc10c]).below(86_400_000_000_000);
            self.nodes.push(Node::new(offset));
            self.machines.push(None);
        }
        self.net.grow(self.nodes.len());
    }

    /// Whether this boot is still the one that runs, and the run goes on.
    pub fn lives(&self, who: Who) -> bool {
        let node = &self.nodes[who.node.slot()];
        node.boot == who.boot && node.state != State::Down && self.ended.is_none()
    }

    /// A node is about to have an effect. False: it is gone, and has none.
    pub fn enter(&mut self, who: Who, effect: Effect, on: &str) -> bool {
        self.lives(who) && !self.strikes(Edge::Before, who, effect, on)
    }

    /// The effect has happened. False: the node does not live to see it.
    pub fn leave(&mut self, who: Who, effect: Effect, on: &str) -> bool {
        self.obey();
        !self.strikes(Edge::After, who, effect, on) && self.lives(who)
    }

    fn strikes(&mut self, edge: Edge, who: Who, effect: Effect, on: &str) -> bool {
        !self.crash_points.is_empty() && self.strikes_one(edge, who, effect, on)
    }

    #[cold]
    fn strikes_one(&mut self, edge: Edge, who: Who, effect: Effect, on: &str) -> bool {
        let mut struck = None;
        for (at, (point, seen)) in self.crash_points.iter_mut().enumerate() {
            if point.node == who.node && point.effect == effect && point.edge == edge && on.starts_with(&point.on) {
                *seen += 1;
                if *seen == point.nth && struck.is_none() {
                    struck = Some(at);
                }
            }
        }
        let Some(at) = struck else { return false };
        let (point, _) = self.crash_points.remove(at);
        self.crash(who.node, point.power);
        if let Some(pause) = point.back_after {
            self.order_later(pause.nanos(), Command::Boot { node: who.node });
        }
        self.obey();
        true
    }

    /// Shows an event to the digest and the hook.
    pub fn see(&mut self, seen: &Observed<'_>) {
        if self.ended.is_some() {
            return;
        }
        self.counters.events += 1;
        self.digest.add(&(self.now, seen));
        if let Some(mut hook) = self.hook.take() {
            let stamp = Stamp { at: Time::from_nanos(self.now), nth: self.counters.events };
            let mut orders = Vec::new();
            hook.observe(stamp, seen, &View(self), &mut orders);
            self.hook = Some(hook);
            self.orders.extend(orders);
        }
        // A log that is applied again after a restart is applied in an instant: what is said of each of its entries, by
        // its server or by the service, is no sign of a loop.
        let of_entries = matches!(
            seen,
            Observed::Service { .. } | Observed::Emitted { event: crate::Event::Applied { .. }, .. }
        );
        let counts = !of_entries;
        self.judge_budget(u64::from(counts));
    }

    fn judge_budget(&mut self, events: u64) {
        let millisecond = self.now / 1_000_000;
        if self.instant.0 != millisecond {
            self.instant = (millisecond, 0);
        }
        self.instant.1 += events;
        let counters = &self.counters;
        let spent = if self.instant.1 > self.limits.events_per_ms {
            format!("more than {} events within one millisecond", self.limits.events_per_ms)
        } else if counters.events > self.limits.events {
            format!("more than {} events", self.limits.events)
        } else if counters.bytes_sent > self.limits.bytes {
            format!("more than {} bytes sent", self.limits.bytes)
        } else {
            return;
        };
        self.end(Ending::Budget(spent));
    }

    /// Carries out what the hook ordered, and what that causes.
    pub fn obey(&mut self) {
        while let Some(command) = self.orders.pop_front() {
            self.execute(command);
        }
    }

    /// Queues something for true time `at`.
    pub fn schedule(&mut self, at: u64, event: Event) {
        let ticket = self.queue.push(at, event);
        if !self.turning && self.timer.set(at) {
            self.queue.timed(ticket);
        } else {
            self.untimed.push(ticket);
            self.timer.wake_pump();
        }
    }

    pub fn order_later(&mut self, after: u64, command: Command) {
        let at = self.now.saturating_add(after);
        self.schedule(at, Event::Order(command));
    }

    /// Asks for something that must happen outside the lock.
    pub fn defer(&mut self, what: Deferred) {
        self.deferred.push(what);
        self.timer.wake_pump();
    }

    /// Everything that is due happens.
    fn turn(&mut self) {
        self.turning = true;
        while let Some((event, timed)) = self.queue.pop_due(self.now) {
            self.rings_owed += u64::from(timed);
            if self.ended.is_none() {
                self.happen(event);
                self.obey();
            }
        }
        self.turning = false;
    }

    /// What is due and has no timer happens; what has none and is not due gets one. Returns what must be done
    /// outside the lock.
    pub fn pump(&mut self) -> Vec<Deferred> {
        self.turn();
        let mut tickets = std::mem::take(&mut self.untimed);
        for ticket in tickets.drain(..) {
            if self.queue.waits(ticket) {
                if self.timer.set(ticket.at) {
                    self.queue.timed(ticket);
                } else {
                    self.untimed.push(ticket);
                    self.timer.wake_pump();
                }
            }
        }
        if self.untimed.is_empty() {
            // For the room that it has.
            self.untimed = tickets;
        }
        std::mem::take(&mut self.deferred)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival(packet) => self.arrive(packet),
            Event::Delivery(packet) => self.deliver(packet),
            Event::DiskDone(who, nth) => self.disk_done(who, nth),
            Event::Order(command) => self.execute(command),
            Event::TimeIsUp => self.end(Ending::Budget(format!("more than {} of virtual time", self.limits.time))),
            Event::Alarm { node, at } => {
                self.nodes[node.slot()].sleeps.fired(at);
                self.ring(node);
            }
        }
    }

    /// Wakes those of the node's sleepers whose time has come by its clock, and sets its next alarm.
    pub fn ring(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.slot()];
        let woken = node.sleeps.wake(node.clock.local(self.now));
        // The laboratory's own timers are no business of the run.
        if woken > 0 && id.0 != 0 {
            self.see(&Observed::Timer { node: id });
        }
        self.arm_sleeps(id);
    }

    fn arm_sleeps(&mut self, id: NodeId) {
        let node = &self.nodes[id.slot()];
        if let Some(next) = node.sleeps.next(node.clock.local(self.now)) {
            self.arm_sleep(id, next);
        }
    }

    /// Sees to it that the node's sleepers are looked at when its clock shows `until`.
    pub fn arm_sleep(&mut self, id: NodeId, until: Time) {
        let node = &mut self.nodes[id.slot()];
        let at = node.clock.when(until, self.now);
        if node.sleeps.arm(at) {
            self.schedule(at, Event::Alarm { node: id, at });
        }
    }

    /// The node loses its memory, from this instant on.
    pub fn crash(&mut self, id: NodeId, power: bool) {
        let who = Who { node: id, boot: self.nodes[id.slot()].boot };
        let node = &mut self.nodes[id.slot()];
        if node.state == State::Down {
            let pending = node.disk.has_pending();
            // It may be about to start. It does not.
            self.deferred.retain(|deferred| !matches!(deferred, Deferred::Start(other) if *other == id));
            if power {
                self.fail_power(who);
                self.see(&Observed::Crashed { node: id, power, pending });
            }
            return;
        }
        node.state = State::Down;
        let pending = node.disk.has_pending() || !node.disk_in_flight.is_empty();
        let flights = node.forget();
        self.disk_abandon(who, flights.into_iter());
        if power {
            self.fail_power(who);
        }
        if let Some(machine) = self.machines[id.slot()].take() {
            self.defer(Deferred::Kill(machine));
        }
        self.see(&Observed::Crashed { node: id, power, pending });
    }

    /// The node starts, on this machine.
    pub fn boot(&mut self, id: NodeId, machine: NodeHandle) -> Who {
        let node = &mut self.nodes[id.slot()];
        node.state = State::Up;
        node.boot += 1;
        let boot = node.boot;
        self.machines[id.slot()] = Some(machine);
        self.see(&Observed::Booting { node: id, boot });
        self.obey();
        Who { node: id, boot }
    }

    pub fn add_crash_point(&mut self, point: Option<CrashPoint>) {
        match point {
            Some(point) => self.crash_points.push((point, 0)),
            None => self.crash_points.clear(),
        }
    }

    /// The run is over.
    pub fn end(&mut self, ending: Ending) {
        if self.ended.is_none() {
            self.ended = Some(ending);
            if let Some(waiter) = self.end_waiter.take() {
                waiter.wake();
            }
        }
    }

    /// Nothing happens any more. Returns what must be dropped outside the lock.
    pub fn shut_down(&mut self) -> (Vec<NodeHandle>, Vec<Node>) {
        self.end(Ending::Hook);
        self.queue.clear();
        self.untimed.clear();
        self.orders.clear();
        self.deferred.clear();
        let machines = self.machines.iter_mut().filter_map(Option::take).collect();
        let nodes = self.nodes.len();
        let gone = std::mem::replace(&mut self.nodes, (0..nodes).map(|_| Node::new(0)).collect());
        (machines, gone)
    }

    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    pub fn hook_mut(&mut self) -> &mut dyn Hook {
        self.hook.as_deref_mut().expect("the hook is only away while it looks at an event")
    }

    pub fn take_hook(&mut self) -> Box<dyn Hook> {
        self.hook.take().unwrap_or_else(|| Box::new(super::observe::NoHook))
    }
}

/// The world as a judge may see it.
pub struct View<'a>(pub(crate) &'a World);

impl View<'_> {
    /// True time since the start of the run.
    pub fn now(&self) -> Time {
        Time::from_nanos(self.0.now)
    }

    /// A node's disk.
    pub fn disk(&self, node: NodeId, face: Face) -> DiskView<'_> {
        self.0.nodes[node.slot()].disk.view(face)
    }

    /// Whether a power failure now could cost the node anything that it has written.
    pub fn has_pending(&self, node: NodeId) -> bool {
        self.0.nodes[node.slot()].disk.has_pending()
    }

    /// Whether the node runs, standing still included.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.0.nodes.get(node.slot()).is_some_and(|node| node.state != State::Down)
    }

    /// The nodes that run, standing still included.
    pub fn up(&self) -> NodeSet {
        let up = |(slot, node): (usize, &Node)| (node.state != State::Down).then_some(NodeId(slot as u32));
        self.0.nodes.iter().enumerate().filter_map(up).collect()
    }

    /// How often the node was started: the number of its latest boot.
    pub fn boot(&self, node: NodeId) -> u32 {
        self.0.nodes.get(node.slot()).map_or(0, |node| node.boot)
    }

    /// Whether the node stands still.
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.0.nodes.get(node.slot()).is_some_and(|node| node.state == State::Paused)
    }

    /// Whether messages can go from one node to another.
    pub fn is_linked(&self, from: NodeId, to: NodeId) -> bool {
        !self.0.net.is_cut(from, to)
    }

    /// Whether any rule is in force.
    pub fn has_rules(&self) -> bool {
        !self.0.net.rules.is_empty()
    }

    /// Rules in force that have not decided over a single message yet.
    pub fn idle_rules(&self) -> Vec<String> {
        self.0.net.rules.idle().map(|rule| rule.name.clone()).collect()
    }

    /// Crash points that no node has come to yet.
    pub fn crash_points(&self) -> impl Iterator<Item = &CrashPoint> {
        self.0.crash_points.iter().map(|(point, _)| point)
    }

    /// How many messages the rules of that name hold back.
    pub fn held(&self, rule: &str) -> usize {
        self.0.net.held(rule)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.0.counters
    }
}
