//! Triggers: faults that wait for something to happen, since chance alone seldom strikes in the two round trips that matter.
//!
//! "When a snapshot has been sent, kill the sender within two round trips" is data like a fault at a fixed time: it prints, can be
//! edited, and a smaller plan may do without it.

use super::step::Act;
use crate::raft::Part;
use labrpc::sim::{Span, Spread};
use serde::{Deserialize, Serialize};

/// Each time that something happens, something is done about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// What it waits for.
    pub on: Cue,
    /// The first so many are let pass.
    #[serde(default)]
    pub skip: u32,
    /// At most so many are answered; none: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<u32>,
    /// Only so many of a million are answered; none: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<u32>,
    /// For so long after one that was answered, others are not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rest: Span,
    /// What is done, one after the other. `$it` is the server that the cue is about, `$other` the other one.
    pub then: Vec<Reaction>,
}

/// One part of the answer to a cue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// How long after the cue, or after the part in front of this one.
    #[serde(default = "at_once", skip_serializing_if = "is_at_once")]
    pub after: Spread,
    /// What.
    pub act: Act,
}

/// Something that may happen in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cue {
    /// It leads.
    Elected,
    /// It led, and does no more.
    Deposed,
    /// It asks for votes.
    Candidate,
    /// It gives its vote to the other.
    Voted,
    /// A leader, it has put a command into its log.
    Appended,
    /// It has cut its log.
    Truncated,
    /// A leader, it knows of more that is committed.
    Committed,
    /// It has taken a snapshot of its own.
    Compacted,
    /// A leader, it begins to send the other a snapshot.
    SnapshotSent,
    /// It has adopted a leader's snapshot.
    SnapshotInstalled,
    /// It went down.
    Crashed,
    /// It starts.
    Started,
    /// It answers a client.
    Answered,
    /// It has applied a configuration of a shard controller.
    ConfigAdopted,
    /// It has applied what takes a shard away from its group.
    ShardFrozen,
    /// It has applied the last piece of a shard.
    ShardInstalled,
    /// It has applied the deletion of what it kept of a shard.
    ShardDeleted,
    /// It sends the other, which may be a client, a message of that part of the protocol.
    Sent(Part),
    /// Such a message has reached it, from the other.
    Delivered(Part),
}

/// What the acts of a trigger may call the servers that its cue is about.
pub const NAMES: [&str; 2] = ["it", "other"];

fn at_once() -> Spread {
    Spread::ZERO
}

// serde asks by reference.
fn is_at_once(spread: &Spread) -> bool {
    *spread == Spread::ZERO
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

impl Cue {
    /// As it is written in a plan.
    pub fn name(self) -> String {
        let name = serde_json::to_string(&self).expect("a cue is plain data");
        name.replace('"', "")
    }
}

impl Trigger {
    /// Answers each such thing with these.
    pub fn on(on: Cue, then: impl IntoIterator<Item = (Spread, Act)>) -> Trigger {
        let then = then.into_iter().map(|(after, act)| Reaction { after, act }).collect();
        Trigger { on, skip: 0, take: None, chance: None, rest: Span::ZERO, then }
    }
}
