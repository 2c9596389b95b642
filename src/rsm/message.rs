//! What clients and servers say to each other: requests, and exactly one response to each.

use super::machine::TooLarge;
use super::sessions::SessionId;
use labrpc::{Index, Kind, NodeId};
use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request<C, Q> {
    /// A session, to send commands in.
    Register {
        /// The same at every retry, and no other registration's of this client.
        nonce: u64,
    },
    /// Do this, once.
    Operate {
        /// In which session.
        session: SessionId,
        /// Which of its operations; the same number at every retry.
        seq: u64,
        /// What to do.
        command: C,
    },
    /// Do this, which belongs to no session: doing it twice is doing it once.
    Tell(C),
    /// Say this of a state that holds everything that was acknowledged when this was asked.
    Query(Q),
    /// Say this of the state as this server has it, which may be old. For those who watch servers: a client is not served
    /// by it.
    Look(Q),
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response<R, A> {
    /// The session.
    Registered(SessionId),
    /// The command was executed at that index, now or at an earlier try.
    Done {
        /// Where in the log.
        index: Index,
        /// What came of it.
        reply: R,
    },
    /// The service cannot do this command here, and says why. Nothing came of this request.
    Refused(R),
    /// The query's answer.
    Read {
        /// Of which state: the last entry of the log that it had seen.
        index: Index,
        /// What it says.
        answer: A,
    },
    /// This server does not lead. Nothing came of this request; a copy of it that comes later may find it leading.
    NotLeader(Option<NodeId>),
    /// This server has lost its leadership before the command was committed. It may be executed all the same: ask
    /// again, elsewhere, under the same number.
    Unknown(Option<NodeId>),
    /// Too much is under way. Nothing came of this request: try again soon.
    Busy,
    /// The session is gone. This request was not executed; what became of earlier ones for the same operation, nobody
    /// knows any more.
    Expired,
    /// The session has gone on to a later operation.
    Stale,
    /// Refused before anything was done.
    TooLarge(TooLarge),
    /// The request does not decode: its sender speaks another version.
    Malformed,
}

/// Under which names a service's requests travel. Each answer has the kind of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds {
    /// [`Request::Register`].
    pub register: Kind,
    /// [`Request::Operate`] and [`Request::Tell`].
    pub operate: Kind,
    /// [`Request::Query`] and [`Request::Look`].
    pub query: Kind,
}

impl Kinds {
    /// The kind of a request.
    pub fn of<C, Q>(&self, request: &Request<C, Q>) -> Kind {
        match request {
            Request::Register { .. } => self.register,
            Request::Operate { .. } | Request::Tell(_) => self.operate,
            Request::Query(_) | Request::Look(_) => self.query,
        }
    }
}
