//! A running server, as its service sees it.
//!
//! A service holds a [`Node`], which has the shape that readers of the course know: `start`, `state`,
//! `snapshot`, and a stream of what is to be applied. What it asks for is put where the driver finds it (see
//! [`super::driver`]), and answered from there.

use super::bugs::Bug;
use super::config::Config;
use super::core::{Raft, View};
use super::driver::Driver;
use super::mailbox::{Asked, Mailbox, lock};
use super::membership::Change;
use super::ready::Unavailable;
use super::storage;
use super::types::{Entry, EntryId, Index, Membership, Role, Saved, SnapshotMeta, Term};
use bytes::Bytes;
use futures::channel::oneshot;
use labrpc::persister::{Persister, PersisterBug, Refused};
use labrpc::{Env, NodeId};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// How a node runs, besides what the protocol cares about.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most inputs that the core is fed before it is asked what must be done; none: all that are there; at
    /// least one. Few show races of the same instant, many make large batches.
    pub inputs_per_ready: Option<usize>,
    /// Whose files these are. Files of somebody else are refused.
    pub identity: String,
}

/// Why a node did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is on the disk must not be used.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The log on the disk is sound, and not a whole log of Raft.
    #[error(transparent)]
    Unreadable(#[from] storage::Unreadable),
}

/// What the service must do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Apply this entry.
    Entry(Entry),
    /// Replace the state by this snapshot.
    Snapshot {
        /// What it stands for.
        meta: SnapshotMeta,
        /// The bytes that the service once gave to [`Node::snapshot`], here or on another server.
        content: Bytes,
    },
}

/// A running Raft server, for its service. Clones are the same server.
#[derive(Clone)]
pub struct Node {
    me: NodeId,
    shared: Arc<Shared>,
}

/// What the service and the driver share. No lock is held while anybody waits.
pub(super) struct Shared {
    pub(super) view: Mutex<View>,
    /// The membership in force, and since which index.
    pub(super) membership: Mutex<Arc<(Index, Membership)>>,
    /// What the service has applied. The driver looks at it when it is awake; it is woken for it only when something
    /// waits for the service.
    pub(super) applied: AtomicU64,
    pub(super) applied_wanted: AtomicBool,
    pub(super) calls: Mutex<Mailbox<Call>>,
    pub(super) deliveries: Mutex<Mailbox<Delivery>>,
}

/// What the service asks.
pub(super) enum Call {
    Start(Bytes, oneshot::Sender<Result<EntryId, Unavailable>>),
    Read(oneshot::Sender<Result<Index, Unavailable>>),
    Snapshot(Index, Bytes),
    Change(Change, oneshot::Sender<Result<EntryId, Unavailable>>),
    Transfer(NodeId),
}

impl Node {
    /// Reads the disk and starts the server. It runs until the boot ends.
    ///
    /// # Errors
    /// [`StartError`], if what is on the disk must not be used.
    pub async fn start_up(env: Env, config: Config, options: Options) -> Result<Node, StartError> {
        let planted = match config.bug {
            Some(Bug::NoFsync) => Some(PersisterBug::NoFsync),
            Some(Bug::TornStateFile) => Some(PersisterBug::TornStateFile),
            _ => None,
        };
        let (mut persister, records) = Persister::open(env.disk(), &options.identity, planted).await?;
        let saved = Saved::recover(records.iter())?;
        let mut contents = BTreeMap::new();
        if let Some(meta) = &saved.snapshot {
            let content = persister.read_snapshot(storage::snapshot_id(meta.last)).await?;
            contents.insert(meta.last, Bytes::from(content));
        }
        let kept = saved.snapshot.as_ref().map(|meta| storage::snapshot_id(meta.last));
        persister.keep_only(kept).await.map_err(Refused::from)?;
        let raft = Raft::new(config.clone(), saved, env.now(), env.rng("raft"));
        let shared = Arc::new(Shared {
            view: Mutex::new(raft.view()),
            membership: Mutex::new(Arc::new(raft.memberships.latest().clone())),
            applied: AtomicU64::new(0),
            applied_wanted: AtomicBool::new(false),
            calls: Mailbox::new(),
            deliveries: Mailbox::new(),
        });
        let driver = Driver::new(raft, shared.clone(), persister, contents, config, options, env.clone());
        env.spawn(driver.run());
        Ok(Node { me: env.id(), shared })
    }

    /// Puts a command into the log, if this server leads. The answer says where it will stand *if* it is
    /// committed. It is when it is delivered there under that term, and never will be when something else is.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing was put into any log.
    pub async fn start(&self, command: Bytes) -> Result<EntryId, Unavailable> {
        self.ask_start(command).await
    }

    /// [`Node::start`] for those who poll several things at once: it is asked now, whether or not it is polled.
    pub fn ask_start(&self, command: Bytes) -> Asked<EntryId> {
        let (send, answer) = oneshot::channel();
        self.call(Call::Start(command, send));
        Asked(answer)
    }

    /// An index such that a read of the service's state answers for everything that was committed when this
    /// was called. The service has applied that much when this returns.
    ///
    /// # Errors
    /// [`Unavailable`]: ask another server, or later.
    pub async fn read(&self) -> Result<Index, Unavailable> {
        self.ask_read().await
    }

    /// [`Node::read`] for those who poll several things at once: it is asked now, whether or not it is polled.
    pub fn ask_read(&self) -> Asked<Index> {
        let (send, answer) = oneshot::channel();
        self.call(Call::Read(send));
        Asked(answer)
    }

    /// The term, and whether this server believes that it leads it.
    pub fn state(&self) -> (Term, bool) {
        let view = self.view();
        (view.term, view.role == Role::Leader)
    }

    /// What an observer may know.
    pub fn view(&self) -> View {
        *lock(&self.shared.view)
    }

    /// The service's state at `index` is `content`: the log up to there is not needed any more. Ignored if a
    /// later snapshot was installed meanwhile.
    pub fn snapshot(&self, index: Index, content: Bytes) {
        self.call(Call::Snapshot(index, content));
    }

    /// The service has done everything up to `index`.
    pub fn applied(&self, index: Index) {
        // The driver says what it wants before it looks; here it is the other way round. One of the two sees.
        self.shared.applied.fetch_max(index.0, Ordering::SeqCst);
        if self.shared.applied_wanted.swap(false, Ordering::SeqCst) {
            lock(&self.shared.calls).wake();
        }
    }

    /// Changes the membership by one server, if this server leads. The answer says where the change stands *if* it is
    /// committed. It counts from now on in any case, as the protocol has it.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing was changed.
    pub async fn change(&self, change: Change) -> Result<EntryId, Unavailable> {
        let (send, answer) = oneshot::channel();
        self.call(Call::Change(change, send));
        Asked(answer).await
    }

    /// The membership in force on this server, and the index of its entry. It is made for good when that is committed.
    pub fn membership(&self) -> Arc<(Index, Membership)> {
        lock(&self.shared.membership).clone()
    }

    /// Goes one step towards a cluster of these voters and no other members, if this server leads. True: it is there, and that is
    /// committed. (It was so when this was asked: a leader that was deposed and does not know it cannot say so.)
    ///
    /// # Errors
    /// [`Unavailable`]: not now, or not here.
    pub async fn step_towards(&self, voters: &[NodeId]) -> Result<bool, Unavailable> {
        let view = self.view();
        if view.role != Role::Leader {
            return Err(Unavailable::NotLeader(view.leader));
        }
        if let Some(change) = self.membership().1.step_towards(voters, self.me) {
            return self.change(change).await.map(|_| false);
        }
        let index = self.read().await?;
        let (since, membership) = &*self.membership();
        Ok(*since <= index && membership.step_towards(voters, self.me).is_none())
    }

    /// Hands leadership to `to`, if this server leads. It may not work out.
    pub fn transfer(&self, to: NodeId) {
        self.call(Call::Transfer(to));
    }

    /// What the service must do next. One task takes deliveries.
    pub async fn deliver(&self) -> Delivery {
        poll_fn(|context| self.poll_deliver(context)).await
    }

    /// [`Node::deliver`] for those who poll several things at once. Whoever waits here is woken also when the server
    /// gains or loses leadership, which [`Node::state`] tells.
    pub fn poll_deliver(&self, context: &mut Context<'_>) -> Poll<Delivery> {
        lock(&self.shared.deliveries).poll(context)
    }

    fn call(&self, call: Call) {
        lock(&self.shared.calls).push(call);
    }
}
