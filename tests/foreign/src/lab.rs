//! What the laboratory is told of this Raft: how to start it, how its service talks to it, what its disk means.
//!
//! Everything that has a default is left at it, but for the snapshots, the kinds of messages and the bugs.

use crate::bug::Bug;
use crate::message::{APPEND, INSTALL, VOTE};
use crate::server::{Server, decode, identity};
use crate::state::{Config, Role};
use bytes::Bytes;
use futures::future::BoxFuture;
use labrpc::persister::{Directory, Saved};
use labrpc::{Content, Env, Index, Kind, NodeId, Term};
use sim::raft::{Abilities, Booted, BugCard, Part, PeerSetup, RaftPeer, RaftSystem, Recovered};

/// This Raft, for the laboratory.
pub struct ForeignRaft;

impl RaftSystem for ForeignRaft {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            let PeerSetup { me, servers, knobs, bug, .. } = setup;
            let config = Config {
                me,
                servers: servers.len(),
                election: (knobs.election.min.0, knobs.election.max.0),
                heartbeat: knobs.heartbeat.0,
                bug: bug.as_deref().and_then(Bug::named),
            };
            let (server, applies) = Server::boot(env, config, &servers, knobs.max_unapplied as usize).await?;
            Ok(Booted { peer: server, applies: Box::pin(applies) })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        let saved = Saved::recover(disk, &identity(node)).map_err(|refused| refused.to_string())?;
        let (found, snapshot) = decode(saved)?;
        let (base, base_term) = found.log.base();
        let entries = found.log.entries().iter().zip(base.0 + 1..);
        Ok(Recovered {
            term: found.term,
            vote: found.vote,
            snapshot: (base > Index(0)).then_some((base, base_term, snapshot)),
            entries: entries.map(|(e, at)| (Index(at), e.term, Content::Command(e.command.clone()))).collect(),
        })
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        match part {
            // An answer to a call has the kind of its request.
            Part::VoteRequest | Part::VoteReply => &[VOTE],
            Part::Append | Part::AppendReply => &[APPEND],
            Part::Install | Part::InstallReply => &[INSTALL],
            Part::ClientRequest | Part::ClientReply | Part::ServiceRequest | Part::ServiceReply => &[],
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { snapshots: true, ..Abilities::default() }
    }

    fn bugs(&self) -> Vec<BugCard> {
        let card = |bug: Bug| BugCard {
            name: bug.name(),
            about: bug.about(),
            directed: Some(bug.directed()),
            study: None,
        };
        Bug::ALL.map(card).into()
    }
}

impl RaftPeer for Server {
    fn start(&self, command: Bytes) -> BoxFuture<'_, Option<(Index, Term)>> {
        Box::pin(async move { self.with(|state| state.start(command)) })
    }

    fn state(&self) -> (Term, bool) {
        self.with(|state| (state.term, state.role == Role::Leader))
    }

    fn snapshot(&self, index: Index, content: Bytes) {
        self.with(|state| state.compact(index, content));
    }
}
