//! This Raft as the laboratory sees it: how to start it, what its disk means, what its messages say.
//!
//! The only part of the protocol that knows the laboratory, and nothing of the protocol knows it.

use super::bugs::Bug;
use super::config::Config;
use super::message::{AppendReply, Install, InstallReply, Message, Outcome, PreVote, PreVoteReply, RequestVote};
use super::message::{TimeoutNow, VoteReply, kind};
use super::node::{Delivery, Node, Options};
use super::storage;
use super::types::{Entry, EntryId, Index, Payload, Saved, Term};
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use labrpc::persister::{self, Directory};
use labrpc::sim::DiskView;
use labrpc::wal::Tail;
use labrpc::{Content, Direction, Env, Kind, NodeId};
use serde::Deserialize;
use sim::plan::Knobs;
use sim::raft::{
    Abilities, ApplyMsg, Booted, BugCard, Change, DiskFact, Follow, Part, PeerSetup, RaftPeer, RaftSystem,
    Recovered, WireFacts, difference,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// This repository's Raft, for the laboratory.
pub struct ShardlabRaft;

fn identity(node: NodeId) -> String {
    format!("raft {node}")
}

/// How its driver runs.
pub(crate) fn options(setup: &PeerSetup) -> Options {
    Options {
        inputs_per_ready: setup.knobs.inputs_per_ready.map(|most| most as usize),
        identity: identity(setup.me),
    }
}

/// The settings of a server.
pub(crate) fn config(setup: &PeerSetup) -> Config {
    // A spare belongs to no cluster until somebody adds it.
    let founders = setup.voters.iter().copied().filter(|_| setup.voters.contains(&setup.me));
    let Knobs { election, heartbeat, .. } = setup.knobs;
    let knobs = &setup.knobs;
    Config {
        election_timeout: (election.min.0, election.max.0),
        heartbeat: heartbeat.0,
        max_entries: knobs.max_entries.map_or(usize::MAX, |most| most as usize),
        max_inflight: knobs.max_inflight as usize,
        empty_heartbeats: knobs.empty_heartbeats,
        noop_on_election: knobs.noop,
        pre_vote: knobs.pre_vote,
        check_quorum: knobs.check_quorum,
        retransmit_votes: knobs.retransmit_votes,
        chunk: knobs.chunk.into(),
        max_unapplied: knobs.max_unapplied.into(),
        bug: setup.bug.as_deref().and_then(|name| of_raft().find(|bug| bug.name() == name)),
        ..Config::new(setup.me, founders)
    }
}

/// The bugs that a Raft shows without a service.
fn of_raft() -> impl Iterator<Item = Bug> {
    Bug::ALL.iter().chain(Bug::OF_MEMBERSHIP).copied()
}

impl RaftSystem for ShardlabRaft {
    fn name(&self) -> &'static str {
        "raft"
    }

    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        Box::pin(async move {
            let node =
                Node::start_up(env, config(&setup), options(&setup)).await.map_err(|error| error.to_string())?;
            Ok(Booted { peer: Arc::new(node.clone()), applies: Box::pin(Deliveries(node)) })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        let saved = saved_on(node, disk)?;
        recovered(node, saved, disk)
    }

    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        Box::new(Tailing {
            system: self,
            node,
            file: String::new(),
            tail: Tail::new(0),
            state: Recovered::default(),
        })
    }

    fn explains(&self) -> bool {
        true
    }

    fn inspect(&self, kind: Kind, _: Direction, body: &[u8]) -> Option<WireFacts> {
        explain(kind, body)
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        match part {
            Part::VoteRequest => &[kind::PRE_VOTE, kind::VOTE],
            Part::VoteReply => &[kind::PRE_VOTE_REPLY, kind::VOTE_REPLY],
            Part::Append => &[kind::APPEND],
            Part::AppendReply => &[kind::APPEND_REPLY],
            Part::Install => &[kind::INSTALL],
            Part::InstallReply => &[kind::INSTALL_REPLY],
            Part::ClientRequest | Part::ClientReply | Part::ServiceRequest | Part::ServiceReply => &[],
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            snapshots: true,
            pre_vote: true,
            check_quorum: true,
            noop: true,
            transfer: true,
            reads: true,
            membership: true,
            own_state: false,
            groups: false,
        }
    }

    fn bugs(&self) -> Vec<BugCard> {
        if !cfg!(feature = "zoo") {
            return Vec::new();
        }
        of_raft()
            .map(|bug| BugCard {
                name: bug.name(),
                about: bug.about(),
                directed: super::zoo::directed(bug),
                study: Some(super::zoo::study(bug)),
            })
            .collect()
    }
}

impl RaftPeer for Node {
    fn start(&self, command: Bytes) -> BoxFuture<'_, Option<(Index, Term)>> {
        Box::pin(async move { Node::start(self, command).await.ok().map(|id| (id.index, id.term)) })
    }

    fn state(&self) -> (Term, bool) {
        Node::state(self)
    }

    fn snapshot(&self, index: Index, content: Bytes) {
        Node::snapshot(self, index, content);
    }

    fn applied(&self, index: Index) {
        Node::applied(self, index);
    }

    fn transfer(&self, to: NodeId) {
        Node::transfer(self, to);
    }

    fn step_towards(&self, voters: Vec<NodeId>) -> BoxFuture<'_, Option<bool>> {
        Box::pin(async move { Node::step_towards(self, &voters).await.ok() })
    }

    fn read(&self) -> BoxFuture<'_, Option<Index>> {
        Box::pin(async move { Node::read(self).await.ok() })
    }
}

/// What a node delivers, as the laboratory's service takes it.
struct Deliveries(Node);

impl Stream for Deliveries {
    type Item = ApplyMsg;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ApplyMsg>> {
        self.0.poll_deliver(context).map(|delivery| {
            Some(match delivery {
                Delivery::Entry(Entry { id: EntryId { term, index }, payload: Payload::Command(command) }) => {
                    ApplyMsg::Command { index, term: Some(term), command }
                }
                Delivery::Entry(Entry {
                    id: EntryId { term, index },
                    payload: Payload::Membership(membership),
                }) => ApplyMsg::Membership { index, term: Some(term), members: membership.into() },
                Delivery::Entry(Entry { id: EntryId { term, index }, payload: Payload::Noop }) => {
                    ApplyMsg::Noop { index, term: Some(term) }
                }
                Delivery::Snapshot { meta, content } => ApplyMsg::Snapshot { index: meta.last.index, content },
            })
        })
    }
}

// --- what a disk means

fn saved_on(node: NodeId, disk: &dyn Directory) -> Result<Saved, String> {
    let records = persister::recover(disk, &identity(node)).map_err(|refused| refused.to_string())?;
    let records = records.unwrap_or_default();
    Saved::recover(records.iter()).map_err(|unreadable| unreadable.to_string())
}

fn recovered(node: NodeId, saved: Saved, disk: &dyn Directory) -> Result<Recovered, String> {
    let snapshot = match saved.snapshot {
        Some(meta) => {
            let id = storage::snapshot_id(meta.last);
            let content =
                persister::read_snapshot(disk, id, &identity(node)).map_err(|refused| refused.to_string())?;
            Some((meta.last.index, meta.last.term, content.into()))
        }
        None => None,
    };
    let entries = saved.entries.into_iter().map(|entry| (entry.id.index, entry.id.term, content(entry.payload)));
    Ok(Recovered { term: saved.hard.term, vote: saved.hard.vote, snapshot, entries: entries.collect() })
}

fn content(payload: Payload) -> Content {
    match payload {
        Payload::Noop => Content::Noop,
        Payload::Command(command) => Content::Command(command),
        Payload::Membership(membership) => Content::Membership(Box::new(membership.into())),
    }
}

/// Follows the log of one server as it grows.
struct Tailing {
    system: Arc<ShardlabRaft>,
    node: NodeId,
    /// The log that is being followed, and how far.
    file: String,
    tail: Tail,
    /// What all records so far say.
    state: Recovered,
}

impl Tailing {
    /// Begins anew: another log, or who knows what.
    fn reread(&mut self, disk: &DiskView<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String> {
        let found = self.system.recover(self.node, disk)?;
        difference(&self.state, &found, facts);
        self.state = found;
        let (file, salt) = persister::current_log(disk).unwrap_or_default();
        self.tail = Tail::new(salt);
        if let Some(bytes) = disk.read(&file) {
            while self.tail.next(&bytes).is_some() {}
        }
        self.file = file;
        Ok(())
    }

    fn replay(
        &mut self,
        record: storage::Record,
        disk: &DiskView<'_>,
        facts: &mut Vec<DiskFact>,
    ) -> Result<(), String> {
        let from = facts.len();
        match record {
            storage::Record::Hard(hard) => facts.push(DiskFact::Hard { term: hard.term, vote: hard.vote }),
            storage::Record::Cut(after) => facts.push(DiskFact::Cut { from: after.next() }),
            storage::Record::Entry(entry) => {
                let (index, term) = (entry.id.index, entry.id.term);
                if index <= self.state.last().0 {
                    facts.push(DiskFact::Cut { from: index });
                }
                facts.push(DiskFact::Entry { index, term, content: content(entry.payload) });
            }
            storage::Record::Snapshot(meta) => {
                let content = persister::read_snapshot(disk, storage::snapshot_id(meta.last), &identity(self.node));
                let content = content.map_err(|refused| refused.to_string())?.into();
                facts.push(DiskFact::Snapshot { index: meta.last.index, term: meta.last.term, content });
            }
        }
        facts[from..].iter().for_each(|fact| self.state.take_in(fact));
        Ok(())
    }
}

impl Follow for Tailing {
    fn changed(&mut self, disk: &DiskView<'_>, what: Change<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String> {
        match what {
            Change::File(file) if file == self.file => {
                let bytes = disk.read(&self.file).unwrap_or_default();
                while let Some(record) = self.tail.next(&bytes) {
                    let record = storage::decode(record).map_err(|unreadable| unreadable.to_string())?;
                    self.replay(record, disk, facts)?;
                }
                Ok(())
            }
            Change::File(_) => Ok(()),
            // Names of snapshots matter when a record names them.
            Change::Names if persister::current_log(disk).is_some_and(|(file, _)| file == self.file) => Ok(()),
            Change::Names | Change::Everything => self.reread(disk, facts),
        }
    }
}

// --- what messages say

/// The head of an append: all of it but its entries, of which only the number is read.
#[derive(Deserialize)]
struct AppendHead {
    _variant: u32,
    term: Term,
    prev: EntryId,
    commit: Index,
    _round: u64,
    entries: u64,
}

/// The head of a snapshot's piece.
#[derive(Deserialize)]
struct InstallHead {
    _variant: u32,
    term: Term,
    snapshot: super::types::SnapshotMeta,
    offset: u64,
    _done: bool,
    bytes: u64,
}

fn explain(kind: Kind, body: &[u8]) -> Option<WireFacts> {
    // These two may be long; only their heads are read.
    if kind == kind::APPEND {
        let head: AppendHead = labgob::decode_prefix(body).ok()?;
        let prev = (head.prev.index, head.prev.term);
        return Some(WireFacts::Append { term: head.term, prev, entries: head.entries, commit: head.commit });
    }
    if kind == kind::INSTALL {
        let head: InstallHead = labgob::decode_prefix(body).ok()?;
        let last = (head.snapshot.last.index, head.snapshot.last.term);
        return Some(WireFacts::Install { term: head.term, last, piece: (head.offset, head.bytes) });
    }
    Some(match labgob::decode::<Message>(body).ok()? {
        Message::PreVote(PreVote { term, last }) => {
            WireFacts::VoteRequest { term, last: (last.index, last.term), pre: true }
        }
        Message::RequestVote(RequestVote { term, last, .. }) => {
            WireFacts::VoteRequest { term, last: (last.index, last.term), pre: false }
        }
        Message::PreVoteReply(PreVoteReply { term, granted }) => WireFacts::VoteReply { term, granted, pre: true },
        Message::VoteReply(VoteReply { term, granted }) => WireFacts::VoteReply { term, granted, pre: false },
        Message::AppendReply(AppendReply { term, outcome, .. }) => {
            let matched = match outcome {
                Outcome::Accepted { matched } => Some(matched),
                _ => None,
            };
            WireFacts::AppendReply { term, matched }
        }
        Message::InstallReply(InstallReply { term, snapshot, done, .. }) => {
            WireFacts::InstallReply { term, matched: done.then_some(snapshot.index) }
        }
        Message::TimeoutNow(TimeoutNow { term }) => WireFacts::Other { term },
        Message::Append(_) | Message::Install(Install { .. }) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::message::Append;
    use crate::raft::types::{Membership, SnapshotMeta};

    #[test]
    fn heads_of_long_messages_are_read_without_their_payload() {
        let id = |term, index| EntryId::new(Term(term), Index(index));
        let entry = Entry { id: id(3, 8), payload: Payload::Command(vec![7; 300].into()) };
        let append = Message::Append(Append {
            term: Term(3),
            prev: id(2, 7),
            commit: Index(6),
            round: 5,
            entries: vec![entry.clone(), entry],
        });
        let facts = WireFacts::Append { term: Term(3), prev: (Index(7), Term(2)), entries: 2, commit: Index(6) };
        assert_eq!(explain(append.kind(), &labgob::encode(&append).unwrap()), Some(facts));
        let install = Message::Install(Install {
            term: Term(3),
            snapshot: SnapshotMeta { last: id(2, 7), membership: Membership::of([NodeId(1), NodeId(2)]) },
            offset: 100,
            done: true,
            data: vec![1; 77].into(),
        });
        let facts = WireFacts::Install { term: Term(3), last: (Index(7), Term(2)), piece: (100, 77) };
        assert_eq!(explain(install.kind(), &labgob::encode(&install).unwrap()), Some(facts));
    }
}
