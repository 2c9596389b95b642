//! What must be done next, and what must wait for the disk.
//!
//! *Persist before send* is a type here and not a habit. Whatever promises something (a vote, an
//! acknowledgement, any message of a term) is put into the [`Outbox`] together with what must be durable before
//! it may leave ([`Promise`]). It leaves when that is so, and a caller that forgot to wait does not exist.

use super::log::LogWrite;
use super::membership::ChangeRefused;
use super::message::{AppendReply, Message};
use super::types::{Entry, EntryId, HardState, Index, SnapshotMeta, Term};
use bytes::Bytes;
use labrpc::{Event, NodeId};

/// What must be done now. Everything in it is independent of everything else, except that `events` come first.
#[derive(Debug, Default)]
pub struct Ready {
    /// What has happened, in order. To be said before anything else here is done.
    pub events: Vec<Event>,
    /// What must reach the disk. When it has, [`super::Input::Durable`] says so. At most one is under way.
    pub write: Option<Write>,
    /// What may leave at once.
    pub send: Vec<Outgoing>,
    /// What the service must do, in order.
    pub apply: Vec<Apply>,
    /// Answers to [`super::Input::Read`].
    pub reads: Vec<(u64, Result<Index, Unavailable>)>,
    /// Answers to [`super::Input::Propose`] and [`super::Input::Change`].
    pub proposals: Vec<(u64, Result<EntryId, Unavailable>)>,
    /// Pieces of a snapshot that is being received, to be put aside.
    pub pieces: Vec<Piece>,
}

impl Ready {
    /// Empties it; it keeps its room.
    pub(super) fn clear(&mut self) {
        let Ready { events, write, send, apply, reads, proposals, pieces } = self;
        *write = None;
        events.clear();
        send.clear();
        apply.clear();
        reads.clear();
        proposals.clear();
        pieces.clear();
    }
}

/// Changes that must become durable together, in this order: hard state, snapshot, log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Which write this is; one after the other.
    pub seq: u64,
    /// A snapshot replaces the log in front of it.
    pub snapshot: Option<SnapshotWrite>,
    /// Term and vote.
    pub hard: Option<HardState>,
    /// The log.
    pub log: Option<LogWrite>,
}

/// A snapshot that must become durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotWrite {
    /// What it stands for.
    pub meta: SnapshotMeta,
    /// Where its bytes are.
    pub content: Content,
}

/// Where the bytes of a snapshot are. They never enter the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The service handed them over with its snapshot at this index.
    FromService(Index),
    /// They came piece by piece from a leader.
    Received(EntryId),
}

/// Something to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outgoing {
    /// A message.
    Message {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// A piece of a snapshot, whose bytes are to be put in.
    Piece {
        /// To whom.
        to: NodeId,
        /// The leader's term.
        term: Term,
        /// Of which snapshot.
        snapshot: SnapshotMeta,
        /// From which byte on.
        offset: u64,
        /// At most so many bytes.
        length: u64,
    },
}

/// Something for the service to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Apply {
    /// Apply an entry.
    Entry(Entry),
    /// Replace the whole state by a snapshot's.
    Snapshot(SnapshotMeta),
}

impl Apply {
    /// The index that the service has reached when it has done this.
    pub fn index(&self) -> Index {
        match self {
            Apply::Entry(entry) => entry.id.index,
            Apply::Snapshot(meta) => meta.last.index,
        }
    }
}

/// A piece of a snapshot that was received in its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Of which snapshot. A piece at offset 0 begins it anew.
    pub snapshot: EntryId,
    /// From which byte on.
    pub offset: u64,
    /// Whether it is the last.
    pub done: bool,
    /// The bytes, in passing.
    pub data: Bytes,
}

/// Why a proposal or a read was not accepted. Nothing was changed by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unavailable {
    /// This server does not lead, or ceased to before the read was confirmed.
    #[error("not the leader{}", .0.map(|leader| format!(" ({leader} is)")).unwrap_or_default())]
    NotLeader(Option<NodeId>),
    /// Too much is under way, or leadership is being handed over: try again soon.
    #[error("busy: try again")]
    Busy,
    /// The command is larger than [`crate::raft::MAX_COMMAND`]. It will never be accepted.
    #[error("a command of {0} bytes; at most {most} are accepted", most = super::config::MAX_COMMAND)]
    TooLarge(usize),
    /// The leader does not begin that change of the membership, or not yet.
    #[error(transparent)]
    Change(#[from] ChangeRefused),
    /// A leader without an entry of its own term cannot confirm reads, and the no-op that gives it one is
    /// switched off: read through the log.
    #[error("no entry of this term is committed yet: read through the log")]
    NoEntryOfTerm,
}

/// What must be durable before a message may leave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    /// Its sender's term.
    pub term: Term,
    /// A vote in that term.
    pub vote: Option<NodeId>,
    /// The log up to here.
    pub entries: Index,
}

impl Promise {
    /// Whether this on the disk is what was promised.
    fn is_kept(&self, durable: HardState, log: Index) -> bool {
        let HardState { term, vote } = durable;
        // Of a later term on the disk, nothing remains of a vote in an earlier one; nor need it.
        let voted = self.vote.is_none() || term > self.term || vote == self.vote;
        term >= self.term && voted && log >= self.entries
    }
}

/// Messages, gated by what they promise.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Term and vote on the disk.
    durable: HardState,
    /// May leave.
    open: Vec<Outgoing>,
    /// Waits for the disk.
    gated: Vec<(Promise, NodeId, Message)>,
}

impl Outbox {
    pub fn new(durable: HardState) -> Outbox {
        Outbox { durable, ..Outbox::default() }
    }

    /// Sends what promises nothing.
    pub fn send_now(&mut self, to: NodeId, message: Message) {
        self.open.push(Outgoing::Message { to, message });
    }

    /// Asks the driver to send a piece of a snapshot.
    pub fn send_piece(&mut self, piece: Outgoing) {
        self.open.push(piece);
    }

    /// Sends a message as soon as what it promises is durable.
    pub fn send_after(&mut self, promise: Promise, to: NodeId, message: Message) {
        self.gated.push((promise, to, message));
    }

    /// Term and vote have reached the disk.
    pub fn saved(&mut self, hard: HardState) {
        self.durable = hard;
    }

    /// A new term has begun: what was promised in an older one need not be said any more.
    pub fn drop_gated(&mut self) {
        self.gated.clear();
    }

    /// Sends the acceptance of an append. Behind a slow disk they would pile up; one that the same write
    /// releases stands for those before it that say no more.
    ///
    /// `under_way` is how much of the log the write will have made durable that is under way. What it releases
    /// must not be put off by what came later, or a stream of appends would put it off for ever.
    pub fn accept_after(&mut self, promise: Promise, to: NodeId, reply: AppendReply, under_way: Index) {
        let is_covered = |promise: &Promise| promise.entries <= under_way;
        let replaced = self.gated.iter_mut().rev().find(|(earlier, receiver, message)| {
            let Message::AppendReply(said) = message else { return false };
            *receiver == to && is_covered(earlier) == is_covered(&promise) && reply.says_all_of(said)
        });
        let gated = (promise, to, Message::AppendReply(reply));
        match replaced {
            Some(slot) => *slot = gated,
            None => self.gated.push(gated),
        }
    }

    /// Lets go of what no longer has to wait, given how much of the log is durable. What the server says to
    /// itself (a candidate's own vote) is returned.
    pub fn release(&mut self, me: NodeId, log: Index) -> Vec<Message> {
        let mut to_self = Vec::new();
        let durable = self.durable;
        for (_, to, message) in self.gated.extract_if(.., |(promise, _, _)| promise.is_kept(durable, log)) {
            if to == me { to_self.push(message) } else { self.open.push(Outgoing::Message { to, message }) }
        }
        to_self
    }

    /// What may leave now, in exchange for an empty list.
    pub fn take(&mut self, send: &mut Vec<Outgoing>) {
        std::mem::swap(&mut self.open, send);
    }
}
