//! What a service is: a state, and what commands do to it.

use super::sessions::{Outcome, SessionId};
use labrpc::{Event, Index};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;

/// A deterministic state machine. Every server applies the same commands in the same order and must come to the same
/// state: nothing but state and command may decide.
pub trait StateMachine: Debug + Send + Sized + 'static {
    /// Which service it is: the second byte of its snapshots, so that none is taken for another's.
    const TAG: u8;

    /// What is fixed when it is made: the same on all servers of a service, always. Nothing of it stands in the log.
    type Settings: Clone + Debug + Default + Send + Sync + 'static;
    /// What changes the state.
    type Command: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What comes of a command. It is kept with the state until its client goes on.
    type Reply: Clone + Debug + PartialEq + Hash + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What asks about the state.
    type Query: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What comes of a query.
    type Answer: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Whether it keeps the sessions of its clients itself, as a service must whose state moves from one log to another: what
    /// clients have done moves with it. Then the replica keeps none and registers none; who gives them out is for the service
    /// to say.
    const KEEPS_SESSIONS: bool = false;

    /// The state in front of the first command.
    fn new(settings: &Self::Settings) -> Self;

    /// Does what the command at `index` of the log says.
    fn apply(&mut self, index: Index, command: &Self::Command) -> Self::Reply;

    /// [`StateMachine::apply`] for a command of a session. Asked of a machine that keeps sessions itself: it judges
    /// whether the command is new, and records what comes of it.
    fn operate(
        &mut self,
        index: Index,
        _session: SessionId,
        _seq: u64,
        command: &Self::Command,
    ) -> Outcome<Self::Reply> {
        Outcome::Done(index, self.apply(index, command))
    }

    /// What such a machine knows of a command without asking the log: what came of it, or that nothing will. `leads` says
    /// whether its server takes itself for the leader: what another one does not have may be elsewhere, or late.
    fn recall(
        &self,
        _session: SessionId,
        _seq: u64,
        _command: &Self::Command,
        _leads: bool,
    ) -> Option<Outcome<Self::Reply>> {
        None
    }

    /// Whether others may give this command outside of any session: one that does the same once, twice or late.
    fn may_be_told(_command: &Self::Command) -> bool {
        false
    }

    /// What has happened since this was asked last, to be told to observers. No part of the state.
    fn take_events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Answers, and changes nothing.
    fn query(&self, query: &Self::Query) -> Self::Answer;

    /// Whether that is no answer, but that it cannot be had here.
    fn is_refusal(_answer: &Self::Answer) -> bool {
        false
    }

    /// Whether an answer from this state does no harm however old it is: because it is the same in every state that can give it.
    /// Then any server answers at once, without asking the others whether it still leads.
    fn is_settled(&self, _query: &Self::Query) -> bool {
        false
    }

    /// The whole state.
    fn snapshot(&self) -> Vec<u8>;

    /// The state of a snapshot.
    ///
    /// # Errors
    /// [`Malformed`]: these bytes are none.
    fn restore(settings: &Self::Settings, bytes: &[u8]) -> Result<Self, Malformed>;

    /// Equal for equal states, however they came to be.
    fn digest(&self) -> u64;

    /// Whether a command is small enough to be put into the log.
    ///
    /// # Errors
    /// [`TooLarge`] if not.
    fn admit(_command: &Self::Command) -> Result<(), TooLarge> {
        Ok(())
    }
}

/// The bytes are no snapshot of this version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a snapshot of this version: it is damaged, or another version wrote it")]
pub struct Malformed;

/// Something has more than is allowed: bytes, or whatever else the service counts. Nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, serde::Deserialize, thiserror::Error)]
#[error("too large: {size}, and {limit} are allowed")]
pub struct TooLarge {
    /// How many it has.
    pub size: u64,
    /// How many it may have.
    pub limit: u64,
}
