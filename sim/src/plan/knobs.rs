//! Knobs: what can be set about the system under test, within what the protocol promises to bear.
//!
//! The seed draws them, since many bugs live only where two of them meet (a batch of one entry and no no-op; a
//! snapshot after every entry and a slow service).

use labrpc::Rng;
use labrpc::sim::{Span, Spread};
use serde::{Deserialize, Serialize};

/// How a service answers reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// From its state, once a majority has confirmed the leader (thesis 6.4).
    #[default]
    Index,
    /// As entries of the log.
    Log,
    /// From its state, while the leader holds a lease on its leadership (thesis 6.4.1).
    Lease,
}

/// The settings of a system under test.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// An election timeout is drawn between the two.
    pub election: Spread,
    /// A leader is heard at least this often.
    pub heartbeat: Span,
    /// Most entries in one append; none: unlimited.
    pub max_entries: Option<u32>,
    /// Most appends on the way to one follower.
    pub max_inflight: u32,
    /// Whether heartbeats are empty, or carry what there is to send.
    pub empty_heartbeats: bool,
    /// Whether a leader opens its term with an entry of its own.
    pub noop: bool,
    /// Whether servers ask if they could win before they campaign.
    pub pre_vote: bool,
    /// Whether a leader steps down without a majority, and whoever hears a leader ignores candidates.
    pub check_quorum: bool,
    /// Whether a candidate asks again within its term.
    pub retransmit_votes: bool,
    /// Most inputs that a server handles at once; none: all.
    pub inputs_per_ready: Option<u32>,
    /// The service takes a snapshot after so many entries; none: never.
    pub snapshot_every: Option<u32>,
    /// Bytes of ballast in a snapshot.
    pub snapshot_ballast: u32,
    /// Bytes in one piece of a snapshot.
    pub chunk: u32,
    /// Time that the service takes to apply an entry.
    pub apply_lag: Spread,
    /// Most entries that wait for the service.
    pub max_unapplied: u32,
    /// How long a client waits for an answer before it tries again.
    pub client_timeout: Span,
    /// How long a client of a key/value service tries before it gives an operation up, which may take effect all the
    /// same. A server is given a quarter of `client_timeout` to answer.
    pub client_patience: Span,
    /// How a service answers reads.
    pub reads: ReadMode,
    /// A service with a state of its own takes a snapshot when its log has more bytes than this, and more than the
    /// last snapshot; none: never.
    pub snapshot_bytes: Option<u32>,
    /// Most sessions of clients that a service remembers.
    pub max_sessions: u32,
    /// How many shards a sharded store has.
    pub shards: u32,
    /// Bytes of a shard that move at once.
    pub piece: u32,
}

impl Default for Knobs {
    /// The usual settings of the course's labs: what its tests assume.
    fn default() -> Knobs {
        Knobs {
            election: Spread::millis(300, 600),
            heartbeat: Span::millis(100),
            max_entries: None,
            max_inflight: 8,
            empty_heartbeats: true,
            noop: true,
            pre_vote: false,
            check_quorum: false,
            retransmit_votes: true,
            inputs_per_ready: None,
            snapshot_every: None,
            snapshot_ballast: 0,
            chunk: 4 << 10,
            apply_lag: Spread::ZERO,
            max_unapplied: 1_000,
            client_timeout: Span::secs(2),
            client_patience: Span::secs(8),
            reads: ReadMode::Index,
            snapshot_bytes: None,
            max_sessions: 1_000,
            // No multiple of most numbers of groups.
            shards: 10,
            // So few that most moves take several.
            piece: 200,
        }
    }
}

impl Knobs {
    /// Knobs as the seed has them: each usual in half of the cases.
    pub fn draw(rng: &mut Rng) -> Knobs {
        let usual = Knobs::default();
        let election = *rng.pick(&[usual.election, Spread::millis(150, 300), Spread::millis(300, 1_000)]);
        Knobs {
            election,
            heartbeat: if election.min < usual.election.min { Span::millis(50) } else { usual.heartbeat },
            max_entries: *rng.pick(&[None, None, None, Some(1), Some(2), Some(8)]),
            max_inflight: *rng.pick(&[8, 8, 1, 2]),
            empty_heartbeats: rng.chance(700_000),
            noop: rng.chance(700_000),
            pre_vote: rng.chance(500_000),
            check_quorum: rng.chance(500_000),
            retransmit_votes: rng.chance(500_000),
            inputs_per_ready: *rng.pick(&[None, None, Some(1), Some(8)]),
            apply_lag: *rng.pick(&[Spread::ZERO, Spread::ZERO, Spread::millis(0, 5)]),
            max_unapplied: *rng.pick(&[1_000, 1_000, 10, 1]),
            client_timeout: *rng.pick(&[usual.client_timeout, Span::millis(200)]),
            ..usual
        }
    }

    /// With snapshots: as often and as large as the seed has it.
    pub fn draw_snapshots(mut self, rng: &mut Rng) -> Knobs {
        self.snapshot_every = *rng.pick(&[Some(1), Some(3), Some(10), Some(10), Some(100)]);
        self.snapshot_ballast = *rng.pick(&[0, 0, 2_000, 20_000]);
        self.chunk = *rng.pick(&[4 << 10, 4 << 10, 512, 64]);
        self.snapshot_ballast = self.snapshot_ballast.min(self.chunk * 40);
        self
    }
}
