//! The machine as a backend of [`crate::Env`]: its clock, its sockets, its files, on tokio.
//!
//! ```text
//!   a node (Env)                    who runs the process (Host)
//!        \                              /
//!         NetEnv: one boot of one node              (env)
//!           |- clock, tasks, randomness             (clock)
//!           |- a connection to each peer, dialled   (peer)    \  handshake, then
//!           |- connections that others have opened  (listener) > messages in frames, all of it in TLS or not
//!           |- what has arrived and waits           (router)  /  (handshake, link, frame; tls)
//!           |- a thread that owns the directory     (disk, directory)
//!           `- what is said to logs and counters    (observe)
//! ```
//!
//! A message is delivered at most once per connection and may be lost, as the protocols expect: with a connection that
//! breaks, when its queue is full, or when its peer cannot be reached. Nothing here retries for a node.
//!
//! One-way messages and requests go over the connection that the sender has dialled. A reply goes back over the
//! connection on which its request came, so clients need no address.
//!
//! # What others can cost
//!
//! A port is open to anybody. Whoever comes costs no more than this:
//!
//! * A connection, until both ends know each other: 8 KiB, and [`Limits::handshake`] of time. What a stranger says is not kept.
//!   Where nodes talk in TLS, 80 KiB as soon as somebody has begun with that (a handshake of TLS may be so long), one agreement on a key and
//!   one signature.
//! * There are [`Limits::connections`] of them, and never more than half of the file descriptors that the process may have, or the
//!   files of the node could not be opened. Who comes when all are taken is sent away at once.
//! * A connection with somebody who belongs here: 64 KiB, and of a message on its way what has come of it, at most [`Limits::frame`]
//!   bytes, in a buffer that may be twice as large. A frame that announces more is refused for its header. Of what is only announced 64 KiB
//!   are reserved at most. In TLS there are up to 160 KiB more, of what is being sealed and opened. A message that has begun must bring
//!   64 KiB in each [`Limits::stalled`], or end.
//! * What has arrived and waits for the node: [`Limits::inbox`], for one-way messages, for requests and for each desk. What waits to
//!   leave: [`Limits::queue`], for each connection.
//! * The log: for each sort of refusal or departure 16 lines at once and then one a second, with how many were left out; the
//!   [counters](Counters::turned_away) leave out nothing.
//!
//! With a shared secret only those who know it belong here, and with [TLS](tls) only those for whom the authority has signed. Without either
//! everybody does who knows the number of the cluster, which is told to whoever asks: such a cluster must be on a network of its own. So
//! must one without TLS where others could listen in. And as long as strangers take all connections, peers that come anew are sent away
//! with them; those who are there are not disturbed.
//!
//! Everything runs on the runtime that the caller is on when it starts a host, which must have tokio's timers and
//! sockets enabled. The one exception is the disk, whose thread is its own.

mod clock;
mod counters;
mod directory;
mod disk;
mod env;
pub mod frame;
pub mod handshake;
mod link;
mod listener;
mod observe;
mod peer;
mod queue;
mod ration;
mod router;
pub mod tls;
mod watch;

pub(crate) use clock::NetSleep;
pub use counters::{Counters, DiskCounters, PeerCounters};
pub(crate) use env::NetEnv;
pub use handshake::Resident;
pub(crate) use router::Back;
pub use tls::{Tls, TlsError, TlsFiles, certificate_name};

use crate::env::Env;
use crate::id::{Boot, NodeId};
use crate::message::{Kind, Request};
use directory::Directory;
use disk::Disk;
use handshake::{HandshakeError, Identity};
use queue::Queue;
use router::Router;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;

/// Ids from here on are those of clients, which draw them.
pub const FIRST_CLIENT: u32 = 1 << 31;

/// What a host is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which node it is. No two of a cluster, clients included, are the same at the same time.
    pub id: NodeId,
    /// Which cluster it is of. Nodes of different clusters do not talk to each other.
    pub cluster: u64,
    /// Where it accepts connections; a client does not.
    pub listen: Option<SocketAddr>,
    /// Where others are to be reached, as `host:port`.
    pub peers: BTreeMap<NodeId, String>,
    /// Where its files are; without it there is no disk.
    pub dir: Option<PathBuf>,
    /// What all nodes of the cluster know, and nobody else.
    pub secret: Option<Secret>,
    /// Certificates: with them all connections are in TLS, and both ends must have one.
    pub tls: Option<Tls>,
    /// Bounds.
    pub limits: Limits,
    /// Seeds the node's randomness; without it, the machine's entropy does.
    pub seed: Option<u64>,
}

impl Config {
    /// A node that listens to nobody, knows nobody and keeps nothing.
    pub fn new(id: NodeId, cluster: u64) -> Config {
        let (peers, limits) = (BTreeMap::new(), Limits::default());
        Config { id, cluster, listen: None, peers, dir: None, secret: None, tls: None, limits, seed: None }
    }
}

/// Bounds on what a host takes and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a message, in bytes; [`labgob::LIMIT`] at most. Both ends must have the same.
    pub frame: usize,
    /// What may wait to be sent to a peer, and for each client to be sent back.
    pub queue: QueueLimit,
    /// What may have arrived and wait for the node: one-way messages, and requests beside them.
    pub inbox: QueueLimit,
    /// Connections that others have opened; half of the file descriptors that the process may have at most.
    pub connections: usize,
    /// How long it may take until both ends of a connection know each other.
    pub handshake: Duration,
    /// How long a peer's machine may confirm nothing before a connection is given up.
    pub unanswered: Duration,
    /// How long a message that has begun may take for each 64 KiB, and for its end.
    pub stalled: Duration,
    /// How long to wait before a peer is dialled again: at first, and at most.
    pub redial: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame: labgob::LIMIT as usize,
            queue: QueueLimit { messages: 16_384, bytes: 128 << 20 },
            inbox: QueueLimit { messages: 16_384, bytes: 256 << 20 },
            connections: 4_096,
            handshake: Duration::from_secs(5),
            unanswered: Duration::from_secs(5),
            stalled: Duration::from_secs(10),
            redial: (Duration::from_millis(10), Duration::from_secs(1)),
        }
    }
}

/// How much may wait in a queue. What comes when it is full is dropped, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of their bodies. A message that alone is larger may wait alone.
    pub bytes: usize,
}

/// What nodes of a cluster know and nobody else. It is never printed.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Bytes that cannot be guessed, at least [`Secret::SHORTEST`].
    pub fn new(bytes: impl AsRef<[u8]>) -> Secret {
        Secret(bytes.as_ref().into())
    }

    /// With fewer bytes a host does not start.
    pub const SHORTEST: usize = 16;

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// Why a host does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot accept connections there.
    #[error("cannot listen on {address}: {why}. {advice}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the machine says.
        why: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// Its directory cannot be used.
    #[error("cannot use the directory {}: {why}. It must be one that this process may write to", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the machine says.
        why: io::Error,
    },
    /// The secret can be guessed.
    #[error("the shared secret has {0} bytes: give all nodes the same one of {min} bytes or more, drawn at random", min = Secret::SHORTEST)]
    Secret(usize),
    /// Nobody would talk to a node with this certificate.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// There is nothing to run on.
    #[error("a host must be started on a tokio runtime that has its timers and sockets enabled")]
    NoRuntime,
    /// The machine gives no thread.
    #[error("no thread for the disk: {0}")]
    Thread(io::Error),
}

/// One boot of one node on this machine.
///
/// Dropping it ends the boot; [`Host::stop`] also waits until nothing of it is left.
pub struct Host {
    env: Arc<NetEnv>,
    address: Option<SocketAddr>,
}

impl Host {
    /// Starts a node on the runtime that the caller is on. What it does is up to whoever takes [`Host::env`].
    ///
    /// # Errors
    /// [`StartError`], with what to do about it.
    pub fn start(config: Config) -> Result<Host, StartError> {
        let Config { id, cluster, listen, peers, dir, secret, tls, mut limits, seed } = config;
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        limits.frame = limits.frame.min(labgob::LIMIT as usize);
        limits.connections = seats(limits.connections, descriptors());
        if let Some(secret) = secret.as_ref().filter(|secret| secret.bytes().len() < Secret::SHORTEST) {
            return Err(StartError::Secret(secret.bytes().len()));
        }
        tls.as_ref().map_or(Ok(()), |tls| tls.check(cluster, id))?;
        // Before the directory is touched: whoever started the same node twice changes nothing.
        let listener = listen.map(bind).transpose()?;
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (disk, boot) = match dir {
            Some(path) => open_disk(id, path)?,
            None => (Disk::none(), 1),
        };
        let env = Arc::new(NetEnv {
            id,
            boot: Boot(boot),
            identity: Identity { cluster, node: id, boot, secret },
            tls,
            router: Router::new(&limits),
            limits,
            runtime,
            clock: clock::Clock::start(),
            disk,
            observer: Default::default(),
            seed: seed.unwrap_or_else(|| u64::from_le_bytes(entropy())),
            given: Default::default(),
            peers: Default::default(),
            without_address: Default::default(),
            turned_away: Default::default(),
            lines: Default::default(),
            ending: Default::default(),
        });
        peers.into_iter().for_each(|(peer, address)| env.set_peer(peer, address));
        if let Some(listener) = listener {
            env.keep(listener::accept_all(env.clone(), listener));
        }
        env.keep(watch::clocks(env.clone()));
        Ok(Host { env, address })
    }

    /// The environment of the node.
    pub fn env(&self) -> Env {
        Env::real(self.env.clone())
    }

    /// Where it accepts connections: with the port that was found, if it was asked for port 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// From now on that node is to be reached there, as `host:port`. What waits to be sent to another address is lost.
    pub fn set_peer(&self, peer: NodeId, address: impl Into<String>) {
        self.env.set_peer(peer, address.into());
    }

    /// Why that peer could not be reached when it was last tried. None: it could, or was not tried, or is not known.
    pub fn trouble(&self, peer: NodeId) -> Option<String> {
        let peers = self.env.peers.read().expect("nobody panics while holding it");
        let trouble = peers.get(&peer)?.counts.trouble.lock().expect("nobody panics while holding it").clone();
        Some(trouble).filter(|trouble| !trouble.is_empty())
    }

    /// How many messages were dropped because nobody knows where their receivers are, as in [`Counters`].
    pub fn without_address(&self) -> u64 {
        self.env.without_address.load(Ordering::Relaxed)
    }

    /// From now on requests of this kind are not for the node: whoever runs it answers them here.
    pub fn desk(&self, kind: Kind) -> Desk {
        Desk(self.env.router.desk(kind))
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        counters::read(&self.env)
    }

    /// Waits until the node stops itself ([`Env::halt`]), and tells why. The process should then end, with an error.
    pub async fn halted(&self) -> String {
        self.env.halted().await
    }

    /// Ends the boot. On return its tasks have ended, its port is free and its directory let go of.
    pub async fn stop(&self) {
        self.env.end();
        self.env.ending.tasks.wait().await;
        self.env.disk.ended().await;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.env.end();
    }
}

/// Where requests go that are for whoever runs a node. They are answered with [`Env::reply`].
pub struct Desk(Arc<Queue<Request>>);

impl Desk {
    /// The next request. One task accepts them.
    pub async fn accept(&self) -> Request {
        poll_fn(|context| self.0.poll_pop(context)).await
    }
}

/// Nobody who speaks the protocol of nodes has said who is there.
#[derive(Debug, thiserror::Error)]
#[error("{address} {why}")]
pub struct NobodyThere {
    address: String,
    why: HandshakeError,
}

/// Asks who listens at an address (`host:port`), for those who know nothing else. What it says of itself it does not prove, except in TLS: there
/// its certificate says cluster and node.
///
/// # Errors
/// [`NobodyThere`], with the reason.
pub async fn who_is(address: &str, tls: Option<&Tls>, patience: Duration) -> Result<Resident, NobodyThere> {
    let asked = async {
        let stream = tokio::net::TcpStream::connect(address).await.map_err(HandshakeError::Unreachable)?;
        let (mut stream, shown) = tls::dialled(tls, stream).await?;
        handshake::inquire(&mut stream, shown.as_ref(), entropy()).await
    };
    let answer = tokio::time::timeout(patience, asked).await.unwrap_or(Err(HandshakeError::Deadline(patience)));
    answer.map_err(|why| NobodyThere { address: address.into(), why })
}

fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    let listener = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    });
    listener.map_err(|why| {
        let advice = match why.kind() {
            io::ErrorKind::AddrInUse => {
                "Another process listens there: stop it if it is this node, or give this node another port"
            }
            io::ErrorKind::AddrNotAvailable => {
                "That is no address of this machine: give one of its own, or 0.0.0.0"
            }
            io::ErrorKind::PermissionDenied => "Ports below 1024 need special rights: give it a higher one",
            _ => "Give it another address",
        };
        StartError::Listen { address, why, advice }
    })
}

fn open_disk(id: NodeId, path: PathBuf) -> Result<(Disk, u32), StartError> {
    let opened = Directory::open(&path).and_then(|directory| Ok((directory.count_boot()?, directory)));
    let (boot, directory) = opened.map_err(|why| StartError::Directory { path, why })?;
    let disk = Disk::start(directory, format!("disk of {id}")).map_err(StartError::Thread)?;
    Ok((disk, boot))
}

/// How many file descriptors this process may have. None: as many as it likes.
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// How many connections are accepted of those that may be, with so many descriptors: at least one, and half of them at most.
fn seats(wanted: usize, descriptors: Option<u64>) -> usize {
    let most = descriptors.map_or(usize::MAX, |all| usize::try_from(all / 2).unwrap_or(usize::MAX));
    wanted.min(most.max(1))
}

/// Bytes that nobody can foresee.
fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the machine has entropy, or nothing on it can be trusted");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_descriptors_to_files() {
        assert_eq!(seats(4_096, Some(1_024)), 512);
        assert_eq!(seats(4_096, Some(20_000)), 4_096);
        assert_eq!(seats(4_096, None), 4_096);
        assert_eq!(seats(4_096, Some(1)), 1);
    }
}
