//! The language of the scripts: what a line means. Whatever is not understood is an error; a script that is half
//! understood would tell a half-true story.

use labrpc::NodeId;
use shardlab::raft::{Change, Config, Index, Term};
use std::time::Duration;

/// One line of a script.
pub enum Line<'a> {
    /// Goes into the trace as it is.
    Prose(&'a str),
    /// Something to do.
    Command(Command),
}

/// Which servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Every one.
    All,
    /// This one.
    One(NodeId),
}

impl Who {
    /// Whether `node` is meant.
    pub fn has(self, node: NodeId) -> bool {
        self == Who::All || self == Who::One(node)
    }
}

/// Which of those that fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All of them, in the order in which they were sent.
    All,
    /// The how-manieth, from 1.
    Nth(usize),
    /// The one that was sent last.
    Last,
}

/// Messages under way.
pub enum Selection {
    /// By their way, kind and place.
    Way {
        /// The sender.
        from: Who,
        /// The receiver.
        to: Who,
        /// The kind, if not every one.
        kind: Option<String>,
        /// Which of them.
        which: Which,
    },
    /// What was put aside under a name.
    Named(String),
}

/// What a script can ask for.
pub enum Command {
    /// `servers 3`: a cluster of S1 to S3, all followers in term 0, with empty logs.
    Servers(u32),
    /// `spares 1`: so many of them, the last ones, belong to no cluster yet.
    Spares(u32),
    /// `knob noop on`: how all servers are set.
    Knob(Setting),
    /// `log S1 1 1 2`: what its log holds when it starts, as terms. Its term is that of the last entry, unless
    /// said.
    Log(NodeId, Vec<Term>),
    /// `term S1 3`: its term when it starts.
    Term(NodeId, Term),
    /// `vote S1 S2`: its vote in that term.
    Vote(NodeId, NodeId),

    /// `timeout S1`: time goes on to its deadline, and it is woken.
    Timeout(NodeId),
    /// `heartbeat S1`: the same, until it has let itself be heard or does not lead any more.
    Heartbeat(NodeId),
    /// `wait 100ms`: time goes on and nobody is woken.
    Wait(Duration),
    /// `deliver S1->S2 append 2`, `deliver all`, `deliver late`.
    Deliver(Selection),
    /// `drop S1->S2`.
    Drop(Selection),
    /// `hold S1->S2 append as late`: put aside, until it is delivered or dropped by that name.
    Hold(Selection, String),
    /// `copy S1->S2 append as late`: the network duplicates it, and the copy is put aside.
    Copy(Selection, String),
    /// `stabilize`, `stabilize S1 S2`: messages between these, or all, are delivered until there are none.
    Stabilize(Vec<NodeId>),
    /// `isolate S3`: what it sends and what is sent to it is lost; what is under way too.
    Isolate(NodeId),
    /// `rejoin S3`.
    Rejoin(NodeId),

    /// `propose S1 x`.
    Propose(NodeId, String),
    /// `read S1`.
    Read(NodeId),
    /// `transfer S1 S2`.
    Transfer(NodeId, NodeId),
    /// `change S1 add S4`, `change S1 promote S4`, `change S1 remove S2`: it is asked for another membership.
    Change(NodeId, Change),
    /// `snapshot S1 5`: its service hands over the snapshot that it had at 5.
    Snapshot(NodeId, Index),

    /// `disk S2 slow`: from now on its writes wait for `sync`. `disk S2 fast`: they are durable at once.
    Disk(Who, Pace),
    /// `sync S2`: its write becomes durable.
    Sync(NodeId),
    /// `service S2 slow`: what is committed waits for `apply`. `service S2 fast`: it is applied at once.
    Service(Who, Pace),
    /// `apply S2`: its service does what it was given.
    Apply(NodeId),

    /// `crash S1`: its process ends; what it wrote stays with the operating system.
    Crash(NodeId),
    /// `power-fail S1`: what was not synced is lost.
    PowerFail(NodeId),
    /// `restart S1`.
    Restart(NodeId),
    /// `show S1`, `show all`.
    Show(Who),
}

/// How quick something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// It waits for the script.
    Slow,
    /// It is done at once.
    Fast,
}

/// What `knob` sets.
#[derive(Clone, Copy)]
pub enum Setting {
    /// A switch.
    Switch(fn(&mut Config) -> &mut bool, bool),
    /// A number.
    Number(fn(&mut Config, u64), u64),
}

impl Setting {
    /// Sets it.
    pub fn apply(self, config: &mut Config) {
        match self {
            Setting::Switch(field, on) => *field(config) = on,
            Setting::Number(set, value) => set(config, value),
        }
    }
}

type Parsed<T> = Result<T, String>;

/// What a line means.
pub fn parse(line: &str) -> Parsed<Line<'_>> {
    let line = line.trim_end();
    if line.is_empty() {
        return Ok(Line::Prose(""));
    }
    if let Some(prose) = line.strip_prefix('#') {
        return Ok(Line::Prose(prose.strip_prefix(' ').unwrap_or(prose)));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    command(&words).map(Line::Command)
}

fn command(words: &[&str]) -> Parsed<Command> {
    Ok(match *words {
        ["servers", count] => Command::Servers(number(count)? as u32),
        ["spares", count] => Command::Spares(number(count)? as u32),
        ["knob", name, value] => Command::Knob(setting(name, value)?),
        ["log", server, ref terms @ ..] => {
            Command::Log(node(server)?, terms.iter().map(|term| number(term).map(Term)).collect::<Parsed<_>>()?)
        }
        ["term", server, term] => Command::Term(node(server)?, Term(number(term)?)),
        ["vote", server, candidate] => Command::Vote(node(server)?, node(candidate)?),
        ["timeout", server] => Command::Timeout(node(server)?),
        ["heartbeat", server] => Command::Heartbeat(node(server)?),
        ["wait", time] => Command::Wait(duration(time)?),
        ["deliver", ref which @ ..] => Command::Deliver(selection(which)?),
        ["drop", ref which @ ..] => Command::Drop(selection(which)?),
        ["hold", ref which @ .., "as", name] => Command::Hold(selection(which)?, name.to_string()),
        ["copy", ref which @ .., "as", name] => Command::Copy(selection(which)?, name.to_string()),
        ["stabilize", ref among @ ..] => {
            Command::Stabilize(among.iter().map(|server| node(server)).collect::<Parsed<_>>()?)
        }
        ["isolate", server] => Command::Isolate(node(server)?),
        ["rejoin", server] => Command::Rejoin(node(server)?),
        ["propose", server, command] => Command::Propose(node(server)?, command.to_string()),
        ["read", server] => Command::Read(node(server)?),
        ["transfer", from, to] => Command::Transfer(node(from)?, node(to)?),
        ["change", server, "add", who] => Command::Change(node(server)?, Change::AddLearner(node(who)?)),
        ["change", server, "promote", who] => Command::Change(node(server)?, Change::Promote(node(who)?)),
        ["change", server, "remove", who] => Command::Change(node(server)?, Change::Remove(node(who)?)),
        ["snapshot", server, index] => Command::Snapshot(node(server)?, Index(number(index)?)),
        ["disk", server, how] => Command::Disk(who(server)?, pace(how)?),
        ["sync", server] => Command::Sync(node(server)?),
        ["service", server, how] => Command::Service(who(server)?, pace(how)?),
        ["apply", server] => Command::Apply(node(server)?),
        ["crash", server] => Command::Crash(node(server)?),
        ["power-fail", server] => Command::PowerFail(node(server)?),
        ["restart", server] => Command::Restart(node(server)?),
        ["show", server] => Command::Show(who(server)?),
        _ => return Err(format!("nobody knows what this means: {}", words.join(" "))),
    })
}

fn number(word: &str) -> Parsed<u64> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn node(word: &str) -> Parsed<NodeId> {
    let number = word.strip_prefix('S').and_then(|number| number.parse().ok());
    number.map(NodeId).ok_or_else(|| format!("{word} is no server; they are called S1, S2, ..."))
}

fn who(word: &str) -> Parsed<Who> {
    if word == "all" { Ok(Who::All) } else { node(word).map(Who::One) }
}

fn pace(word: &str) -> Parsed<Pace> {
    match word {
        "slow" => Ok(Pace::Slow),
        "fast" => Ok(Pace::Fast),
        _ => Err(format!("{word} is neither slow nor fast")),
    }
}

fn duration(word: &str) -> Parsed<Duration> {
    let number = word.strip_suffix("ms").and_then(|number| number.parse().ok());
    number.map(Duration::from_millis).ok_or_else(|| format!("{word} is no time; say 100ms"))
}

fn setting(name: &str, value: &str) -> Parsed<Setting> {
    let switch: Option<fn(&mut Config) -> &mut bool> = match name {
        "noop" => Some(|config| &mut config.noop_on_election),
        "pre-vote" => Some(|config| &mut config.pre_vote),
        "check-quorum" => Some(|config| &mut config.check_quorum),
        "retransmit" => Some(|config| &mut config.retransmit_votes),
        "empty-heartbeats" => Some(|config| &mut config.empty_heartbeats),
        _ => None,
    };
    if let Some(field) = switch {
        return match value {
            "on" => Ok(Setting::Switch(field, true)),
            "off" => Ok(Setting::Switch(field, false)),
            _ => Err(format!("{value} is neither on nor off")),
        };
    }
    let set: fn(&mut Config, u64) = match name {
        "max-entries" => |config, value| config.max_entries = value as usize,
        "max-inflight" => |config, value| config.max_inflight = value as usize,
        "chunk" => |config, value| config.chunk = value,
        _ => return Err(format!("there is no knob {name}")),
    };
    Ok(Setting::Number(set, number(value)?))
}

/// `all`, a name, or a way with a kind and a place: `S1->S2 append last`. `*` stands for every server.
fn selection(words: &[&str]) -> Parsed<Selection> {
    let (way, rest) = words.split_first().ok_or("of what?")?;
    if *way == "all" && rest.is_empty() {
        return Ok(Selection::Way { from: Who::All, to: Who::All, kind: None, which: Which::All });
    }
    let Some((from, to)) = way.split_once("->") else {
        return match rest {
            [] => Ok(Selection::Named(way.to_string())),
            _ => Err(format!("{way} is no way between servers; say S1->S2")),
        };
    };
    let end = |word: &str| if word == "*" { Ok(Who::All) } else { node(word).map(Who::One) };
    let (kind, which) = match rest {
        [] => (None, Which::All),
        [kind] => (Some(kind.to_string()), Which::All),
        [kind, "last"] => (Some(kind.to_string()), Which::Last),
        [kind, place] => (Some(kind.to_string()), Which::Nth(number(place)? as usize)),
        _ => return Err(format!("too much behind {way}")),
    };
    Ok(Selection::Way { from: end(from)?, to: end(to)?, kind, which })
}
