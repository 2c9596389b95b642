//! Linearizability: is there one order of all operations, each at an instant between its invocation and its return,
//! in which everything that clients were told is true?
//!
//! Every history is decided. Memory is bounded, time is not: a search that would need more memory than it may have ends
//! as *unknown*, says so, and is never taken for a success.
//!
//! * [`check`]: the verdict on a history, by key;
//! * [`Kv`], [`Register`]: what keys are;
//! * [`Model`] and [`Search`]: for objects of any other kind.

mod content;
mod kv;
mod memo;
mod part;
mod register;
mod search;
mod spec;
mod study;
mod table;
mod tree;
mod window;

#[cfg(test)]
mod tests;

pub use content::Contents;
pub use kv::{KvModel, KvOp, Written};
pub use part::{Part, PartOp, Parts, What};
pub use register::{RegisterModel, RegisterOp};
pub use search::{Model, NEVER, Search, Searched, Timed, sort};
pub use spec::{Kv, Register, Spec};
pub use window::Window;

use crate::history::History;
use std::fmt;

/// What a check may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// About how many bytes the search may hold besides the history.
    pub memory: usize,
}

impl Default for Limits {
    /// A gibibyte.
    fn default() -> Limits {
        Limits { memory: 1 << 30 }
    }
}

/// What is said of a history.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// There is such an order.
    Ok,
    /// There is none.
    Violated(Box<Window>),
    /// It was not decided.
    Unknown(String),
}

impl Verdict {
    /// Whether there is such an order.
    pub fn is_ok(&self) -> bool {
        matches!(self, Verdict::Ok)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ok => f.write_str("linearizable"),
            Verdict::Violated(window) => {
                write!(f, "not linearizable: key {}", crate::history::quoted(&window.key))
            }
            Verdict::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// Whether the history is linearizable.
///
/// If it is not for several keys, the verdict names the one that goes wrong first.
pub fn check<S: Spec>(history: &History, spec: &S, limits: Limits) -> Verdict {
    let parts = Parts::of(history);
    let mut search = Search::default();
    let mut part = Part::default();
    let (mut violated, mut too_large) = (Vec::new(), 0);
    for key in 0..parts.len() {
        parts.fill(key, &mut part);
        let (hard, searched) = run(spec, &part, &mut search, limits);
        match searched {
            Searched::Order(_) => {}
            Searched::None => violated.push((key, hard)),
            Searched::TooLarge => too_large += 1,
        }
    }
    let windows = violated.into_iter().map(|(key, hard)| {
        parts.fill(key, &mut part);
        window::window(history, spec, &part, &mut search, hard)
    });
    if let Some(first) = windows.min_by_key(|window| window.to) {
        return Verdict::Violated(Box::new(first));
    }
    if too_large == 0 {
        return Verdict::Ok;
    }
    let (memory, keys) = (limits.memory >> 20, parts.len());
    Verdict::Unknown(format!("{too_large} of {keys} keys would take more than {memory} MiB of memory to decide"))
}

/// How much memory a search may take before it counts as hard.
const EASY: usize = 1 << 20;

/// Searches one part. Says also whether that was hard.
fn run<'h, S: Spec>(
    spec: &S,
    part: &Part<'h>,
    search: &mut Search<<S::Model<'h> as Model>::State>,
    limits: Limits,
) -> (bool, Searched) {
    let (mut model, ops) = spec.model(part, false);
    match search.run(&mut model, &ops, limits.memory.min(EASY)) {
        Searched::TooLarge => {
            let (mut model, ops) = spec.model(part, true);
            (true, search.run(&mut model, &ops, limits.memory))
        }
        decided => (false, decided),
    }
}
