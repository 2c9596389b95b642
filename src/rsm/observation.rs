//! What a replica does, for those who watch it: the laboratory, and tests.

use bytes::Bytes;
use labrpc::{Index, Term};

/// Something that the replica of a server has done, for those who watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observation<'a> {
    /// It has applied an entry.
    Applied {
        /// Where the entry stands.
        index: Index,
        /// Its term.
        term: Term,
        /// Its bytes; none for an entry that Raft made for itself.
        command: Option<&'a Bytes>,
        /// Whether a client's command was executed now: not if it had been before, or never is.
        executed: bool,
        /// The digest of the state after it.
        digest: u64,
    },
    /// It has refused a client, in the state behind that entry, for a reason of the service's.
    Refused {
        /// The entry.
        index: Index,
        /// The command, as the log has it or would have it; or the query, encoded.
        asked: &'a Bytes,
        /// Whether it is a query.
        reads: bool,
    },
    /// It has taken over the state of a snapshot: at boot, or from a leader.
    Restored {
        /// The last entry that the snapshot covers.
        index: Index,
        /// The digest of the state.
        digest: u64,
    },
    /// It has made a snapshot of its state.
    Snapshot {
        /// The last entry that it covers.
        index: Index,
        /// The bytes.
        content: &'a Bytes,
    },
}

/// Who watches a replica. Called in order, at the moment it happens, and before any client hears of it.
pub type Observer = Box<dyn FnMut(Observation<'_>) + Send>;
