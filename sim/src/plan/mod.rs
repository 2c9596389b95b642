//! A plan is a whole run as data: everything that the seed decides is decided here, before the run.
//!
//! The same plan is the same run. A plan prints, is saved as JSON, edited by hand, and replayed.

mod check;
mod knobs;
mod kv;
mod selector;
mod step;
pub(crate) mod trigger;

pub use check::PlanError;
pub use knobs::{Knobs, ReadMode};
pub use kv::KvOp;
pub use selector::Selector;
pub use step::{Act, Moment, Otherwise, Step, What};
pub use trigger::{Cue, Reaction, Trigger};

use labrpc::sim::{DiskWeather, Limits, NetWeather, Span};
use labrpc::{NodeId, Rng};
use serde::{Deserialize, Serialize};

/// The format of plans. A plan of another format is refused.
pub const FORMAT: u32 = 1;

/// A run as data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The suite: which system, and by whom.
    pub suite: String,
    /// The scenario that it was drawn for.
    pub scenario: String,
    /// Decides the fate of messages and disk operations, and the servers' own randomness.
    pub seed: u64,
    /// Decides in which order tasks run that are ready at the same time.
    pub schedule: u64,
    /// The bug to plant, if any.
    #[serde(default)]
    pub bug: Option<String>,
    /// What the seed has drawn, in words. Nothing hangs on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<String>,
    /// Checks that are switched off.
    #[serde(default)]
    pub mute: Vec<String>,
    /// How many servers there are in each group.
    pub servers: u32,
    /// How many groups: each is a Raft of its own, with `servers` servers. Clients' nodes come behind all of them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: u32,
    /// Only so many of each group, the first ones, are its members in the beginning. The others run and are members of
    /// nothing, until [`Act::Reconfigure`] wants them. None: all are members, and stay it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<u32>,
    /// Settings of the system.
    #[serde(default)]
    pub knobs: Knobs,
    /// The network.
    #[serde(default)]
    pub net: NetWeather,
    /// The disks.
    #[serde(default)]
    pub disk: DiskWeather,
    /// Servers whose clocks do not run at the true rate, with their rates in ppm.
    #[serde(default)]
    pub clocks: Vec<(NodeId, u32)>,
    /// What happens besides the script, at fixed times from the start.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What happens whenever something else does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Who uses the system meanwhile.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// What is done and demanded step by step.
    #[serde(default)]
    pub script: Vec<Step>,
    /// What follows the script.
    #[serde(default)]
    pub finale: Finale,
    /// When to give up.
    #[serde(default)]
    pub limits: Limits,
    /// Demands that the plan does not make although its scenario would, and why: see
    /// `scenario::raft::waivers`.
    #[serde(default)]
    pub waived: Vec<String>,
}

fn one() -> u32 {
    1
}

// serde asks by reference.
fn is_one(groups: &u32) -> bool {
    *groups == 1
}

/// Something that happens at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, from the start.
    pub at: Span,
    /// What.
    pub act: Act,
}

/// A client: it puts commands into the log, one after the other, and waits until each is committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The servers that it talks to; a client of the wrong side of a partition is one of those that see most. If they are of
    /// several groups, each attempt is made with one of these, drawn by the seed.
    pub talks_to: Selector,
    /// When it begins.
    #[serde(default)]
    pub from: Span,
    /// What it does, in order.
    pub ops: Vec<Op>,
}

/// One operation of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// A command of so many bytes.
    Write {
        /// Pause before it.
        after: Span,
        /// Bytes, at least 16.
        size: u32,
    },
    /// An index to read at.
    Read {
        /// Pause before it.
        after: Span,
    },
    /// An operation on the key/value service that runs on the servers. A client that does one does only such.
    Kv {
        /// Pause before it.
        after: Span,
        /// What.
        op: KvOp,
    },
}

impl Client {
    /// Whether it is a client of a key/value service. One that has nothing of its own to do is: it waits to be asked.
    pub fn is_kv(&self) -> bool {
        self.ops.is_empty() || self.ops.iter().any(|op| matches!(op, Op::Kv { .. }))
    }
}

/// What follows the script and the last fault: see `docs/architecture.md` on phases.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Finale {
    /// First heal a majority only, and demand progress of it. Each group's part is judged by itself; nothing is demanded
    /// of a group of which it names nobody.
    pub core: Option<Selector>,
    /// Then heal all, stay quiet, and demand that all servers of a group come to the same state.
    pub converge: bool,
    /// Then demand that a fresh command is committed everywhere, in each group one.
    pub serve: bool,
    /// How long each of these may take.
    pub within: Span,
}

impl Default for Finale {
    fn default() -> Finale {
        Finale { core: None, converge: true, serve: true, within: Span::secs(20) }
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            format: FORMAT,
            suite: "raft".into(),
            scenario: "custom".into(),
            seed: 0,
            schedule: 0,
            bug: None,
            drawn: Vec::new(),
            mute: Vec::new(),
            servers: 3,
            groups: 1,
            voters: None,
            knobs: Knobs::default(),
            net: NetWeather::default(),
            disk: DiskWeather::default(),
            clocks: Vec::new(),
            faults: Vec::new(),
            triggers: Vec::new(),
            clients: Vec::new(),
            script: Vec::new(),
            finale: Finale::default(),
            limits: Limits::default(),
            waived: Vec::new(),
        }
    }
}

impl Plan {
    /// An empty plan for a scenario and a seed.
    pub fn new(scenario: &str, seed: u64, servers: u32) -> Plan {
        Plan { scenario: scenario.into(), seed, schedule: seed, servers, ..Plan::default() }
    }

    /// The randomness that draws the plan of a scenario.
    pub fn rng(scenario: &str, seed: u64) -> Rng {
        Rng::new(seed, scenario)
    }

    /// How many of a group make a majority of it.
    pub fn majority(&self) -> u32 {
        self.servers / 2 + 1
    }

    /// A majority of each group, if it is plain before the run who that can be: for [`Finale::core`].
    pub fn core_of_each(&self) -> Option<Selector> {
        self.voters.is_none().then(|| self.majority_of_each())
    }

    /// A majority of each group, drawn by the seed.
    pub fn majority_of_each(&self) -> Selector {
        let of = |group| if self.groups == 1 { Selector::All } else { Selector::Group(group) };
        let parts = (1..=self.groups).map(|group| of(group).any(self.majority()));
        parts.reduce(Selector::or).unwrap_or(Selector::None)
    }

    /// How many servers there are in all groups together.
    pub fn server_count(&self) -> u32 {
        self.groups.saturating_mul(self.servers)
    }

    /// The servers of all groups, group by group.
    pub fn all_servers(&self) -> Vec<NodeId> {
        (1..=self.server_count()).map(NodeId).collect()
    }

    /// The servers of a group, from 1.
    pub fn group_ids(&self, group: u32) -> Vec<NodeId> {
        let before = (group - 1) * self.servers;
        (before + 1..=before + self.servers).map(NodeId).collect()
    }

    /// Those who are its members in the beginning.
    pub fn voter_ids(&self, group: u32) -> Vec<NodeId> {
        let voters = self.voters.unwrap_or(self.servers);
        self.group_ids(group).into_iter().take(voters as usize).collect()
    }

    /// Who is in each group, group 1 first.
    pub fn all_groups(&self) -> Vec<Vec<NodeId>> {
        (1..=self.groups).map(|group| self.group_ids(group)).collect()
    }

    /// Which group a server is of. None: the node is no server.
    pub fn group_of(&self, node: NodeId) -> Option<u32> {
        let is_server = node.0 > 0 && node.0 <= self.server_count();
        is_server.then(|| (node.0 - 1) / self.servers + 1)
    }

    /// Everything that clients do on a service, by themselves or when they are asked.
    pub fn service_ops(&self) -> Vec<&KvOp> {
        fn asked<'p>(step: &'p Step, ops: &mut Vec<&'p KvOp>) {
            match step {
                Step::Do(Act::Ask { op, .. }) => ops.push(op),
                Step::Repeat { steps, .. } => steps.iter().for_each(|step| asked(step, ops)),
                _ => {}
            }
        }
        let by_themselves = self.clients.iter().flat_map(|client| &client.ops);
        let mut ops: Vec<&KvOp> =
            by_themselves.filter_map(|op| if let Op::Kv { op, .. } = op { Some(op) } else { None }).collect();
        ops.extend(self.faults.iter().filter_map(|fault| match &fault.act {
            Act::Ask { op, .. } => Some(op),
            _ => None,
        }));
        self.script.iter().for_each(|step| asked(step, &mut ops));
        ops
    }

    /// As JSON, for a file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan is plain data");
        text.push('\n');
        text
    }

    /// From JSON, checked.
    ///
    /// # Errors
    /// [`PlanError`], which names the line and the field, or says what is impossible.
    pub fn from_json(text: &str) -> Result<Plan, PlanError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let plan: Plan = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            let inner = error.into_inner();
            PlanError::Syntax { line: inner.line(), column: inner.column(), field, why: inner.to_string() }
        })?;
        plan.check()?;
        Ok(plan)
    }

    // --- building plans

    /// Adds a step.
    pub fn then(&mut self, step: Step) -> &mut Plan {
        self.script.push(step);
        self
    }

    /// Does something.
    pub fn act(&mut self, act: Act) -> &mut Plan {
        self.then(Step::Do(act))
    }

    /// At a time, the client that looks after a shard controller, client 1, is asked for something.
    pub(crate) fn ask_at(&mut self, at: Span, op: KvOp) {
        self.faults.push(Fault { at, act: Act::Ask { client: 1, op } });
    }

    /// Lets time pass.
    pub fn sleep(&mut self, span: Span) -> &mut Plan {
        self.then(Step::Sleep(span))
    }

    /// Waits for a leader among these, in each group one; the course allows five seconds.
    pub fn wait_leader(&mut self, of: Selector) -> &mut Plan {
        self.then(Step::WaitLeader { of, within: Span::secs(10) })
    }

    /// A command that all of these must apply.
    pub fn agree(&mut self, on: Selector) -> &mut Plan {
        self.agree_on(1, 16, on)
    }

    /// Commands that all of these must apply, one after the other.
    pub fn agree_on(&mut self, count: u32, size: u32, on: Selector) -> &mut Plan {
        self.then(Step::Agree { count, size, via: Selector::All, on, within: Span::secs(10) })
    }

    /// Commands for whoever of these leads, without waiting.
    pub fn propose(&mut self, to: Selector, count: u32, tag: &str) -> &mut Plan {
        self.act(Act::Propose { to, count, size: 16, tag: tag.into() })
    }

    /// Gives servers a name that stays.
    pub fn bind(&mut self, name: &str, who: Selector) -> &mut Plan {
        self.act(Act::Bind { name: name.into(), who })
    }

    /// They lose their memory.
    pub fn crash(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::Crash { who, power: false })
    }

    /// Start those that are down.
    pub fn restart(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::Restart(who))
    }

    /// Cuts each of them off from everybody.
    pub fn disconnect(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::Disconnect(who))
    }

    /// Connects them again.
    pub fn connect(&mut self, who: Selector) -> &mut Plan {
        self.act(Act::Connect(who))
    }

    /// Commands that these agree on among themselves, one after the other.
    pub fn agree_among(&mut self, count: u32, who: Selector) -> &mut Plan {
        self.then(Step::Agree { count, size: 16, via: who.clone(), on: who, within: Span::secs(10) })
    }

    /// Since the count began there were between so many messages.
    pub fn expect_messages(&mut self, since: &str, at_least: u64, at_most: u64) -> &mut Plan {
        self.then(Step::ExpectCount {
            since: since.into(),
            parts: Vec::new(),
            at_most: Some(at_most),
            at_least: Some(at_least),
            bytes: None,
        })
    }
}
