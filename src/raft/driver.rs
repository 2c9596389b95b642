//! The driver: carries out what the core says must be done. The only part of Raft that waits for anything.
//!
//! One task per server. It feeds the core what has happened (messages, calls of the service, finished writes,
//! the alarm), takes one [`Ready`], and does it. Writes go to the disk one at a time. A write is a future that the
//! same task polls beside its other sources, so that the server goes on talking while the disk works; what must
//! wait for the disk waits inside the core.

use super::bugs::bug;
use super::config::Config;
use super::core::{Input, Raft, View};
use super::mailbox::lock;
use super::message::{Install, Message};
use super::node::{Call, Delivery, Options, Shared};
use super::ready::{Apply, Content, Outgoing, Piece, Ready, SnapshotWrite, Unavailable, Write};
use super::storage;
use super::types::{EntryId, Index, Role};
use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use labrpc::persister::Persister;
use labrpc::wal::Records;
use labrpc::{DiskError, Env, Sleep, Time};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// The log on the disk is rewritten when it is this many times as large as what it has to say, and larger than
/// [`REWRITE_ABOVE`] bytes. It is looked at only when a snapshot is written: nothing else makes it say less.
const REWRITE_FACTOR: u64 = 4;
const REWRITE_ABOVE: u64 = 8 << 10;

/// Those who wait for answers of the core, by the number that it knows them by.
#[derive(Default)]
struct Callers {
    last: u64,
    starts: BTreeMap<u64, oneshot::Sender<Result<EntryId, Unavailable>>>,
    reads: BTreeMap<u64, oneshot::Sender<Result<Index, Unavailable>>>,
}

/// The disk has one job at a time.
enum Disk {
    Idle(Box<Persister>),
    Busy(u64, BoxFuture<'static, (Box<Persister>, Result<(), DiskError>)>),
    /// Only while one turns into the other.
    Gone,
}

pub(super) struct Driver {
    env: Env,
    config: Config,
    options: Options,
    raft: Raft,
    shared: Arc<Shared>,
    disk: Disk,
    /// Bytes of the snapshots that the core may still ask for.
    contents: BTreeMap<EntryId, Bytes>,
    /// Snapshots that the service has made and the core has not decided on.
    offered: BTreeMap<Index, Bytes>,
    /// Pieces of the snapshot that is being received.
    staged: Vec<u8>,
    /// Received whole, and not yet written.
    received: BTreeMap<EntryId, Bytes>,
    callers: Callers,
    /// What the core knows the service to have applied.
    applied: Index,
    alarm: Sleep,
    /// When the alarm will wake this task, if it was set.
    alarm_set: Option<Time>,
    /// Which source of inputs is asked first.
    turn: usize,
    /// Messages and calls were asked for just now, and will wake this task.
    asked: bool,
    /// When it last looked at the clock.
    now: Time,
    scratch: Vec<u8>,
}

impl Driver {
    /// For a server that has read its disk.
    pub fn new(
        raft: Raft,
        shared: Arc<Shared>,
        persister: Persister,
        contents: BTreeMap<EntryId, Bytes>,
        config: Config,
        options: Options,
        env: Env,
    ) -> Box<Driver> {
        let alarm = env.sleep_until(raft.deadline());
        Box::new(Driver {
            raft,
            shared,
            options,
            disk: Disk::Idle(Box::new(persister)),
            contents,
            offered: BTreeMap::new(),
            staged: Vec::new(),
            received: BTreeMap::new(),
            callers: Callers::default(),
            applied: Index(0),
            alarm,
            alarm_set: None,
            turn: 0,
            asked: false,
            now: Time::ZERO,
            scratch: Vec::new(),
            config,
            env,
        })
    }

    /// Drives the server until the boot ends.
    pub async fn run(mut self: Box<Self>) {
        loop {
            let ready = self.raft.ready();
            self.show_view();
            self.carry_out(ready);
            if let Err(error) = poll_fn(|context| self.poll_inputs(context)).await {
                // After a failed write or sync nobody knows what is on the disk. Going on would promise what may
                // be gone; a restart reads what is really there.
                let why = format!("{error}; the server stops and must be restarted when the disk works again");
                self.env.halt(&why).await;
            }
        }
    }

    /// Shows the service how things stand, and wakes it if leadership has changed: its callers wait for that.
    fn show_view(&mut self) {
        let view = self.raft.view();
        let before = std::mem::replace(&mut *lock(&self.shared.view), view);
        self.show_membership();
        let leads = |view: &View| (view.role == Role::Leader).then_some(view.term);
        if leads(&before) != leads(&view) {
            lock(&self.shared.deliveries).wake();
        }
    }

    fn show_membership(&self) {
        let latest = self.raft.memberships.latest();
        let mut shown = lock(&self.shared.membership);
        // Another one may stand at the same index, after a cut.
        if **shown != *latest {
            *shown = Arc::new(latest.clone());
        }
    }

    // --- what has happened

    /// Feeds the core what is there, up to the bound. Ready when it was fed something, or the disk failed.
    fn poll_inputs(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DiskError>> {
        let bound = self.options.inputs_per_ready.map_or(usize::MAX, |most| most.max(1));
        // Inputs that were asked for a moment ago were asked for now.
        if !self.asked {
            self.now = self.env.now();
        }
        let mut fed = 0;
        self.shared.applied_wanted.store(self.raft.waits_for_service(), Ordering::SeqCst);
        let applied = Index(self.shared.applied.load(Ordering::SeqCst));
        if applied > self.applied {
            self.applied = applied;
            self.raft.step(self.now, Input::Applied { index: applied });
            fed += 1;
        }
        while fed < bound {
            match self.poll_one(context) {
                Poll::Ready(Ok(input)) => input.into_iter().for_each(|input| self.feed(input)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if fed == 0 => {
                    self.asked = false;
                    return Poll::Pending;
                }
                Poll::Pending => {
                    self.asked = true;
                    break;
                }
            }
            fed += 1;
        }
        Poll::Ready(Ok(()))
    }

    fn feed(&mut self, input: Input) {
        // A lease must not have ended when the read was asked for, which may be later than the look at the clock.
        let leased = self.config.lease.is_some() && matches!(input, Input::Read { .. });
        self.raft.step(if leased { self.env.now() } else { self.now }, input);
    }

    /// One input. The sources take turns in being asked first, so that none starves another.
    fn poll_one(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Input>, DiskError>> {
        for _ in 0..4 {
            self.turn = (self.turn + 1) % 4;
            let input = match self.turn {
                0 => self.poll_disk(context)?,
                1 => self.poll_alarm(context),
                // What came of the last inputs can have started the disk and moved the alarm, and nothing else.
                _ if self.asked => Poll::Pending,
                2 => self.poll_message(context),
                _ => self.poll_call(context),
            };
            if let Poll::Ready(input) = input {
                return Poll::Ready(Ok(input));
            }
        }
        Poll::Pending
    }

    fn poll_disk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Input>, DiskError>> {
        let Disk::Busy(seq, job) = &mut self.disk else { return Poll::Pending };
        let seq = *seq;
        let Poll::Ready((persister, outcome)) = job.as_mut().poll(context) else { return Poll::Pending };
        self.disk = Disk::Idle(persister);
        Poll::Ready(outcome.map(|()| Some(Input::Durable { seq })))
    }

    /// A deadline that has moved away is looked at when the old one comes: most are put off by the next heartbeat,
    /// and setting the alarm anew each time would cost more than waking once too often.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        let (now, deadline) = (self.now, self.raft.deadline());
        if now < deadline && self.alarm_set.is_some_and(|at| now < at && at <= deadline) {
            return Poll::Pending;
        }
        self.alarm.reset(deadline);
        self.alarm_set = Some(deadline);
        if now >= deadline {
            return Poll::Ready(Some(Input::Alarm));
        }
        Pin::new(&mut self.alarm).poll(context).map(|()| {
            // The clock has gone on since it was looked at. An alarm in front of its time would do nothing, and
            // nobody would be woken again.
            self.now = self.now.max(deadline);
            Some(Input::Alarm)
        })
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        self.env.poll_recv(context).map(|incoming| {
            // What does not decode is not from a server of this version: nobody to answer.
            let message = labgob::decode(&incoming.body).ok()?;
            Some(Input::Message { from: incoming.from, message })
        })
    }

    fn poll_call(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        let call = match lock(&self.shared.calls).poll(context) {
            Poll::Ready(call) => call,
            Poll::Pending => return Poll::Pending,
        };
        self.callers.last += 1;
        let id = self.callers.last;
        Poll::Ready(Some(match call {
            Call::Start(command, caller) => {
                self.callers.starts.insert(id, caller);
                Input::Propose { id, command }
            }
            Call::Read(caller) => {
                self.callers.reads.insert(id, caller);
                Input::Read { id }
            }
            Call::Snapshot(index, content) => {
                self.offered.insert(index, content);
                Input::Compact { index }
            }
            Call::Change(change, caller) => {
                self.callers.starts.insert(id, caller);
                Input::Change { id, change }
            }
            Call::Transfer(to) => Input::Transfer { to },
        }))
    }

    // --- what must be done

    fn carry_out(&mut self, mut ready: Box<Ready>) {
        self.env.emit_all(&ready.events);
        for piece in ready.pieces.drain(..) {
            self.stage(piece);
        }
        // Before a write, which may let go of a snapshot of which a piece is still to be sent.
        for outgoing in ready.send.drain(..) {
            self.send(outgoing);
        }
        if let Some(write) = ready.write.take() {
            self.begin_write(write);
        }
        self.deliver(&mut ready.apply);
        for (id, answer) in ready.proposals.drain(..) {
            self.callers.starts.remove(&id).into_iter().for_each(|caller| _ = caller.send(answer));
        }
        for (id, answer) in ready.reads.drain(..) {
            self.callers.reads.remove(&id).into_iter().for_each(|caller| _ = caller.send(answer));
        }
        self.raft.recycle(ready);
    }

    fn send(&mut self, outgoing: Outgoing) {
        let (to, message) = match outgoing {
            Outgoing::Message { to, message } => (to, message),
            Outgoing::Piece { to, term, snapshot, offset, length } => {
                let content = self.contents.get(&snapshot.last).expect("a snapshot that is being sent is kept");
                let size = content.len() as u64;
                let (from, until) = (offset.min(size), offset.saturating_add(length).min(size));
                let data = content.slice(from as usize..until as usize);
                (to, Message::Install(Install { term, snapshot, offset, done: until == size, data }))
            }
        };
        // Into a buffer that is kept, and out of it at its exact size: one allocation a message.
        self.scratch.clear();
        labgob::encode_into(&mut self.scratch, &message).expect("what messages carry is bounded");
        self.env.send(to, message.kind(), Bytes::copy_from_slice(&self.scratch));
    }

    fn stage(&mut self, piece: Piece) {
        self.staged.truncate(piece.offset as usize);
        self.staged.extend_from_slice(&piece.data);
        if piece.done {
            self.received.insert(piece.snapshot, std::mem::take(&mut self.staged).into());
        }
    }

    fn deliver(&mut self, apply: &mut Vec<Apply>) {
        if apply.is_empty() {
            return;
        }
        let mut deliveries = lock(&self.shared.deliveries);
        for item in apply.drain(..) {
            match item {
                Apply::Entry(entry) => deliveries.items.push_back(Delivery::Entry(entry)),
                Apply::Snapshot(meta) => {
                    let content =
                        self.contents.get(&meta.last).cloned().expect("a durable snapshot's bytes are kept");
                    let snapshot = Delivery::Snapshot { meta, content };
                    if bug!(self, ApplyRacesInstall) {
                        deliveries.items.push_front(snapshot);
                    } else {
                        deliveries.items.push_back(snapshot);
                    }
                }
            }
        }
        deliveries.wake();
    }

    /// Starts the disk on a write. The core makes no other until this one is durable.
    fn begin_write(&mut self, write: Write) {
        let Disk::Idle(persister) = std::mem::replace(&mut self.disk, Disk::Gone) else {
            unreachable!("the core has one write under way at a time");
        };
        let snapshot = write.snapshot.as_ref().map(|snapshot| (snapshot.meta.last, self.content_of(snapshot)));
        let term_is_late = bug!(self, SnapshotBeforeTerm);
        let mut records =
            if term_is_late { storage::records_with_the_term_late(&write) } else { storage::records(&write) };
        let mut rewrite = false;
        if snapshot.is_some() {
            let image = self.raft.image();
            let whole = storage::records_of(&image);
            rewrite = persister.log_size() > REWRITE_ABOVE.max(REWRITE_FACTOR * whole.size() as u64);
            if rewrite {
                records = whole;
            }
        }
        let hasty = bug!(self, SnapLogNotAtomic);
        let job = store(persister, snapshot, records, rewrite, hasty);
        self.disk = Disk::Busy(write.seq, Box::pin(job));
    }

    /// The bytes of a snapshot that is to be written, which from now on count as those of the latest.
    fn content_of(&mut self, write: &SnapshotWrite) -> Bytes {
        let content = match write.content {
            Content::FromService(index) => self.offered.remove(&index),
            Content::Received(last) => self.received.remove(&last),
        };
        let content = content.expect("the core names a snapshot that it was given");
        let last = write.meta.last;
        self.offered.retain(|index, _| *index > last.index);
        self.received.clear();
        self.contents.insert(last, content.clone());
        let pinned: Vec<EntryId> = self.raft.pinned().collect();
        self.contents.retain(|id, _| pinned.contains(id));
        content
    }
}

/// Makes a write durable. The order is the point: a snapshot before the record that lets go of the log in front
/// of it (§7), the file that it replaces last.
async fn store(
    mut persister: Box<Persister>,
    snapshot: Option<(EntryId, Bytes)>,
    records: Records,
    rewrite: bool,
    hasty: bool,
) -> (Box<Persister>, Result<(), DiskError>) {
    let id = snapshot.as_ref().map(|(last, _)| storage::snapshot_id(*last));
    let outcome = async {
        let records = records.iter();
        if let (Some((_, content)), Some(id), false) = (&snapshot, id, hasty) {
            persister.write_snapshot(id, content).await?;
        }
        if rewrite {
            persister.rewrite(records).await?;
        } else {
            persister.append_and_sync(records).await?;
        }
        if let (Some((_, content)), Some(id), true) = (&snapshot, id, hasty) {
            persister.write_snapshot(id, content).await?;
        }
        if id.is_some() {
            persister.keep_only(id).await?;
        }
        Ok(())
    };
    let outcome = outcome.await;
    (persister, outcome)
}
