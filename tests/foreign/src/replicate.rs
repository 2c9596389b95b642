//! What a server asks of another one, and what it makes of the answer: the rules for candidates and leaders.

use crate::message::{
    APPEND, AppendEntriesArgs, AppendEntriesReply, Conflict, INSTALL, InstallSnapshotArgs, InstallSnapshotReply,
    RequestVoteArgs, RequestVoteReply, VOTE,
};
use crate::state::{Role, State};
use labrpc::{Index, Kind, NodeId, Term, Time};
use std::time::Duration;

/// Something to ask of another server.
pub enum Ask {
    Vote(RequestVoteArgs),
    Append(AppendEntriesArgs),
    Install(InstallSnapshotArgs),
}

impl Ask {
    pub fn kind(&self) -> Kind {
        match self {
            Ask::Vote(_) => VOTE,
            Ask::Append(_) => APPEND,
            Ask::Install(_) => INSTALL,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let bytes = match self {
            Ask::Vote(args) => labgob::encode(args),
            Ask::Append(args) => labgob::encode(args),
            Ask::Install(args) => labgob::encode(args),
        };
        bytes.expect("a message far below the codec's limit")
    }
}

impl State {
    /// How long an answer is waited for. Heartbeats do not wait for it.
    pub fn patience(&self) -> Duration {
        self.config.heartbeat * 10
    }

    /// What to ask of another server now, if anything; if not, when to look again at the latest.
    pub fn ask(&mut self, whom: NodeId, now: Time) -> Result<Ask, Time> {
        match self.role {
            Role::Leader => self.ask_follower(whom, now),
            Role::Candidate if self.may_campaign() => self.ask_voter(whom, now),
            _ => Err(Time::NEVER),
        }
    }

    /// Figure 2, candidates: ask all for their votes, again and again since requests get lost (§5.5).
    fn ask_voter(&mut self, whom: NodeId, now: Time) -> Result<Ask, Time> {
        let (heartbeat, has_voted) = (self.config.heartbeat, self.votes.contains(&whom));
        let peer = self.peer(whom);
        if has_voted {
            return Err(Time::NEVER);
        }
        if now < peer.beat {
            return Err(peer.beat);
        }
        peer.beat = now + heartbeat;
        Ok(Ask::Vote(RequestVoteArgs {
            term: self.term,
            candidate: self.config.me,
            last_log_index: self.log.last(),
            last_log_term: self.log.last_term(),
        }))
    }

    /// Figure 2, leaders: heartbeats, and entries from nextIndex on; Figure 13: the snapshot where the log does
    /// not reach back that far.
    fn ask_follower(&mut self, whom: NodeId, now: Time) -> Result<Ask, Time> {
        let (heartbeat, patience, commit) = (self.config.heartbeat, self.patience(), self.commit);
        let ((base, base_term), last) = (self.log.base(), self.log.last());
        let peer = self.peer(whom);
        let lags = peer.next <= base;
        let has_news = if lags { now >= peer.install_at } else { last >= peer.next || commit > peer.told };
        if now < peer.beat && (peer.unanswered || !has_news) {
            return Err(peer.beat);
        }
        (peer.unanswered, peer.beat, peer.told) = (true, now + heartbeat, commit);
        let prev = peer.next.prev().max(base);
        if lags && has_news {
            peer.install_at = now + patience;
            return Ok(Ask::Install(InstallSnapshotArgs {
                term: self.term,
                leader: self.config.me,
                last_included_index: base,
                last_included_term: base_term,
                data: self.snapshot.clone(),
            }));
        }
        Ok(Ask::Append(AppendEntriesArgs {
            term: self.term,
            leader: self.config.me,
            prev_log_index: prev,
            prev_log_term: self.log.term_at(prev).expect("it is in the log or at its base"),
            // While a snapshot is on its way there are only heartbeats.
            entries: if lags { Vec::new() } else { self.log.behind(prev).to_vec() },
            leader_commit: commit,
        }))
    }

    fn peer(&mut self, node: NodeId) -> &mut crate::state::Peer {
        self.peers.get_mut(&node).expect("we only talk to the other servers")
    }

    /// The answer to what was asked.
    pub fn hear(&mut self, from: NodeId, ask: &Ask, answer: &[u8]) -> Result<(), labgob::Error> {
        match ask {
            Ask::Vote(args) => {
                let reply: RequestVoteReply = labgob::decode(answer)?;
                if self.is_still(Role::Candidate, args.term, reply.term) && reply.vote_granted {
                    self.votes.insert(from);
                    self.count_votes();
                }
            }
            Ask::Append(args) => {
                let reply: AppendEntriesReply = labgob::decode(answer)?;
                if self.is_still(Role::Leader, args.term, reply.term) {
                    self.peer(from).unanswered = false;
                    match reply.conflict {
                        Some(conflict) => self.step_back(from, args.prev_log_index, &conflict),
                        None => self.matches(from, args.last_new()),
                    }
                }
            }
            Ask::Install(args) => {
                let reply: InstallSnapshotReply = labgob::decode(answer)?;
                if self.is_still(Role::Leader, args.term, reply.term) {
                    self.peer(from).unanswered = false;
                    self.matches(from, args.last_included_index);
                }
            }
        }
        Ok(())
    }

    /// Whether an answer is to what we are now: one that comes late may speak of an earlier term (§5.1).
    fn is_still(&mut self, role: Role, asked: Term, answered: Term) -> bool {
        self.observe(answered);
        self.role == role && self.term == asked
    }

    /// Figure 2, leaders: the follower has everything up to here. Answers may come in any order.
    fn matches(&mut self, follower: NodeId, index: Index) {
        let peer = self.peer(follower);
        peer.matched = peer.matched.max(index);
        peer.next = peer.next.max(index.next());
        self.count_copies();
    }

    /// §5.3: the follower does not have the entry in front. Steps over a whole term at once where it can.
    fn step_back(&mut self, follower: NodeId, prev: Index, conflict: &Conflict) {
        let shared = conflict.term.and_then(|term| self.log.last_of_term(term, prev));
        let next = shared.map_or(conflict.index, Index::next).min(prev);
        let peer = self.peer(follower);
        peer.next = peer.next.min(next).max(peer.matched.next());
    }
}
