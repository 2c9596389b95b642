//! The story of a run as lines: one an event, in words.

use super::words::Wants;
use crate::plan::Plan;
use crate::raft::{DiskFact, RaftSystem, WireFacts};
use labrpc::sim::{Command, DiskAct, Loss, Observed, Packet, Sending, Stamp};
use labrpc::{Direction, Event, NodeId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most lines that are kept; the oldest go first.
const MOST_LINES: usize = 400_000;

/// How much a line matters to a reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// What changes the course of the run.
    Story,
    /// What is said.
    Message,
    /// Timers, disk operations, queues.
    Machinery,
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The event's number.
    pub nth: u64,
    /// True time in nanoseconds.
    pub at: u64,
    /// In whose column it belongs; none: the laboratory's.
    pub node: Option<NodeId>,
    /// How much it matters.
    pub detail: Detail,
    /// What happened.
    pub text: String,
}

/// Writes events down.
pub(super) struct Recorder {
    system: Arc<dyn RaftSystem>,
    /// Nodes behind these are clients.
    servers: u32,
    /// Servers of each group.
    in_each: u32,
    lines: VecDeque<Line>,
}

impl Recorder {
    pub fn new(system: Arc<dyn RaftSystem>, plan: &Plan) -> Recorder {
        Recorder { system, servers: plan.server_count(), in_each: plan.servers, lines: VecDeque::new() }
    }

    fn name(&self, node: NodeId) -> String {
        match node.0.checked_sub(self.servers) {
            Some(client) if client > 0 => format!("C{client}"),
            _ => node.to_string(),
        }
    }

    /// What a command in the log of a server says, with a blank in front.
    fn command(&self, node: NodeId, command: &[u8]) -> String {
        let group = (node.0.max(1) - 1) / self.in_each + 1;
        match self.system.kv() {
            Some(kv) => {
                kv.explain(group, command).map_or(String::new(), |entry| format!(" {}", Wants(&entry.call)))
            }
            None => super::service::describe(command),
        }
    }

    pub fn into_lines(self) -> Vec<Line> {
        self.lines.into()
    }

    fn write(&mut self, stamp: Stamp, node: Option<NodeId>, detail: Detail, text: String) {
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        // Servers have a column each, all clients one together.
        let text = match node.filter(|node| node.0 > self.servers) {
            Some(client) => format!("{}: {text}", self.name(client)),
            None => text,
        };
        self.lines.push_back(Line { nth: stamp.nth, at: stamp.at.nanos(), node, detail, text });
    }

    pub fn sent(&mut self, stamp: Stamp, packet: &Packet, wire: Option<&WireFacts>, sending: Sending) {
        let fate = match sending {
            Sending::OnItsWay { copy: Some(_), .. } => "  (and a copy)",
            Sending::OnItsWay { .. } => "",
            Sending::Held => "  (held back)",
            Sending::Lost(why) => loss(why),
        };
        let text = format!("-> {} {}{fate}", self.name(packet.to), message(packet, wire));
        self.write(stamp, Some(packet.from), Detail::Message, text);
    }

    pub fn delivered(&mut self, stamp: Stamp, packet: &Packet, wire: Option<&WireFacts>) {
        let copy = if packet.copy { "  (a copy)" } else { "" };
        let text = format!("<- {} {}{copy}", self.name(packet.from), message(packet, wire));
        self.write(stamp, Some(packet.to), Detail::Message, text);
    }

    pub fn durable(&mut self, stamp: Stamp, node: NodeId, fact: &DiskFact) {
        let text = match fact {
            DiskFact::Hard { term, vote } => format!("durable: {term}, vote {}", name(*vote)),
            DiskFact::Cut { from } => format!("durable: log cut at {from}"),
            DiskFact::Entry { index, term, .. } => format!("durable: {index}@{term}"),
            DiskFact::Snapshot { index, term, .. } => format!("durable: snapshot of {index}@{term}"),
        };
        self.write(stamp, Some(node), Detail::Machinery, text);
    }

    /// Something that somebody says.
    pub fn said(&mut self, stamp: Stamp, words: String) {
        self.write(stamp, None, Detail::Story, words);
    }

    /// Everything but messages.
    pub fn other(&mut self, stamp: Stamp, seen: &Observed<'_>) {
        let (node, detail, text) = match seen {
            Observed::Sent { .. } | Observed::Delivered { .. } => return,
            Observed::Lost { packet, why } => {
                let text = format!("x {} from {}{}", called(packet), self.name(packet.from), loss(*why));
                (Some(packet.to), Detail::Message, text)
            }
            Observed::Idle { node } => (Some(*node), Detail::Machinery, "waits".into()),
            Observed::Emitted { node, event } => {
                (Some(*node), importance(event), event.words(|command| self.command(*node, command)))
            }
            Observed::Timer { node } => (Some(*node), Detail::Machinery, "timer".into()),
            Observed::Disk { node, act, file, bytes } => (Some(*node), Detail::Machinery, disk(*act, file, *bytes)),
            Observed::Booting { node, boot } => (Some(*node), Detail::Story, format!("BOOT no. {boot}")),
            Observed::Crashed { node, power, pending } => {
                let how = if *power { "POWER FAILURE" } else { "CRASH" };
                let lost = if *pending { ", with writes pending" } else { "" };
                (Some(*node), Detail::Story, format!("{how}{lost}"))
            }
            Observed::Paused { node } => (Some(*node), Detail::Story, "PAUSED".into()),
            Observed::Resumed { node } => (Some(*node), Detail::Story, "RESUMED".into()),
            Observed::Ordered { what } => (None, Detail::Story, what.to_string()),
            Observed::Service { node, what, words } => (*node, Detail::Machinery, service(what, *words)),
            Observed::Note { node, text } => (*node, Detail::Story, text.text.to_string()),
        };
        self.write(stamp, node, detail, text);
    }
}

/// A fault or its end, for histories: what it is, and of whom or how.
pub(super) fn fault(seen: &Observed<'_>) -> Option<(String, String)> {
    Some(match seen {
        Observed::Crashed { node, power: true, .. } => ("power-failure".into(), node.to_string()),
        Observed::Crashed { node, power: false, .. } => ("crash".into(), node.to_string()),
        Observed::Booting { node, .. } => ("boot".into(), node.to_string()),
        Observed::Paused { node } => ("pause".into(), node.to_string()),
        Observed::Resumed { node } => ("resume".into(), node.to_string()),
        Observed::Ordered { what } => match what {
            // Seen when it happens.
            Command::Crash { .. } | Command::Boot { .. } | Command::Pause { .. } | Command::Resume { .. } => {
                return None;
            }
            Command::TellWhenIdle { .. } | Command::DisarmCrashes | Command::End => return None,
            what => {
                let words = what.to_string();
                let (what, detail) = words.split_once(' ').unwrap_or((&words, ""));
                (what.into(), detail.into())
            }
        },
        _ => return None,
    })
}

fn name(node: Option<NodeId>) -> String {
    node.map_or("nobody".into(), |node| node.to_string())
}

fn loss(why: Loss) -> &'static str {
    match why {
        Loss::Weather => "  (lost)",
        Loss::Rule => "  (lost by a rule)",
        Loss::Cut => "  (lost: link cut)",
        Loss::Down => "  (lost: it is down)",
        Loss::Overflow => "  (lost: queue full)",
        Loss::Late => "  (too late: nobody waits)",
    }
}

fn disk(act: DiskAct, file: &str, bytes: u64) -> String {
    match act {
        DiskAct::Write => format!("disk: {bytes} bytes to {file}"),
        DiskAct::Truncate => format!("disk: {file} cut to {bytes} bytes"),
        DiskAct::Rename => format!("disk: renamed to {file}"),
        DiskAct::Remove => format!("disk: {file} removed"),
        DiskAct::Sync => format!("disk: {file} synced"),
        DiskAct::SyncDir => "disk: directory synced".into(),
        DiskAct::Fail => format!("DISK ERROR on {file}"),
    }
}

fn service(what: &str, [first, second, ..]: [u64; 4]) -> String {
    use super::what;
    match what {
        what::APPLY | what::APPLY_OWN => format!("applies #{first}"),
        what::REFUSE => format!("refuses what was asked in the state behind #{first}"),
        what::RESTORE => format!("restores the snapshot of #{first}"),
        what::ACK => format!("a client is told that #{second} is committed"),
        what::READ => format!("a client may read as of #{first}"),
        _ => format!("{what} {first} {second}"),
    }
}

/// The answer to a call has the kind of its request.
fn called(packet: &Packet) -> String {
    let reply = if packet.direction == Direction::Reply { " reply" } else { "" };
    format!("{}{reply}", packet.kind)
}

/// A message in words: what it says, or at least what it is.
fn message(packet: &Packet, wire: Option<&WireFacts>) -> String {
    let kind = called(packet);
    let Some(wire) = wire else {
        return format!("{kind}, {} bytes", packet.body.len());
    };
    match wire {
        WireFacts::VoteRequest { term, last: (index, last_term), .. } => {
            format!("{kind} {term}, log ends {index}@{last_term}")
        }
        WireFacts::VoteReply { term, granted, .. } => {
            format!("{kind} {term} {}", if *granted { "yes" } else { "no" })
        }
        WireFacts::Append { term, prev: (index, prev_term), entries: 0, commit } => {
            format!("{kind} {term} behind {index}@{prev_term}, commit {commit}")
        }
        WireFacts::Append { term, prev: (index, prev_term), entries, commit } => {
            format!("{kind} {term} behind {index}@{prev_term} +{entries}, commit {commit}")
        }
        WireFacts::AppendReply { term, matched: Some(matched) } => format!("{kind} {term} has {matched}"),
        WireFacts::AppendReply { term, matched: None } => format!("{kind} {term} refused"),
        WireFacts::Install { term, last: (index, last_term), piece: (offset, bytes) } => {
            format!("{kind} {term} of {index}@{last_term}, bytes {offset}+{bytes}")
        }
        WireFacts::InstallReply { term, matched: Some(matched) } => format!("{kind} {term} has {matched}"),
        WireFacts::InstallReply { term, matched: None } => format!("{kind} {term} go on"),
        WireFacts::Other { term } => format!("{kind} {term}"),
    }
}

fn importance(event: &Event) -> Detail {
    match event {
        Event::Progress { .. } | Event::Applied { .. } | Event::Ignored { .. } => Detail::Machinery,
        _ => Detail::Story,
    }
}
