//! Every replicated service as the laboratory sees it: its servers are Raft with a state of their own, and make their own
//! snapshots, which are compared by the digest of the state in them.

use super::{Config, Failure, Kinds, Malformed, Observation, Observer, Patience, Reads};
use crate::raft::lab::{self as raft_lab, ShardlabRaft};
use crate::raft::{self, Drift, Node, Options, StartError};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::pending;
use labrpc::persister::Directory;
use labrpc::sim::DiskView;
use labrpc::{Direction, Env, Index, Kind, NodeId, Term};
use sim::kv::{KvSystem, Lost};
use sim::oracle::ServiceSnapshot;
use sim::plan::{Knobs, ReadMode};
use sim::raft::{
    Abilities, Booted, BugCard, Change, DiskFact, Done, Follow, Part, PeerSetup, RaftPeer, RaftSystem, Recovered,
    Study, Tell, WireFacts,
};
use sim::shard::ControllerSystem;
use std::sync::Arc;

/// What a service says of itself, so that [`Lab`] can show it.
pub trait Service: Send + Sync + 'static {
    /// What its suite is called.
    const NAME: &'static str;
    /// What clients and servers say to each other.
    const OF_CLIENTS: &'static [Kind];
    /// What its servers say to those of other groups.
    const OF_SERVICE: &'static [Kind] = &[];
    /// Whether it runs as several groups.
    const GROUPS: bool = false;

    /// Starts a server.
    fn boot(env: Env, setup: PeerSetup, observer: Observer) -> BoxFuture<'static, Result<Node, StartError>>;

    /// The digest of the state that a snapshot of a server holds.
    ///
    /// # Errors
    /// [`Malformed`]: it is none.
    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed>;

    /// The bugs that can be planted in it.
    fn bugs() -> Vec<BugCard>;

    /// The key/value service that it is, if it is one.
    fn kv(&self) -> Option<&dyn KvSystem> {
        None
    }

    /// The shard controller that it is, or has, if it is or has one.
    fn controller(&self) -> Option<&dyn ControllerSystem> {
        None
    }
}

/// The kinds of messages of a service's clients.
pub const fn kinds(of: Kinds) -> [Kind; 3] {
    [of.register, of.operate, of.query]
}

/// A card for each of a lab's bugs: its name, what is wrong, and the scenario that is made for it with the check that sees it
/// there first, and what was expected of it. Without the feature `zoo` there are none.
pub fn cards<B: Copy>(
    bugs: &[B],
    name: fn(B) -> &'static str,
    about: fn(B) -> &'static str,
    directed: fn(B) -> Option<(&'static str, &'static str)>,
    study: fn(B) -> Study,
) -> Vec<BugCard> {
    let planted = if cfg!(feature = "zoo") { bugs } else { &[] };
    let card = |bug: &B| BugCard {
        name: name(*bug),
        about: about(*bug),
        directed: directed(*bug),
        study: Some(study(*bug)),
    };
    planted.iter().map(card).collect()
}

/// A service of this repository, for the laboratory.
pub struct Lab<S>(pub S);

impl<S: Service> RaftSystem for Lab<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            let observer = observer(setup.tell.clone());
            let node = S::boot(env, setup, observer).await.map_err(|error| error.to_string())?;
            Ok(Booted { peer: Arc::new(Peer(node)), applies: Box::pin(pending()) })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        let mut recovered = ShardlabRaft.recover(node, disk)?;
        if let Some((index, _, content)) = &mut recovered.snapshot {
            *content = shown::<S>(*index, content);
        }
        Ok(recovered)
    }

    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        Box::new(Following(Arc::new(ShardlabRaft).follow(node), shown::<S>))
    }

    fn explains(&self) -> bool {
        true
    }

    fn inspect(&self, kind: Kind, direction: Direction, body: &[u8]) -> Option<WireFacts> {
        let of_raft = !S::OF_CLIENTS.contains(&kind) && !S::OF_SERVICE.contains(&kind);
        if of_raft { ShardlabRaft.inspect(kind, direction, body) } else { None }
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        match part {
            Part::ClientRequest | Part::ClientReply => S::OF_CLIENTS,
            Part::ServiceRequest | Part::ServiceReply => S::OF_SERVICE,
            _ => ShardlabRaft.kinds(part),
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { own_state: true, groups: S::GROUPS, ..ShardlabRaft.abilities() }
    }

    fn kv(&self) -> Option<&dyn KvSystem> {
        self.0.kv()
    }

    fn controller(&self) -> Option<&dyn ControllerSystem> {
        self.0.controller()
    }

    fn bugs(&self) -> Vec<BugCard> {
        S::bugs()
    }
}

/// How far the clocks of the scenarios are apart at most.
const DRIFT: Drift = Drift { slowest: 800_000, fastest: 1_200_000 };

/// The settings of a server, without a bug.
pub fn config(setup: &PeerSetup) -> (raft::Config, Options, Config) {
    let knobs = &setup.knobs;
    let mut raft = raft_lab::config(setup);
    raft.lease = (knobs.reads == ReadMode::Lease).then_some(DRIFT);
    let service = Config {
        max_sessions: knobs.max_sessions.into(),
        snapshot_after: knobs.snapshot_bytes.map(u64::from),
        reads: if knobs.reads == ReadMode::Log || !knobs.noop { Reads::ThroughLog } else { Reads::Confirmed },
        bug: None,
    };
    (raft, raft_lab::options(setup), service)
}

/// How long clients try.
pub fn patience(knobs: &Knobs) -> Patience {
    Patience { attempt: knobs.client_timeout.0 / 4, ..Patience::default() }
}

/// What a client says to the laboratory that has failed.
pub fn lost(failure: Failure) -> Lost {
    if failure.may_have_happened() { Lost::Unknown } else { Lost::Refused }
}

/// Tells the laboratory what a replica does.
fn observer(tell: Tell) -> Observer {
    Box::new(move |seen: Observation<'_>| match seen {
        Observation::Applied { index, term, command, executed, digest } => {
            tell.say(Done::Applied { index, term: Some(term), command, executed, digest });
        }
        Observation::Refused { index, asked, reads } => tell.say(Done::Refused { index, asked, reads }),
        Observation::Restored { index, digest } => tell.say(Done::Restored { index, digest }),
        Observation::Snapshot { .. } => {}
    })
}

/// A snapshot as the laboratory compares it: by the digest of the state in it. One that does not decode has a digest
/// that no state has.
fn shown<S: Service>(index: Index, content: &[u8]) -> Bytes {
    let digest = S::digest_of_snapshot(content).unwrap_or(u64::MAX);
    // As large as the one that it stands for.
    let ballast = Bytes::copy_from_slice(content);
    labgob::encode(&ServiceSnapshot { index, digest, ballast }).expect("it is hardly larger than the other").into()
}

/// Raft's disk, with snapshots shown.
struct Following(Box<dyn Follow>, fn(Index, &[u8]) -> Bytes);

impl Follow for Following {
    fn changed(&mut self, disk: &DiskView<'_>, what: Change<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String> {
        let known = facts.len();
        let outcome = self.0.changed(disk, what, facts);
        for fact in &mut facts[known..] {
            if let DiskFact::Snapshot { index, content, .. } = fact {
                *content = (self.1)(*index, content);
            }
        }
        outcome
    }
}

/// A server: the service takes what its Raft delivers, and makes its own snapshots.
struct Peer(Node);

impl RaftPeer for Peer {
    fn start(&self, command: Bytes) -> BoxFuture<'_, Option<(Index, Term)>> {
        RaftPeer::start(&self.0, command)
    }

    fn state(&self) -> (Term, bool) {
        self.0.state()
    }

    fn snapshot(&self, _: Index, _: Bytes) {}

    fn transfer(&self, to: NodeId) {
        self.0.transfer(to);
    }

    fn read(&self) -> BoxFuture<'_, Option<Index>> {
        RaftPeer::read(&self.0)
    }
}
