//! The server: Raft, the map, and the requests that reach the node.

use super::machine::Kv;
use super::operation::{Answer, Command, Query, Reply};
use crate::raft::{self, Index, Node, Options};
use crate::rsm::{self, Bug, Kinds, LogCommand, Malformed, Observer, Replica, Request, Response};
use labrpc::{Env, Kind};

/// Under which names its requests travel.
pub const KINDS: Kinds =
    Kinds { register: Kind::new("kv session"), operate: Kind::new("kv op"), query: Kind::new("kv read") };

/// The settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of its Raft.
    pub raft: raft::Config,
    /// How that runs, and whose files it uses.
    pub options: Options,
    /// Of the service on top.
    pub service: rsm::Config,
}

impl Config {
    /// Plants a bug in whichever part it belongs to.
    pub fn plant(&mut self, bug: Option<Bug>) {
        self.service.bug = bug;
        if let Some(bug) = bug.and_then(Bug::in_raft) {
            self.raft.bug = Some(bug);
        }
    }
}

/// A running server. Clones are the same one.
#[derive(Clone)]
pub struct Server(rsm::Server);

impl Server {
    /// Starts it from its disk. It runs until the boot ends. `observer` sees what its map goes through.
    ///
    /// # Errors
    /// [`raft::StartError`], if what is on the disk must not be used.
    pub async fn boot(env: Env, config: Config, observer: Option<Observer>) -> Result<Server, raft::StartError> {
        let Config { raft, options, service } = config;
        rsm::Server::boot::<Kv>(env, raft, options, service, (), observer).await.map(Server)
    }

    /// Its Raft: to see who leads, and to hand leadership on.
    pub fn node(&self) -> &Node {
        self.0.node()
    }
}

/// The digest of the state that a snapshot holds, as [`rsm::Observation`] gives it; for those who judge snapshots.
///
/// # Errors
/// [`Malformed`]: these bytes are none.
pub fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
    Replica::<Kv>::restore(rsm::Config::default(), (), Index(0), content).map(|replica| replica.digest())
}

/// What a command of the log, a request or an answer says, for traces. None: it is none of this service's.
pub fn describe(what: What, bytes: &[u8]) -> Option<String> {
    match what {
        What::Command => labgob::decode::<LogCommand<Command>>(bytes).ok().map(|value| format!("{value:?}")),
        What::Request => labgob::decode::<Request<Command, Query>>(bytes).ok().map(|value| format!("{value:?}")),
        What::Response => labgob::decode::<Response<Reply, Answer>>(bytes).ok().map(|value| format!("{value:?}")),
    }
}

/// What bytes are said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A command in the log.
    Command,
    /// The body of a request.
    Request,
    /// The body of an answer.
    Response,
}
