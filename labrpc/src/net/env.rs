//! The real side of [`crate::Env`]: each operation of a node, on the machine.
//!
//! When a boot is over, stopped or halted, its operations do nothing or never return, as after a crash in the
//! simulator: who still runs must not say or write anything more in the node's name.

use super::Limits;
use super::clock::{Clock, NetSleep};
use super::disk::Disk;
use super::frame::Message;
use super::handshake::Identity;
use super::observe::Observer;
use super::peer::{Counts, Peer};
use super::ration::Ration;
use super::router::{Back, Router};
use super::tls::Tls;
use crate::disk::{DiskError, DiskOp};
use crate::event::Event;
use crate::id::{Boot, NodeId};
use crate::message::{CallError, Direction, Incoming, Kind, Request};
use crate::rng::Rng;
use crate::time::Time;
use bytes::Bytes;
use futures::FutureExt;
use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One boot of one node.
pub(crate) struct NetEnv {
    pub id: NodeId,
    pub boot: Boot,
    pub limits: Limits,
    pub identity: Identity,
    /// In which connections are wrapped, if they are.
    pub tls: Option<Tls>,
    pub runtime: Handle,
    pub clock: Clock,
    pub router: Router,
    pub disk: Disk,
    pub observer: Observer,
    pub seed: u64,
    pub given: AtomicU64,
    pub peers: RwLock<BTreeMap<NodeId, Peer>>,
    /// Messages to nodes of which no address is known.
    pub without_address: AtomicU64,
    /// Connections that were refused.
    pub turned_away: AtomicU64,
    pub lines: Lines,
    pub ending: Ending,
}

/// Lines of the log that others can bring about as often as they like.
#[derive(Default)]
pub(crate) struct Lines {
    /// About those who were sent away.
    pub refusals: Ration,
    /// About those who were there.
    pub departures: Ration,
}

/// Whether a boot is over, and who waits for that.
#[derive(Default)]
pub(crate) struct Ending {
    is_over: AtomicBool,
    pub over: CancellationToken,
    pub tasks: TaskTracker,
    why: OnceLock<String>,
    halted: CancellationToken,
}

impl NetEnv {
    pub fn lives(&self) -> bool {
        !self.ending.is_over.load(Ordering::Acquire)
    }

    /// The boot is over: nothing that it does has an effect from now on, and its tasks end.
    pub fn end(&self) {
        self.ending.is_over.store(true, Ordering::Release);
        self.ending.over.cancel();
        self.ending.tasks.close();
        self.router.close();
        self.disk.close();
        self.peers.read().expect("nobody panics while holding it").values().for_each(Peer::forget);
    }

    /// Why it has halted, as soon as it has.
    pub async fn halted(&self) -> String {
        self.ending.halted.cancelled().await;
        self.ending.why.get().cloned().unwrap_or_default()
    }

    pub fn halt(&self, why: &str) {
        if self.lives() && self.ending.why.set(why.into()).is_ok() {
            self.emit(&Event::Halted { why: why.into() });
            self.end();
            self.ending.halted.cancel();
        }
    }

    // --- clock, tasks, randomness

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn sleep_until(self: &Arc<Self>, until: Time) -> NetSleep {
        NetSleep::new(self.clone(), until)
    }

    /// A task of the node. If it panics the node is not what it was, and stops.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let env = self.clone();
        self.keep(async move {
            if let Err(panic) = AssertUnwindSafe(Box::pin(task)).catch_unwind().await {
                env.halt(&format!("a task of the node panicked: {}", describe(&*panic)));
            }
        });
    }

    /// A task that ends with the boot at the latest.
    pub fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.lives() {
            let over = self.ending.over.clone();
            let task = async move { over.run_until_cancelled(task).await.unwrap_or_default() };
            self.ending.tasks.spawn_on(task, &self.runtime);
        }
    }

    pub fn unique(&self) -> u64 {
        self.given.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn rng(&self, purpose: &str) -> Rng {
        Rng::of_node(self.seed, self.id, self.boot.0, purpose)
    }

    // --- network

    /// From now on this node is to be reached there.
    pub fn set_peer(self: &Arc<Self>, id: NodeId, address: String) {
        if id == self.id || !self.lives() {
            return;
        }
        let mut peers = self.peers.write().expect("nobody panics while holding it");
        let counts = peers.get(&id).map_or_else(Arc::<Counts>::default, |peer| {
            peer.forget();
            peer.counts.clone()
        });
        let peer = Peer::new(&self.limits, counts);
        self.keep(peer.keeper(self.clone(), id, address));
        peers.insert(id, peer);
    }

    pub fn send(&self, to: NodeId, kind: Kind, body: Bytes) {
        if !self.lives() {
            return;
        }
        if to == self.id {
            return self.router.one_way(to, kind, body);
        }
        self.transmit(to, Message { direction: Direction::OneWay, call: 0, kind, body });
    }

    fn transmit(&self, to: NodeId, message: Message) {
        let peers = self.peers.read().expect("nobody panics while holding it");
        let Some(Peer { outbox, counts, .. }) = peers.get(&to) else {
            self.without_address.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let size = message.body.len();
        if self.fits(&message) && outbox.push(message, size) {
            counts.sent.fetch_add(1, Ordering::Relaxed);
            counts.bytes.fetch_add(size as u64, Ordering::Relaxed);
        } else {
            counts.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nobody would take a larger one, and the connection would have to end over it.
    fn fits(&self, message: &Message) -> bool {
        let (size, most) = (message.body.len(), self.limits.frame);
        if size > most {
            let kind = message.kind;
            tracing::error!(target: "shardlab::net", node = %self.id, "a message ({kind}) of {size} bytes is dropped: {most} are the most");
        }
        size <= most
    }

    pub fn reply(&self, request: &Request, body: Bytes) {
        let Request { from, kind, call, .. } = *request;
        match &request.back {
            _ if !self.lives() => {}
            Some(Back::Own) => self.router.reply(from, call, body),
            Some(Back::Over(outbox)) => {
                let message = Message { direction: Direction::Reply, call, kind, body };
                let size = message.body.len();
                if !(self.fits(&message) && outbox.push(message, size)) {
                    self.router.overflowed.fetch_add(1, Ordering::Relaxed);
                }
            }
            // A request of the simulator, which is no business of a real node.
            None => {}
        }
    }

    pub fn try_recv(&self) -> Option<Incoming> {
        self.router.inbox.pop()
    }

    pub fn poll_recv(&self, context: &Context<'_>) -> Poll<Incoming> {
        self.router.inbox.poll_pop(context)
    }

    pub fn poll_accept(&self, context: &Context<'_>) -> Poll<Request> {
        self.router.requests.poll_pop(context)
    }

    pub async fn call(
        self: &Arc<Self>,
        to: NodeId,
        kind: Kind,
        body: Bytes,
        deadline: Time,
    ) -> Result<Bytes, CallError> {
        if !self.lives() {
            return std::future::pending().await;
        }
        let call = self.router.calls.open(to);
        let open = OpenCall { env: self, call, deadline: self.sleep_until(deadline) };
        if to == self.id {
            self.router.request(to, kind, body, call, Back::Own);
        } else {
            self.transmit(to, Message { direction: Direction::Request, call, kind, body });
        }
        open.await
    }

    // --- observation and disk

    pub fn emit(&self, event: &Event) {
        if self.lives() {
            self.observer.see(self.id, event);
        }
    }

    pub async fn disk(&self, op: DiskOp<'_>) -> Result<(), DiskError> {
        self.disk.carry_out(op.into_owned()).await
    }

    pub async fn disk_ops(&self, ops: Vec<DiskOp<'static>>) -> Result<(), DiskError> {
        self.disk.carry_out_all(ops).await
    }

    pub async fn disk_read(&self, file: &str) -> Result<Vec<u8>, DiskError> {
        self.disk.read(file).await
    }

    pub async fn disk_len(&self, file: &str) -> Result<u64, DiskError> {
        self.disk.len(file).await
    }

    pub async fn disk_list(&self) -> Result<Vec<String>, DiskError> {
        self.disk.list().await
    }

    pub async fn disk_lock(&self) -> Result<(), DiskError> {
        self.disk.lock().await
    }
}

/// A call that waits for its answer; dropping it gives up on that.
struct OpenCall<'a> {
    env: &'a NetEnv,
    call: u64,
    deadline: NetSleep,
}

impl Future for OpenCall<'_> {
    type Output = Result<Bytes, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        if !self.env.lives() {
            return Poll::Pending;
        }
        if let Some(answer) = self.env.router.calls.take(self.call, context) {
            return Poll::Ready(Ok(answer));
        }
        Pin::new(&mut self.deadline).poll(context).map(|()| Err(CallError::Deadline))
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.env.router.calls.close(self.call);
    }
}

/// The message of a caught panic.
fn describe(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
