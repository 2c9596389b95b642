//! What the laboratory sees and what it may order.
//!
//! The world shows every event to one [`Hook`], synchronously and in order. The hook may answer with
//! [`Command`]s, which are carried out at once, before the operation that caused the event returns. That is
//! how "crash the leader inside its third sync" is possible at all.

use super::rule::{NodeSet, Rule};
use super::span::Span;
use super::weather::{DiskWeather, NetWeather};
use super::world::View;
use crate::event::Event;
use crate::id::NodeId;
use crate::message::{Direction, Kind};
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};

/// When an event happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// True time since the start of the run; no node's clock.
    pub at: Time,
    /// The event's number, from 1. This, and no clock, is the order of events.
    pub nth: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Number of the message; copies share it.
    pub number: u64,
    /// Sender.
    pub from: NodeId,
    /// Receiver.
    pub to: NodeId,
    /// Sort of message.
    pub kind: Kind,
    /// One-way, request or reply.
    pub direction: Direction,
    /// Which call a request or reply belongs to; 0 for one-way messages.
    pub call: u64,
    /// The bytes.
    pub body: Bytes,
    /// Hash of the bytes when they were sent.
    pub hash: u64,
    /// When it was sent.
    pub sent: Time,
    /// This is the second one of a message that arrives twice.
    pub copy: bool,
}

impl Hash for Packet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number);
        state.write_u64(u64::from(self.from.0) << 32 | u64::from(self.to.0));
        state.write_u64(self.kind.hash() ^ self.direction as u64);
        state.write_u64(self.hash);
    }
}

/// Why a message never arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Loss {
    /// The weather took it.
    Weather,
    /// A rule took it.
    Rule,
    /// The link is cut.
    Cut,
    /// The receiver is down.
    Down,
    /// The receiver's queue is full.
    Overflow,
    /// The call it answers is over, or its caller was restarted.
    Late,
}

/// What became of a message when it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Sending {
    /// It is on its way.
    OnItsWay {
        /// When it will arrive.
        arrives: Time,
        /// When its copy will, if it has one.
        copy: Option<Time>,
    },
    /// A rule holds it back.
    Held,
    /// It is lost.
    Lost(Loss),
}

/// What a disk did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DiskAct {
    /// Bytes were written; they are pending until a sync.
    Write,
    /// The file was cut; pending until a sync.
    Truncate,
    /// The file has a new name; pending until the directory is synced.
    Rename,
    /// The name is gone; pending until the directory is synced.
    Remove,
    /// What was written before this sync was asked for is durable.
    Sync,
    /// All names are durable.
    SyncDir,
    /// The operation failed.
    Fail,
}

/// One event.
#[derive(Debug, Hash)]
#[allow(missing_docs)] // the fields say what they are
pub enum Observed<'a> {
    /// A node sent a message.
    Sent { packet: &'a Packet, sending: Sending },
    /// A message reached its node, which may not have read it yet.
    Delivered { packet: &'a Packet },
    /// A message that was on its way is lost.
    Lost { packet: &'a Packet, why: Loss },
    /// A node has handled every message that it had taken, and waits for more. Shown once after each
    /// [`Command::TellWhenIdle`].
    Idle { node: NodeId },
    /// A protocol said what happened to it.
    Emitted { node: NodeId, event: &'a Event },
    /// A node's timer fired.
    Timer { node: NodeId },
    /// A disk did something; `bytes` is how many it wrote, or the new length.
    Disk { node: NodeId, act: DiskAct, file: &'a str, bytes: u64 },
    /// A node starts; its disk is as it will find it.
    Booting { node: NodeId, boot: u32 },
    /// A node is gone, and everything that it had in memory. Its disk is as the next boot will find it. Something
    /// that it had written was `pending`, and after a power failure some of that is gone.
    Crashed { node: NodeId, power: bool, pending: bool },
    /// A node stands still.
    Paused { node: NodeId },
    /// A node goes on.
    Resumed { node: NodeId },
    /// The laboratory did something else to the world.
    Ordered { what: &'a Command },
    /// The service on a node, or a client (no node), reports a step of its own. What the words mean is between
    /// those who report and those who judge.
    Service { node: Option<NodeId>, what: &'static str, words: [u64; 4] },
    /// The laboratory says something.
    Note { node: Option<NodeId>, text: Words<'a> },
}

/// Something said: by a hash, since it is put into words only where somebody writes it down.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// The same for the same words.
    pub hash: u64,
    /// The words.
    pub text: &'a dyn fmt::Display,
}

impl Hash for Words<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.text)
    }
}

/// An effect of a node on the world, by label: the places at which a node can be crashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// A one-way message is sent.
    Send,
    /// A request is sent.
    Call,
    /// A request is answered.
    Reply,
    /// A protocol says what happened to it.
    Emit,
    /// A file is written.
    Write,
    /// A file is cut.
    Truncate,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// A file is made durable.
    Sync,
    /// The directory is made durable.
    SyncDir,
}

impl Effect {
    /// Every label.
    pub const ALL: [Effect; 10] = [
        Effect::Send,
        Effect::Call,
        Effect::Reply,
        Effect::Emit,
        Effect::Write,
        Effect::Truncate,
        Effect::Rename,
        Effect::Remove,
        Effect::Sync,
        Effect::SyncDir,
    ];
}

/// Which side of an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// It does not happen any more.
    Before,
    /// It happens, but the node does not live to see it return.
    After,
}

/// A crash that waits for its moment.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashPoint {
    /// Whom it is for.
    pub node: NodeId,
    /// At which effect.
    pub effect: Effect,
    /// Only effects on what begins with this: a kind of message, an event's name or a file's.
    #[serde(default)]
    pub on: String,
    /// Strike at the nth such effect, from 1, counted from when the point is set.
    #[serde(default = "one")]
    pub nth: u32,
    /// Before or after it.
    pub edge: Edge,
    /// Whether the power fails too.
    #[serde(default)]
    pub power: bool,
    /// Boot the node again after this long; none: somebody else does, or nobody.
    #[serde(default)]
    pub back_after: Option<Span>,
}

fn one() -> u32 {
    1
}

/// What the laboratory does to the world.
#[derive(Clone, Debug, Hash)]
pub enum Command {
    /// Cut every link from one set to another. On its own this is a one-way partition.
    Cut {
        /// Senders.
        from: NodeSet,
        /// Receivers.
        to: NodeSet,
    },
    /// Mend every link from one set to another.
    Mend {
        /// Senders.
        from: NodeSet,
        /// Receivers.
        to: NodeSet,
    },
    /// Put up a rule.
    AddRule(Rule),
    /// Take down the rules of that name; what they hold stays held.
    RemoveRule(String),
    /// Take down every rule.
    RemoveAllRules,
    /// Let go of what rules of that name hold.
    Release {
        /// The rules.
        rule: String,
        /// Deliver it now; otherwise it is lost.
        deliver: bool,
    },
    /// The network's weather changes.
    Net(NetWeather),
    /// The node loses its memory, and with `power` what its disk had not made durable.
    Crash {
        /// Whom.
        node: NodeId,
        /// A power failure and not just the end of a process.
        power: bool,
    },
    /// Crash the node when it comes to that point.
    CrashAt(CrashPoint),
    /// Forget every crash that waits for its moment.
    DisarmCrashes,
    /// Start the node, if it is down.
    Boot {
        /// Whom.
        node: NodeId,
    },
    /// The node stands still; messages and timers queue up.
    Pause {
        /// Whom.
        node: NodeId,
    },
    /// The node goes on.
    Resume {
        /// Whom.
        node: NodeId,
    },
    /// The node's clock runs at another rate: local microseconds per true second, not zero.
    ClockRate {
        /// Whose.
        node: NodeId,
        /// Parts per million of the true rate.
        ppm: u32,
    },
    /// The node's clock jumps ahead.
    ClockJump {
        /// Whose.
        node: NodeId,
        /// How far.
        by: Span,
    },
    /// The weather of the node's disk changes.
    Disk {
        /// Whose.
        node: NodeId,
        /// To what.
        weather: DiskWeather,
    },
    /// No operation of the node's disk completes for so long.
    StallDisk {
        /// Whose.
        node: NodeId,
        /// How long.
        span: Span,
    },
    /// A bit flips in a durable file. The laboratory sees to it that this is below the known-durable mark.
    Corrupt {
        /// Whose disk.
        node: NodeId,
        /// The first file whose name begins so.
        file: String,
        /// Which byte.
        offset: u64,
    },
    /// Each message that the node handles takes it so long, one after the other.
    Service {
        /// Whom.
        node: NodeId,
        /// How long.
        span: Span,
        /// Only messages of these kinds; none: all.
        kinds: Vec<String>,
    },
    /// Say so when the node has handled every message that it has taken by now, or takes before.
    TellWhenIdle {
        /// Whom.
        node: NodeId,
    },
    /// Do that later.
    After(Span, Box<Command>),
    /// The run is over; the hook knows why.
    End,
}

/// The one who sees everything.
///
/// It runs inside the operations of the nodes and must not call back into them.
pub trait Hook: Any + Send {
    /// Looks at an event. Orders are carried out at once, in order; what they cause is shown in turn.
    fn observe(&mut self, stamp: Stamp, seen: &Observed<'_>, world: &View<'_>, orders: &mut Vec<Command>);
}

/// Sees nothing, orders nothing.
pub struct NoHook;

impl Hook for NoHook {
    fn observe(&mut self, _: Stamp, _: &Observed<'_>, _: &View<'_>, _: &mut Vec<Command>) {}
}
