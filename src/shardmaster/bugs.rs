//! Bugs that can be planted in the shard controller, one at a time, for the laboratory to find.

use crate::bugs::bugs;
use crate::rsm::bugs as rsm;

bugs! { ($) shardmaster ALL
    // Rebalancing.
    /// Which groups get the larger share is decided by the order of a hash table, which differs from server to server
    /// (a state machine depends on its commands and nothing else).
    RebalanceNondeterministic = "rebalance-nondeterministic",
    /// Each new configuration hands out all shards anew: they are balanced, and more of them move than have to.
    RebalanceNotMinimal = "rebalance-not-minimal",
    /// A move is followed by a rebalance, which undoes it.
    MoveUndone = "move-undone",

    // Configurations.
    /// A group that is there already may join again, and makes a new configuration.
    DupJoin = "dup-join",
    /// What changes in a configuration changes in the one before it as well: they share a table.
    HistoryAliasing = "history-aliasing",
    /// A server that takes itself for the leader answers queries from its state at once, without asking the others if
    /// it still leads (§8: it might be deposed).
    QueryLatestStale = "query-latest-stale",
}

impl Bug {
    /// The bug of what all services share that it is, for those that are made further down.
    pub fn in_rsm(self) -> Option<rsm::Bug> {
        match self {
            // Where each configuration stays as it is, a local answer is wrong for the latest one alone.
            Bug::QueryLatestStale => Some(rsm::Bug::LocalRead),
            _ => None,
        }
    }

    /// The bug of that name.
    pub fn of_name(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}
