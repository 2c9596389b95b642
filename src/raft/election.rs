//! Elections (§5.2, §5.4.1; thesis 3.4, 4.2.3, 9.6).

use super::bugs::bug;
use super::core::Raft;
use super::message::{Message, PreVote, PreVoteReply, RequestVote, VoteReply};
use super::progress::Progress;
use super::ready::Promise;
use super::types::{Entry, EntryId, HardState, Index, Payload, Role};
use labrpc::{Event, NodeId, Refusal, Time};

impl Raft {
    // --- becoming a candidate

    /// No leader was heard of for an election timeout (Figure 2, followers, second rule, and candidates, fourth
    /// rule; §5.2).
    pub(super) fn on_election_timeout(&mut self) {
        self.reset_election_timer();
        if !self.may_campaign() {
            return;
        }
        if self.config.pre_vote { self.campaign_first() } else { self.campaign(false) }
    }

    /// Asks whether an election could be won. Neither term nor vote changes: a server that comes back from the
    /// wrong side of a partition must not depose a leader that it cannot replace (thesis 9.6).
    fn campaign_first(&mut self) {
        self.set_role(Role::PreCandidate);
        self.leader = None;
        self.votes = vec![self.config.me];
        let request = PreVote { term: self.hard.term.next(), last: self.last() };
        for peer in self.voting_peers() {
            self.outbox.send_now(peer, Message::PreVote(request.clone()));
        }
        if self.has_won() {
            self.campaign(false);
        }
    }

    /// Begins an election (Figure 2, candidates, first rule; §5.2): a new term, a vote for itself, and a request to all others.
    pub(super) fn campaign(&mut self, by_transfer: bool) {
        let term = self.hard.term.next();
        self.leader = None;
        self.enter_term(HardState { term, vote: Some(self.config.me) });
        self.set_role(Role::Candidate);
        self.reset_election_timer();
        self.votes.clear();
        self.answered.clear();
        self.by_transfer = by_transfer;
        // Its own vote is a vote like any other: it counts when it is durable.
        let own = VoteReply { term, granted: true };
        self.promise_vote(self.config.me, self.config.me, Message::VoteReply(own));
        self.ask_for_votes();
    }

    /// Asks those who have not answered.
    pub(super) fn ask_for_votes(&mut self) {
        let request = RequestVote { term: self.hard.term, last: self.last(), transfer: self.by_transfer };
        for peer in self.voting_peers() {
            if !self.answered.contains(&peer) {
                // A request promises the candidate's own vote: it leaves when that is durable.
                self.promise_vote(self.config.me, peer, Message::RequestVote(request.clone()));
            }
        }
        self.retransmit_later();
    }

    pub(super) fn retransmit_later(&mut self) {
        self.retransmit_at =
            if self.config.retransmit_votes { self.now + self.config.heartbeat } else { Time::NEVER };
    }

    /// Sends what says that this server votes for `candidate` in its term.
    fn promise_vote(&mut self, candidate: NodeId, to: NodeId, message: Message) {
        let hasty = match candidate == self.config.me {
            true => bug!(self, SelfVoteNotDurable),
            false => bug!(self, VoteNotDurable),
        };
        let mut promise = Promise { vote: Some(candidate), ..self.promise_term() };
        if hasty {
            promise = Promise::default();
        }
        self.outbox.send_after(promise, to, message);
    }

    fn voting_peers(&self) -> Vec<NodeId> {
        let me = self.config.me;
        self.membership().voters.iter().copied().filter(|&node| node != me).collect()
    }

    // --- voting

    /// Whether to drop a request for a vote unread: a leader was heard of within the shortest election timeout,
    /// so nobody has a reason to ask, except for one whom the leader sent (thesis 4.2.3, 3.10).
    pub(super) fn is_disruption(&self, message: &Message) -> bool {
        match message {
            Message::RequestVote(request) if !request.transfer => {
                let later = request.term > self.hard.term;
                (self.config.check_quorum && later && self.hears_a_leader()) || self.is_bound_by_a_lease()
            }
            _ => false,
        }
    }

    /// Whether a leader was heard of within the shortest election timeout. A leader hears itself.
    fn hears_a_leader(&self) -> bool {
        let (min, _) = self.config.election_timeout;
        let heard = self.leader_heard.is_some_and(|heard| self.now < heard + min);
        self.role == Role::Leader || (self.leader.is_some() && heard)
    }

    /// Whether some leader may count on this server's keeping out of elections: one that it has heard, or that it had
    /// heard before it was started again. Whom it follows by now does not matter. (Its own election timer waits as
    /// long in any case.)
    fn is_bound_by_a_lease(&self) -> bool {
        let heard = self.leader_heard.map_or(self.started, |heard| heard.max(self.started));
        self.config.lease.is_some() && self.now < heard + self.config.election_timeout.0
    }

    /// §5.4.1: a voter refuses a candidate whose log is behind its own, so that whoever wins has every
    /// committed entry.
    fn is_up_to_date(&self, candidate: EntryId) -> bool {
        let mine = self.last();
        if bug!(self, VoteIndexBeforeTerm) {
            return (candidate.index, candidate.term) >= (mine.index, mine.term);
        }
        if bug!(self, VoteRejectsIfEitherGreater) {
            return candidate.term >= mine.term && candidate.index >= mine.index;
        }
        candidate >= mine || bug!(self, VoteIgnoresLog)
    }

    /// Figure 2, RequestVote, receiver: rule 1, a stale term (§5.1), and rule 2 (§5.2, §5.4.1).
    pub(super) fn on_request_vote(&mut self, from: NodeId, request: &RequestVote) {
        if bug!(self, TimerResetByStaleRpc) {
            self.reset_election_timer();
        }
        let free = self.hard.vote.is_none_or(|vote| vote == from);
        let refusal = if request.term < self.hard.term {
            Some(Refusal::StaleTerm)
        } else if !free {
            Some(Refusal::AlreadyVoted)
        } else if !self.is_up_to_date(request.last) {
            Some(Refusal::LogBehind)
        } else {
            None
        };
        let reply = VoteReply { term: self.hard.term, granted: refusal.is_none() };
        if let Some(why) = refusal {
            self.events.push(Event::VoteRefused { to: from, term: request.term, why });
            return self.outbox.send_after(self.promise_term(), from, Message::VoteReply(reply));
        }
        self.enter_term(HardState { vote: Some(from), ..self.hard });
        // Figure 2, followers: granting a vote is a reason to wait; being asked for one is not.
        self.reset_election_timer();
        self.promise_vote(from, from, Message::VoteReply(reply));
    }

    /// Would this server vote for the sender in that term? Whatever it answers, nothing changes here.
    pub(super) fn on_pre_vote(&mut self, from: NodeId, request: &PreVote) {
        let refusal = if self.hears_a_leader() || self.is_bound_by_a_lease() {
            Some(Refusal::LeaderHeard)
        } else if request.term <= self.hard.term {
            Some(Refusal::StaleTerm)
        } else if !self.is_up_to_date(request.last) {
            Some(Refusal::LogBehind)
        } else {
            None
        };
        if let Some(why) = refusal {
            self.events.push(Event::VoteRefused { to: from, term: request.term, why });
            // The refusal carries this server's term: one that is behind could never win and must learn so.
            let reply = PreVoteReply { term: self.hard.term, granted: false };
            return self.outbox.send_after(self.promise_term(), from, Message::PreVoteReply(reply));
        }
        let reply = PreVoteReply { term: request.term, granted: true };
        self.outbox.send_now(from, Message::PreVoteReply(reply));
    }

    // --- counting

    /// An answer to [`RequestVote`].
    pub(super) fn on_vote_reply(&mut self, from: NodeId, reply: &VoteReply) {
        // A vote is for one term; one that comes late is of no use (Students' Guide: term confusion).
        let due = reply.term == self.hard.term || bug!(self, StaleVoteCounted);
        if self.role != Role::Candidate || !due {
            return;
        }
        self.answered.insert(from);
        if reply.granted {
            self.count_vote(from);
            if self.has_won() {
                self.become_leader();
            }
        }
    }

    /// An answer to [`PreVote`].
    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, reply: &PreVoteReply) {
        if self.role == Role::PreCandidate && reply.granted && reply.term == self.hard.term.next() {
            self.count_vote(from);
            if self.has_won() {
                self.campaign(false);
            }
        }
    }

    fn count_vote(&mut self, from: NodeId) {
        if !self.votes.contains(&from) || bug!(self, DuplicateVoteCounted) {
            self.votes.push(from);
        }
    }

    /// Votes of a majority of servers (Figure 2, candidates, second rule; §5.2).
    fn has_won(&self) -> bool {
        let quorum = self.quorum();
        if bug!(self, DuplicateVoteCounted) {
            return self.votes.len() >= quorum.majority();
        }
        if bug!(self, ElectionQuorumEven) {
            return self.votes.len() >= self.membership().voters.len().div_ceil(2);
        }
        quorum.reached(|node| self.votes.contains(&node))
    }

    /// Figure 2, leaders, first rule (§5.2): upon election, an append to everybody. And volatile state on leaders,
    /// reinitialised (§5.3): nextIndex is a guess, one behind the last entry; matchIndex, which is known, is 0.
    fn become_leader(&mut self) {
        self.set_role(Role::Leader);
        self.leader = Some(self.config.me);
        self.reads.begin_term();
        let (next, now) = (self.log.last().index.next(), self.now);
        let known = std::mem::take(&mut self.progress);
        for peer in self.peers() {
            let mut progress = Progress::new(next, now);
            if bug!(self, MatchGuessOnElection) {
                progress.matched = next.prev();
            }
            if bug!(self, LeaderStateNotReset) {
                progress = known.get(&peer).cloned().unwrap_or(progress);
            }
            if progress.matched > Index(0) {
                self.events.push(Event::Progress { peer, matched: progress.matched, next: progress.next });
            }
            self.progress.insert(peer, progress);
        }
        self.follow_members();
        self.quorum_due = now + self.config.election_timeout.0;
        if self.config.noop_on_election {
            // It is on its way to everybody at once, and says that there is a leader as well as a heartbeat does.
            let id = EntryId::new(self.hard.term, next);
            self.append(Entry { id, payload: Payload::Noop });
            self.heartbeat_due = now + self.config.heartbeat;
        } else {
            self.broadcast_heartbeat();
        }
        self.maybe_commit();
    }
}
