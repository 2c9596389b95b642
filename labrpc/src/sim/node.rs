//! What the world keeps for each node: is it alive, what waits in its queues, what does it wait for.

use super::clock::{NodeClock, TRUE_RATE};
use super::disk::SimDisk;
use super::disk_ops::InFlight;
use super::env::Booter;
use super::weather::DiskWeather;
use crate::message::{Incoming, Kind, Request};
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Waker};

/// One node.
pub(crate) struct Node {
    pub booter: Option<Booter>,
    pub state: State,
    /// How often the node was started. Operations of an older boot have no effect.
    pub boot: u32,
    pub clock: NodeClock,
    pub inbox: Queue<Incoming>,
    pub requests: Queue<Request>,
    pub calls: Calls,
    pub sleeps: Sleeps,
    /// Somebody wants to know when the node has handled the messages that it has taken.
    pub tell_when_idle: bool,
    pub disk: SimDisk,
    pub disk_weather: DiskWeather,
    /// Operations of the disk so far: what draws their fate.
    pub disk_ops: u64,
    pub disk_in_flight: Vec<InFlight>,
    pub disk_stalled_until: u64,
    pub service: Service,
    /// Until when messages keep the node busy.
    pub busy_until: u64,
}

/// How long messages keep a node busy.
#[derive(Default)]
pub(crate) struct Service {
    /// Nanoseconds for each.
    pub each: u64,
    /// Only for messages of these kinds; none: all.
    pub kinds: Vec<String>,
}

impl Service {
    /// For a message of this kind.
    pub fn of(&self, kind: Kind) -> u64 {
        let serves = self.kinds.is_empty() || self.kinds.iter().any(|one| one == kind.name());
        if serves { self.each } else { 0 }
    }
}

/// Whether a node runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Down,
    Up,
    Paused,
}

impl Node {
    pub fn new(clock_offset: u64) -> Node {
        Node {
            booter: None,
            state: State::Down,
            boot: 0,
            clock: NodeClock::new(clock_offset, TRUE_RATE),
            inbox: Queue::default(),
            requests: Queue::default(),
            calls: Calls::default(),
            sleeps: Sleeps::default(),
            tell_when_idle: false,
            disk: SimDisk::default(),
            disk_weather: DiskWeather::default(),
            disk_ops: 0,
            disk_in_flight: Vec::new(),
            disk_stalled_until: 0,
            service: Service::default(),
            busy_until: 0,
        }
    }

    /// The node's memory is gone. What it had asked of its disk is returned: it may still happen.
    pub fn forget(&mut self) -> Vec<InFlight> {
        self.inbox = Queue::default();
        self.requests = Queue::default();
        self.calls = Calls::default();
        self.sleeps = Sleeps::default();
        self.tell_when_idle = false;
        self.busy_until = 0;
        let mut flights = std::mem::take(&mut self.disk_in_flight);
        flights.sort_unstable_by_key(InFlight::nth);
        flights
    }
}

/// Messages for one reader.
pub(crate) struct Queue<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { items: VecDeque::new(), reader: None }
    }
}

impl<T> Queue<T> {
    /// More than this is what a kernel would not buffer either.
    const CAPACITY: usize = 16_384;

    pub fn is_full(&self) -> bool {
        self.items.len() >= Queue::<T>::CAPACITY
    }

    /// Puts the item in and wakes the reader.
    pub fn push(&mut self, item: T) {
        self.items.push_back(item);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    pub fn wait(&mut self, context: &Context<'_>) {
        remember(&mut self.reader, context);
    }
}

/// Keeps the waker of whoever asks, without cloning one that is there already.
fn remember(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *slot = Some(context.waker().clone()),
    }
}

/// Calls that wait for their answers.
#[derive(Default)]
pub(crate) struct Calls {
    last: u64,
    waiting: BTreeMap<u64, (Option<Bytes>, Option<Waker>)>,
}

impl Calls {
    /// A number for a new call of that boot: one that no other boot uses.
    pub fn open(&mut self, boot: u32) -> u64 {
        self.last = self.last.max(u64::from(boot) << 32) + 1;
        self.waiting.insert(self.last, (None, None));
        self.last
    }

    /// Whether somebody waits for the answer.
    pub fn waits(&self, call: u64) -> bool {
        self.waiting.contains_key(&call)
    }

    /// The answer has arrived.
    pub fn answer(&mut self, call: u64, body: Bytes) {
        let Some((answer, waker)) = self.waiting.get_mut(&call) else { return };
        // A second answer (a duplicate) changes nothing.
        answer.get_or_insert(body);
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }

    pub fn take(&mut self, call: u64, context: &Context<'_>) -> Option<Bytes> {
        let (answer, waker) = self.waiting.get_mut(&call)?;
        let taken = answer.take();
        if taken.is_none() {
            remember(waker, context);
        }
        taken
    }

    pub fn close(&mut self, call: u64) {
        self.waiting.remove(&call);
    }
}

/// Timers of one node. They share a single event in the world's queue, which is set lazily: madsim's timers
/// cannot be taken back, so a deadline that moves away must not leave one behind each time.
#[derive(Default)]
pub(crate) struct Sleeps {
    slots: Vec<Option<(Time, Waker)>>,
    free: Vec<usize>,
    /// True times for which an event is queued, the earliest last.
    armed: Vec<u64>,
}

impl Sleeps {
    /// Waits until the node's clock shows `until`. `slot` is what the last call for the same sleeper returned.
    pub fn wait(&mut self, slot: Option<usize>, until: Time, context: &Context<'_>) -> usize {
        let slot = slot.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        match &mut self.slots[slot] {
            Some((deadline, waker)) if waker.will_wake(context.waker()) => *deadline = until,
            empty => *empty = Some((until, context.waker().clone())),
        }
        slot
    }

    pub fn forget(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.free.push(slot);
    }

    /// Wakes whom `now` has reached. A sleeper stays in its slot until it has seen for itself.
    pub fn wake(&mut self, now: Time) -> usize {
        let mut woken = 0;
        for (deadline, waker) in self.slots.iter().flatten() {
            if *deadline <= now {
                waker.wake_by_ref();
                woken += 1;
            }
        }
        woken
    }

    /// The next deadline after `now`.
    pub fn next(&self, now: Time) -> Option<Time> {
        self.slots.iter().flatten().map(|(deadline, _)| *deadline).filter(|&at| at > now && at != Time::NEVER).min()
    }

    /// Whether an event must be queued for true time `at`; if so, the caller queues it.
    pub fn arm(&mut self, at: u64) -> bool {
        let needed = self.armed.last().is_none_or(|&armed| at < armed);
        if needed {
            self.armed.push(at);
        }
        needed
    }

    /// The event queued for `at` has come.
    pub fn fired(&mut self, at: u64) {
        self.armed.retain(|&armed| armed > at);
    }
}
