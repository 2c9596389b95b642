//! Replication (§5.3, §5.4.2; Figure 2, AppendEntries).

use super::bugs::bug;
use super::config::MAX_COMMAND;
use super::core::Raft;
use super::message::{Append, AppendReply, Message, Outcome};
use super::progress::{Mode, Progress};
use super::ready::{Promise, Unavailable};
use super::types::{Entry, EntryId, Index, Payload, Role, Term};
use bytes::Bytes;
use labrpc::{Event, NodeId};

impl Raft {
    // --- the leader's side

    /// Figure 2, leaders, second rule (§5.3): a command from a client goes into the log. The answer says where it will be if it is
    /// committed; whether it is, only applying it tells.
    pub(super) fn on_propose(&mut self, id: u64, command: Bytes) {
        let answer = self.propose(Payload::Command(command));
        self.answers.proposals.push((id, answer));
    }

    pub(super) fn propose(&mut self, payload: Payload) -> Result<EntryId, Unavailable> {
        if self.role != Role::Leader {
            return Err(Unavailable::NotLeader(self.leader));
        }
        if payload.size() > MAX_COMMAND {
            return Err(Unavailable::TooLarge(payload.size()));
        }
        let last = self.log.last().index;
        if self.transfer.is_some() || last.0 - self.commit.0 >= self.config.max_uncommitted {
            return Err(Unavailable::Busy);
        }
        let id = EntryId::new(self.hard.term, last.next());
        self.append(Entry { id, payload });
        Ok(id)
    }

    /// The leader's own timers.
    pub(super) fn on_leader_alarm(&mut self) {
        if self.transfer.as_ref().is_some_and(|transfer| self.now >= transfer.deadline) {
            self.transfer = None;
        }
        if self.now >= self.quorum_due {
            self.check_quorum();
        }
        if self.role == Role::Leader && self.now >= self.heartbeat_due {
            self.broadcast_heartbeat();
        }
    }

    /// A leader that a majority does not answer is deposed without knowing it, or will be: it steps down, so
    /// that its clients look elsewhere (thesis 6.2).
    fn check_quorum(&mut self) {
        let (min, _) = self.config.election_timeout;
        self.quorum_due = self.now + min;
        let answers = |node: NodeId| {
            node == self.config.me || self.progress.get(&node).is_some_and(|known| self.now < known.heard + min)
        };
        if self.config.check_quorum && !self.quorum().reached(answers) {
            self.become_follower(self.hard.term, None);
        }
    }

    /// Tells every follower that there is a leader (Figure 2, leaders, first rule; §5.2), and what is committed.
    pub(super) fn broadcast_heartbeat(&mut self) {
        self.heartbeat_due = self.now + self.config.heartbeat;
        if self.config.lease.is_some() {
            self.reads.begin_lease_round(self.now, self.config.election_timeout.0);
        }
        for peer in self.peers() {
            self.heartbeat(peer);
        }
    }

    /// An append that carries nothing, or with the knob what there is. Its answer also tells whether the logs agree
    /// in front of `next`: where a probe was lost, the heartbeat takes its place.
    pub(super) fn heartbeat(&mut self, peer: NodeId) {
        let Some(progress) = self.progress.get(&peer) else { return };
        if matches!(progress.mode, Mode::Snapshot { .. }) {
            return self.heartbeat_during_snapshot(peer);
        }
        let full = !self.config.empty_heartbeats && progress.is_open(self.config.max_inflight);
        let (next, entries) = (progress.next, if full { self.config.max_entries } else { 0 });
        // What it needs may have been compacted while appends to it were on their way, or lost.
        if self.lacks_snapshot(next) { self.start_snapshot(peer) } else { self.send_append(peer, entries) }
    }

    /// Sends each follower what it lacks, as far as its window is open.
    pub(super) fn send_what_is_due(&mut self) {
        if self.role != Role::Leader {
            return;
        }
        if self.reads.begin_round() {
            self.broadcast_heartbeat();
        }
        let (last, window) = (self.log.last().index, self.config.max_inflight);
        let lacks = |progress: &Progress| progress.next <= last || self.lacks_snapshot(progress.next);
        let waiting = self.progress.iter().filter(|(_, progress)| progress.is_open(window) && lacks(progress));
        for peer in waiting.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.catch_up(peer);
        }
    }

    /// Figure 2, leaders, third rule (§5.3): where the log goes on behind nextIndex, an append from there on.
    fn catch_up(&mut self, peer: NodeId) {
        while let Some(progress) = self.progress.get(&peer)
            && progress.is_open(self.config.max_inflight)
        {
            if self.lacks_snapshot(progress.next) {
                return self.start_snapshot(peer);
            }
            if progress.next > self.log.last().index {
                return;
            }
            self.send_append(peer, self.config.max_entries);
        }
    }

    /// Sends an append of at most `count` entries from the follower's `next` on.
    fn send_append(&mut self, peer: NodeId, count: usize) {
        let next = self.progress[&peer].next;
        let prev = next.prev();
        let prev_term = self.term_at(prev).expect("what is compacted is sent as a snapshot");
        let entries = self.log.slice(next, count, self.config.max_bytes);
        let last = entries.last().map_or(prev, |entry| entry.id.index);
        let append = Append {
            term: self.hard.term,
            prev: EntryId::new(prev_term, prev),
            commit: self.commit,
            round: self.reads.round(),
            entries,
        };
        if last > prev {
            self.progress.get_mut(&peer).expect("a follower").sent(last);
        }
        // Not gated: it speaks of the leader's memory, and what the leader has on its disk it counts for itself
        // alone (thesis 10.2.1).
        self.outbox.send_now(peer, Message::Append(append));
    }

    /// An answer to [`Append`] (Figure 2, leaders, third rule; §5.3).
    pub(super) fn on_append_reply(&mut self, from: NodeId, reply: &AppendReply) {
        // Of an earlier term of leadership: the log that it speaks of may be gone (Students' Guide: term
        // confusion).
        let due = reply.term == self.hard.term || bug!(self, StaleAppendReplyAccepted);
        if self.role != Role::Leader || !due {
            return;
        }
        let now = self.now;
        let Some(progress) = self.progress.get_mut(&from) else { return };
        progress.heard = now;
        // A refusal of an append of an older term echoes a round that another leader gave, or this one before it
        // restarted. It says nothing of whom the follower follows now.
        if reply.outcome != Outcome::StaleTerm || bug!(self, StaleRoundConfirmsReads) {
            progress.round = progress.round.max(reply.round);
        }
        match reply.outcome {
            Outcome::Accepted { matched } => self.on_accepted(from, matched),
            Outcome::Rejected { prev, conflict, conflict_term } => {
                let conflict = self.first_that_may_differ(prev, conflict, conflict_term);
                let progress = self.progress.get_mut(&from).expect("it was there a moment ago");
                if progress.step_back(prev, conflict) {
                    let (matched, next) = (progress.matched, progress.next);
                    self.events.push(Event::Progress { peer: from, matched, next });
                }
            }
            Outcome::StaleTerm => {}
        }
        self.confirm_reads();
    }

    /// Where to try next with a follower that lacks the entry at `prev` (§5.3): a whole term is skipped at once.
    /// From `conflict` to `prev` the follower has entries of `term`. They can agree with this log only where it
    /// has entries of that term too, and best at the last of them.
    fn first_that_may_differ(&self, prev: Index, conflict: Index, term: Option<Term>) -> Index {
        let Some(term) = term else { return conflict };
        let last = self.log.last_not_above(term, prev.prev());
        if last.term == term && last.index >= conflict { last.index.next() } else { conflict }
    }

    /// The follower's log is this one up to `matched`.
    pub(super) fn on_accepted(&mut self, from: NodeId, matched: Index) {
        let matched = if bug!(self, MatchFromCurrentLog) { self.log.last().index } else { matched };
        let Some(progress) = self.progress.get_mut(&from) else { return };
        let before = progress.matched;
        progress.acknowledge(matched);
        progress.catch_up(self.log.last().index, self.now, self.config.election_timeout.0);
        if progress.matched > before {
            let (matched, next) = (progress.matched, progress.next);
            self.events.push(Event::Progress { peer: from, matched, next });
            self.maybe_commit();
        }
        self.has_caught_up(from);
        self.hand_over_leadership(from);
    }

    /// A follower that was behind the log may be back in it: nothing has to be kept for it any more.
    fn has_caught_up(&mut self, peer: NodeId) {
        let covered = self.stored.last.index;
        let Some(progress) = self.progress.get_mut(&peer) else { return };
        if progress.trailing && progress.matched >= covered {
            progress.trailing = false;
            self.compact_log();
        }
    }

    /// Figure 2, leaders, last rule (§5.3): what a majority holds durably is committed, if it is of this term. An
    /// entry of an older term is committed only by one of this term behind it (§5.4.2, Figure 8).
    pub(super) fn maybe_commit(&mut self) {
        let quorum = self.quorum();
        let out = !quorum.contains(self.config.me);
        let short = bug!(self, CommitQuorumShort) || (out && bug!(self, RemovedLeaderCountsItself));
        let rank = if short { (quorum.majority() - 1).max(1) } else { quorum.majority() };
        let own = if bug!(self, LeaderCountsUndurableSelf) { self.log.last().index } else { self.log.durable() };
        let index = quorum.matched_by(rank, |node| {
            if node == self.config.me {
                own
            } else {
                self.progress.get(&node).map_or(Index(0), |known| known.matched)
            }
        });
        let of_this_term = self.log.term_at(index) == Some(self.hard.term) || bug!(self, CommitOldTerm);
        if index > self.commit && of_this_term {
            let before = self.commit;
            self.set_commit(index);
            self.start_waiting_reads();
            let (changed, _) = self.memberships.latest();
            if before < *changed && *changed <= index {
                self.on_membership_committed();
            }
        }
    }

    pub(super) fn set_commit(&mut self, index: Index) {
        if index > self.commit {
            self.commit = index;
            self.events.push(Event::Committed { index });
        }
    }

    // --- the follower's side

    /// Figure 2, AppendEntries, receiver.
    pub(super) fn on_append(&mut self, from: NodeId, append: Append) {
        // Rule 1 (§5.1): an older term is refused.
        if append.term < self.hard.term && !bug!(self, StaleLeaderAeAccepted) {
            if bug!(self, TimerResetByStaleRpc) {
                self.reset_election_timer();
            }
            return self.answer(from, append.round, Outcome::StaleTerm, Index(0));
        }
        self.follow(append.term, from);
        // Rule 2 (§5.3): so is an append behind an entry that is not in this log.
        let unchecked = append.entries.is_empty() && bug!(self, HeartbeatSkipsPrevCheck);
        if let Some(refused) = self.conflict_with(append.prev)
            && !unchecked
        {
            return self.answer(from, append.round, refused, Index(0));
        }
        // Rules 3 and 4 (§5.3): what conflicts goes, and what is not there yet is appended.
        let matched = Index(append.prev.index.0 + append.entries.len() as u64);
        if bug!(self, AeTruncatesAlways) && append.prev.index < self.log.last().index {
            self.truncate(append.prev.index.next().max(self.log.start().index.next()));
        }
        self.take_over(append.entries);
        // Rule 5 (§5.3): bounded by what this append has shown to agree; what stands behind it in this log may be
        // anybody's.
        let bound = if bug!(self, CommitUnclamped) { self.log.last().index } else { matched };
        self.set_commit(append.commit.min(bound));
        self.answer(from, append.round, Outcome::Accepted { matched }, matched);
    }

    /// There is a leader of this term, and it has just been heard (Figure 2, candidates, third rule, and followers,
    /// second; §5.2).
    pub(super) fn follow(&mut self, term: Term, leader: NodeId) {
        let current = self.role == Role::Leader && term == self.hard.term;
        assert!(!current, "{leader} leads {term} and so does {}: Election Safety is broken", self.config.me);
        self.become_follower(term.max(self.hard.term), Some(leader));
        self.leader_heard = Some(self.now);
        self.reset_election_timer();
    }

    /// Whether this log lacks the leader's entry `prev`, and if so where it can agree at best.
    fn conflict_with(&self, prev: EntryId) -> Option<Outcome> {
        // What a snapshot covers is committed, and so is in the log of every leader (Leader Completeness).
        if prev.index < self.log.start().index {
            return None;
        }
        let last = self.log.last().index;
        let (conflict, conflict_term) = match self.term_at(prev.index) {
            Some(term) if term == prev.term => return None,
            Some(_) if bug!(self, BacktrackStuck) => {
                return Some(Outcome::Rejected { prev: last, conflict: last, conflict_term: None });
            }
            Some(term) => (self.log.first_of_term_at(prev.index), Some(term)),
            None => (last.next(), None),
        };
        Some(Outcome::Rejected { prev: prev.index, conflict, conflict_term })
    }

    /// Takes the leader's entries into this log. Only a real conflict cuts it: an append that comes late, behind
    /// a later one, must not take back what that one brought (Figure 2, rules 3 and 4).
    fn take_over(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let index = entry.id.index;
            if index <= self.log.start().index || self.log.contains(entry.id) {
                continue;
            }
            if index <= self.log.last().index {
                self.truncate(index);
            }
            self.append(entry);
        }
    }

    /// Answers an append; an acceptance waits until everything up to `promised` is durable, and may then speak for
    /// earlier ones.
    fn answer(&mut self, to: NodeId, round: u64, outcome: Outcome, promised: Index) {
        let reply = AppendReply { term: self.hard.term, round, outcome };
        let entries = if bug!(self, AckBeforeDurable) { Index(0) } else { promised };
        let promise = Promise { entries, ..self.promise_term() };
        self.outbox.accept_after(promise, to, reply, self.under_way());
    }
}
