//! The script of a plan: what the laboratory does and demands, step by step.
//!
//! About twenty verbs, enough for the course's tests, which are reactive ("wait for a leader, cut it off, the
//! others must elect another"), and yet data: they print, can be saved, edited and shrunk.

use super::kv::KvOp;
use super::selector::Selector;
use crate::raft::Part;
use labrpc::sim::{DiskWeather, Edge, Effect, NetWeather, Span, Spread};
use serde::{Deserialize, Serialize};

/// Something that the laboratory does to the world, at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Cut the links from one to another, one way.
    Cut {
        /// Senders.
        from: Selector,
        /// Receivers.
        to: Selector,
    },
    /// Mend the links from one to another, one way.
    Mend {
        /// Senders.
        from: Selector,
        /// Receivers.
        to: Selector,
    },
    /// Cut each of these off from everybody, each other included: the course's `disconnect`.
    Disconnect(Selector),
    /// Connect these with each other and with all that are not disconnected: the course's `connect`.
    Connect(Selector),
    /// Only servers of the same part can talk to each other.
    Partition(Vec<Selector>),
    /// Mend every link.
    Heal,
    /// They lose their memory, and with `power` what their disks had not made durable.
    Crash {
        /// Whom.
        who: Selector,
        /// The power fails.
        #[serde(default)]
        power: bool,
    },
    /// Start those that are down.
    Restart(Selector),
    /// While fewer than so many of a group run, start one of it that is down, drawn by the seed.
    KeepUp {
        /// How many.
        at_least: u32,
    },
    /// While fewer than so many of a group are connected, connect one of it that is not, drawn by the seed.
    KeepConnected {
        /// How many.
        at_least: u32,
    },
    /// They stand still.
    Pause(Selector),
    /// They go on.
    Resume(Selector),
    /// Crash them when they come to a point: at the nth effect of that label from now.
    CrashAt {
        /// Whom.
        who: Selector,
        /// At which effect.
        effect: Effect,
        /// Only effects on what begins with this: a kind of message, an event's name or a file's.
        #[serde(default)]
        on: String,
        /// The how-manieth, from 1.
        nth: u32,
        /// Before or after it.
        edge: Edge,
        /// The power fails.
        #[serde(default)]
        power: bool,
        /// Start them again after this long.
        #[serde(default)]
        back_after: Option<Span>,
    },
    /// Their clocks run at so many ppm of the true rate.
    ClockRate {
        /// Whose.
        who: Selector,
        /// Parts per million.
        ppm: u32,
    },
    /// Their clocks jump ahead.
    ClockJump {
        /// Whose.
        who: Selector,
        /// How far.
        by: Span,
    },
    /// The weather of their disks.
    Disk {
        /// Whose.
        who: Selector,
        /// How they fare.
        weather: DiskWeather,
    },
    /// No operation of their disks completes for so long.
    StallDisk {
        /// Whose.
        who: Selector,
        /// How long.
        span: Span,
    },
    /// Their services take so long to apply an entry, whatever the knob says.
    SlowService {
        /// Whose.
        who: Selector,
        /// How long.
        lag: Spread,
    },
    /// They take one message after the other, and so long for each: whoever has more to do than others is slower.
    Busy {
        /// Who.
        who: Selector,
        /// How long.
        each: Span,
        /// Only messages of these parts of the protocol; none: all.
        #[serde(default)]
        parts: Vec<Part>,
    },
    /// Flip a bit of a durable file of a server that is down. It must refuse to start.
    Corrupt {
        /// Whose.
        who: Selector,
        /// What the file's name begins with.
        file: String,
        /// Which byte.
        offset: u64,
    },
    /// The weather of the network.
    Net(NetWeather),
    /// From now on something happens to certain messages.
    Rule {
        /// By what name it is taken down or released.
        name: String,
        /// Senders.
        from: Selector,
        /// Receivers.
        to: Selector,
        /// Parts of the protocol; none: all messages.
        #[serde(default)]
        parts: Vec<Part>,
        /// Only so many of a million; none: all.
        #[serde(default)]
        chance: Option<u32>,
        /// The first so many are left alone.
        #[serde(default)]
        skip: u32,
        /// At most so many are acted on.
        #[serde(default)]
        take: Option<u32>,
        /// What happens to them.
        what: What,
    },
    /// Take rules down; what they hold stays held.
    Unrule(String),
    /// Deliver what rules hold.
    Release(String),
    /// Lose what rules hold.
    Lose(String),
    /// Put commands into the log of each of these that believes that it leads, without waiting for anything.
    Propose {
        /// To whom.
        to: Selector,
        /// How many.
        count: u32,
        /// Bytes in each, at least 16.
        #[serde(default)]
        size: u32,
        /// A name for them, for later steps.
        #[serde(default)]
        tag: String,
    },
    /// Ask the leader to hand its leadership over.
    Transfer {
        /// To whom: in each group that these are of, to the first of them.
        to: Selector,
    },
    /// From now on an administrator wants these servers, and nobody else, to be the voters of their group, and goes there
    /// one change after the other, with whoever says that it leads, until it is so or something else is wanted: `none`,
    /// nothing any more. In a plan
    /// with [`Plan::voters`](super::Plan::voters).
    Reconfigure {
        /// Who, as they are when it is said.
        voters: Selector,
    },
    /// Ask each of these that believes that it leads for an index to read at. What is answered is judged.
    Read {
        /// Whom.
        from: Selector,
    },
    /// Have a client of a key/value service do an operation when it has done all that came before, without waiting
    /// for it.
    Ask {
        /// Which client, from 1.
        client: u32,
        /// What.
        op: KvOp,
    },
    /// No client begins anything for so long. What is under way goes on.
    Hush(Span),
    /// Give servers a name that stays, whatever becomes of them.
    Bind {
        /// The name.
        name: String,
        /// Who it is now.
        who: Selector,
    },
    /// Begin to count messages and bytes anew, under a name.
    Count(String),
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// Leave them to the weather, whatever later rules say.
    Pass,
    /// Lose them.
    Drop,
    /// Delay them.
    Delay(Spread),
    /// Let them arrive twice.
    Duplicate(Spread),
    /// Hold them back until released.
    Hold,
}

/// One step of the script.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Do something.
    Do(Act),
    /// Let time pass.
    Sleep(Span),
    /// Wait until one of these leads; where they are of several groups, one in each.
    WaitLeader {
        /// Of whom.
        of: Selector,
        /// Or it is a violation of progress.
        within: Span,
    },
    /// For so long, none of these may lead at its end.
    ExpectNoLeader {
        /// Of whom.
        of: Selector,
        /// How long to wait before looking.
        after: Span,
    },
    /// All of a group that run and can talk to a leader agree on the term, and stay in it for so long.
    ExpectStableTerm {
        /// How long.
        span: Span,
    },
    /// Put a command into the log, again and again if need be, until it is applied on all of these: a command in each
    /// group that these are of, one after the other.
    Agree {
        /// How many commands, one after the other.
        #[serde(default = "one")]
        count: u32,
        /// Bytes in each, at least 16.
        #[serde(default)]
        size: u32,
        /// Only servers of these are asked. There must be some in each of the groups.
        #[serde(default = "all")]
        via: Selector,
        /// Who must apply it.
        on: Selector,
        /// Or it is a violation of progress. For each command.
        within: Span,
    },
    /// Everything proposed under the tag is applied on all of these that are of the group it was proposed to.
    ExpectCommitted {
        /// Which commands.
        tag: String,
        /// Where.
        on: Selector,
        /// Or it is a violation.
        within: Span,
    },
    /// Nothing proposed under the tag is applied anywhere.
    ExpectNone {
        /// Which commands.
        tag: String,
    },
    /// Of what was counted since the name was set, there is at most, or at least, so much.
    ExpectCount {
        /// Since when.
        since: String,
        /// Only messages of these parts; none: all.
        #[serde(default)]
        parts: Vec<Part>,
        /// Messages at most.
        #[serde(default)]
        at_most: Option<u64>,
        /// Messages at least.
        #[serde(default)]
        at_least: Option<u64>,
        /// Bytes at most.
        #[serde(default)]
        bytes: Option<u64>,
    },
    /// Wait until something has happened.
    Await {
        /// What.
        event: Moment,
        /// Or: see `or`.
        within: Span,
        /// What it means if it has not.
        #[serde(default)]
        or: Otherwise,
    },
    /// Wait until the clients have done all that they had to do.
    AwaitClients {
        /// Or it is a violation of progress.
        within: Span,
    },
    /// All these are down, having refused their disks.
    ExpectRefused(Selector),
    /// The disk of each of these comes to hold so many bytes at most: log, snapshots and all.
    ExpectDisk {
        /// Whose.
        on: Selector,
        /// Bytes that are durable there.
        at_most: u64,
        /// Or it is a violation.
        within: Span,
    },
    /// Do the steps again and again.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
}

fn one() -> u32 {
    1
}

fn all() -> Selector {
    Selector::All
}

/// Something to wait for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Moment {
    /// All of these are down.
    Down(Selector),
    /// All of these run.
    Up(Selector),
    /// The rule holds at least so many messages.
    Held {
        /// The rule.
        rule: String,
        /// How many.
        count: u32,
    },
    /// On each of these disks the log reaches what is committed.
    CaughtUp(Selector),
    /// On each of these the log ends with an entry of the tag, durably.
    Stored {
        /// Which commands.
        tag: String,
        /// Where.
        on: Selector,
    },
    /// Each of these has a durable snapshot.
    Snapshot(Selector),
    /// The voters are those that were wanted last, and that is committed.
    Reconfigured,
    /// One of these leads; where they are of several groups, one in each.
    LeaderAmong(Selector),
    /// A client has done so many of the operations that it was asked for, whatever came of them.
    Answered {
        /// Which client, from 1.
        client: u32,
        /// How many, counted from the beginning of the run.
        count: u32,
    },
}

/// What it means that something has not happened in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// A violation of progress.
    #[default]
    Violation,
    /// Nothing: go on.
    GoOn,
    /// The situation that the script is made for did not come about: the rest of it is left out.
    Skip,
}
