//! What every replicated service shows the laboratory: its servers are Raft with a state of their own, and make their own
//! snapshots, which are compared by the digest of the state in them.

use super::{Config, Malformed, Observation, Observer, Patience, Reads};
use crate::raft::lab::{self as raft_lab, ShardlabRaft};
use crate::raft::{self, Drift, Node, Options};
use bytes::Bytes;
use futures::future::BoxFuture;
use labrpc::persister::Directory;
use labrpc::sim::DiskView;
use labrpc::{Index, NodeId, Term};
use sim::oracle::ServiceSnapshot;
use sim::plan::{Knobs, ReadMode};
use sim::raft::{Change, DiskFact, Done, Follow, PeerSetup, RaftPeer, RaftSystem, Recovered, Tell};
use std::sync::Arc;

/// How far the clocks of the scenarios are apart at most.
const DRIFT: Drift = Drift { slowest: 800_000, fastest: 1_200_000 };

/// The digest of the state that a service's snapshot holds.
pub type DigestOf = fn(&[u8]) -> Result<u64, Malformed>;

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

/// Tells the laboratory what a replica does.
pub fn observer(tell: Tell) -> Observer {
    Box::new(move |seen: Observation<'_>| match seen {
        Observation::Applied { index, term, command, executed, digest } => {
            tell.say(Done::Applied { index, term: Some(term), command, executed, digest });
        }
        Observation::Restored { index, digest } => tell.say(Done::Restored { index, digest }),
        Observation::Snapshot { .. } => {}
    })
}

/// A snapshot as the laboratory compares it: by the digest of the state in it. One that does not decode has a digest
/// that no state has.
fn shown(index: Index, content: &[u8], digest: DigestOf) -> Bytes {
    let digest = digest(content).unwrap_or(u64::MAX);
    // As large as the one that it stands for.
    let ballast = Bytes::copy_from_slice(content);
    labgob::encode(&ServiceSnapshot { index, digest, ballast }).expect("it is hardly larger than the other").into()
}

/// What is on a server's disk, with its snapshot shown.
pub fn recover(node: NodeId, disk: &dyn Directory, digest: DigestOf) -> Result<Recovered, String> {
    let mut recovered = ShardlabRaft.recover(node, disk)?;
    if let Some((index, _, content)) = &mut recovered.snapshot {
        *content = shown(*index, content, digest);
    }
    Ok(recovered)
}

/// Follows a server's disk, and shows its snapshots.
pub fn follow(node: NodeId, digest: DigestOf) -> Box<dyn Follow> {
    Box::new(Following(Arc::new(ShardlabRaft).follow(node), digest))
}

struct Following(Box<dyn Follow>, DigestOf);

impl Follow for Following {
    fn changed(&mut self, disk: &DiskView<'_>, what: Change<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String> {
        let known = facts.len();
        let outcome = self.0.changed(disk, what, facts);
        for fact in &mut facts[known..] {
            if let DiskFact::Snapshot { index, content, .. } = fact {
                *content = shown(*index, content, self.1);
            }
        }
        outcome
    }
}

/// A server: the service takes what its Raft delivers, and makes its own snapshots.
pub struct Peer(pub Node);

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
