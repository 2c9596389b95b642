//! What a service is: a state, and what commands do to it.

use labrpc::Index;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;

/// A deterministic state machine. Every server applies the same commands in the same order and must come to the same
/// state: nothing but state and command may decide.
pub trait StateMachine: Debug + Send + Sized + 'static {
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

    /// The state in front of the first command.
    fn new(settings: &Self::Settings) -> Self;

    /// Does what the command at `index` of the log says.
    fn apply(&mut self, index: Index, command: &Self::Command) -> Self::Reply;

    /// Answers, and changes nothing.
    fn query(&self, query: &Self::Query) -> Self::Answer;

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
