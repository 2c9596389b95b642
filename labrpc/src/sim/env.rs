//! The simulated side of [`crate::Env`]: each operation of a node, as a step of the world.
//!
//! Every operation first asks whether its boot is still the one that runs. If not, it has no effect, and if it
//! is one that waits, it waits for ever; so does code that runs while a dead boot is being dropped.

use super::disk_ops::Issued;
use super::guard::guarded;
use super::observe::{Effect, Observed};
use super::world::{Shared, Who};
use crate::disk::{DiskError, DiskOp};
use crate::env::Env;
use crate::event::Event;
use crate::id::NodeId;
use crate::message::{CallError, Direction, Incoming, Kind, Request};
use crate::rng::Rng;
use crate::time::Time;
use bytes::Bytes;
use futures::future::BoxFuture;
use madsim::runtime::NodeHandle;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// What a node does when it starts. It is polled on the node, and its end does not end the node.
pub type Booter = Arc<dyn Fn(Env) -> BoxFuture<'static, ()> + Send + Sync>;

/// One boot of one node.
pub(crate) struct NodeEnv {
    pub shared: Arc<Shared>,
    pub who: Who,
    pub machine: NodeHandle,
    /// How many unique numbers were given out on this boot.
    pub given: AtomicU64,
}

impl NodeEnv {
    pub fn unique(&self) -> u64 {
        self.given.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn now(&self) -> Time {
        let world = self.shared.lock();
        world.nodes[self.who.node.slot()].clock.local(world.now)
    }

    pub fn rng(&self, purpose: &str) -> Rng {
        let seed = self.shared.lock().seed;
        Rng::of_node(seed, self.who.node, self.who.boot, purpose)
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let lives = self.shared.lock().lives(self.who);
        if lives {
            // Every layer around a future holds it twice: before and while it is polled. A box is small.
            let task = guarded(self.shared.clone(), self.who.node, Box::pin(task));
            drop(self.machine.spawn(task));
        }
    }

    pub fn send(&self, to: NodeId, kind: Kind, body: Bytes) {
        let mut world = self.shared.lock();
        if world.enter(self.who, Effect::Send, kind.name()) {
            world.transmit(self.who.node, to, kind, Direction::OneWay, 0, body);
            world.leave(self.who, Effect::Send, kind.name());
        }
    }

    pub fn reply(&self, request: &Request, body: Bytes) {
        let mut world = self.shared.lock();
        let Request { from, kind, call, .. } = *request;
        if world.enter(self.who, Effect::Reply, kind.name()) {
            world.transmit(self.who.node, from, kind, Direction::Reply, call, body);
            world.leave(self.who, Effect::Reply, kind.name());
        }
    }

    pub fn try_recv(&self) -> Option<Incoming> {
        let mut world = self.shared.lock();
        if !world.lives(self.who) {
            return None;
        }
        world.nodes[self.who.node.slot()].inbox.pop()
    }

    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Incoming> {
        let mut world = self.shared.lock();
        if !world.lives(self.who) {
            return Poll::Pending;
        }
        let node = &mut world.nodes[self.who.node.slot()];
        if let Some(taken) = node.inbox.pop() {
            return Poll::Ready(taken);
        }
        node.inbox.wait(context);
        if std::mem::take(&mut node.tell_when_idle) {
            world.see(&Observed::Idle { node: self.who.node });
            world.obey();
        }
        Poll::Pending
    }

    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Request> {
        let mut world = self.shared.lock();
        if !world.lives(self.who) {
            return Poll::Pending;
        }
        let node = &mut world.nodes[self.who.node.slot()];
        match node.requests.pop() {
            Some(request) => Poll::Ready(request),
            None => {
                node.requests.wait(context);
                Poll::Pending
            }
        }
    }

    pub async fn call(
        self: &Arc<Self>,
        to: NodeId,
        kind: Kind,
        body: Bytes,
        deadline: Time,
    ) -> Result<Bytes, CallError> {
        let Some(call) = self.open_call(to, kind, body) else {
            return std::future::pending().await;
        };
        OpenCall { env: self, call, deadline, slot: None }.await
    }

    fn open_call(&self, to: NodeId, kind: Kind, body: Bytes) -> Option<u64> {
        let mut world = self.shared.lock();
        if !world.enter(self.who, Effect::Call, kind.name()) {
            return None;
        }
        let call = world.nodes[self.who.node.slot()].calls.open(self.who.boot);
        world.transmit(self.who.node, to, kind, Direction::Request, call, body);
        world.leave(self.who, Effect::Call, kind.name());
        Some(call)
    }

    pub fn sleep_until(self: &Arc<Self>, until: Time) -> SimSleep {
        SimSleep { env: self.clone(), until, slot: None }
    }

    pub fn emit(&self, event: &Event) {
        self.emit_all(std::slice::from_ref(event));
    }

    pub fn emit_all(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut world = self.shared.lock();
        for event in events {
            if world.enter(self.who, Effect::Emit, event.name()) {
                world.see(&Observed::Emitted { node: self.who.node, event });
                world.leave(self.who, Effect::Emit, event.name());
            }
        }
    }

    pub fn halt(&self, why: &str) {
        self.emit(&Event::Halted { why: why.to_string() });
        let mut world = self.shared.lock();
        if world.lives(self.who) {
            world.crash(self.who.node, false);
            world.obey();
        }
    }

    pub async fn disk(&self, op: DiskOp<'_>) -> Result<(), DiskError> {
        let issued = self.shared.lock().disk_issue(self.who, op);
        match issued {
            Issued::Done(outcome) => outcome,
            Issued::Never => std::future::pending().await,
            Issued::Waiting(nth) => poll_fn(|context| self.shared.lock().disk_poll(self.who, nth, context)).await,
        }
    }

    /// Reads the disk as of now. Nothing is read by a boot that is over.
    pub async fn read<T>(&self, read: impl FnOnce(super::disk::DiskView<'_>) -> T) -> T {
        let outcome = {
            let world = self.shared.lock();
            let disk = &world.nodes[self.who.node.slot()].disk;
            world.lives(self.who).then(|| read(disk.view(super::disk::Face::Current)))
        };
        match outcome {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }
}

/// A call that waits for its answer; dropping it gives up on that.
struct OpenCall<'a> {
    env: &'a NodeEnv,
    call: u64,
    deadline: Time,
    slot: Option<usize>,
}

impl Future for OpenCall<'_> {
    type Output = Result<Bytes, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        let who = self.env.who;
        let mut world = self.env.shared.lock();
        if !world.lives(who) {
            return Poll::Pending;
        }
        let now = world.now;
        let node = &mut world.nodes[who.node.slot()];
        if let Some(answer) = node.calls.take(self.call, context) {
            return Poll::Ready(Ok(answer));
        }
        if node.clock.local(now) >= self.deadline {
            return Poll::Ready(Err(CallError::Deadline));
        }
        let slot = node.sleeps.wait(self.slot, self.deadline, context);
        world.arm_sleep(who.node, self.deadline);
        drop(world);
        self.slot = Some(slot);
        Poll::Pending
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        let mut world = self.env.shared.lock();
        if world.lives(self.env.who) {
            let node = &mut world.nodes[self.env.who.node.slot()];
            node.calls.close(self.call);
            self.slot.into_iter().for_each(|slot| node.sleeps.forget(slot));
        }
    }
}

/// Waits until the node's clock shows a time.
pub(crate) struct SimSleep {
    env: Arc<NodeEnv>,
    until: Time,
    slot: Option<usize>,
}

impl SimSleep {
    pub fn reset(&mut self, until: Time) {
        self.until = until;
    }

    pub fn until(&self) -> Time {
        self.until
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let sleep = &mut *self;
        let mut world = sleep.env.shared.lock();
        let who = sleep.env.who;
        if !world.lives(who) {
            return Poll::Pending;
        }
        let now = world.now;
        let node = &mut world.nodes[who.node.slot()];
        if node.clock.local(now) >= sleep.until {
            sleep.slot.take().into_iter().for_each(|slot| node.sleeps.forget(slot));
            return Poll::Ready(());
        }
        if sleep.until != Time::NEVER {
            sleep.slot = Some(node.sleeps.wait(sleep.slot, sleep.until, context));
            world.arm_sleep(who.node, sleep.until);
        }
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let mut world = self.env.shared.lock();
            if world.lives(self.env.who) {
                world.nodes[self.env.who.node.slot()].sleeps.forget(slot);
            }
        }
    }
}
