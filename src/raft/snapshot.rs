//! Log compaction and snapshots (§7, Figure 13; thesis 5).
//!
//! The bytes of a snapshot never enter here. The leader asks its driver to send a piece of one, and a follower
//! hands pieces that came in their turn to its own.

use super::bugs::bug;
use super::core::Raft;
use super::message::{Append, Install, InstallReply, Message};
use super::progress::{Mode, Progress};
use super::ready::{Content, Outgoing, Piece, Promise, SnapshotWrite};
use super::types::{EntryId, Index, Role, SnapshotMeta};
use labrpc::{Event, NodeId};

/// Heartbeats without an answer after which a follower is sent the latest snapshot instead of the one that was
/// begun, which no longer keeps the log from being compacted. So many heartbeats long, a follower that is silent
/// holds the log back.
const PATIENCE: u32 = 20;

/// A snapshot that is being received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// The last entry that it covers.
    pub last: EntryId,
    /// Bytes received so far.
    pub received: u64,
}

impl Raft {
    // --- the service's own snapshots

    /// The service has a snapshot of its state at `index` (§7). What is in front of it is not needed any more.
    pub(super) fn on_compact(&mut self, index: Index) {
        // One that is older than what was installed meanwhile is of no use.
        let stale = index <= self.snapshot.last.index;
        if (stale && !bug!(self, OlderLocalSnapshotWins)) || index > self.handed {
            return;
        }
        // In front of the entry that adds it a server does not know who belongs to the cluster, and a snapshot must say that.
        if self.memberships.at(index).voters.is_empty() {
            return;
        }
        let last = match self.log.term_at(index.max(self.snapshot.last.index)) {
            Some(term) => EntryId::new(term, index.max(self.snapshot.last.index)),
            None => return,
        };
        let membership = match bug!(self, MembershipNotInSnapshot) {
            true => self.snapshot.membership.clone(),
            false => self.memberships.at(last.index).clone(),
        };
        self.snapshot = SnapshotMeta { last, membership };
        self.memberships.rebase(&self.snapshot, self.log.last().index);
        self.events.push(Event::Compacted { index: last.index, term: last.term });
        let content = Content::FromService(index);
        self.snapshot_write = Some(SnapshotWrite { meta: self.snapshot.clone(), content });
    }

    /// Forgets what the snapshot on the disk covers, except for what a follower will need that is receiving an
    /// older one or catching up behind it: if the log moved on under it each time, it would never arrive.
    pub(super) fn compact_log(&mut self) {
        let leads = self.role == Role::Leader;
        let patience = self.config.heartbeat * PATIENCE;
        let waits = |progress: &&Progress| leads && self.now < progress.heard + patience;
        let held = self.progress.values().filter(waits).filter_map(Progress::holds_back).min();
        // Within bounds: one that is slower than the others' commands will need a later snapshot after all.
        let last = self.log.last().index.0;
        let held = held.filter(|index| last - index.0.min(last) < self.config.max_uncommitted);
        let index = held.map_or(self.stored.last.index, |held| held.min(self.stored.last.index));
        if let Some(term) = self.log.term_at(index) {
            self.log.compact(EntryId::new(term, index));
        }
    }

    /// Snapshots on their way to followers.
    pub(super) fn pinned_by_followers(&self) -> impl Iterator<Item = EntryId> + '_ {
        let leads = self.role == Role::Leader;
        self.progress.values().filter(move |_| leads).filter_map(Progress::pinned)
    }

    // --- the leader's side

    /// Whether what follows `next.prev()` cannot be sent from the log.
    pub(super) fn lacks_snapshot(&self, next: Index) -> bool {
        next <= self.log.start().index
    }

    /// The follower's next entry is compacted: it gets the snapshot instead.
    pub(super) fn start_snapshot(&mut self, peer: NodeId) {
        if bug!(self, SnapshotNeverSentWhenIdle) && self.log.last() == self.log.start() {
            return;
        }
        let snapshot = self.stored.clone();
        if snapshot.last.index < self.log.start().index {
            // One that was just received and is not on this disk yet: in a moment.
            return;
        }
        self.events.push(Event::SnapshotSent { to: peer, index: snapshot.last.index });
        let progress = self.progress.get_mut(&peer).expect("a follower");
        progress.mode = Mode::Snapshot { snapshot, offset: 0, silent: 0 };
        progress.trailing = true;
        self.send_piece(peer);
    }

    fn send_piece(&mut self, peer: NodeId) {
        let (term, length) = (self.hard.term, self.config.chunk);
        let Some(progress) = self.progress.get(&peer) else { return };
        if let Mode::Snapshot { snapshot, offset, .. } = &progress.mode {
            let (snapshot, offset) = (snapshot.clone(), *offset);
            self.outbox.send_piece(Outgoing::Piece { to: peer, term, snapshot, offset, length });
        }
    }

    /// A follower that is receiving a snapshot must hear from its leader too, and may have lost a piece. The
    /// append goes in front of every log, so that it is always accepted and says nothing.
    pub(super) fn heartbeat_during_snapshot(&mut self, peer: NodeId) {
        let append = Append {
            term: self.hard.term,
            prev: EntryId::ZERO,
            commit: Index(0),
            round: self.reads.round(),
            entries: Vec::new(),
        };
        self.outbox.send_now(peer, Message::Append(append));
        let latest = self.stored.last;
        let Some(progress) = self.progress.get_mut(&peer) else { return };
        let Mode::Snapshot { snapshot, silent, .. } = &mut progress.mode else { return };
        *silent = silent.saturating_add(1);
        if *silent < PATIENCE || snapshot.last == latest {
            return self.send_piece(peer);
        }
        // It has not answered for long, and there is a newer one by now: the old one is not kept for it any more.
        progress.mode = Mode::Probe { waiting: false };
        self.start_snapshot(peer);
        self.compact_log();
    }

    /// An answer to [`Install`].
    pub(super) fn on_install_reply(&mut self, from: NodeId, reply: &InstallReply) {
        if self.role != Role::Leader || reply.term != self.hard.term {
            return;
        }
        let now = self.now;
        let Some(progress) = self.progress.get_mut(&from) else { return };
        progress.heard = now;
        let Mode::Snapshot { snapshot, offset, silent, .. } = &mut progress.mode else { return };
        if snapshot.last != reply.snapshot {
            return;
        }
        *silent = 0;
        if !reply.done {
            // An answer to a piece that was sent twice asks for nothing new.
            if reply.offset == *offset {
                *offset = reply.next;
                self.send_piece(from);
            }
            return;
        }
        progress.mode = Mode::Probe { waiting: false };
        progress.next = progress.next.max(reply.snapshot.index.next());
        self.on_accepted(from, reply.snapshot.index);
    }

    // --- the follower's side

    /// Figure 13, InstallSnapshot, receiver.
    pub(super) fn on_install(&mut self, from: NodeId, install: Install) {
        let last = install.snapshot.last;
        let mut reply =
            InstallReply { term: self.hard.term, snapshot: last, offset: install.offset, next: 0, done: false };
        // Rule 1.
        if install.term < self.hard.term {
            return self.outbox.send_after(self.promise_term(), from, Message::InstallReply(reply));
        }
        self.follow(install.term, from);
        reply.term = self.hard.term;
        if last.index <= self.commit && !bug!(self, StaleInstallRollsBack) {
            // Everything that it covers is here already, and going back is not an option. What is committed
            // here is what the leader has, so that much is agreed; it is said when it is durable.
            self.events.push(Event::InstallRefused { index: last.index });
            reply.done = true;
            return self.answer_install(from, reply);
        }
        // Rules 2 to 4: in order, from the first byte on.
        let expected = self.incoming.as_ref().filter(|incoming| incoming.last == last).map_or(0, |it| it.received);
        if install.offset != expected && install.offset != 0 {
            reply.next = expected;
            return self.answer_install(from, reply);
        }
        reply.next = install.offset + install.data.len() as u64;
        reply.done = install.done;
        self.incoming = (!install.done).then_some(Incoming { last, received: reply.next });
        let piece = Piece { snapshot: last, offset: install.offset, done: install.done, data: install.data };
        self.pieces.push(piece);
        if install.done {
            self.adopt(install.snapshot);
        }
        self.answer_install(from, reply);
    }

    fn answer_install(&mut self, to: NodeId, reply: InstallReply) {
        let entries = if reply.done { reply.snapshot.index } else { Index(0) };
        let promise = Promise { entries, ..self.promise_term() };
        self.outbox.send_after(promise, to, Message::InstallReply(reply));
    }

    /// Rules 5 to 8: the snapshot replaces what it covers. If the log holds its last entry, what follows stays
    /// (rule 6); if not, the whole log is somebody else's and goes (rule 7).
    fn adopt(&mut self, meta: SnapshotMeta) {
        let last = meta.last;
        let mut kept = self.log.contains(last);
        if bug!(self, InstallKeepsConflict) {
            kept |= self.log.entry(last.index).is_some();
        }
        if kept && last.index > self.log.start().index {
            let standing = self.log.term_at(last.index).unwrap_or(last.term);
            self.log.compact(EntryId::new(standing, last.index));
        } else {
            self.log.reset(last, self.commit.min(last.index));
        }
        self.events.push(Event::Installed { index: last.index, term: last.term, kept_suffix: kept });
        self.snapshot = meta.clone();
        self.memberships.rebase(&self.snapshot, self.log.last().index);
        self.commit = self.commit.max(last.index);
        self.snapshot_write = Some(SnapshotWrite { meta: meta.clone(), content: Content::Received(last) });
        self.restore = Some(meta);
    }
}
