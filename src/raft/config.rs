//! What can be set about one server.

use super::bugs::Bug;
use super::types::Membership;
use labrpc::NodeId;
use std::time::Duration;

/// The largest command, in bytes. Half of what a message or a record can hold, so that what goes around it fits.
pub const MAX_COMMAND: usize = labgob::LIMIT as usize / 2;

/// More entries than anybody wants in one append. What goes around so many is far less than [`MAX_COMMAND`].
const MAX_ENTRIES: usize = 1 << 16;

/// The settings of one server. Except for `me` they should be the same on all of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which server this is.
    pub me: NodeId,
    /// The cluster as it was first set up. What log and snapshot say goes before.
    pub membership: Membership,
    /// An election timeout is drawn anew each time, evenly between the two (§5.2).
    pub election_timeout: (Duration, Duration),
    /// A leader lets itself be heard at least this often; well below the election timeout (§5.6).
    pub heartbeat: Duration,
    /// Most entries in one append. One is always sent.
    pub max_entries: usize,
    /// Most bytes of commands in one append. One entry is always sent, however large.
    pub max_bytes: usize,
    /// Most appends on the way to one follower, unacknowledged.
    pub max_inflight: usize,
    /// Whether heartbeats are empty, or carry what there is to send.
    pub empty_heartbeats: bool,
    /// Whether a leader opens its term with an entry of its own (§8). Without, entries of earlier terms are
    /// committed by the next command, and reads cannot be confirmed before it.
    pub noop_on_election: bool,
    /// Whether a server asks if it could win before it disturbs the cluster with a new term (thesis 9.6).
    pub pre_vote: bool,
    /// Whether a leader steps down when it has not heard from a majority for an election timeout, and servers
    /// that hear from a leader do not listen to candidates (thesis 4.2.3, 6.2).
    pub check_quorum: bool,
    /// Whether a candidate asks again, within its term, those who have not answered.
    pub retransmit_votes: bool,
    /// Most bytes of a snapshot in one message.
    pub chunk: u64,
    /// Most entries handed to the service and not applied yet.
    pub max_unapplied: u64,
    /// Most entries of a leader that are not committed yet; beyond, proposals are refused as busy.
    pub max_uncommitted: u64,
    /// Whether a leader answers reads for a while after a majority has answered it, without asking again (thesis
    /// 6.4.1), and how far clocks can be trusted for that. Servers then keep away from elections for the shortest
    /// election timeout after they have heard a leader, and after they have started.
    pub lease: Option<Drift>,
    /// A planted bug.
    pub bug: Option<Bug>,
}

/// How far the rates of the servers' clocks may be apart, in parts per million of true time. A clock that is outside
/// of this, or jumps, makes leases unsafe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drift {
    /// The slowest clock.
    pub slowest: u32,
    /// The fastest.
    pub fastest: u32,
}

impl Drift {
    /// How long a lease may last by the leader's clock, whatever rate that has, so that none of those who have
    /// answered it joins an election before the lease ends: they wait for `timeout`, each by its own clock.
    pub fn lease(self, timeout: Duration) -> Duration {
        let nanos =
            timeout.as_nanos() * u128::from(self.slowest.min(self.fastest)) / u128::from(self.fastest.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Config {
    /// The same, within the bounds that a server can work in: something goes on, and each message can be encoded.
    pub(super) fn within_bounds(self) -> Config {
        Config {
            max_entries: self.max_entries.clamp(1, MAX_ENTRIES),
            max_bytes: self.max_bytes.min(MAX_COMMAND),
            max_inflight: self.max_inflight.max(1),
            chunk: self.chunk.clamp(1, MAX_COMMAND as u64),
            max_unapplied: self.max_unapplied.max(1),
            max_uncommitted: self.max_uncommitted.max(1),
            ..self
        }
    }

    /// The settings of a server in a cluster of `voters`, with timeouts for a local network.
    pub fn new(me: NodeId, voters: impl IntoIterator<Item = NodeId>) -> Config {
        Config {
            me,
            membership: Membership::of(voters),
            election_timeout: (Duration::from_millis(300), Duration::from_millis(600)),
            heartbeat: Duration::from_millis(100),
            max_entries: 256,
            max_bytes: 1 << 20,
            max_inflight: 8,
            empty_heartbeats: true,
            noop_on_election: true,
            pre_vote: true,
            check_quorum: true,
            retransmit_votes: true,
            chunk: 64 << 10,
            max_unapplied: 4_096,
            max_uncommitted: 16_384,
            lease: None,
            bug: None,
        }
    }
}
