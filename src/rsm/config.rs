//! What can be set about a replicated service.

use super::bugs::Bug;

/// How reads see everything that was acknowledged before they were asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reads {
    /// The leader makes sure that it still is one (thesis 6.4), by a round of heartbeats or by a lease if it has
    /// one ([`crate::raft::Config::lease`]). Nothing is written.
    #[default]
    Confirmed,
    /// An entry of the log marks the place of the read.
    ThroughLog,
}

/// The settings of one server of the service.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Most sessions that are remembered. Beyond, the oldest ends. A leader's setting counts for all.
    pub max_sessions: u64,
    /// A snapshot is made when the log since the last one has more bytes than this *and* than that one had: so its
    /// cost, spread over the commands, depends neither on the length of the log nor on the size of the state.
    /// None: never.
    pub snapshot_after: Option<u64>,
    /// How reads are served.
    pub reads: Reads,
    /// A planted bug.
    pub bug: Option<Bug>,
}

impl Default for Config {
    fn default() -> Config {
        Config { max_sessions: 4_096, snapshot_after: Some(1 << 20), reads: Reads::Confirmed, bug: None }
    }
}
