//! What can be wrong with a run.

use crate::oracle::Violation;
use std::time::Duration;

/// What is wrong with a run.
#[derive(Clone, Debug)]
pub enum Found {
    /// Something did not hold.
    Violation(Box<Violation>),
    /// It never yielded, and its process was ended.
    Hung {
        /// For how long it was waited for.
        patience: Duration,
        /// What it wrote to standard error last.
        said: String,
    },
    /// Its process died.
    Died {
        /// How.
        how: String,
        /// What it wrote to standard error last.
        said: String,
    },
    /// Made twice, it went two ways.
    Diverged(Box<Divergence>),
}

impl Found {
    /// Whether it says that something is wrong with the system. A run that did not come to its end says neither.
    pub fn is_failure(&self) -> bool {
        matches!(self, Found::Violation(_) | Found::Diverged(_))
    }

    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Found::Violation(_) => "VIOLATED",
            Found::Hung { .. } => "HUNG",
            Found::Died { .. } => "DIED",
            Found::Diverged(_) => "DIVERGED",
        }
    }
}

/// Two runs of one plan that went two ways.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The last lines that both have.
    pub common: Vec<String>,
    /// How one of them goes on.
    pub one: Vec<String>,
    /// How the other does.
    pub other: Vec<String>,
}
