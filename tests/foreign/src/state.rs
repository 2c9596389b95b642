//! The state of Figure 2, and what changes it from within: time, commands, the disk and the service.

use crate::bug::Bug;
use crate::log::Log;
use crate::message::Entry;
use bytes::Bytes;
use futures::channel::mpsc;
use labrpc::{Index, NodeId, Request, Rng, Term, Time};
use serde::{Deserialize, Serialize};
use sim::raft::ApplyMsg;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a server is told when it starts.
pub struct Config {
    pub me: NodeId,
    /// How many servers there are.
    pub servers: usize,
    /// An election timeout is drawn between the two.
    pub election: (Duration, Duration),
    pub heartbeat: Duration,
    pub bug: Option<Bug>,
}

/// What is on the disk beside the snapshot (Figure 2, persistent state; the log says where the snapshot ends).
#[derive(Default, Serialize, Deserialize)]
pub struct Persistent {
    pub term: Term,
    pub vote: Option<NodeId>,
    pub log: Log,
}

/// What to put on the disk.
pub struct Save {
    change: u64,
    pub state: Vec<u8>,
    pub snapshot: Option<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

/// Wakes a task. Rung twice before the task looks, it has rung once.
pub struct Bell(mpsc::Sender<()>);

impl Bell {
    pub fn new() -> (Bell, mpsc::Receiver<()>) {
        // Each sender has room for one, whatever the channel has.
        let (sender, receiver) = mpsc::channel(0);
        (Bell(sender), receiver)
    }

    pub fn ring(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// What a candidate or a leader knows of another server.
pub struct Peer {
    /// Figure 2: nextIndex and matchIndex.
    pub next: Index,
    pub matched: Index,
    /// The commit index that it was told last.
    pub told: Index,
    /// It has not answered since it was asked last.
    pub unanswered: bool,
    /// It is asked again then, answer or not.
    pub beat: Time,
    /// No snapshot is sent to it before that.
    pub install_at: Time,
    pub bell: Bell,
}

impl Peer {
    pub fn new(bell: Bell) -> Peer {
        let (next, none) = (Index(1), Index(0));
        Peer { next, matched: none, told: none, unanswered: false, beat: Time::ZERO, install_at: Time::ZERO, bell }
    }

    fn begin(&mut self, next: Index) {
        (self.next, self.matched, self.told) = (next, Index(0), Index(0));
        (self.unanswered, self.beat, self.install_at) = (false, Time::ZERO, Time::ZERO);
        self.bell.ring();
    }
}

/// One server.
pub struct State {
    pub config: Config,
    rng: Rng,
    // Persistent on all servers. Whoever changes one of these calls `changed`.
    pub term: Term,
    pub vote: Option<NodeId>,
    pub log: Log,
    pub snapshot: Bytes,
    // Changes of the above so far, how many of them are on the disk, and whether the snapshot is.
    changes: u64,
    saved: u64,
    snapshot_is_saved: bool,
    /// Answers that wait for so many changes to be on the disk, in that order.
    promises: Vec<(u64, Request, Bytes)>,
    // Volatile on all servers.
    pub role: Role,
    /// An election begins then.
    deadline: Time,
    pub commit: Index,
    /// The last entry that was handed to the service. Figure 2 calls it lastApplied.
    delivered: Index,
    /// The service must be given the snapshot first.
    pub restore: bool,
    // Volatile on candidates: the change that began the campaign, and who has voted for us.
    campaign: u64,
    pub votes: BTreeSet<NodeId>,
    // Volatile on leaders.
    pub peers: BTreeMap<NodeId, Peer>,
    saver: Bell,
    applier: Bell,
}

impl State {
    /// A server that starts from its disk.
    pub fn new(
        config: Config,
        (disk, snapshot): (Persistent, Bytes),
        (rng, now): (Rng, Time),
        peers: BTreeMap<NodeId, Peer>,
        (saver, mut applier): (Bell, Bell),
    ) -> State {
        let Persistent { term, vote, mut log } = disk;
        // What was read is on the disk.
        log.begin_save();
        log.end_save();
        let base = log.base().0;
        applier.ring();
        let mut state = State {
            config,
            rng,
            term,
            vote,
            log,
            snapshot,
            changes: 0,
            saved: 0,
            snapshot_is_saved: true,
            promises: Vec::new(),
            role: Role::Follower,
            deadline: now,
            commit: base,
            delivered: Index(0),
            restore: base > Index(0),
            campaign: 0,
            votes: BTreeSet::new(),
            peers,
            saver,
            applier,
        };
        state.reset_timer(now);
        state
    }

    pub fn majority(&self) -> usize {
        self.config.servers / 2 + 1
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    /// Something persistent has changed.
    pub fn changed(&mut self) {
        self.changes += 1;
        self.saver.ring();
    }

    fn ring_peers(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.bell.ring());
    }

    /// Figure 2, all servers: whoever sees a later term is a follower in it.
    pub fn observe(&mut self, term: Term) {
        if term > self.term {
            (self.term, self.vote, self.role) = (term, None, Role::Follower);
            self.changed();
        }
    }

    /// Commands from clients (Figure 2, leaders).
    pub fn start(&mut self, command: Bytes) -> Option<(Index, Term)> {
        if self.role != Role::Leader {
            return None;
        }
        self.log.push(Entry { term: self.term, command });
        self.changed();
        self.ring_peers();
        Some((self.log.last(), self.term))
    }

    // --- time

    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Randomized, so that split votes are rare (§5.2).
    pub fn reset_timer(&mut self, now: Time) {
        let (min, max) = self.config.election;
        self.deadline = now + self.rng.between(min, max);
    }

    /// The election timeout may have elapsed (Figure 2, followers and candidates).
    pub fn tick(&mut self, now: Time) {
        if now < self.deadline {
            return;
        }
        self.reset_timer(now);
        if self.role == Role::Leader {
            return;
        }
        (self.term, self.vote, self.role) = (self.term.next(), Some(self.config.me), Role::Candidate);
        self.votes.clear();
        self.changed();
        self.campaign = self.changes;
    }

    /// Whether term and vote of the campaign are on the disk. Nobody is asked before, and our own vote does not
    /// count before.
    pub fn may_campaign(&self) -> bool {
        self.role == Role::Candidate && self.saved >= self.campaign
    }

    /// Figure 2, candidates: with the votes of a majority, lead.
    pub fn count_votes(&mut self) {
        if self.role == Role::Candidate && self.votes.len() >= self.majority() {
            self.role = Role::Leader;
            let next = self.log.last().next();
            self.peers.values_mut().for_each(|peer| peer.begin(next));
        }
    }

    /// Figure 2, leaders, last rule: an entry of the current term that a majority has is committed, and with it
    /// all in front of it (§5.3, §5.4.2). Our own copy counts as far as it is on the disk.
    pub fn count_copies(&mut self) {
        if self.role != Role::Leader {
            return;
        }
        let mut copies: Vec<Index> = self.peers.values().map(|peer| peer.matched).collect();
        copies.push(self.log.stable());
        copies.sort_unstable_by(|one, other| other.cmp(one));
        let index = copies[self.majority() - 1];
        if index > self.commit && self.log.term_at(index) == Some(self.term) {
            self.commit_to(index);
            self.ring_peers();
        }
    }

    pub fn commit_to(&mut self, index: Index) {
        self.commit = self.commit.max(index);
        self.applier.ring();
    }

    // --- the disk

    /// What is not on the disk yet.
    pub fn begin_save(&mut self) -> Option<Save> {
        if self.saved == self.changes {
            return None;
        }
        self.log.begin_save();
        let is_new = !std::mem::replace(&mut self.snapshot_is_saved, true);
        // A `Persistent`, without copying the log for it.
        let state = labgob::encode(&(self.term, self.vote, &self.log)).expect("a log far below the codec's limit");
        Some(Save { change: self.changes, state, snapshot: is_new.then(|| self.snapshot.clone()) })
    }

    /// It is on the disk. Returns the answers that waited for it.
    pub fn end_save(&mut self, save: &Save) -> Vec<(Request, Bytes)> {
        self.saved = save.change;
        self.log.end_save();
        self.applier.ring();
        if self.may_campaign() {
            let is_first = self.votes.insert(self.config.me);
            self.peers.values_mut().filter(|_| is_first).for_each(|peer| peer.begin(Index(1)));
            self.count_votes();
        }
        self.count_copies();
        let kept = self.promises.iter().position(|(change, _, _)| *change > self.saved);
        let kept = kept.unwrap_or(self.promises.len());
        self.promises.drain(..kept).map(|(_, request, body)| (request, body)).collect()
    }

    /// Figure 2: updated on stable storage before responding. Returns what may leave at once.
    pub fn promise(&mut self, request: Request, body: Bytes) -> Option<(Request, Bytes)> {
        if self.saved == self.changes || self.has(Bug::AnswersBeforeDurable) {
            return Some((request, body));
        }
        self.promises.push((self.changes, request, body));
        None
    }

    // --- the service

    /// What the service must do next (Figure 2, all servers): what is committed, and on our own disk.
    pub fn deliver(&mut self) -> Option<ApplyMsg> {
        if std::mem::take(&mut self.restore) {
            self.delivered = self.log.base().0;
            return Some(ApplyMsg::Snapshot { index: self.delivered, content: self.snapshot.clone() });
        }
        let index = self.delivered.next();
        if index > self.commit.min(self.log.stable()) {
            return None;
        }
        let Entry { term, command } = self.log.get(index)?.clone();
        self.delivered = index;
        Some(ApplyMsg::Command { index, term: Some(term), command })
    }

    /// The service's state at `index` (§7). A snapshot from the leader may have overtaken it.
    pub fn compact(&mut self, index: Index, content: Bytes) {
        if index <= self.log.base().0 || index > self.delivered {
            return;
        }
        let term = self.log.term_at(index).expect("what was delivered is in the log or in the snapshot");
        self.cover(index, term, content);
    }

    /// A snapshot stands for everything up to `index`.
    pub fn cover(&mut self, index: Index, term: Term, content: Bytes) {
        self.log.cover(index, term);
        (self.snapshot, self.snapshot_is_saved) = (content, false);
        self.changed();
    }
}
