//! Handing leadership over (thesis 3.10).
//!
//! The leader takes no more commands, brings the chosen follower's log up to its own, and tells it to campaign
//! at once. Whoever hears of that election answers, although a leader was heard of a moment ago. If it does not
//! work out within an election timeout, the leader goes on.

use super::core::Raft;
use super::message::{Message, TimeoutNow};
use super::types::{Role, Term};
use labrpc::{Event, NodeId, Time};

/// Leadership is being handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// To whom.
    pub to: NodeId,
    /// When to give up.
    pub deadline: Time,
    /// It was told to campaign.
    pub told: bool,
}

impl Raft {
    /// Leadership shall go to `to`. Ignored unless this server leads and `to` is another voter.
    pub(super) fn on_transfer(&mut self, to: NodeId) {
        if self.role != Role::Leader || to == self.config.me || !self.quorum().contains(to) {
            return;
        }
        self.events.push(Event::Transfer { to });
        self.reads.give_lease_away();
        self.transfer = Some(Transfer { to, deadline: self.now + self.config.election_timeout.0, told: false });
        self.hand_over_leadership(to);
    }

    /// Tells `peer` to campaign, if leadership goes to it and its log is this one.
    pub(super) fn hand_over_leadership(&mut self, peer: NodeId) {
        let last = self.log.last().index;
        let ready = self.progress.get(&peer).is_some_and(|progress| progress.matched == last);
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.to == peer && ready && !transfer.told {
            transfer.told = true;
            self.outbox.send_now(peer, Message::TimeoutNow(TimeoutNow { term: self.hard.term }));
        }
    }

    /// The leader wants this server to take over.
    pub(super) fn on_timeout_now(&mut self, term: Term) {
        let current = term == self.hard.term && self.role != Role::Leader;
        if current && self.quorum().contains(self.config.me) {
            self.campaign(true);
        }
    }
}
