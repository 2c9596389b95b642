//! The server: Raft, the group's state, its errands, and the requests that reach the node.

use super::bugs::Bug;
use super::errands::{Migration, Timing};
use super::machine::ShardKv;
use super::settings::Settings;
use crate::raft::{self, Index, Node, Options};
use crate::rsm::{self, Kinds, Malformed, Observer, Replica};
use crate::shardmaster::types::GroupId;
use labrpc::{Env, Kind};

/// Under which names the requests of clients travel. No group registers sessions.
pub const KINDS: Kinds =
    Kinds { register: Kind::new("shard session"), operate: Kind::new("shard op"), query: Kind::new("shard read") };

/// Under which names the requests of groups to each other travel.
pub const MIGRATION_KINDS: Kinds = Kinds {
    register: Kind::new("shard session"),
    operate: Kind::new("shard delete"),
    query: Kind::new("shard pull"),
};

/// The settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of its Raft.
    pub raft: raft::Config,
    /// How that runs, and whose files it uses.
    pub options: Options,
    /// Of what all services share. How many sessions there may be is in `settings`.
    pub service: rsm::Config,
    /// Of the group.
    pub settings: Settings,
    /// The servers of the shard controller.
    pub masters: rsm::Servers,
    /// Of what the leader does by itself.
    pub timing: Timing,
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
    /// If the controller has no servers, there are no shards, or the group is 0, which is no group's number.
    pub async fn boot(env: Env, config: Config, observer: Option<Observer>) -> Result<Server, raft::StartError> {
        let Config { raft, options, service, settings, masters, timing } = config;
        assert!(!masters.get().is_empty() && settings.shards > 0, "a group has a controller and shards");
        assert!(settings.group != GroupId(0), "0 is the number of no group: it would never get a shard");
        let errands = Box::new(Migration::new(env.clone(), settings, timing, masters));
        rsm::Server::boot_with::<ShardKv>(env, raft, options, service, settings, Some(errands), observer)
            .await
            .map(Server)
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
    let replica = Replica::<ShardKv>::restore(rsm::Config::default(), Settings::default(), Index(0), content)?;
    Ok(replica.digest())
}
