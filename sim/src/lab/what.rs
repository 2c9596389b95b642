//! What the service and the clients report to the [watcher](super::watcher), by name, and what the four words of it say.

/// An entry was applied: index, term + 1 or 0, hash.
pub const APPLY: &str = "apply";
/// A server with a state machine of its own has applied an entry: the same, and the digest of its state.
pub const APPLY_OWN: &str = "apply own";
/// A server refuses a command or a query, for a reason of its service's: the last index applied, the hash of what was asked.
pub const REFUSE: &str = "refuse";
/// The state was replaced by a snapshot: index, digest.
pub const RESTORE: &str = "restore";
/// A server's own state after a snapshot: index, digest.
pub const STATE: &str = "state";
/// A client of a key/value service begins an operation: client, which of its operations, a digest of what it asks.
pub const INVOKE: &str = "invoke";
/// And is done with it: client, which of its operations, how, a digest of what it is told.
pub const RETURN: &str = "return";
/// A client asks a shard controller for something: as whom, which of its operations, a digest of that.
pub const CONFIGURE: &str = "configure";
/// And is answered: the same, and whether it is known what became of it.
pub const CONFIGURED: &str = "configured";
/// A client was told that its command is committed: hash, index, which group's, from 0.
pub const ACK: &str = "ack";
/// A client was told an index to read at: index, highest index applied anywhere in the group before it asked, what is
/// applied now where it reads, and which group's they are, from 0.
pub const READ: &str = "read";
