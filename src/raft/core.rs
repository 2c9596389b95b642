//! The Raft of one server, as a pure state machine: inputs go in, [`Ready`] comes out.
//!
//! It has no clock, disk, network or thread, and draws its only randomness (election timeouts) from a stream
//! that it is given. Fed the same inputs it does the same things, in a simulator, in a test or on a real
//! machine.
//!
//! The fields follow Figure 2 of the paper. The rules are in the files beside this one: [`super::election`],
//! [`super::replication`], [`super::snapshot`], [`super::reads`], [`super::transfer`] and [`super::membership`]; here are
//! the state, the timers, and what all rules share.

use super::config::Config;
use super::log::Log;
use super::membership::{Change, Memberships};
use super::message::Message;
use super::progress::Progress;
use super::quorum::Quorum;
use super::reads::Reads;
use super::ready::{Apply, Outbox, Piece, Promise, Ready, SnapshotWrite, Unavailable, Write};
use super::snapshot::Incoming;
use super::transfer::Transfer;
use super::types::{Entry, EntryId, HardState, Index, Membership, Payload, Role, Saved, SnapshotMeta, Term};
use bytes::Bytes;
use labrpc::{Content as EventContent, Event, NodeId, Rng, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What can happen to a server.
#[derive(Clone, Debug)]
pub enum Input {
    /// The clock has reached [`Raft::deadline`]. One that comes early does nothing.
    Alarm,
    /// A message has arrived.
    Message {
        /// From whom.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// The service wants a command in the log. Answered in [`Ready::proposals`].
    Propose {
        /// Chosen by the caller, to find the answer.
        id: u64,
        /// The command.
        command: Bytes,
    },
    /// The service wants to read what is committed now, without the log. Answered in [`Ready::reads`].
    Read {
        /// Chosen by the caller, to find the answer.
        id: u64,
    },
    /// The membership shall change by one server. Answered in [`Ready::proposals`].
    Change {
        /// Chosen by the caller, to find the answer.
        id: u64,
        /// How.
        change: Change,
    },
    /// Leadership shall go to another server.
    Transfer {
        /// To whom.
        to: NodeId,
    },
    /// The service has a snapshot of its state at `index`: the log in front of it is not needed any more.
    Compact {
        /// The last entry that the snapshot covers.
        index: Index,
    },
    /// The write of that number is durable, and all before it.
    Durable {
        /// [`Write::seq`].
        seq: u64,
    },
    /// The service has done everything up to there.
    Applied {
        /// The last entry or snapshot.
        index: Index,
    },
}

/// What an observer may know of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// The part it plays.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<NodeId>,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// The last entry known to be committed.
    pub commit: Index,
    /// The last entry that the service has applied.
    pub applied: Index,
    /// The last entry that the latest snapshot covers.
    pub snapshot: EntryId,
    /// The last entry of the log.
    pub last: EntryId,
    /// Up to here the log is durable.
    pub durable: Index,
}

/// A write that is under way: what will be durable when it is done.
#[derive(Debug)]
struct InFlight {
    seq: u64,
    hard: HardState,
    last: EntryId,
    snapshot: Option<SnapshotMeta>,
}

/// The Raft of one server.
#[derive(Debug)]
pub struct Raft {
    pub(super) config: Config,
    pub(super) rng: Rng,
    /// The time of the input that is being handled, by this server's clock.
    pub(super) now: Time,

    // --- persistent state on all servers (Figure 2); what is changed here leaves through `Ready::write`
    pub(super) hard: HardState,
    pub(super) log: Log,
    /// What the latest snapshot stands for. The log may begin in front of its end, never behind it.
    pub(super) snapshot: SnapshotMeta,
    /// What the latest snapshot on the disk stands for: the one that is sent to those who lag.
    pub(super) stored: SnapshotMeta,

    // --- volatile state on all servers
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    /// Highest entry known to be committed. Never falls.
    pub(super) commit: Index,
    /// Highest entry handed to the service; at most `commit`.
    pub(super) handed: Index,
    /// Highest entry that the service has applied; at most `handed`.
    pub(super) applied: Index,
    pub(super) memberships: Memberships,
    pub(super) election_deadline: Time,
    /// When this server started.
    pub(super) started: Time,
    /// When the current leader was last heard of.
    pub(super) leader_heard: Option<Time>,
    /// A snapshot that is being received.
    pub(super) incoming: Option<Incoming>,

    // --- volatile state on candidates
    /// Who has granted a vote, or a pre-vote, for the term in question. By server: a message may come twice.
    pub(super) votes: Vec<NodeId>,
    /// Who has answered at all.
    pub(super) answered: BTreeSet<NodeId>,
    pub(super) retransmit_at: Time,
    /// The election was asked for by the leader.
    pub(super) by_transfer: bool,

    // --- volatile state on leaders, reinitialised after election
    pub(super) progress: BTreeMap<NodeId, Progress>,
    pub(super) heartbeat_due: Time,
    pub(super) quorum_due: Time,
    pub(super) reads: Reads,
    pub(super) transfer: Option<Transfer>,

    // --- what must be done
    pub(super) outbox: Outbox,
    in_flight: Option<InFlight>,
    seq: u64,
    /// Term and vote as the latest write has them.
    written_hard: HardState,
    pub(super) snapshot_write: Option<SnapshotWrite>,
    /// A snapshot that the service has not been given yet.
    pub(super) restore: Option<SnapshotMeta>,

    pub(super) pieces: Vec<Piece>,
    /// Empty lists with room, for the next [`Ready`].
    spare: Option<Box<Ready>>,
    pub(super) answers: Answers,
    pub(super) events: Vec<Event>,
}

/// Answers to proposals and reads that were not handed out yet.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub proposals: Vec<(u64, Result<EntryId, Unavailable>)>,
    pub reads: Vec<(u64, Result<Index, Unavailable>)>,
}

impl Raft {
    /// A server that has just started, with what it found on its disk, all of it durable.
    pub fn new(config: Config, saved: Saved, now: Time, rng: Rng) -> Raft {
        let config = config.within_bounds();
        let snapshot = saved
            .snapshot
            .unwrap_or_else(|| SnapshotMeta { last: EntryId::ZERO, membership: config.membership.clone() });
        let log = Log::restore(snapshot.last, saved.entries);
        let covered = snapshot.last.index;
        let mut raft = Raft {
            rng,
            now,
            hard: saved.hard,
            role: Role::Follower,
            leader: None,
            commit: covered,
            handed: Index(0),
            applied: Index(0),
            memberships: Memberships::new(&snapshot),
            election_deadline: Time::NEVER,
            started: now,
            leader_heard: None,
            incoming: None,
            votes: Vec::new(),
            answered: BTreeSet::new(),
            retransmit_at: Time::NEVER,
            by_transfer: false,
            progress: BTreeMap::new(),
            heartbeat_due: Time::NEVER,
            quorum_due: Time::NEVER,
            reads: Reads::default(),
            transfer: None,
            outbox: Outbox::new(saved.hard),
            in_flight: None,
            seq: 0,
            written_hard: saved.hard,
            snapshot_write: None,
            restore: (covered > Index(0)).then(|| snapshot.clone()),

            pieces: Vec::new(),
            spare: None,
            answers: Answers::default(),
            events: Vec::new(),
            stored: snapshot.clone(),
            snapshot,
            log,
            config,
        };
        raft.log
            .slice(covered.next(), usize::MAX, usize::MAX)
            .iter()
            .for_each(|entry| raft.memberships.take_in(entry));
        raft.reset_election_timer();
        let (snapshot, last) = (raft.snapshot.last, raft.log.last());
        raft.events.push(Event::Recovered {
            term: raft.hard.term,
            vote: raft.hard.vote,
            snapshot: (snapshot.index, snapshot.term),
            last: (last.index, last.term),
        });
        raft
    }

    /// Something has happened. `now` never goes back.
    pub fn step(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Alarm => self.on_alarm(),
            Input::Message { from, message } => self.on_message(from, message),
            Input::Propose { id, command } => self.on_propose(id, command),
            Input::Read { id } => self.on_read(id),
            Input::Change { id, change } => self.on_change(id, change),
            Input::Transfer { to } => self.on_transfer(to),
            Input::Compact { index } => self.on_compact(index),
            Input::Durable { seq } => self.on_durable(seq),
            Input::Applied { index } => self.on_applied(index),
        }
    }

    /// What must be done now. Whoever takes it does it; it is not returned again.
    pub fn ready(&mut self) -> Box<Ready> {
        self.release();
        self.send_what_is_due();
        let mut ready = self.spare.take().unwrap_or_default();
        ready.write = self.take_write();
        self.hand_over(&mut ready.apply);
        self.outbox.take(&mut ready.send);
        std::mem::swap(&mut self.answers.proposals, &mut ready.proposals);
        std::mem::swap(&mut self.answers.reads, &mut ready.reads);
        std::mem::swap(&mut self.pieces, &mut ready.pieces);
        std::mem::swap(&mut self.events, &mut ready.events);
        ready
    }

    /// Takes back what was carried out, for the room that it has.
    pub fn recycle(&mut self, mut done: Box<Ready>) {
        done.clear();
        self.spare = Some(done);
    }

    /// Wake the server with [`Input::Alarm`] no later than this.
    pub fn deadline(&self) -> Time {
        match self.role {
            Role::Leader => {
                let transfer = self.transfer.as_ref().map_or(Time::NEVER, |transfer| transfer.deadline);
                self.heartbeat_due.min(self.quorum_due).min(transfer)
            }
            Role::Candidate => self.election_deadline.min(self.retransmit_at),
            Role::Follower | Role::PreCandidate => self.election_deadline,
        }
    }

    /// Whether something can only go on when the service has applied more: reads, or entries that it has no room
    /// for.
    pub fn waits_for_service(&self) -> bool {
        let full = self.handed.0 >= self.applied.0 + self.config.max_unapplied;
        full || self.reads.wait_for_service()
    }

    /// Everything that must survive a crash, as it stands in memory: what the disk holds when the latest write
    /// is done. For a log that is rewritten.
    pub fn image(&self) -> Saved {
        let behind = self.snapshot.last.index.next();
        let snapshot = (self.snapshot.last.index > Index(0)).then(|| self.snapshot.clone());
        Saved { hard: self.hard, snapshot, entries: self.log.slice(behind, usize::MAX, usize::MAX) }
    }

    /// What an observer may know.
    pub fn view(&self) -> View {
        View {
            role: self.role,
            term: self.hard.term,
            vote: self.hard.vote,
            leader: self.leader,
            commit: self.commit,
            applied: self.applied,
            snapshot: self.snapshot.last,
            last: self.log.last(),
            durable: self.log.durable(),
        }
    }

    /// Snapshots whose bytes are still needed: the latest, the one on the disk, one that waits to be given to the
    /// service, and those on their way to followers.
    pub fn pinned(&self) -> impl Iterator<Item = EntryId> + '_ {
        let restore = self.restore.as_ref().map(|meta| meta.last);
        let own = [self.snapshot.last, self.stored.last].into_iter();
        own.chain(restore).chain(self.pinned_by_followers())
    }

    // --- shared by all rules

    pub(super) fn quorum(&self) -> Quorum<'_> {
        let quorum = Quorum::of(self.membership());
        if super::bugs::bug!(self, LearnersCounted) { quorum.with_learners(self.membership()) } else { quorum }
    }

    /// The membership in force: the latest in the log, committed or not (thesis 4.1).
    pub fn membership(&self) -> &Membership {
        &self.memberships.latest().1
    }

    /// The other members.
    pub(super) fn peers(&self) -> Vec<NodeId> {
        self.membership().members().filter(|&node| node != self.config.me).collect()
    }

    /// Everybody enters a later term as a follower (§5.1). In the same term only the role changes, and the vote
    /// stays: it is for the whole term (§5.2).
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        if term > self.hard.term || super::bugs::bug!(self, VoteClearedSameTerm) {
            self.enter_term(HardState { term, vote: None });
        }
        if self.role == Role::Leader {
            self.step_down(leader);
        }
        self.set_role(Role::Follower);
        self.leader = leader;
    }

    /// A new term, or a vote in this one.
    pub(super) fn enter_term(&mut self, hard: HardState) {
        if hard.term > self.hard.term {
            self.outbox.drop_gated();
        }
        if hard != self.hard {
            self.hard = hard;
            self.events.push(Event::Term { term: hard.term, vote: hard.vote });
        }
    }

    pub(super) fn set_role(&mut self, role: Role) {
        if role != self.role {
            self.role = role;
            self.events.push(Event::Role { role, term: self.hard.term });
        }
    }

    /// What only a leader has is of no use to anyone else. (Progress stays: the next election begins it anew.)
    fn step_down(&mut self, successor: Option<NodeId>) {
        self.transfer = None;
        self.fail_reads(successor);
        self.reset_election_timer();
    }

    pub(super) fn reset_election_timer(&mut self) {
        let (min, max) = self.config.election_timeout;
        self.election_deadline = self.now + self.rng.between(min, max);
    }

    /// The term of the entry at `index`, where the log or the end of its snapshot knows it.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.log.start().index && index > Index(0) && super::bugs::bug!(self, BoundaryTermWrong) {
            return Some(Term(0));
        }
        self.log.term_at(index)
    }

    /// The last entry of the log. If a snapshot covers the whole log, its last entry stands in (§7).
    pub(super) fn last(&self) -> EntryId {
        let index = self.log.last().index;
        EntryId::new(self.term_at(index).expect("the log knows its last term"), index)
    }

    /// A promise of what this server has to say about its term, and nothing else.
    pub(super) fn promise_term(&self) -> Promise {
        Promise { term: self.hard.term, ..Promise::default() }
    }

    /// Puts an entry of this server or of its leader at the end of the log.
    pub(super) fn append(&mut self, entry: Entry) {
        let EntryId { term, index } = entry.id;
        let content = match &entry.payload {
            Payload::Noop => EventContent::Noop,
            Payload::Command(command) => EventContent::Command(command.clone()),
            Payload::Membership(membership) => EventContent::Membership(Box::new(membership.clone().into())),
        };
        self.events.push(Event::Appended { index, term, content });
        self.memberships.take_in(&entry);
        let changes = matches!(entry.payload, Payload::Membership(_));
        self.log.append(entry);
        if changes && self.role == Role::Leader {
            self.follow_members();
        }
    }

    /// Cuts the log; memberships that were behind the cut are not in force any more.
    ///
    /// # Panics
    /// If an entry is cut off that is committed: somebody else broke State Machine Safety, and going on would hide it.
    pub(super) fn truncate(&mut self, from: Index) {
        let planted = cfg!(feature = "zoo") && self.config.bug.is_some();
        assert!(from > self.commit || planted, "{from} is committed here and must not be cut off");
        self.log.truncate(from);
        if !super::bugs::bug!(self, CutMembershipInForce) {
            self.memberships.cut(from);
        }
        self.events.push(Event::Truncated { from });
    }

    fn on_alarm(&mut self) {
        if self.role == Role::Leader {
            return self.on_leader_alarm();
        }
        if self.now >= self.election_deadline {
            self.on_election_timeout();
        } else if self.role == Role::Candidate && self.now >= self.retransmit_at {
            if self.votes.contains(&self.config.me) { self.ask_for_votes() } else { self.retransmit_later() }
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message) {
        if self.is_disruption(&message) {
            let term = message.term().unwrap_or_default();
            return self.events.push(Event::Ignored { from, term });
        }
        // Figure 2, all servers, second rule (§5.1): a later term in any message makes a follower.
        if let Some(term) = message.term()
            && term > self.hard.term
        {
            self.become_follower(term, None);
        }
        match message {
            Message::PreVote(request) => self.on_pre_vote(from, &request),
            Message::PreVoteReply(reply) => self.on_pre_vote_reply(from, &reply),
            Message::RequestVote(request) => self.on_request_vote(from, &request),
            Message::VoteReply(reply) => self.on_vote_reply(from, &reply),
            Message::Append(append) => self.on_append(from, append),
            Message::AppendReply(reply) => self.on_append_reply(from, &reply),
            Message::Install(install) => self.on_install(from, install),
            Message::InstallReply(reply) => self.on_install_reply(from, &reply),
            Message::TimeoutNow(request) => self.on_timeout_now(request.term),
        }
    }

    // --- the disk

    fn take_write(&mut self) -> Option<Write> {
        let dirty = self.hard != self.written_hard || self.log.needs_write() || self.snapshot_write.is_some();
        if self.in_flight.is_some() || !dirty {
            return None;
        }
        self.seq += 1;
        let snapshot = self.snapshot_write.take();
        let hard = (self.hard != self.written_hard).then_some(self.hard);
        self.written_hard = self.hard;
        let log = self.log.take_write();
        self.in_flight = Some(InFlight {
            seq: self.seq,
            hard: self.hard,
            last: self.log.last(),
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.meta.clone()),
        });
        Some(Write { seq: self.seq, snapshot, hard, log })
    }

    fn on_durable(&mut self, seq: u64) {
        let Some(done) = self.in_flight.take_if(|write| write.seq == seq) else { return };
        self.outbox.saved(done.hard);
        if let Some(meta) = done.snapshot {
            self.log.saved_snapshot(meta.last.index);
            self.stored = meta;
            self.compact_log();
        }
        self.log.saved(done.last);
        self.release();
        if self.role == Role::Leader {
            // Its own copy counts from now on.
            self.maybe_commit();
        }
    }

    /// How much of the log is durable when the write that is under way is.
    pub(super) fn under_way(&self) -> Index {
        let last = self.in_flight.as_ref().map_or(Index(0), |write| write.last.index);
        last.max(self.log.durable())
    }

    /// Sends what the disk has caught up with.
    fn release(&mut self) {
        let me = self.config.me;
        for message in self.outbox.release(me, self.log.durable()) {
            self.on_message(me, message);
        }
    }

    // --- the service

    /// Figure 2, all servers, first rule (§5.3): what is committed is applied. Hands it over, in order: an entry only when it is durable here too, and no more at a time
    /// than the service may fall behind.
    fn hand_over(&mut self, apply: &mut Vec<Apply>) {
        // The entries that it covers may all be durable; the snapshot itself may not be.
        if let Some(meta) = self.restore.take_if(|meta| self.stored.last.index >= meta.last.index) {
            self.handed = meta.last.index;
            apply.push(Apply::Snapshot(meta));
        }
        if self.restore.is_some() {
            return;
        }
        let mut until = self.commit.min(self.log.durable());
        if super::bugs::bug!(self, ApplyUncommitted) {
            until = self.log.last().index;
        }
        let room = (self.applied.0 + self.config.max_unapplied).saturating_sub(self.handed.0);
        let count = until.0.saturating_sub(self.handed.0).min(room);
        for entry in self.log.slice(self.handed.next(), count as usize, usize::MAX) {
            self.handed = entry.id.index;
            apply.push(Apply::Entry(entry));
        }
    }

    fn on_applied(&mut self, index: Index) {
        self.applied = self.applied.max(index);
        self.events.push(Event::Applied { index });
        self.answer_reads();
    }
}
