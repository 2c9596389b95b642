//! What is to be expected of the planted bugs of the sharded store: where they sit, which rule they break, and how hard each was expected
//! to be before anybody measured.

use super::bugs::Bug;
use sim::raft::{Class, Layer, Study};

/// What is to be expected of a bug.
pub fn study(bug: Bug) -> Study {
    match bug {
        Bug::ServeBeforeData => {
            Study::of(Layer::Shards, Class::Easy, "the course, part 4B: linearizable while shards move")
        }
        Bug::ServeAfterHandoff => {
            Study::of(Layer::Shards, Class::Easy, "the course, part 4B: whose a shard is is decided in the log")
        }
        Bug::WriteRevivesDeletedShard => {
            Study::of(Layer::Shards, Class::Medium, "the course, part 4B: whose a shard is is decided in the log")
        }
        Bug::StopTheWorld => Study::of(Layer::Shards, Class::Easy, "the course, part 4B, second challenge"),
        Bug::DedupNotMigrated => {
            Study::of(Layer::Shards, Class::Easy, "the course, part 4B: duplicates are detected across moves")
        }
        Bug::PullFromUnreadySource => Study::of(
            Layer::Shards,
            Class::Easy,
            "the course, part 4B: a shard is given out when it is no longer written",
        ),
        Bug::MutualPullDeadlock => {
            Study::of(Layer::Shards, Class::Easy, "the course, part 4B: groups exchange shards without a deadlock")
        }
        Bug::MigrationTaskLost => {
            Study::of(Layer::Shards, Class::Medium, "the course, part 4B: migration survives any restart")
        }
        Bug::SkipConfigs => {
            Study::of(Layer::Shards, Class::Easy, "the course, part 4B: configurations one at a time, in order")
        }
        Bug::ConfigNotInLog => Study::of(
            Layer::Shards,
            Class::Easy,
            "the course, part 4B: all replicas change configuration at the same point of the log",
        ),
        Bug::DeleteBeforeInstall => Study::of(Layer::Shards, Class::Easy, "the course, part 4B, first challenge"),
        Bug::StaleDelete => Study::of(Layer::Shards, Class::Easy, "the course, part 4B, first challenge"),
        Bug::ShardNeverGced => Study::of(Layer::Shards, Class::Easy, "the course, part 4B, first challenge"),
    }
}
