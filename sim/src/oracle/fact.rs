//! What the oracle is told: facts, one by one, in the order in which they come about.

use crate::raft::{DiskFact, Summary, WireFacts};
use labrpc::sim::Packet;
use labrpc::{Event, Index, NodeId, Term};

/// Something that has happened, as the invariants see it.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A server said what happened to it.
    Emitted {
        /// Who.
        node: NodeId,
        /// What.
        event: &'a Event,
    },
    /// What is durable on a server's disk has changed.
    Durable {
        /// Whose.
        node: NodeId,
        /// How.
        fact: &'a DiskFact,
    },
    /// A message was sent.
    Sent {
        /// The message.
        packet: &'a Packet,
        /// What it says, if the implementation explains its messages.
        wire: Option<&'a WireFacts>,
    },
    /// A message has arrived.
    Delivered {
        /// The message.
        packet: &'a Packet,
        /// What it says.
        wire: Option<&'a WireFacts>,
    },
    /// A server has handled all messages that it had taken.
    Idle {
        /// Who.
        node: NodeId,
    },
    /// The service on a server has applied an entry.
    Applied {
        /// Where.
        node: NodeId,
        /// Which.
        index: Index,
        /// Its term, if the server tells.
        term: Option<Term>,
        /// The hash of what it carries.
        hash: u64,
    },
    /// The service on a server has replaced its state by a snapshot.
    Restored {
        /// Where.
        node: NodeId,
        /// The last entry covered.
        index: Index,
        /// The service's own digest of that state.
        digest: u64,
    },
    /// A server with a state machine of its own is in this state.
    State {
        /// Where.
        node: NodeId,
        /// The entry applied last.
        index: Index,
        /// The digest of the state.
        digest: u64,
    },
    /// A client was told that its command is committed.
    Acked {
        /// The hash of the command.
        hash: u64,
        /// Where it stands.
        index: Index,
    },
    /// A client was told an index to read at.
    Read {
        /// The index.
        index: Index,
        /// The highest index that any service had applied when the read was asked for.
        floor: Index,
        /// What the service that is read has applied.
        applied: Index,
    },
    /// A server starts. `expected` is what clean code reads from its disk.
    Booting {
        /// Who.
        node: NodeId,
        /// What it must find there.
        expected: &'a Result<Summary, String>,
        /// Something was pending when it went down, which may have survived or not.
        was_pending: bool,
    },
    /// A server believes that it leads, as whoever asks it is told.
    Claims {
        /// Who.
        node: NodeId,
        /// Which term.
        term: Term,
    },
    /// A server is down.
    Crashed {
        /// Who.
        node: NodeId,
    },
}

/// Which sort of fact: what an invariant subscribes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// [`Event::Recovered`].
    SaysRecovered,
    /// [`Event::Term`].
    SaysTerm,
    /// [`Event::Role`].
    SaysRole,
    /// [`Event::Appended`].
    SaysAppended,
    /// [`Event::Truncated`].
    SaysTruncated,
    /// [`Event::Progress`].
    SaysProgress,
    /// [`Event::Committed`].
    SaysCommitted,
    /// [`Event::Compacted`] and [`Event::Installed`].
    SaysSnapshot,
    /// [`Event::Ignored`].
    SaysIgnored,
    /// Every other event.
    SaysOther,
    /// [`DiskFact::Hard`].
    StoresHard,
    /// [`DiskFact::Entry`].
    StoresEntry,
    /// [`DiskFact::Cut`].
    StoresCut,
    /// [`DiskFact::Snapshot`].
    StoresSnapshot,
    /// A request for a vote, or an answer to one.
    SendsVote,
    /// A message that only a leader sends.
    SendsAsLeader,
    /// Every other message that explains itself.
    SendsOther,
    /// A message that does not explain itself.
    SendsUnexplained,
    /// [`Fact::Delivered`].
    Delivered,
    /// [`Fact::Idle`].
    Idle,
    /// [`Fact::Applied`].
    Applied,
    /// [`Fact::Restored`].
    Restored,
    /// [`Fact::State`].
    State,
    /// [`Fact::Acked`].
    Acked,
    /// [`Fact::Read`].
    Read,
    /// [`Fact::Booting`].
    Booting,
    /// [`Fact::Claims`].
    Claims,
    /// [`Fact::Crashed`].
    Crashed,
}

impl Sort {
    /// How many there are.
    pub const COUNT: usize = Sort::Crashed as usize + 1;
}

impl Fact<'_> {
    /// Which sort of fact it is.
    pub fn sort(&self) -> Sort {
        match self {
            Fact::Emitted { event, .. } => match event {
                Event::Recovered { .. } => Sort::SaysRecovered,
                Event::Term { .. } => Sort::SaysTerm,
                Event::Role { .. } => Sort::SaysRole,
                Event::Appended { .. } => Sort::SaysAppended,
                Event::Truncated { .. } => Sort::SaysTruncated,
                Event::Progress { .. } => Sort::SaysProgress,
                Event::Committed { .. } => Sort::SaysCommitted,
                Event::Compacted { .. } | Event::Installed { .. } => Sort::SaysSnapshot,
                Event::Ignored { .. } => Sort::SaysIgnored,
                _ => Sort::SaysOther,
            },
            Fact::Durable { fact, .. } => match fact {
                DiskFact::Hard { .. } => Sort::StoresHard,
                DiskFact::Entry { .. } => Sort::StoresEntry,
                DiskFact::Cut { .. } => Sort::StoresCut,
                DiskFact::Snapshot { .. } => Sort::StoresSnapshot,
            },
            Fact::Sent { wire, .. } => match wire {
                Some(WireFacts::VoteRequest { .. } | WireFacts::VoteReply { .. }) => Sort::SendsVote,
                Some(WireFacts::Append { .. } | WireFacts::Install { .. }) => Sort::SendsAsLeader,
                Some(_) => Sort::SendsOther,
                None => Sort::SendsUnexplained,
            },
            Fact::Delivered { .. } => Sort::Delivered,
            Fact::Idle { .. } => Sort::Idle,
            Fact::Applied { .. } => Sort::Applied,
            Fact::Restored { .. } => Sort::Restored,
            Fact::State { .. } => Sort::State,
            Fact::Acked { .. } => Sort::Acked,
            Fact::Read { .. } => Sort::Read,
            Fact::Booting { .. } => Sort::Booting,
            Fact::Claims { .. } => Sort::Claims,
            Fact::Crashed { .. } => Sort::Crashed,
        }
    }
}
