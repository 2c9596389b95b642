//! Errands: what a service has to do by itself, such as fetching data from another one. No client asks for them.
//!
//! They are a function of the replicated state, and of nothing that has happened to a server: whatever the state says is
//! still to be done, the leader of the moment does, also if it has just restarted from a snapshot. Nothing is begun
//! because an entry was applied; it is begun because the state is such.

use super::machine::StateMachine;
use labrpc::Term;
use std::task::Context;
use std::time::Duration;

/// How long a server does none, after Raft has refused a command of theirs.
pub const REST: Duration = Duration::from_millis(20);

/// What a service has to do by itself. The driver of its server polls it.
pub trait Errands<M: StateMachine>: Send {
    /// Goes on with what the state says is to be done, and returns what has to be put into the log for it, in this order.
    /// `leads` is the term that this server leads, if it does: if not, or if it is another term than before, whatever was
    /// begun is to be dropped.
    ///
    /// `in_log` of the commands that it has returned are on their way through the log. While there are any, one of them may
    /// have been lost, and it is not said which; when there are none, whatever the state still says is to be done anew. What it
    /// waits for (answers of other servers, time) it owns, and polls with this context.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        machine: &M,
        leads: Option<Term>,
        in_log: usize,
    ) -> Vec<M::Command>;
}
