//! What can be wrong with a run.

use crate::oracle::Violation;
use std::time::Duration;

/// What is wrong with a run.
#[derive(Clone, Debug)]
pub enum Found {
    /// Something did not hold.
    Violation(Box<Violation>),
    /// It never yielded, and its process was ended.
    Hung(Duration),
    /// Its process died; the text says how.
    Died(String),
    /// Made twice, it went two ways.
    Diverged(Box<Divergence>),
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
