//! Bugs that can be planted in the sharded key/value store, one at a time, for the laboratory to find.

use crate::bugs::bugs;
use crate::rsm::bugs as rsm;

bugs! { ($) shardkv ALL
    // Who serves a shard.
    /// A group serves a shard from the moment that a configuration gives it, empty, before what it held has come.
    ServeBeforeData = "serve-before-data",
    /// Whether a group has a shard is asked when a command comes in and not when it is applied: one that stands in the log
    /// behind the configuration that takes the shard away goes into a dead copy.
    ServeAfterHandoff = "serve-after-handoff",
    /// A write to a shard that the group does not have makes the shard again.
    WriteRevivesDeletedShard = "write-revives-deleted-shard",
    /// While a group waits for one shard it serves none.
    StopTheWorld = "stop-the-world",

    // What moves.
    /// A shard moves without its sessions: a command whose answer was lost on the way is executed again where it went.
    DedupNotMigrated = "dedup-not-migrated",
    /// A group gives out a shard before it has applied the configuration that takes it away, and goes on writing to it.
    PullFromUnreadySource = "pull-from-unready-source",
    /// A group that waits for shards gives none out: two that exchange some wait for each other.
    MutualPullDeadlock = "mutual-pull-deadlock",
    /// Shards are fetched by the leader that has adopted the configuration, because it did: who leads after it does not.
    MigrationTaskLost = "migration-task-lost",

    // Configurations.
    /// A group goes to the latest configuration at once, past those between: shards that moved twice are looked for where
    /// they have never been.
    SkipConfigs = "skip-configs",
    /// What the leader learns of configurations and shards it takes over by itself, and not through the log.
    ConfigNotInLog = "config-not-in-log",

    // What remains behind.
    /// The source of a shard is told to delete it as soon as its last byte has come, not when that is committed.
    DeleteBeforeInstall = "delete-before-install",
    /// To delete a shard that has gone deletes it whatever it has become since: it may be back.
    StaleDelete = "stale-delete",
    /// Shards that have gone are kept for ever.
    ShardNeverGced = "shard-never-gced",
}

impl Bug {
    /// The bug of what all services share that it is, for those that are made further down.
    pub fn in_rsm(self) -> Option<rsm::Bug> {
        match self {
            Bug::ConfigNotInLog => Some(rsm::Bug::ErrandNotInLog),
            _ => None,
        }
    }

    /// The bug of that name.
    pub fn of_name(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}
