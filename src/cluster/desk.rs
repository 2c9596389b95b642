//! What can be asked of a node besides its service: who it knows, and how it is. Its service does not hear of it.

use super::book::Entry;
use super::status::Status;
use labrpc::{Env, Kind, NodeId, Time};
use serde::{Deserialize, Serialize};

/// Under which name this travels.
pub(super) const KIND: Kind = Kind::new("desk");

/// A question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Whom do you know? These are those whom I know.
    Book(Vec<Entry>),
    /// How are you?
    Status,
    /// If you lead, go one step towards a cluster of these voters.
    StepTowards(Vec<NodeId>),
    /// Hand over what you lead, and stop.
    Stop,
}

/// What came of a step towards another membership.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// There is nothing more to do, and that is committed.
    Done,
    /// A change was begun.
    Begun,
    /// Not yet, and why.
    Wait(String),
    /// It does not lead; who does, if it knows.
    NotLeader(Option<NodeId>),
    /// It makes no sense, and why.
    Senseless(String),
}

/// Its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// To [`Ask::Book`].
    Book(Vec<Entry>),
    /// To [`Ask::Status`].
    Status(Box<Status>),
    /// To [`Ask::StepTowards`].
    Step(Step),
    /// To [`Ask::Stop`]: it is about to.
    Stopping,
}

/// Asks a node. None: there is no answer, or none that makes sense.
pub(super) async fn ask(env: &Env, node: NodeId, ask: &Ask, deadline: Time) -> Option<Answer> {
    let body = labgob::encode(ask).expect("a book is far below the limit");
    let answer = env.call(node, KIND, body, deadline).await.ok()?;
    labgob::decode(&answer).ok()
}
