//! Carrying out what a plan does to the world.

use super::client::{Session, read_at};
use super::control::{Control, Proposed, within};
use super::disk_troubles::DiskTroubles;
use super::kv_client::KvClient;
use super::service::command;
use super::watcher::Watcher;
use crate::oracle::hash_of_command;
use crate::plan::{Act, Client, Fault, Selector, What};
use crate::raft::Part;
use labrpc::sim::{Booter, Command, CrashPoint, DiskWeather, NodeSet, Rule, Verdict};
use labrpc::{Index, NodeId, Rng, Time};
use std::sync::Arc;
use std::time::Duration;

impl Control {
    /// Lets each fault happen at its time.
    pub fn start_faults(&mut self) {
        let mut faults: Vec<Fault> = self.plan.faults.clone();
        if faults.is_empty() {
            return;
        }
        faults.sort_by_key(|fault| fault.at);
        let mut hands = self.hands();
        hands.rng = Rng::new(self.plan.seed, "faults");
        // Commands of their own, apart from the script's.
        hands.commands = 1_000_000;
        let count = faults.len() as u32;
        self.shared.set_faults_left(count);
        self.lab.spawn(async move {
            for (fault, left) in faults.into_iter().zip((0..count).rev()) {
                hands.lab.sleep_until(Time::ZERO + fault.at.0).await;
                hands.act(&fault.act).await;
                hands.shared.set_faults_left(left);
            }
        });
    }

    /// For a task beside the script: it has names and draws of its own.
    pub fn hands(&self) -> Control {
        let mut hands = Control::new(self.lab.clone(), self.shared.system.clone(), self.plan.clone());
        hands.shared = self.shared.clone();
        hands
    }

    /// Lets each client begin.
    pub fn start_clients(&mut self) {
        for (client, number) in self.plan.clients.clone().into_iter().zip(1..) {
            self.shared.begin_client();
            if client.is_kv() {
                self.start_kv_client(client, number);
                continue;
            }
            let session = Session {
                servers: self.resolve(&client.talks_to),
                lab: self.lab.clone(),
                shared: self.shared.clone(),
                number,
                rng: Rng::new(self.plan.seed, &format!("client {number}")),
            };
            self.lab.spawn(session.run(client));
        }
    }

    /// The nodes of clients of a key/value service.
    fn clients(&self) -> NodeSet {
        let first = self.plan.server_count() + 1;
        (first..first + self.plan.clients.len() as u32).map(NodeId).collect()
    }

    /// A client of a key/value service has a node of its own, behind those of the servers.
    fn start_kv_client(&mut self, client: Client, number: u32) {
        let node = NodeId(self.plan.server_count() + number);
        let servers: Vec<NodeId> = self.resolve(&client.talks_to).iter().collect();
        let (lab, shared) = (self.lab.clone(), self.shared.clone());
        let booter: Booter = Arc::new(move |env| {
            let (lab, shared, servers) = (lab.clone(), shared.clone(), servers.clone());
            Box::pin(KvClient { env, lab, shared, servers, number }.run(client.clone()))
        });
        self.lab.add_node(node, DiskWeather::default(), booter);
        self.lab.order(Command::Boot { node });
    }

    /// Does something, at once (what is asked of a server is answered within a moment or not at all).
    pub async fn act(&mut self, act: &Act) {
        match act {
            Act::Cut { from, to } => {
                let (from, to) = (self.resolve_aloud(from), self.resolve_aloud(to));
                self.lab.order(Command::Cut { from, to });
            }
            Act::Mend { from, to } => {
                let (from, to) = (self.resolve_aloud(from), self.resolve_aloud(to));
                self.lab.order(Command::Mend { from, to });
            }
            Act::Disconnect(who) => self.disconnect(who),
            Act::Connect(who) => self.connect(who),
            Act::Partition(parts) => self.partition(parts),
            Act::Heal => self.heal(),
            Act::Crash { who, power } => self.each(who, |node| Command::Crash { node, power: *power }),
            Act::Restart(who) => self.each(who, |node| Command::Boot { node }),
            Act::KeepUp { at_least } => self.keep_up(*at_least as usize),
            Act::KeepConnected { at_least } => self.keep_connected(*at_least as usize),
            Act::Pause(who) => self.each(who, |node| Command::Pause { node }),
            Act::Resume(who) => self.each(who, |node| Command::Resume { node }),
            Act::ClockRate { who, ppm } => self.each(who, |node| Command::ClockRate { node, ppm: *ppm }),
            Act::ClockJump { who, by } => self.each(who, |node| Command::ClockJump { node, by: *by }),
            Act::Disk { who, weather } => self.disk_weather(who, weather),
            Act::StallDisk { who, span } => self.each(who, |node| Command::StallDisk { node, span: *span }),
            Act::SlowService { who, lag } => {
                self.resolve_aloud(who).iter().for_each(|node| self.shared.set_lag(node, Some(*lag)));
            }
            Act::Busy { who, each, parts } => {
                // What it does not name cannot keep it busy.
                let Some(kinds) = self.kinds("servers are not kept busy", parts) else { return };
                self.each(who, |node| Command::Service { node, span: *each, kinds: kinds.clone() });
            }
            Act::CrashAt { who, effect, on, nth, edge, power, back_after } => self.each(who, |node| {
                let (effect, edge, on) = (*effect, *edge, on.clone());
                Command::CrashAt(CrashPoint {
                    node,
                    effect,
                    on,
                    nth: *nth,
                    edge,
                    power: *power,
                    back_after: *back_after,
                })
            }),
            Act::Corrupt { who, file, offset } => self.corrupt(who, file, *offset),
            Act::Net(weather) => self.lab.order(Command::Net(weather.clone())),
            Act::Rule { .. } => self.put_up_rule(act),
            Act::Unrule(name) => {
                self.judge_rules(Some(name));
                self.lab.order(Command::RemoveRule(name.clone()));
            }
            Act::Release(rule) => self.lab.order(Command::Release { rule: rule.clone(), deliver: true }),
            Act::Lose(rule) => self.lab.order(Command::Release { rule: rule.clone(), deliver: false }),
            Act::Propose { to, count, size, tag } => self.propose(to, *count, *size, tag).await,
            Act::Transfer { to } => self.transfer(to),
            Act::Reconfigure { voters } => self.reconfigure(voters),
            Act::Read { from } => self.read(from).await,
            Act::Bind { name, who } => {
                let nodes = self.resolve_aloud(who);
                self.bound.insert(name.clone(), nodes);
            }
            Act::Hush(span) => self.shared.hush(self.lab.now() + span.0),
            Act::Ask { client, op } => self.shared.ask(*client, op.clone()),
            Act::Count(name) => self.start_count(name),
        }
    }

    fn disk_weather(&mut self, who: &Selector, weather: &DiskWeather) {
        let fails = weather.write_error > 0 || weather.sync_error > 0 || weather.capacity.is_some();
        let nodes = self.resolve_aloud(who);
        let takes = if fails { DiskTroubles::fail } else { DiskTroubles::heal };
        self.lab.with_hook(|watcher: &mut Watcher| takes(&mut watcher.troubles, nodes));
        nodes.iter().for_each(|node| self.lab.order(Command::Disk { node, weather: weather.clone() }));
    }

    fn each(&mut self, who: &Selector, order: impl Fn(NodeId) -> Command) {
        for node in self.resolve_aloud(who).iter() {
            self.lab.order(order(node));
        }
    }

    fn cut_both_ways(&self, one: NodeSet, other: NodeSet) {
        self.lab.order(Command::Cut { from: one, to: other });
        self.lab.order(Command::Cut { from: other, to: one });
    }

    fn mend_both_ways(&self, one: NodeSet, other: NodeSet) {
        self.lab.order(Command::Mend { from: one, to: other });
        self.lab.order(Command::Mend { from: other, to: one });
    }

    fn disconnect(&mut self, who: &Selector) {
        let nodes = self.resolve_aloud(who).minus(self.isolated);
        self.isolated = self.isolated.or(nodes);
        if !nodes.is_empty() {
            self.cut_both_ways(nodes, self.all());
        }
    }

    fn connect(&mut self, who: &Selector) {
        let nodes = self.resolve_aloud(who);
        self.isolated = self.isolated.minus(nodes);
        self.mend_both_ways(nodes, self.all().minus(self.isolated));
    }

    fn keep_up(&mut self, at_least: usize) {
        for group in self.parts(self.all()) {
            let mut up = self.up().and(group);
            let mut down: Vec<NodeId> = group.minus(up).iter().collect();
            self.rng.shuffle(&mut down);
            while up.len() < at_least
                && let Some(node) = down.pop()
            {
                up.insert(node);
                self.lab.order(Command::Boot { node });
            }
        }
    }

    fn keep_connected(&mut self, at_least: usize) {
        for group in self.parts(self.all()) {
            let mut away: Vec<NodeId> = self.isolated.and(group).iter().collect();
            self.rng.shuffle(&mut away);
            while group.minus(self.isolated).len() < at_least
                && let Some(node) = away.pop()
            {
                self.connect(&Selector::Server(node));
            }
        }
    }

    fn partition(&mut self, parts: &[Selector]) {
        let all = self.all();
        self.mend_both_ways(all, all);
        for part in parts {
            let nodes = self.resolve_aloud(part);
            self.cut_both_ways(nodes, all.minus(nodes));
        }
    }

    pub fn heal(&mut self) {
        let all = self.all();
        self.isolated = NodeSet::NONE;
        self.mend_both_ways(all, all);
    }

    fn corrupt(&mut self, who: &Selector, file: &str, offset: u64) {
        let nodes = self.resolve_aloud(who).minus(self.up());
        if nodes.is_empty() {
            return self.unmet(format!("nothing to corrupt: none of `{who}` is down"));
        }
        self.lab.with_hook(|watcher: &mut Watcher| watcher.troubles.damages(nodes));
        for node in nodes.iter() {
            self.lab.order(Command::Corrupt { node, file: file.into(), offset });
        }
    }

    /// What the messages are called that play these parts. If the system does not say, it is noted what is not done then.
    fn kinds(&self, without: &str, parts: &[Part]) -> Option<Vec<String>> {
        let kinds = parts.iter().flat_map(|part| self.shared.system.kinds(*part));
        let kinds: Vec<String> = kinds.map(|kind| kind.name().into()).collect();
        let known = !kinds.is_empty() || parts.is_empty();
        if !known {
            self.lab.note(None, &format!("{without}: this system does not say which messages that are"));
        }
        known.then_some(kinds)
    }

    fn put_up_rule(&mut self, act: &Act) {
        let Act::Rule { name, from, to, parts, chance, skip, take, what } = act else { return };
        let Some(kinds) = self.kinds(&format!("no rule `{name}`"), parts) else { return };
        let verdict = match what {
            What::Pass => Verdict::Pass,
            What::Drop => Verdict::Drop,
            What::Delay(spread) => Verdict::Delay(*spread),
            What::Duplicate(spread) => Verdict::Duplicate(*spread),
            What::Hold => Verdict::Hold,
        };
        let (from, to) = (self.resolve_aloud(from), self.resolve_aloud(to));
        let mut rule = Rule::new(name.clone(), verdict);
        rule.chance = chance.unwrap_or(rule.chance);
        // Selectors name servers. Clients are on the other side of what they say and hear.
        let from = if parts.contains(&Part::ClientRequest) { self.clients() } else { from };
        let to = if parts.contains(&Part::ClientReply) { self.clients() } else { to };
        let directions = parts.iter().flat_map(|part| part.directions()).collect();
        let rule = Rule { from, to, kinds, directions, skip: *skip, take: *take, ..rule };
        self.lab.order(Command::AddRule(rule));
    }

    /// A command that nobody else makes.
    pub fn fresh_command(&mut self, size: u32) -> bytes::Bytes {
        self.commands += 1;
        command(0, self.commands, size)
    }

    async fn propose(&mut self, to: &Selector, count: u32, size: u32, tag: &str) {
        for node in self.resolve(to).iter() {
            for _ in 0..count {
                let command = self.fresh_command(size);
                let hash = hash_of_command(&command);
                let proposed = self.start_on(node, command).await.map(|index| Proposed { hash, index, at: node });
                let tagged = self.tags.entry(tag.into()).or_default();
                tagged.extend(proposed);
            }
        }
    }

    /// Asks one server to put a command into its log.
    pub async fn start_on(&mut self, node: NodeId, command: bytes::Bytes) -> Option<Index> {
        let peer = self.shared.peer(&self.lab, node).filter(|peer| peer.state().1)?;
        // It answers at once or, if it crashes or stands still meanwhile, never.
        let patience = self.lab.now() + Duration::from_millis(50);
        let (index, _) = within(&self.lab, patience, peer.start(command)).await??;
        Some(index)
    }

    fn transfer(&mut self, to: &Selector) {
        let to = self.resolve_aloud(to);
        for part in self.parts(to) {
            let Some(to) = part.iter().next() else { continue };
            let Some((leader, _)) = self.leader_of(self.up().and(self.group_of(to))) else { continue };
            if let Some(peer) = self.shared.peer(&self.lab, leader) {
                peer.transfer(to);
            }
        }
    }

    async fn read(&mut self, from: &Selector) {
        for node in self.resolve_aloud(from).iter() {
            let patience = self.lab.now() + Duration::from_millis(500);
            read_at(&self.shared, &self.lab, node, patience).await;
        }
    }

    fn start_count(&mut self, name: &str) {
        let so_far = self.lab.with_hook(|watcher: &mut Watcher| watcher.traffic());
        self.counts.insert(name.into(), so_far);
    }
}
