//! Operations of a simulated disk in time: how long they take, whether they fail, and who waits for them.

use super::disk::SyncPoint;
use super::fate::Fate;
use super::node::Node;
use super::observe::{DiskAct, Effect, Observed};
use super::world::{Event, Who, World};
use crate::disk::{DiskError, DiskOp};
use std::task::{Context, Poll, Waker};

/// The label under which a crash can strike it.
fn effect(op: &DiskOp<'_>) -> Effect {
    match op {
        DiskOp::Append { .. } | DiskOp::WriteAt { .. } => Effect::Write,
        DiskOp::Truncate { .. } => Effect::Truncate,
        DiskOp::Rename { .. } => Effect::Rename,
        DiskOp::Remove { .. } => Effect::Remove,
        DiskOp::Sync { .. } => Effect::Sync,
        DiskOp::SyncDir => Effect::SyncDir,
    }
}

/// An operation that was asked for and has not completed, or whose outcome nobody has fetched.
pub(crate) struct InFlight {
    op: DiskOp<'static>,
    /// For a sync: what it will cover.
    point: Option<SyncPoint>,
    nth: u64,
    outcome: Option<Result<(), DiskError>>,
    waiter: Option<Waker>,
}

impl InFlight {
    /// The operation's number.
    pub fn nth(&self) -> u64 {
        self.nth
    }
}

/// Where an operation stands after it was asked for.
pub(crate) enum Issued {
    Done(Result<(), DiskError>),
    /// Ask again with this number.
    Waiting(u64),
    /// The node is gone: it never completes.
    Never,
}

impl World {
    /// Asks the disk for something.
    pub fn disk_issue(&mut self, who: Who, op: DiskOp<'_>) -> Issued {
        if !self.enter(who, effect(&op), op.file()) {
            return Issued::Never;
        }
        let node = &mut self.nodes[who.node.slot()];
        node.disk_ops += 1;
        let nth = node.disk_ops;
        let point = match &op {
            DiskOp::Sync { file } => match node.disk.sync_point(file) {
                Ok(point) => Some(point),
                Err(missing) => return Issued::Done(Err(missing)),
            },
            _ => None,
        };
        let latency = latency(self.seed, who, node, &op, nth);
        let done_at = (self.now + latency).max(node.disk_stalled_until);
        if done_at <= self.now {
            let outcome = self.perform(who, &op, point, nth);
            return if self.leave(who, effect(&op), op.file()) { Issued::Done(outcome) } else { Issued::Never };
        }
        let flight = InFlight { op: op.into_owned(), point, nth, outcome: None, waiter: None };
        node.disk_in_flight.push(flight);
        self.schedule(done_at, Event::DiskDone(who, nth));
        Issued::Waiting(nth)
    }

    /// An operation's time has come.
    pub fn disk_done(&mut self, who: Who, nth: u64) {
        if !self.lives(who) {
            return;
        }
        let node = &mut self.nodes[who.node.slot()];
        if node.disk_stalled_until > self.now {
            let until = node.disk_stalled_until;
            return self.schedule(until, Event::DiskDone(who, nth));
        }
        let Some(flight) = take_flight(&mut node.disk_in_flight, nth) else { return };
        let outcome = self.perform(who, &flight.op, flight.point, flight.nth);
        if !self.leave(who, effect(&flight.op), flight.op.file()) {
            return;
        }
        if let Some(waiter) = flight.waiter {
            waiter.wake();
            let flight = InFlight { outcome: Some(outcome), waiter: None, ..flight };
            self.nodes[who.node.slot()].disk_in_flight.push(flight);
        }
    }

    /// Fetches the outcome of an operation.
    pub fn disk_poll(&mut self, who: Who, nth: u64, context: &Context<'_>) -> Poll<Result<(), DiskError>> {
        if !self.lives(who) {
            return Poll::Pending;
        }
        let flights = &mut self.nodes[who.node.slot()].disk_in_flight;
        let Some(flight) = flights.iter_mut().find(|flight| flight.nth == nth) else { return Poll::Pending };
        match flight.outcome.take() {
            Some(outcome) => {
                take_flight(flights, nth);
                Poll::Ready(outcome)
            }
            None => {
                flight.waiter = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The node crashed while these were on their way to the disk: each write that the node did not live to
    /// see may have happened or not. A sync did not complete; its data stays pending.
    pub fn disk_abandon(&mut self, who: Who, flights: impl Iterator<Item = InFlight>) {
        for flight in flights.filter(|flight| flight.outcome.is_none()) {
            let unseen = Fate::of(self.seed ^ 0xd15c, [who.node.0.into(), flight.nth, 1]).chance(500_000);
            if unseen && !matches!(flight.op, DiskOp::Sync { .. } | DiskOp::SyncDir) {
                let _ = self.perform(who, &flight.op, None, flight.nth);
            }
        }
    }

    fn perform(&mut self, who: Who, op: &DiskOp<'_>, point: Option<SyncPoint>, nth: u64) -> Result<(), DiskError> {
        let mut fate = Fate::of(self.seed ^ 0xd15c, [who.node.0.into(), nth, 2]);
        let node = &mut self.nodes[who.node.slot()];
        let weather = &node.disk_weather;
        let disk = &mut node.disk;
        let outcome = match op {
            DiskOp::Append { file, bytes } | DiskOp::WriteAt { file, bytes, .. } => {
                if weather.capacity.is_some_and(|capacity| disk.used() + bytes.len() as u64 > capacity) {
                    Err(DiskError::Full(file.to_string()))
                } else if fate.chance(weather.write_error) {
                    Err(DiskError::Failed(file.to_string()))
                } else {
                    match op {
                        DiskOp::WriteAt { offset, .. } => disk.write_at(file, *offset, bytes.clone()),
                        _ => disk.append(file, bytes.clone()),
                    }
                    Ok((DiskAct::Write, bytes.len() as u64))
                }
            }
            DiskOp::Truncate { file, len } => disk.truncate(file, *len).map(|()| (DiskAct::Truncate, *len)),
            DiskOp::Rename { from, to } => disk.rename(from, to).map(|()| (DiskAct::Rename, 0)),
            DiskOp::Remove { file } => disk.remove(file).map(|()| (DiskAct::Remove, 0)),
            DiskOp::Sync { file } => {
                let success = !fate.chance(weather.sync_error);
                point.into_iter().for_each(|point| disk.sync(point, success));
                if success { Ok((DiskAct::Sync, 0)) } else { Err(DiskError::Failed(file.to_string())) }
            }
            DiskOp::SyncDir if fate.chance(weather.sync_error) => Err(DiskError::Failed("the directory".into())),
            DiskOp::SyncDir => {
                disk.sync_dir();
                Ok((DiskAct::SyncDir, 0))
            }
        };
        let (act, bytes) = *outcome.as_ref().unwrap_or(&(DiskAct::Fail, 0));
        self.counters.disk_ops += 1;
        self.see(&Observed::Disk { node: who.node, act, file: op.file(), bytes });
        outcome.map(|_| ())
    }

    /// The power fails under a node's disk.
    pub fn fail_power(&mut self, who: Who) {
        let seed = self.seed;
        let node = &mut self.nodes[who.node.slot()];
        let Node { disk, disk_weather, disk_ops, .. } = node;
        disk.fail_power(disk_weather.keep, disk_weather.tear, || {
            *disk_ops += 1;
            Fate::of(seed ^ 0xd15c, [who.node.0.into(), *disk_ops, 3])
        });
    }
}

/// The few that a node has under way are kept in the order of their numbers only until one completes.
fn take_flight(flights: &mut Vec<InFlight>, nth: u64) -> Option<InFlight> {
    let at = flights.iter().position(|flight| flight.nth == nth)?;
    Some(flights.swap_remove(at))
}

/// How long an operation takes.
fn latency(seed: u64, who: Who, node: &Node, op: &DiskOp<'_>, nth: u64) -> u64 {
    let weather = &node.disk_weather;
    let mut fate = Fate::of(seed ^ 0xd15c, [who.node.0.into(), nth, 0]);
    let base = match op {
        DiskOp::Sync { .. } | DiskOp::SyncDir => weather.sync,
        _ => weather.write,
    };
    let mut time = fate.spread(base);
    for tail in &weather.tails {
        if fate.chance(tail.ppm) {
            time += fate.spread(tail.delay);
        }
    }
    time
}
