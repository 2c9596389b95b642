//! The server: Raft, the shard controller, and the requests that reach the node.

use super::bugs::Bug;
use super::machine::ShardMaster;
use super::settings::Settings;
use crate::raft::{self, Index, Node, Options};
use crate::rsm::{self, Kinds, Malformed, Observer, Replica};
use labrpc::{Env, Kind};

/// Under which names its requests travel.
pub const KINDS: Kinds = Kinds {
    register: Kind::new("master session"),
    operate: Kind::new("master op"),
    query: Kind::new("master read"),
};

/// The settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of its Raft.
    pub raft: raft::Config,
    /// How that runs, and whose files it uses.
    pub options: Options,
    /// Of what all services share.
    pub service: rsm::Config,
    /// Of the controller itself.
    pub settings: Settings,
}

impl Config {
    /// Plants a bug in whichever part it belongs to.
    pub fn plant(&mut self, bug: Option<Bug>) {
        self.settings.bug = bug;
        if let Some(bug) = bug.and_then(Bug::in_rsm) {
            self.service.bug = Some(bug);
        }
    }
}

/// A running server. Clones are the same one.
#[derive(Clone)]
pub struct Server(rsm::Server);

impl Server {
    /// Starts it from its disk. It runs until the boot ends. `observer` sees what its state goes through.
    ///
    /// # Errors
    /// [`raft::StartError`], if what is on the disk must not be used.
    ///
    /// # Panics
    /// If [`Settings::shards`] is not what it may be.
    pub async fn boot(env: Env, config: Config, observer: Option<Observer>) -> Result<Server, raft::StartError> {
        let Config { raft, options, service, mut settings } = config;
        settings.hash_key = env.rng("hash key").within(0..=u64::MAX);
        rsm::Server::boot::<ShardMaster>(env, raft, options, service, settings, observer).await.map(Server)
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
    let replica = Replica::<ShardMaster>::restore(rsm::Config::default(), Settings::default(), Index(0), content)?;
    Ok(replica.digest())
}
