//! What the oracle knows of a group: for each server its durable image, its memory as far as it tells, and what it
//! has applied; and for all of them what is committed and who has led.
//!
//! None of this is visible to the servers. The durable image comes from the synced bytes of the simulated disk
//! and never from what the server says.

use super::fact::Fact;
use super::log::{LogView, command_hash, extend_chain, hash_of};
use super::memberships::{Electorate, Memberships};
use crate::raft::{DiskFact, Summary, WireFacts};
use labrpc::sim::{NodeSet, Stamp};
use labrpc::{Content, Event, Index, NodeId, Role, Term, Time};
use std::collections::BTreeMap;

/// What is durable on a server's disk.
#[derive(Clone, Debug)]
pub struct Durable {
    /// Current term.
    pub term: Term,
    /// Vote in that term.
    pub vote: Option<NodeId>,
    /// The log; its base is the end of the snapshot.
    pub log: LogView,
}

/// What a server has said of its memory in this boot.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Current term.
    pub term: Term,
    /// Vote in that term.
    pub vote: Option<NodeId>,
    /// The part it plays.
    pub role: Role,
    /// The log; its base is the end of the snapshot.
    pub log: LogView,
    /// Commit index.
    pub commit: Index,
    /// As a leader: what it knows of followers (match index, next index).
    pub progress: BTreeMap<NodeId, (Index, Index)>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// It runs.
    pub up: bool,
    /// What is on its disk.
    pub durable: Durable,
    /// What it says of its memory; none if it has not said anything in this boot.
    pub memory: Option<Memory>,
    /// The highest entry that it acknowledged, in this boot or before, and to the leader of which term.
    pub acked: (Term, Index),
    /// The highest entry that its service has applied in this boot.
    pub applied: Index,
    /// Whether its service has begun: nothing applied is not the same as nothing there.
    pub applied_any: bool,
}

/// A committed entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Its term, if known.
    pub term: Option<Term>,
    /// The hash of what it carries.
    pub hash: u64,
    /// The hash of the log up to it, if all terms up to it are known.
    pub chain: Option<u64>,
    /// In this term or an earlier one it was committed: the term of whoever said so first. Rises along the log.
    pub by_term: Term,
    /// The service's digest after it.
    pub digest: u64,
    /// When it was first seen to be committed.
    pub since: Time,
}

/// Everything that the oracle of a group knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// When the fact at hand happened.
    pub stamp: Stamp,
    /// Nodes up to this one are none of these servers.
    before: u32,
    /// The servers, in the order of their numbers; the first is nobody.
    servers: Vec<Server>,
    /// What is committed, entry 1 first.
    committed: Vec<Committed>,
    /// Who has led each term, as far as it was said.
    pub leaders: BTreeMap<Term, NodeId>,
    /// Whether the implementation says what happens to it.
    pub emits: bool,
    /// Whether the servers have a state machine of their own.
    pub own_state: bool,
    /// Of those that have: the digest of the state at each index, as the first of them had it.
    states: BTreeMap<Index, u64>,
    /// Who belonged to the cluster when.
    memberships: Memberships,
}

/// The digest of a service that has applied nothing.
pub const EMPTY_DIGEST: u64 = 0;

/// The laboratory's service in one line: its whole state is a digest of the commands in their order. `hash` is
/// that of the entry; entries without a command change nothing.
pub fn extend_digest(digest: u64, hash: u64) -> u64 {
    if hash == hash_of(&labrpc::Content::Noop) { digest } else { extend_chain(digest, Term(0), hash) }
}

impl Known {
    /// A cluster of servers 1 to `servers`, with empty disks.
    pub fn new(servers: u32) -> Known {
        Known::of_group(NodeId(1), servers)
    }

    /// A group of so many servers, with empty disks. All belong to the cluster.
    pub fn of_group(first: NodeId, servers: u32) -> Known {
        let all = (first.0..first.0 + servers).map(NodeId).collect();
        Known::with_voters(first, servers, all)
    }

    /// A group of so many servers, with empty disks, of which these belong to the cluster.
    pub fn with_voters(first: NodeId, servers: u32, voters: NodeSet) -> Known {
        let durable = Durable { term: Term(0), vote: None, log: LogView::new() };
        let acked = (Term(0), Index(0));
        let server = Server { up: false, durable, memory: None, acked, applied: Index(0), applied_any: false };
        Known {
            stamp: Stamp { at: Time::ZERO, nth: 0 },
            before: first.0 - 1,
            servers: vec![server; servers as usize + 1],
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            emits: false,
            own_state: false,
            states: BTreeMap::new(),
            memberships: Memberships::new(voters),
        }
    }

    /// The digest of the servers' own state after the entry at `index`, as the first had it that came there.
    pub fn state(&self, index: Index) -> Option<u64> {
        self.states.get(&index).copied()
    }

    /// Who belongs to the cluster by what is committed.
    pub fn electorate(&self) -> &Electorate {
        self.memberships.committed()
    }

    /// Who belongs to the cluster as a server has it: by the latest membership in its log, committed or not, or else by what
    /// was committed up to its snapshot (thesis 4.1). Of one that says nothing of its memory: by what is on its disk.
    pub fn electorate_of(&self, node: NodeId) -> Electorate {
        let server = self.server(node);
        self.memberships.in_force(node, server.memory.as_ref().map_or(&server.durable.log, |memory| &memory.log))
    }

    /// Where a server stands. Of nodes in front of the group: nowhere.
    fn slot(&self, node: NodeId) -> usize {
        node.0.wrapping_sub(self.before) as usize
    }

    fn server_mut(&mut self, node: NodeId) -> &mut Server {
        let slot = self.slot(node);
        &mut self.servers[slot]
    }

    /// Whether the node is one of the servers.
    pub fn is_server(&self, node: NodeId) -> bool {
        node.0 > self.before && self.slot(node) < self.servers.len()
    }

    /// One server.
    pub fn server(&self, node: NodeId) -> &Server {
        &self.servers[self.slot(node)]
    }

    /// The memory of a server, if it has said anything in this boot.
    pub fn memory(&self, node: NodeId) -> Option<&Memory> {
        // A client has none that anybody looks into.
        self.servers.get(self.slot(node))?.memory.as_ref()
    }

    /// What is durable on a server's disk, in short.
    pub fn summary(&self, node: NodeId) -> Summary {
        let Durable { term, vote, log } = &self.server(node).durable;
        let snapshot = (log.base, log.base_term);
        Summary { term: *term, vote: *vote, snapshot, last: (log.last(), log.last_term()) }
    }

    /// All servers.
    pub fn servers(&self) -> impl Iterator<Item = (NodeId, &Server)> {
        let before = self.before;
        self.servers.iter().enumerate().skip(1).map(move |(slot, server)| (NodeId(before + slot as u32), server))
    }

    /// The same, as a set.
    pub fn all(&self) -> NodeSet {
        self.who(|_| true)
    }

    /// The last entry known to be committed.
    pub fn commit(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// The committed entry at `index`.
    pub fn committed(&self, index: Index) -> Option<&Committed> {
        self.committed.get(index.0.checked_sub(1)? as usize)
    }

    /// The last entry that was surely committed in a term before this one.
    pub fn committed_before(&self, term: Term) -> Index {
        Index(self.committed.partition_point(|entry| entry.by_term < term) as u64)
    }

    /// The hash of the committed log up to `index`.
    pub fn committed_chain(&self, index: Index) -> Option<u64> {
        if index == Index(0) { Some(super::log::EMPTY_CHAIN) } else { self.committed(index)?.chain }
    }

    /// The service's digest after the committed entry at `index`.
    pub fn committed_digest(&self, index: Index) -> Option<u64> {
        if index == Index(0) { Some(EMPTY_DIGEST) } else { self.committed(index).map(|entry| entry.digest) }
    }

    /// On whose durable images the entry of that term stands at `index`, snapshots included.
    pub fn durable_copies(&self, index: Index, term: Term, hash: u64) -> NodeSet {
        self.who(|server| server.durable.log.has(index, term, hash))
    }

    /// The same without those that have cut it in their memory: it is as good as gone from their disks.
    pub fn lasting_copies(&self, index: Index, term: Term, hash: u64) -> NodeSet {
        self.who(|server| {
            let memory = server.memory.as_ref();
            server.durable.log.has(index, term, hash)
                && memory.is_none_or(|memory| memory.log.has(index, term, hash))
        })
    }

    /// The servers of which that is so.
    pub fn who(&self, is: impl Fn(&Server) -> bool) -> NodeSet {
        self.servers().filter(|(_, server)| is(server)).map(|(node, _)| node).collect()
    }

    /// Takes the fact in. Called after the invariants have looked at it with what was known before.
    pub fn learn(&mut self, fact: &Fact<'_>) {
        match *fact {
            Fact::Emitted { node, event } => self.learn_event(node, event),
            Fact::Durable { node, fact } => self.learn_durable(node, fact),
            Fact::Sent { packet, wire: Some(WireFacts::AppendReply { term, matched: Some(matched) }) }
            | Fact::Sent { packet, wire: Some(WireFacts::InstallReply { term, matched: Some(matched) }) } => {
                let server = self.server_mut(packet.from);
                server.acked = server.acked.max((*term, *matched));
            }
            Fact::Applied { node, index, term, hash } => self.learn_applied(node, index, term, hash),
            Fact::Restored { node, index, .. } => {
                let server = self.server_mut(node);
                (server.applied, server.applied_any) = (index, true);
            }
            Fact::State { index, digest, .. } => _ = self.states.entry(index).or_insert(digest),
            Fact::Booting { node, .. } => {
                let server = self.server_mut(node);
                (server.up, server.memory) = (true, None);
                (server.applied, server.applied_any) = (Index(0), false);
            }
            Fact::Crashed { node } => {
                let server = self.server_mut(node);
                (server.up, server.memory) = (false, None);
            }
            _ => {}
        }
    }

    fn learn_event(&mut self, node: NodeId, event: &Event) {
        // A disk that fails makes the environment say so, whatever the implementation tells of itself.
        self.emits |= !matches!(event, Event::Halted { .. });
        if let Event::Recovered { term, vote, snapshot, .. } = event {
            // What it goes on with is what is on its disk; the invariant of recovery has checked that.
            let server = self.server_mut(node);
            server.memory = Some(Memory {
                term: *term,
                vote: *vote,
                role: Role::Follower,
                log: server.durable.log.clone(),
                commit: snapshot.0,
                progress: BTreeMap::new(),
            });
            return;
        }
        if let Event::Committed { index } = event {
            self.learn_committed(node, *index);
        }
        let chain = match event {
            Event::Compacted { index, .. } | Event::Installed { index, .. } => self.committed_chain(*index),
            _ => None,
        };
        let changes = matches!(event, Event::Appended { content: Content::Membership(_), .. });
        let before = if changes { self.electorate_of(node).members } else { NodeSet::NONE };
        let Some(memory) = &mut self.server_mut(node).memory else { return };
        match event {
            Event::Term { term, vote } => (memory.term, memory.vote) = (*term, *vote),
            Event::Role { role, term } => {
                memory.role = *role;
                if *role == Role::Leader {
                    memory.progress.clear();
                    self.leaders.entry(*term).or_insert(node);
                }
            }
            Event::Appended { term, content, .. } => {
                memory.log.push_content(*term, content);
                if let Content::Membership(members) = content {
                    // Of one that is new, or comes back, a leader begins to measure anew.
                    let is_new = |node: &NodeId| members.learners.contains(node) && !before.contains(*node);
                    memory.progress.retain(|peer, _| !is_new(peer));
                }
            }
            Event::Truncated { from } => memory.log.cut(*from),
            Event::Progress { peer, matched, next } => {
                memory.progress.insert(*peer, (*matched, *next));
            }
            Event::Committed { index } => memory.commit = *index,
            Event::Compacted { index, term } | Event::Installed { index, term, .. } => {
                memory.log.cover(*index, *term, chain);
                memory.commit = memory.commit.max(*index);
            }
            _ => {}
        }
    }

    fn learn_durable(&mut self, node: NodeId, fact: &DiskFact) {
        let chain = match fact {
            DiskFact::Snapshot { index, .. } => self.committed_chain(*index),
            _ => None,
        };
        let durable = &mut self.server_mut(node).durable;
        match fact {
            DiskFact::Hard { term, vote } => (durable.term, durable.vote) = (*term, *vote),
            DiskFact::Cut { from } => durable.log.cut(*from),
            DiskFact::Entry { term, content, .. } => durable.log.push_content(*term, content),
            DiskFact::Snapshot { index, term, .. } => durable.log.cover(*index, *term, chain),
        }
    }

    fn learn_committed(&mut self, node: NodeId, index: Index) {
        while self.commit() < index {
            let next = self.commit().next();
            let Some(memory) = self.memory(node) else { return };
            let (by_term, Some(item)) = (memory.term, memory.log.get(next)) else { return };
            let members = memory.log.membership_at(next).cloned();
            self.commit_next(Some(item.term), item.hash, by_term);
            members.iter().for_each(|members| self.memberships.commit(next, members));
        }
    }

    fn learn_applied(&mut self, node: NodeId, index: Index, term: Option<Term>, hash: u64) {
        let server = self.server_mut(node);
        (server.applied, server.applied_any) = (index, true);
        if index == self.commit().next() {
            let on_disk = self.server(node).durable.log.get(index).filter(|item| item.hash == hash);
            // Whoever committed it led a term that was on its disk by then.
            let by_term = self.servers().map(|(_, server)| server.durable.term).max().unwrap_or(Term(0));
            let members = on_disk.and_then(|_| self.server(node).durable.log.membership_at(index)).cloned();
            self.commit_next(term.or(on_disk.map(|item| item.term)), hash, by_term);
            members.iter().for_each(|members| self.memberships.commit(index, members));
        }
    }

    fn commit_next(&mut self, term: Option<Term>, hash: u64, by_term: Term) {
        let last = self.commit();
        let by_term = self.committed.last().map_or(by_term, |last| last.by_term.max(by_term));
        let digest = self.committed_digest(last).expect("the last one is known");
        let chain = self.committed_chain(last).zip(term).map(|(chain, term)| extend_chain(chain, term, hash));
        let since = self.stamp.at;
        self.committed.push(Committed { term, hash, chain, by_term, digest: extend_digest(digest, hash), since });
    }
}

/// The content of a snapshot that the laboratory's service makes.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ServiceSnapshot {
    /// The last entry that is in it.
    pub index: Index,
    /// The service's whole state: a digest of the commands in their order.
    pub digest: u64,
    /// Ballast, so that a snapshot can be as large as a plan wants it.
    pub ballast: bytes::Bytes,
}

/// The hash under which a command is known.
pub fn hash_of_command(command: &[u8]) -> u64 {
    command_hash(command)
}
