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
}

/// Its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// To [`Ask::Book`].
    Book(Vec<Entry>),
    /// To [`Ask::Status`].
    Status(Box<Status>),
}

/// Asks a node. None: there is no answer, or none that makes sense.
pub(super) async fn ask(env: &Env, node: NodeId, ask: &Ask, deadline: Time) -> Option<Answer> {
    let body = labgob::encode(ask).expect("a book is far below the limit");
    let answer = env.call(node, KIND, body, deadline).await.ok()?;
    labgob::decode(&answer).ok()
}
