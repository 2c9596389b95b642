//! Cards of planted bugs: what is wrong, where to look for it, and how hard it was expected to be to see.

/// A planted bug, for those who choose one.
#[derive(Clone, Debug)]
pub struct BugCard {
    /// What it is called.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub about: &'static str,
    /// The directed scenario that is made for it, and the check that it must trip there first.
    pub directed: Option<(&'static str, &'static str)>,
    /// What is to be expected of it, said before anybody measured.
    pub study: Option<Study>,
}

/// Where a planted bug sits, which rule it breaks, and how hard it was expected to be to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Study {
    /// The part of the system.
    pub layer: Layer,
    /// How hard.
    pub class: Class,
    /// The rule, with the section that it stands in.
    pub rule: &'static str,
    /// Why that class, for a bug whose class was not taken from an estimate that was there before the bug.
    pub ground: Option<&'static str>,
}

impl Study {
    /// One whose class was estimated before the bug was planted.
    pub const fn of(layer: Layer, class: Class, rule: &'static str) -> Study {
        Study { layer, class, rule, ground: None }
    }

    /// One whose class was decided when it was planted, for this reason.
    pub const fn because(self, ground: &'static str) -> Study {
        Study { ground: Some(ground), ..self }
    }
}

/// A part of a system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Layer {
    /// Raft: who leads.
    Election,
    /// Raft: what is in the log, and what of it is committed; and reads, which follow the commit index.
    Replication,
    /// Raft: what is on the disk.
    Persistence,
    /// Raft: what replaces the log.
    Snapshot,
    /// Raft: who belongs to the cluster.
    Membership,
    /// A replicated service and its clients.
    Service,
    /// A shard controller.
    Controller,
    /// A sharded store.
    Shards,
}

impl Layer {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Election => "Raft, election",
            Layer::Replication => "Raft, replication",
            Layer::Persistence => "Raft, persistence",
            Layer::Snapshot => "Raft, snapshots",
            Layer::Membership => "Raft, membership",
            Layer::Service => "service",
            Layer::Controller => "shard controller",
            Layer::Shards => "shards",
        }
    }
}

/// How hard a bug was expected to be to see, for a laboratory that looks inside: an estimate, never a measurement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Class {
    /// Within 20 runs.
    Easy,
    /// Within 500.
    #[default]
    Medium,
    /// Within 5,000.
    Hard,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [Class::Easy, Class::Medium, Class::Hard];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Class::Easy => "easy",
            Class::Medium => "medium",
            Class::Hard => "hard",
        }
    }

    /// The runs within which it should be seen.
    pub fn within(self) -> u64 {
        match self {
            Class::Easy => 20,
            Class::Medium => 500,
            Class::Hard => 5_000,
        }
    }
}
