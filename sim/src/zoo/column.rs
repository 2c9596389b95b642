//! The two ways in which a bug is looked for: which scenarios, in which order, and with which checks.

use crate::oracle::cards;
use crate::raft::Class;
use crate::scenario::{Group, Suite};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Checks that look at nothing but what clients are told and services are given, or measure from outside. What ends a run,
/// a panic or a run without an end, is seen in any case.
///
/// `committed-immutable` is among them since nothing else holds what one service applies against what another does. Where
/// servers say what they commit it sees that too, a moment before they apply it. `undecided` says nothing about a system.
const CLIENT_SIDE: [&str; 9] = [
    "committed-immutable",
    "apply-order",
    "agreement",
    "progress",
    "message-count",
    "disk-size",
    "linearizability",
    "configurations",
    "refused-disk",
];
/// What ends a run whatever is switched off.
const ENDS_THE_RUN: [&str; 2] = ["panic", "stuck"];

/// A way to look for a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// The course's scenarios, and checks from outside.
    Usual,
    /// The swarm, in which all faults and nemeses are that there are, and all checks.
    Whole,
}

impl Column {
    /// Both.
    pub const ALL: [Column; 2] = [Column::Usual, Column::Whole];

    /// In a few words.
    pub fn name(self) -> &'static str {
        match self {
            Column::Usual => "the course's scenarios",
            Column::Whole => "the whole laboratory",
        }
    }

    /// Its scenarios of a suite, in an order that has nothing to do with what they are about and is the same for ever.
    pub fn scenarios(self, suite: &Suite) -> Vec<&'static str> {
        let is_in = |group: Group| match self {
            Column::Usual => group == Group::Usual,
            Column::Whole => group == Group::Swarm,
        };
        let chosen = suite.scenarios.iter().filter(|scenario| is_in(scenario.group));
        let mut names: Vec<&'static str> = chosen.map(|scenario| scenario.name).collect();
        names.sort_by_key(|name| (xxh3_64(name.as_bytes()), *name));
        names
    }

    /// The checks that are switched off in it.
    pub fn mute(self) -> Vec<String> {
        let is_on = |id: &str| match self {
            Column::Usual => CLIENT_SIDE.contains(&id) || ENDS_THE_RUN.contains(&id),
            Column::Whole => true,
        };
        cards().iter().filter(|card| !is_on(card.id)).map(|card| card.id.into()).collect()
    }

    /// The checks that are on in the first column.
    pub fn client_side() -> impl Iterator<Item = &'static str> {
        CLIENT_SIDE.into_iter().chain(ENDS_THE_RUN)
    }
}

/// How long each bug is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// Runs in the first column.
    pub usual: u64,
    /// Runs in the second, for easy, medium and hard bugs.
    pub whole: [u64; 3],
    /// Detections that are enough.
    pub detections: u64,
    /// Of so many runs, the first ones, it is said whether the bug did anything in them.
    pub sample: u64,
}

impl Caps {
    /// The whole matrix.
    pub const FULL: Caps = Caps { usual: 1_000, whole: [200, 2_000, 5_000], detections: 5, sample: 200 };
    /// A look at it.
    pub const QUICK: Caps = Caps { usual: 20, whole: [20; 3], detections: 1, sample: 20 };

    /// Runs for a bug of that class in that column.
    pub fn runs(&self, column: Column, class: Class) -> u64 {
        match column {
            Column::Usual => self.usual,
            Column::Whole => self.whole[class as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_all_but_what_is_seen_from_outside() {
        assert!(Column::Whole.mute().is_empty());
        let (muted, all) = (Column::Usual.mute(), cards().len());
        assert_eq!(muted.len() + Column::client_side().count(), all, "a check is named that does not exist");
        assert!(muted.iter().any(|id| id == "election-safety") && muted.iter().any(|id| id == "ack-honest"));
        assert!(!muted.iter().any(|id| id == "linearizability" || id == "panic"));
    }

    #[test]
    fn each_class_has_its_cap() {
        let runs = |column| Class::ALL.map(|class| Caps::FULL.runs(column, class));
        assert_eq!((runs(Column::Usual), runs(Column::Whole)), ([1_000; 3], [200, 2_000, 5_000]));
    }
}
