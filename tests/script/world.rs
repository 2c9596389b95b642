//! The servers of a script, the messages between them and the time: what each command does.

use super::command::{Command, Pace, Selection, Who};
use super::judge::Judge;
use super::pool::{Flight, Pool};
use super::say;
use super::server::{Effect, Server};
use labrpc::{NodeId, Time};
use shardlab::raft::{Bug, Config, Entry, EntryId, Index, Input, Membership, Payload, Role, Saved, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// More messages than any script needs: two servers that talk for ever are a finding.
const ENOUGH: usize = 10_000;

/// All of it.
pub struct World {
    settings: Config,
    /// What the servers begin with, until they have begun.
    disks: BTreeMap<NodeId, Saved>,
    servers: BTreeMap<NodeId, Server>,
    isolated: BTreeSet<NodeId>,
    pool: Pool,
    now: Time,
    proposals: u64,
    reads: u64,
    judge: Judge,
    /// The judge has spoken. What happens after that has no meaning.
    broken: bool,
    said: Vec<String>,
}

type Done = Result<(), String>;

impl World {
    /// No servers yet, set to be the plain Raft of Figure 2: what goes beyond it is switched on by the scripts
    /// that show it. Election timeouts are all the same, since it is the script that says whose comes first.
    pub fn new(bug: Option<Bug>) -> World {
        let timeout = Duration::from_millis(300);
        let settings = Config {
            election_timeout: (timeout, timeout),
            noop_on_election: false,
            pre_vote: false,
            check_quorum: false,
            retransmit_votes: false,
            bug,
            ..Config::new(NodeId(0), [])
        };
        World {
            settings,
            disks: BTreeMap::new(),
            servers: BTreeMap::new(),
            isolated: BTreeSet::new(),
            pool: Pool::default(),
            now: Time::ZERO,
            proposals: 0,
            reads: 0,
            judge: Judge::default(),
            broken: false,
            said: Vec::new(),
        }
    }

    /// What was said since this was last asked.
    pub fn take_said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// Does what a command says. It is an error if that breaks Raft.
    pub fn execute(&mut self, command: &Command) -> Done {
        if self.set_up(command)? {
            return Ok(());
        }
        self.begin();
        self.execute_on_all(command)?;
        if self.broken { Err("this breaks Raft".to_string()) } else { Ok(()) }
    }

    fn execute_on_all(&mut self, command: &Command) -> Done {
        match command {
            Command::Timeout(node) => self.timeout(*node),
            Command::Heartbeat(node) => self.heartbeat(*node),
            Command::Wait(time) => {
                self.now += *time;
                Ok(())
            }
            Command::Deliver(selection) => self.deliver_all(selection),
            Command::Drop(selection) => self.pool.take(selection).map(drop),
            Command::Hold(selection, name) => {
                let flights = self.pool.take(selection)?;
                self.pool.put_aside(name, flights)
            }
            Command::Copy(selection, name) => {
                let flights = self.pool.copy(selection)?;
                self.pool.put_aside(name, flights)
            }
            Command::Stabilize(among) => self.stabilize(among),
            Command::Isolate(node) => {
                self.pool.lose(*node);
                self.isolated.insert(*node).then_some(()).ok_or_else(|| format!("{node} is isolated already"))
            }
            Command::Rejoin(node) => {
                self.isolated.remove(node).then_some(()).ok_or_else(|| format!("{node} is not isolated"))
            }
            Command::Show(who) => self.show(*who),
            _ => self.execute_on_one(command),
        }
    }

    fn execute_on_one(&mut self, command: &Command) -> Done {
        let now = self.now;
        match command {
            Command::Propose(node, text) => {
                self.proposals += 1;
                let id = self.proposals;
                let command = text.clone().into_bytes().into();
                self.input(*node, Input::Propose { id, command })
            }
            Command::Read(node) => {
                self.reads += 1;
                let id = self.reads;
                self.judge.asked(id);
                self.input(*node, Input::Read { id })
            }
            Command::Change(node, change) => {
                self.proposals += 1;
                self.input(*node, Input::Change { id: self.proposals, change: *change })
            }
            Command::Transfer(node, to) => self.input(*node, Input::Transfer { to: *to }),
            Command::Snapshot(node, index) => {
                let effects = self.running(*node)?.snapshot(now, *index);
                let effects =
                    effects.ok_or_else(|| format!("the service of {node} had no state at {}", index.0))?;
                self.take_effects(*node, effects);
                Ok(())
            }
            Command::Sync(node) => {
                let effects =
                    self.running(*node)?.sync(now).ok_or_else(|| format!("{node} has nothing to sync"))?;
                self.take_effects(*node, effects);
                Ok(())
            }
            Command::Apply(node) => {
                let effects = self.running(*node)?.apply(now);
                self.take_effects(*node, effects);
                Ok(())
            }
            Command::Disk(who, pace) => self.each(*who, |server| server.slow_disk = *pace == Pace::Slow),
            Command::Service(who, pace) => self.each(*who, |server| server.slow_service = *pace == Pace::Slow),
            Command::Crash(node) => self.stop(*node, false),
            Command::PowerFail(node) => self.stop(*node, true),
            Command::Restart(node) => self.restart(*node),
            _ => unreachable!("every other command was handled before"),
        }
    }

    // --- setting up

    /// True if the command was one about how the servers begin.
    fn set_up(&mut self, command: &Command) -> Result<bool, String> {
        match command {
            Command::Servers(count) => {
                let all: Vec<NodeId> = (1..=*count).map(NodeId).collect();
                self.settings.membership = Membership::of(all.iter().copied());
                self.disks = all.into_iter().map(|node| (node, Saved::default())).collect();
            }
            Command::Spares(count) => {
                let founders = (self.disks.len() as u32).saturating_sub(*count);
                self.settings.membership = Membership::of((1..=founders).map(NodeId));
            }
            Command::Knob(setting) => setting.apply(&mut self.settings),
            Command::Log(node, terms) => {
                let disk = self.disk(*node)?;
                disk.entries = log_of(terms);
                disk.hard.term = disk.hard.term.max(terms.last().copied().unwrap_or_default());
            }
            Command::Term(node, term) => self.disk(*node)?.hard.term = *term,
            Command::Vote(node, candidate) => self.disk(*node)?.hard.vote = Some(*candidate),
            _ => return Ok(false),
        }
        if self.servers.is_empty() { Ok(true) } else { Err("the servers have begun already".to_string()) }
    }

    fn disk(&mut self, node: NodeId) -> Result<&mut Saved, String> {
        self.disks.get_mut(&node).ok_or_else(|| format!("there is no {node}"))
    }

    /// The first command that is not about the beginning ends it.
    fn begin(&mut self) {
        if !self.servers.is_empty() {
            return;
        }
        for (node, saved) in &self.disks {
            let mut settings = Config { me: *node, ..self.settings.clone() };
            if !settings.membership.voters.contains(node) {
                settings.membership = Membership::default();
            }
            let mut server = Server::new(settings, saved);
            server.start(self.now);
            self.servers.insert(*node, server);
        }
    }

    fn running(&mut self, node: NodeId) -> Result<&mut Server, String> {
        let server = self.servers.get_mut(&node).ok_or_else(|| format!("there is no {node}"))?;
        if server.is_up() { Ok(server) } else { Err(format!("{node} is down")) }
    }

    fn each(&mut self, who: Who, change: impl Fn(&mut Server)) -> Done {
        let chosen = self.servers.iter_mut().filter(|(node, _)| who.has(**node));
        let count = chosen.map(|(_, server)| change(server)).count();
        if count == 0 { Err("there is no such server".to_string()) } else { Ok(()) }
    }

    // --- what happens

    fn input(&mut self, node: NodeId, input: Input) -> Done {
        let now = self.now;
        let effects = self.running(node)?.input(now, input);
        self.take_effects(node, effects);
        Ok(())
    }

    /// Time goes on to the deadline of a server, which is woken.
    fn wake(&mut self, node: NodeId) -> Done {
        let deadline = self.running(node)?.deadline().expect("it runs");
        self.now = self.now.max(deadline);
        self.input(node, Input::Alarm)
    }

    fn leads(&mut self, node: NodeId) -> Result<bool, String> {
        Ok(self.running(node)?.view().is_some_and(|view| view.role == Role::Leader))
    }

    fn timeout(&mut self, node: NodeId) -> Done {
        if self.leads(node)? {
            return Err(format!("{node} leads and has no election timeout"));
        }
        self.wake(node)
    }

    fn heartbeat(&mut self, node: NodeId) -> Done {
        let before = self.pool.sent();
        if !self.leads(node)? {
            return Err(format!("{node} does not lead"));
        }
        while self.leads(node)? && self.pool.sent() == before {
            self.wake(node)?;
        }
        Ok(())
    }

    fn stop(&mut self, node: NodeId, power_failed: bool) -> Done {
        let effects = self.running(node)?.stop(power_failed);
        self.take_effects(node, effects);
        Ok(())
    }

    fn restart(&mut self, node: NodeId) -> Done {
        let now = self.now;
        let server = self.servers.get_mut(&node).ok_or_else(|| format!("there is no {node}"))?;
        if server.is_up() {
            return Err(format!("{node} is running"));
        }
        let effects = server.start(now);
        self.take_effects(node, effects);
        Ok(())
    }

    fn show(&mut self, who: Who) -> Done {
        let lines: Vec<String> =
            self.servers.iter().filter(|(node, _)| who.has(**node)).map(|(_, server)| server.state()).collect();
        if lines.is_empty() {
            return Err("there is no such server".to_string());
        }
        self.said.extend(lines);
        Ok(())
    }

    fn take_effects(&mut self, node: NodeId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Said(text) => self.said.push(format!("{node}  {text}")),
                Effect::Sent(to, message) => self.send(Flight { from: node, to, message }),
                Effect::Applied(id) => {
                    let verdict = self.judge.applied(node, id);
                    self.take_verdict(verdict);
                }
                Effect::Answered(read, index) => {
                    let verdict = self.judge.answered(node, read, index);
                    self.take_verdict(verdict);
                }
            }
        }
        let view = self.servers.get(&node).and_then(Server::view);
        let verdict = view.and_then(|view| self.judge.see(node, &view));
        self.take_verdict(verdict);
    }

    fn take_verdict(&mut self, verdict: Option<String>) {
        self.broken |= verdict.is_some();
        self.said.extend(verdict);
    }

    // --- the network

    fn is_cut(&self, flight: &Flight) -> bool {
        self.isolated.contains(&flight.from) || self.isolated.contains(&flight.to)
    }

    fn send(&mut self, flight: Flight) {
        let lost = self.is_cut(&flight);
        let note = if lost { "  (lost)" } else { "" };
        let (from, to, message) = (flight.from, flight.to, say::message(&flight.message));
        self.said.push(format!("{from} -> {to}  {message}{note}"));
        self.pool.send(flight, lost);
    }

    fn deliver_all(&mut self, selection: &Selection) -> Done {
        self.pool.take(selection)?.into_iter().for_each(|flight| self.deliver(flight));
        Ok(())
    }

    fn deliver(&mut self, flight: Flight) {
        if self.broken {
            return;
        }
        let Flight { from, to, .. } = flight;
        let up = self.servers.get(&to).is_some_and(Server::is_up);
        let note = if up && !self.is_cut(&flight) { "" } else { "  (lost)" };
        self.said.push(format!("{to} <- {from}  {}{note}", say::message(&flight.message)));
        if note.is_empty() {
            self.input(to, Input::Message { from, message: flight.message }).expect("it is up");
        }
    }

    fn stabilize(&mut self, among: &[NodeId]) -> Done {
        let all: Vec<NodeId> = self.servers.keys().copied().collect();
        let among = if among.is_empty() { &all } else { among };
        for _ in 0..ENOUGH {
            let Some(flight) = self.pool.take_oldest(among) else { return Ok(()) };
            self.deliver(flight);
        }
        Err("they talk and talk".to_string())
    }
}

/// A log with these terms. Each command is called as its entry is: two entries that should be the same are.
fn log_of(terms: &[Term]) -> Vec<Entry> {
    let ids = terms.iter().zip(1..).map(|(&term, index)| EntryId::new(term, Index(index)));
    ids.map(|id| Entry { id, payload: Payload::Command(say::id(id).into_bytes().into()) }).collect()
}
