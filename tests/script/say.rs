//! How a trace words what servers say, do and hold. One line each, short enough to be read in class.
//!
//! An entry is written `3@2`: index 3, term 2. A log is written as its terms, in the manner of the paper's
//! figures.

use labrpc::{Content, Event, NodeId, Refusal, Role};
use shardlab::raft::message::{Append, Install, InstallReply, Message, Outcome};
use shardlab::raft::{Delivery, Entry, EntryId, HardState, Index, Payload, Saved, Unavailable, View, Write};

/// `3@2`.
pub fn id(id: EntryId) -> String {
    format!("{}@{}", id.index.0, id.term.0)
}

fn listed<T>(items: impl IntoIterator<Item = T>, word: impl Fn(T) -> String) -> String {
    items.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// An entry, and what it carries where its name does not say so already.
pub fn entry(entry: &Entry) -> String {
    let name = id(entry.id);
    match &entry.payload {
        Payload::Noop => format!("{name} no-op"),
        Payload::Membership(membership) => format!("{name} members {:?}", membership.voters),
        Payload::Command(command) => with_command(name, command),
    }
}

fn with_command(name: String, command: &[u8]) -> String {
    if command == name.as_bytes() { name } else { format!("{name} {}", String::from_utf8_lossy(command)) }
}

// --- messages

/// A message, without its way.
pub fn message(message: &Message) -> String {
    let kind = message.kind();
    match message {
        Message::PreVote(it) => format!("{kind} for term {}, last {}", it.term.0, id(it.last)),
        Message::PreVoteReply(it) => format!("{kind} term {}: {}", it.term.0, granted(it.granted)),
        Message::RequestVote(it) => {
            let transfer = if it.transfer { ", sent by the leader" } else { "" };
            format!("{kind} term {}, last {}{transfer}", it.term.0, id(it.last))
        }
        Message::VoteReply(it) => format!("{kind} term {}: {}", it.term.0, granted(it.granted)),
        Message::Append(it) => format!("{kind} {}", append(it)),
        Message::AppendReply(it) => {
            format!("{kind} term {}: {}{}", it.term.0, outcome(&it.outcome), round(it.round))
        }
        Message::Install(it) => format!("{kind} {}", install(it)),
        Message::InstallReply(it) => format!("{kind} {}", install_reply(it)),
        Message::TimeoutNow(it) => format!("{kind} term {}", it.term.0),
    }
}

fn granted(granted: bool) -> &'static str {
    if granted { "yes" } else { "no" }
}

fn round(round: u64) -> String {
    if round == 0 { String::new() } else { format!(", round {round}") }
}

fn append(it: &Append) -> String {
    let entries = match it.entries.is_empty() {
        true => "no entries".to_string(),
        false => format!("entries {}", listed(&it.entries, |entry| id(entry.id))),
    };
    format!("term {}, after {}: {entries}, commit {}{}", it.term.0, id(it.prev), it.commit.0, round(it.round))
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { matched } => format!("matches up to {}", matched.0),
        Outcome::Rejected { prev, conflict, conflict_term: None } => {
            format!("no at {}, log ends at {}", prev.0, conflict.prev().0)
        }
        Outcome::Rejected { prev, conflict, conflict_term: Some(term) } => {
            format!("no at {}, term {} stands there from {} on", prev.0, term.0, conflict.0)
        }
        Outcome::StaleTerm => "of an old term".to_string(),
    }
}

fn install(it: &Install) -> String {
    let end = it.offset + it.data.len() as u64;
    let last = if it.done { ", the last" } else { "" };
    format!("term {}, snapshot {}, bytes {}..{end}{last}", it.term.0, id(it.snapshot.last), it.offset)
}

fn install_reply(it: &InstallReply) -> String {
    let wants = if it.done { "has it".to_string() } else { format!("wants byte {}", it.next) };
    format!("term {}, snapshot {}, piece at {}: {wants}", it.term.0, id(it.snapshot), it.offset)
}

// --- events

/// Events in order, those of one sort that follow each other in one line.
pub fn events(events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut appended: Vec<String> = Vec::new();
    for event in events {
        if let Event::Appended { index, term, content } = event {
            appended.push(appended_entry(id(EntryId::new(*term, *index)), content));
            continue;
        }
        flush(&mut lines, &mut appended);
        lines.extend(other_event(event));
    }
    flush(&mut lines, &mut appended);
    lines
}

fn flush(lines: &mut Vec<String>, appended: &mut Vec<String>) {
    if !appended.is_empty() {
        lines.push(format!("appends {}", std::mem::take(appended).join(" ")));
    }
}

fn appended_entry(name: String, content: &Content) -> String {
    match content {
        Content::Noop => format!("{name} no-op"),
        Content::Command(command) => with_command(name, command),
        Content::Membership(members) => format!("{name} members {members}"),
    }
}

/// What a restart found and what the service applied is said elsewhere, with more detail.
fn other_event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Recovered { .. } | Event::Applied { .. } | Event::Appended { .. } => return None,
        Event::Term { term, vote } => hard(&HardState { term: *term, vote: *vote }),
        Event::Role { role: new, .. } => format!("becomes {}", role(*new)),
        Event::VoteRefused { to, term, why } => format!("refuses {to} for term {}: {}", term.0, refusal(*why)),
        Event::Ignored { from, term } => format!("ignores {from} with its term {}: hears a leader", term.0),
        Event::Truncated { from } => format!("cuts its log from {} on", from.0),
        Event::Progress { peer, matched, next } => format!("of {peer}: match {}, next {}", matched.0, next.0),
        Event::Committed { index } => format!("commits up to {}", index.0),
        Event::Compacted { index, term } => format!("has a snapshot {}", id(EntryId::new(*term, *index))),
        Event::Installed { index, term, kept_suffix } => {
            let rest = if *kept_suffix { "keeps what follows it" } else { "discards its log" };
            format!("adopts snapshot {} and {rest}", id(EntryId::new(*term, *index)))
        }
        Event::InstallRefused { index } => format!("has no use for a snapshot at {}", index.0),
        Event::SnapshotSent { to, index } => format!("begins to send {to} its snapshot at {}", index.0),
        Event::ReadIndex { index } => format!("confirms a read at {}", index.0),
        Event::Transfer { to } => format!("hands over to {to}"),
        // A script drives Raft and no service.
        Event::ConfigAdopted { .. }
        | Event::ConfigRefused { .. }
        | Event::Shard { .. }
        | Event::ShardMissing { .. } => return None,
        Event::Halted { why } => format!("halts: {why}"),
    })
}

fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::StaleTerm => "the term is not new",
        Refusal::AlreadyVoted => "the vote is given",
        Refusal::LogBehind => "the log is behind",
        Refusal::LeaderHeard => "hears a leader",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}

// --- disk and service

fn hard(hard: &HardState) -> String {
    let vote = hard.vote.map(|vote| format!(", vote {vote}")).unwrap_or_default();
    format!("term {}{vote}", hard.term.0)
}

/// What a write changes.
pub fn write(write: &Write) -> String {
    let snapshot = write.snapshot.iter().map(|it| format!("snapshot {}", id(it.meta.last)));
    let term = write.hard.iter().map(hard);
    let log = write.log.iter().map(|log| match log.entries.is_empty() {
        true => format!("a cut after {}", log.after.0),
        false => format!("entries {}", listed(&log.entries, |entry| id(entry.id))),
    });
    snapshot.chain(term).chain(log).collect::<Vec<_>>().join(", ")
}

/// What is on a disk.
pub fn saved(saved: &Saved) -> String {
    format!("{}, {}", hard(&saved.hard), log(saved))
}

/// The terms of the entries; a snapshot stands in brackets for what it covers.
fn log(saved: &Saved) -> String {
    let snapshot = saved.snapshot.iter().map(|meta| format!("[{}]", id(meta.last)));
    let terms = saved.entries.iter().map(|entry| entry.id.term.0.to_string());
    let all: Vec<String> = snapshot.chain(terms).collect();
    if all.is_empty() { "log empty".to_string() } else { format!("log {}", all.join(" ")) }
}

/// What the service does in a row.
pub fn applied(entries: &[Entry]) -> String {
    format!("applies {}", listed(entries, entry))
}

/// What waits for a slow service.
pub fn deliveries(deliveries: &[Delivery]) -> String {
    listed(deliveries, |delivery| match delivery {
        Delivery::Entry(entry) => id(entry.id),
        Delivery::Snapshot { meta, .. } => format!("snapshot {}", id(meta.last)),
    })
}

/// Why something was not done.
pub fn unavailable(why: Unavailable) -> String {
    match why {
        Unavailable::NotLeader(None) => "not the leader".to_string(),
        Unavailable::NotLeader(Some(leader)) => format!("not the leader, {leader} is"),
        Unavailable::TooLarge(size) => format!("{size} bytes are too many"),
        Unavailable::Busy => "busy".to_string(),
        Unavailable::Change(refused) => refused.to_string(),
        Unavailable::NoEntryOfTerm => "no entry of its term is committed".to_string(),
    }
}

/// The state of a server that runs. What it is silent about is as the rest says.
pub fn state(me: NodeId, view: &View, image: &Saved) -> String {
    let Index(commit) = view.commit;
    let mut line = format!("{me}  {:<13}", role(view.role));
    let mut say = |text: String| line += &format!("  {text}");
    say(hard(&HardState { term: view.term, vote: view.vote }));
    say(log(image));
    say(format!("commit {commit}"));
    say(format!("durable {}", view.durable.0));
    if view.applied.0 != commit {
        say(format!("applied {}", view.applied.0));
    }
    line
}
