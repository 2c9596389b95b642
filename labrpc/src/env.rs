//! The environment of one boot of one node.
//!
//! `Env` is a concrete type: which backend is behind it is decided inside, so that nobody above has to be
//! generic over it. What an operation does on a crashed boot, it does in every backend: nothing.

use crate::disk::{Disk, DiskError, DiskOp};
use crate::event::Event;
use crate::id::{Boot, NodeId};
use crate::message::{CallError, Incoming, Kind, Request};
#[cfg(feature = "net")]
use crate::net::{NetEnv, NetSleep};
use crate::rng::Rng;
#[cfg(feature = "sim")]
use crate::sim::{NodeEnv, SimSleep};
use crate::time::Time;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Everything that a node may touch. Clones are the same environment.
///
/// * [`Env::send`], [`Env::reply`] and [`Env::emit`] never wait: a full queue drops and counts.
/// * What [`Env::recv`], [`Env::accept`] and [`Env::call`] return is safe to drop at any await: no message is
///   lost by it.
/// * After a crash every operation of the boot does nothing or never returns, also from `Drop`.
#[derive(Clone)]
pub struct Env {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    #[cfg(feature = "sim")]
    Sim(Arc<NodeEnv>),
    #[cfg(feature = "net")]
    Net(Arc<NetEnv>),
}

impl Env {
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(env: NodeEnv) -> Env {
        Env { backend: Backend::Sim(Arc::new(env)) }
    }

    #[cfg(feature = "net")]
    pub(crate) fn real(env: Arc<NetEnv>) -> Env {
        Env { backend: Backend::Net(env) }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn simulated_boot(&self) -> crate::sim::Who {
        match &self.backend {
            Backend::Sim(env) => env.who,
            #[cfg(feature = "net")]
            Backend::Net(_) => panic!("a node of the simulator was asked for, and this is a real one"),
        }
    }

    /// Which node this is.
    pub fn id(&self) -> NodeId {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.who.node,
            #[cfg(feature = "net")]
            Backend::Net(env) => env.id,
        }
    }

    /// Which of its boots.
    pub fn boot(&self) -> Boot {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => Boot(env.who.boot),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.boot,
        }
    }

    // --- clock

    /// What the node's monotonic clock shows. Only this node's readings can be compared.
    pub fn now(&self) -> Time {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.now(),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.now(),
        }
    }

    /// Waits until the node's clock shows `until`.
    pub fn sleep_until(&self, until: Time) -> Sleep {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => Sleep(SleepBackend::Sim(env.sleep_until(until))),
            #[cfg(feature = "net")]
            Backend::Net(env) => Sleep(SleepBackend::Net(env.sleep_until(until))),
        }
    }

    /// Waits for so long, by the node's clock.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.now() + span)
    }

    // --- tasks and randomness

    /// Runs a task until it ends or the boot does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.spawn(task),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.spawn(task),
        }
    }

    /// A number that nobody else gets on this boot: 1, 2, and so on.
    pub fn unique(&self) -> u64 {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.unique(),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.unique(),
        }
    }

    /// The stream of randomness for one purpose on this boot. Asking twice gives the same stream twice.
    pub fn rng(&self, purpose: &str) -> Rng {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.rng(purpose),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.rng(purpose),
        }
    }

    // --- network

    /// Sends a message that nobody confirms: it may be lost, late, out of order or there twice.
    pub fn send(&self, to: NodeId, kind: Kind, body: impl Into<Bytes>) {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.send(to, kind, body.into()),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.send(to, kind, body.into()),
        }
    }

    /// The next one-way message. One task of a node reads them.
    pub async fn recv(&self) -> Incoming {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`Env::recv`] for those who poll several things at once.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Incoming> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.poll_recv(context),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.poll_recv(context),
        }
    }

    /// The next one-way message, if one is there.
    pub fn try_recv(&self) -> Option<Incoming> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.try_recv(),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.try_recv(),
        }
    }

    /// Sends a request and waits for its answer until the node's clock shows `deadline`.
    ///
    /// # Errors
    /// [`CallError::Deadline`]: the request may have been executed all the same.
    pub async fn call(
        &self,
        to: NodeId,
        kind: Kind,
        body: impl Into<Bytes>,
        deadline: Time,
    ) -> Result<Bytes, CallError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.call(to, kind, body.into(), deadline).await,
            #[cfg(feature = "net")]
            Backend::Net(env) => env.call(to, kind, body.into(), deadline).await,
        }
    }

    /// The next request. One task of a node accepts them; others may answer.
    pub async fn accept(&self) -> Request {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// [`Env::accept`] for those who poll several things at once.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Request> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.poll_accept(context),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.poll_accept(context),
        }
    }

    /// Answers a request.
    pub fn reply(&self, request: &Request, body: impl Into<Bytes>) {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.reply(request, body.into()),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.reply(request, body.into()),
        }
    }

    // --- observation

    /// Says what has happened.
    pub fn emit(&self, event: &Event) {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.emit(event),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.emit(event),
        }
    }

    /// Says what has happened, in this order.
    pub fn emit_all(&self, events: &[Event]) {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.emit_all(events),
            #[cfg(feature = "net")]
            Backend::Net(env) => events.iter().for_each(|event| env.emit(event)),
        }
    }

    /// Stops this node, from this instant on: for what it must not survive, as a failed disk. `why` says what
    /// happened and what to do about it. In the simulator the boot is over; a process ends.
    pub async fn halt(&self, why: &str) -> std::convert::Infallible {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.halt(why),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.halt(why),
        }
        std::future::pending().await
    }

    // --- disk

    /// The node's disk.
    pub fn disk(&self) -> Disk {
        Disk::of(self.clone())
    }

    pub(crate) async fn disk_op(&self, op: DiskOp<'_>) -> Result<(), DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => env.disk(op).await,
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk(op).await,
        }
    }

    /// One after the other, up to the first that fails.
    pub(crate) async fn disk_ops<const N: usize>(&self, ops: [DiskOp<'_>; N]) -> Result<(), DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => {
                for op in ops {
                    env.disk(op).await?;
                }
                Ok(())
            }
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk_ops(ops.map(DiskOp::into_owned).into()).await,
        }
    }

    pub(crate) async fn disk_read(&self, file: &str) -> Result<Vec<u8>, DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => {
                let content = env.read(|disk| disk.read(file).map(std::borrow::Cow::into_owned)).await;
                content.ok_or_else(|| DiskError::NotFound(file.into()))
            }
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk_read(file).await,
        }
    }

    pub(crate) async fn disk_len(&self, file: &str) -> Result<u64, DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => {
                let len = env.read(|disk| disk.read(file).map(|content| content.len() as u64)).await;
                len.ok_or_else(|| DiskError::NotFound(file.into()))
            }
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk_len(file).await,
        }
    }

    pub(crate) async fn disk_list(&self) -> Result<Vec<String>, DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(env) => Ok(env.read(|disk| disk.files().map(String::from).collect()).await),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk_list().await,
        }
    }

    pub(crate) async fn disk_lock(&self) -> Result<(), DiskError> {
        match &self.backend {
            #[cfg(feature = "sim")]
            Backend::Sim(_) => Ok(()),
            #[cfg(feature = "net")]
            Backend::Net(env) => env.disk_lock().await,
        }
    }
}

/// Waits until the node's clock shows a time. It can be set to another time while it waits.
pub struct Sleep(SleepBackend);

enum SleepBackend {
    #[cfg(feature = "sim")]
    Sim(SimSleep),
    #[cfg(feature = "net")]
    Net(NetSleep),
}

impl Sleep {
    /// From now on it waits until `until`. Poll it again for this to count.
    pub fn reset(&mut self, until: Time) {
        match &mut self.0 {
            #[cfg(feature = "sim")]
            SleepBackend::Sim(sleep) => sleep.reset(until),
            #[cfg(feature = "net")]
            SleepBackend::Net(sleep) => sleep.reset(until),
        }
    }

    /// What it waits for.
    pub fn until(&self) -> Time {
        match &self.0 {
            #[cfg(feature = "sim")]
            SleepBackend::Sim(sleep) => sleep.until(),
            #[cfg(feature = "net")]
            SleepBackend::Net(sleep) => sleep.until(),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            #[cfg(feature = "sim")]
            SleepBackend::Sim(sleep) => Pin::new(sleep).poll(context),
            #[cfg(feature = "net")]
            SleepBackend::Net(sleep) => Pin::new(sleep).poll(context),
        }
    }
}
