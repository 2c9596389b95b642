//! What a server answers: the receiver rules of Figures 2 and 13, numbered as there.

use crate::bug::Bug;
use crate::message::{
    AppendEntriesArgs, AppendEntriesReply, Conflict, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs,
    RequestVoteReply,
};
use crate::state::{Role, State};
use labrpc::{Index, Term, Time};

impl State {
    /// RequestVote.
    pub fn request_vote(&mut self, args: &RequestVoteArgs, now: Time) -> RequestVoteReply {
        self.observe(args.term);
        // Rule 2: the vote is free or the candidate's already, and its log is at least as up-to-date (§5.4.1).
        let is_free = self.vote.is_none_or(|vote| vote == args.candidate);
        let theirs = (args.last_log_term, args.last_log_index);
        let is_up_to_date = theirs >= (self.log.last_term(), self.log.last());
        let is_up_to_date = is_up_to_date || self.has(Bug::VotesWithoutComparingLogs);
        // Rule 1: a term that is over.
        let vote_granted = args.term == self.term && is_free && is_up_to_date;
        if vote_granted {
            if self.vote.is_none() {
                self.vote = Some(args.candidate);
                self.changed();
            }
            // Figure 2, followers: a granted vote postpones our own election; a refused one does not.
            self.reset_timer(now);
        }
        RequestVoteReply { term: self.term, vote_granted }
    }

    /// Whether the sender is the leader of the current term, whom we follow (Figure 2, followers and candidates).
    fn follow(&mut self, term: Term, now: Time) -> bool {
        self.observe(term);
        if term < self.term {
            return false;
        }
        assert!(self.role != Role::Leader, "two leaders in {term}");
        self.role = Role::Follower;
        self.reset_timer(now);
        true
    }

    /// AppendEntries.
    pub fn append_entries(&mut self, args: &AppendEntriesArgs, now: Time) -> AppendEntriesReply {
        // Rule 1.
        let is_leader = self.follow(args.term, now);
        let conflict = if is_leader { self.conflict_with(args) } else { None };
        let success = is_leader && conflict.is_none();
        if success {
            self.take_entries(args);
        }
        AppendEntriesReply { term: self.term, success, conflict }
    }

    /// Rule 2: the entry in front of the new ones must be there. What the snapshot covers is.
    fn conflict_with(&self, args: &AppendEntriesArgs) -> Option<Conflict> {
        let prev = args.prev_log_index;
        match self.log.term_at(prev) {
            _ if prev < self.log.base().0 => None,
            Some(term) if term == args.prev_log_term => None,
            Some(term) => Some(Conflict { term: Some(term), index: self.log.first_of_term_at(prev) }),
            None => Some(Conflict { term: None, index: self.log.last().next() }),
        }
    }

    fn take_entries(&mut self, args: &AppendEntriesArgs) {
        let mut index = args.prev_log_index;
        for entry in &args.entries {
            index = index.next();
            match self.log.term_at(index) {
                _ if index <= self.log.base().0 => continue,
                // An append that is late says nothing about what stands behind it.
                Some(term) if term == entry.term => continue,
                // Rule 3: only a conflict removes anything.
                Some(_) => self.log.cut(index),
                None => {}
            }
            // Rule 4.
            self.log.push(entry.clone());
            self.changed();
        }
        // Rule 5: up to the last new entry, since what we have behind it may not be the leader's.
        self.commit_to(args.leader_commit.min(args.last_new()));
    }

    /// InstallSnapshot, in one piece: rules 2 to 5 of Figure 13 have nothing to do.
    pub fn install_snapshot(&mut self, args: &InstallSnapshotArgs, now: Time) -> InstallSnapshotReply {
        let index = args.last_included_index;
        // What we know to be committed we have, and the service may have done it already.
        let known = if self.has(Bug::RestoresLateSnapshots) { Index(0) } else { self.commit };
        // Rule 1.
        if self.follow(args.term, now) && index > known {
            // Rules 6 and 7: the log behind it stays if it belongs to it.
            self.cover(index, args.last_included_term, args.data.clone());
            // Rule 8.
            self.restore = true;
            self.commit_to(index);
        }
        InstallSnapshotReply { term: self.term }
    }
}
