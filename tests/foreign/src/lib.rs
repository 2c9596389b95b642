//! A second Raft in this repository, as a reader of the course would bring it: one struct behind a mutex, a few
//! tasks around it, request and reply as in Figures 2 and 13, and `save(state, snapshot)`.
//!
//! It exists to prove that the laboratory takes anybody's Raft. So it shares no code with the other one, says
//! nothing of what happens in it and explains none of its messages: it is judged by its disk, by what it applies,
//! by its clients and by its progress. `docs/bring-your-own-raft.md` walks through it.
//!
//! * [`message`]: what servers ask each other;
//! * `log`, `state`: the state of Figure 2, and what changes it from within;
//! * `receive`: the rules for those who are asked; `replicate`: for those who ask;
//! * `server`: the tasks, the only part that waits;
//! * `lab`: what the laboratory is told.

mod bug;
mod lab;
mod log;
pub mod message;
mod receive;
mod replicate;
mod server;
mod state;

pub use bug::Bug;
pub use lab::ForeignRaft;

/// The page about this crate, so that its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/bring-your-own-raft.md")]
struct Page;
