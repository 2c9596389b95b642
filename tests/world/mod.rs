//! Servers and clients of a service in a simulated world.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod controller;

use labrpc::sim::{
    Booter, Command, DiskWeather, Finished, Lab, Limits, NetWeather, NoHook, Rule, Setup, Span, Spread, Verdict,
    run as simulate,
};
use labrpc::{Env, Index, NodeId};
use shardlab::raft::{self, Node};
use shardlab::rsm::{self, Malformed, Observation, Observer, Patience};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the servers and clients are.
pub trait Service: 'static {
    /// Its client.
    type Clerk: Send + 'static;
    /// What can be planted in it.
    type Bug: Copy + Send + Sync + 'static;

    /// Starts a server.
    fn boot(env: Env, parts: Parts<Self::Bug>, observer: Observer) -> impl Future<Output = Node> + Send;

    /// A client of these servers.
    fn clerk(env: Env, servers: Vec<NodeId>, patience: Patience) -> Self::Clerk;

    /// The digest of the state in a snapshot.
    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed>;
}

/// What every service has settings for.
#[derive(Clone)]
pub struct Parts<B> {
    pub raft: raft::Config,
    pub options: raft::Options,
    pub service: rsm::Config,
    pub bug: Option<B>,
}

/// A run on a thread of its own.
pub fn run<T, F>(seed: u64, net: NetWeather, main: impl FnOnce(Lab) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let thread = std::thread::spawn(move || {
        let setup = Setup { seed, schedule: seed, net, limits: Limits::default(), hook: Box::new(NoHook) };
        let Finished { outcome, .. } = simulate(setup, main);
        outcome.unwrap_or_else(|ending| panic!("seed {seed}: {ending:?}"))
    });
    thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// A network that does the work and loses the answer.
pub fn lossy_replies() -> NetWeather {
    NetWeather { drop_reply: 300_000, drop: 50_000, duplicate: 50_000, ..NetWeather::default() }
}

/// What followers of a leader say to it is late, and what others say who would lead it is lost.
pub fn late_and_deaf(leader: NodeId, late: Span) -> [Rule; 2] {
    let rule = |kind: &str, verdict| Rule {
        to: leader.into(),
        kinds: vec![kind.into()],
        ..Rule::new(format!("{kind} to {leader}"), verdict)
    };
    [rule("append-reply", Verdict::Delay(Spread::exactly(late))), rule("append", Verdict::Drop)]
}

/// What the observer of a server has seen; snapshots and restores since the first boot.
#[derive(Default)]
pub struct Seen {
    pub index: Index,
    pub digest: u64,
    pub snapshots: u32,
    pub restores: u32,
}

/// Servers in a row, and as many clients as are asked for.
pub struct Cluster<S: Service> {
    lab: Lab,
    first: u32,
    size: u32,
    /// Clients are nodes behind this one.
    pub before_clients: u32,
    pub service: rsm::Config,
    pub lease: Option<raft::Drift>,
    pub bug: Option<S::Bug>,
    nodes: Arc<Mutex<Vec<Option<Node>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    clients: Mutex<u32>,
}

impl<S: Service> Cluster<S> {
    /// Servers 1 to `size`, with clients behind them.
    pub fn of(lab: &Lab, size: u32) -> Cluster<S> {
        Cluster::from(lab, 1, size)
    }

    /// Servers from `first` on, with clients behind them.
    pub fn from(lab: &Lab, first: u32, size: u32) -> Cluster<S> {
        let lab = lab.clone();
        Cluster {
            lab,
            first,
            size,
            before_clients: first + size - 1,
            service: rsm::Config::default(),
            lease: None,
            bug: None,
            nodes: Arc::new(Mutex::new((0..size).map(|_| None).collect())),
            seen: Arc::new(Mutex::new((0..size).map(|_| Seen::default()).collect())),
            clients: Mutex::new(0),
        }
    }

    /// The servers.
    pub fn ids(&self) -> Vec<NodeId> {
        (self.first..self.first + self.size).map(NodeId).collect()
    }

    /// Boots every server.
    pub fn start(&self) {
        for node in self.ids() {
            let options = raft::Options { inputs_per_ready: None, identity: format!("{node}") };
            let raft = raft::Config { lease: self.lease, ..raft::Config::new(node, self.ids()) };
            let parts = Parts { raft, options, service: self.service, bug: self.bug };
            let (nodes, seen) = (self.nodes.clone(), self.seen.clone());
            let slot = (node.0 - self.first) as usize;
            let booter: Booter = Arc::new(move |env| {
                let (parts, nodes, seen) = (parts.clone(), nodes.clone(), seen.clone());
                seen.lock().unwrap()[slot].index = Index(0);
                Box::pin(async move {
                    let observer = Box::new(move |what: Observation<'_>| {
                        let seen = &mut seen.lock().unwrap()[slot];
                        match what {
                            Observation::Applied { index, digest, .. } => {
                                assert_eq!(index, seen.index.next(), "in order, without a gap");
                                (seen.index, seen.digest) = (index, digest);
                            }
                            Observation::Restored { index, digest } => {
                                (seen.index, seen.digest) = (index, digest);
                                seen.restores += 1;
                            }
                            Observation::Refused { index, .. } => {
                                assert_eq!(index, seen.index)
                            }
                            Observation::Snapshot { index, content } => {
                                assert_eq!(index, seen.index);
                                let digest = S::digest_of_snapshot(content);
                                assert_eq!(digest, Ok(seen.digest));
                                seen.snapshots += 1;
                            }
                        }
                    });
                    let node = S::boot(env, parts, observer).await;
                    nodes.lock().unwrap()[slot] = Some(node);
                })
            });
            self.lab.add_node(node, DiskWeather::default(), booter);
            self.lab.order(Command::Boot { node });
        }
    }

    /// Looks at what the observers saw.
    pub fn seen<T>(&self, look: impl FnOnce(&[Seen]) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// The leader of the latest term, among those that were started.
    pub fn leader(&self) -> Option<NodeId> {
        let nodes = self.nodes.lock().unwrap();
        let leading = nodes.iter().zip(self.ids()).filter_map(|(node, id)| {
            let (term, leads) = node.as_ref()?.state();
            leads.then_some((term, id))
        });
        leading.max_by_key(|(term, _)| *term).map(|(_, id)| id)
    }

    /// A client of all servers on a node of its own, and what comes of it.
    pub fn client<T, F>(
        &self,
        patience: Patience,
        work: impl FnOnce(S::Clerk) -> F + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.client_of(self.ids(), patience, work)
    }

    /// A client that knows only these servers.
    pub fn client_of<T, F>(
        &self,
        servers: Vec<NodeId>,
        patience: Patience,
        work: impl FnOnce(S::Clerk) -> F + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut clients = self.clients.lock().unwrap();
        *clients += 1;
        let node = NodeId(self.before_clients + *clients);
        let outcome = Arc::new(Mutex::new(None));
        let (work, into) = (Mutex::new(Some(work)), outcome.clone());
        let booter: Booter = Arc::new(move |env: Env| {
            let work = work.lock().unwrap().take().expect("a client boots once");
            let (servers, into) = (servers.clone(), into.clone());
            Box::pin(async move {
                let done = work(S::clerk(env, servers, patience)).await;
                *into.lock().unwrap() = Some(done);
            })
        });
        self.lab.add_node(node, DiskWeather::default(), booter);
        self.lab.order(Command::Boot { node });
        let lab = self.lab.clone();
        Box::pin(async move {
            loop {
                if let Some(done) = outcome.lock().unwrap().take() {
                    return done;
                }
                lab.sleep(Duration::from_millis(1)).await;
            }
        })
    }

    /// [`Cluster::client`] with the usual patience.
    pub fn again<T, F>(
        &self,
        work: impl FnOnce(S::Clerk) -> F + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.client(Patience::default(), work)
    }
}
