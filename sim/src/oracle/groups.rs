//! One oracle for each group, and who is told what.
//!
//! A group is a Raft of its own: what is committed in one says nothing about another. So each has an oracle that knows
//! its servers and no others. A fact goes to the group of the server that it is about; a message that is sent to that
//! of its sender, one that arrives to that of its receiver, and where that end is a client, to that of the other.

use super::ack_honest::{self, AckHonest};
use super::{Card, Fact, Known, MARKS, Needs, Oracle, Verdict, Violation, cards, violated};
use crate::history::{Call, Key};
use crate::kv::{Entry, Place, Told};
use crate::plan::{Client, Plan};
use crate::raft::RaftSystem;
use labrpc::sim::{NodeSet, Packet, Stamp, View};
use labrpc::{Index, NodeId, ShardChange, Time};
use std::sync::Arc;

/// Which of the groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupAt(usize);

impl GroupAt {
    /// The first: of whatever belongs to no server.
    pub const FIRST: GroupAt = GroupAt(0);

    /// Where it stands among the groups, from 0.
    pub fn slot(self) -> usize {
        self.0
    }

    /// An entry of its log.
    pub fn place(self, index: Index) -> Place {
        Place { group: self.0 as u32 + 1, index }
    }

    /// As a word of a report.
    pub fn word(self) -> u64 {
        self.0 as u64
    }

    /// And back.
    pub fn of_word(word: u64) -> GroupAt {
        GroupAt(word as usize)
    }
}

/// The messages that a group has part in, for those who judge whether they are too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Messages {
    /// Between its servers, and between them and clients, either way.
    pub own: u64,
    /// From its servers to those of other groups.
    pub across: u64,
    /// How many servers these other groups have.
    pub others: u32,
    /// How many clients have part in its messages.
    pub clients: u32,
    /// Entries committed in all groups together: any of them may be what a message across is for.
    pub work: u64,
}

/// What was counted of one group.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    own: u64,
    across: u64,
    clients: NodeSet,
}

/// Who is in which group, and what each group sends.
struct Counts {
    /// In each group.
    servers: u32,
    groups: Vec<Count>,
}

impl Counts {
    /// The group of a server. None: the node is no server.
    fn group_of(&self, node: NodeId) -> Option<GroupAt> {
        let at = (node.0.checked_sub(1)? / self.servers) as usize;
        (at < self.groups.len()).then_some(GroupAt(at))
    }

    fn sent(&mut self, packet: &Packet) {
        match (self.group_of(packet.from), self.group_of(packet.to)) {
            (Some(from), Some(to)) if from != to => self.groups[from.0].across += 1,
            (Some(group), Some(_)) => self.groups[group.0].own += 1,
            (Some(group), None) => self.with_client(group, packet.to),
            (None, Some(group)) => self.with_client(group, packet.from),
            (None, None) => {}
        }
    }

    fn with_client(&mut self, group: GroupAt, client: NodeId) {
        let count = &mut self.groups[group.0];
        count.own += 1;
        count.clients.insert(client);
    }

    fn messages(&self, group: GroupAt, work: u64) -> Messages {
        let Count { own, across, clients } = self.groups[group.0];
        let others = (self.groups.len() as u32 - 1) * self.servers;
        Messages { own, across, others, clients: clients.len() as u32, work }
    }
}

/// See the module.
pub struct Oracles {
    groups: Vec<Oracle>,
    counts: Counts,
    /// Clients of a key/value service.
    clients: u32,
    /// What they are told, held against all logs. None: the service does not explain its log.
    answers: Option<AckHonest>,
    /// After how many bytes of the log a snapshot is due.
    threshold: u64,
    /// What cannot be checked since nobody says what is in the logs.
    unexplained: Vec<&'static str>,
    /// When the last fact was told.
    pub stamp: Stamp,
}

impl Oracles {
    /// The oracles for one run of that system.
    pub fn new(plan: &Plan, system: &Arc<dyn RaftSystem>) -> Oracles {
        let explains = system.kv().is_some_and(|kv| kv.explains());
        let has_clients = system.kv().is_some() && plan.clients.iter().any(Client::is_kv);
        let of_keys = system.clone();
        let knobs = plan.knobs.clone();
        let shard_of = move |key: &Key| of_keys.kv()?.shard_of(&knobs, key);
        Oracles {
            threshold: plan.knobs.snapshot_bytes.map_or(0, u64::from),
            answers: explains.then(|| AckHonest::new(plan.groups, Box::new(shard_of))),
            unexplained: if has_clients && !explains { of_logs(plan) } else { Vec::new() },
            groups: (1..=plan.groups).map(|group| Oracle::new(plan, group, system)).collect(),
            counts: Counts { servers: plan.servers, groups: vec![Count::default(); plan.groups as usize] },
            clients: plan.clients.iter().filter(|client| client.is_kv()).count() as u32,
            stamp: Stamp { at: Time::ZERO, nth: 0 },
        }
    }

    /// The group of a server. None: the node is no server.
    #[inline]
    pub fn group_of(&self, node: NodeId) -> Option<GroupAt> {
        if self.groups.len() == 1 {
            return self.groups[0].known.is_server(node).then_some(GroupAt::FIRST);
        }
        self.counts.group_of(node)
    }

    /// The group that a message is told to: that of its `first` end, or else of the `other`.
    fn group_of_ends(&self, first: NodeId, other: NodeId) -> GroupAt {
        if self.groups.len() == 1 {
            return GroupAt::FIRST;
        }
        self.group_of(first).or_else(|| self.group_of(other)).unwrap_or(GroupAt::FIRST)
    }

    /// What is known of a group.
    pub fn known(&self, group: GroupAt) -> &Known {
        &self.groups[group.0].known
    }

    /// What is known of the group of a server.
    ///
    /// # Panics
    /// If the node is no server.
    pub fn known_of(&self, node: NodeId) -> &Known {
        self.known(self.group_of(node).expect("only servers are asked about"))
    }

    /// Something has happened in a group. The first invariant that does not hold any more is returned.
    #[inline]
    pub fn learn(&mut self, group: GroupAt, stamp: Stamp, fact: &Fact<'_>) -> Option<Violation> {
        self.stamp = stamp;
        let violation = self.groups[group.0].learn(stamp, fact)?;
        Some(self.named(group.0, violation))
    }

    /// A message was sent.
    pub fn sent(&mut self, stamp: Stamp, packet: &Packet, fact: &Fact<'_>) -> Option<Violation> {
        if self.groups.len() > 1 {
            self.counts.sent(packet);
        }
        self.learn(self.group_of_ends(packet.from, packet.to), stamp, fact)
    }

    /// A message has arrived.
    pub fn delivered(&mut self, stamp: Stamp, packet: &Packet, fact: &Fact<'_>) -> Option<Violation> {
        self.learn(self.group_of_ends(packet.to, packet.from), stamp, fact)
    }

    /// What keeps answers and logs apart, if something does.
    fn judged(&self, verdict: Option<Verdict>) -> Option<Violation> {
        Some(Violation::of(&ack_honest::CARD, verdict?.err()?, self.stamp))
    }

    /// Something happens to a shard with an entry of a group's log. This and [`Oracles::executes`] are told once for each entry,
    /// when the first server has applied it.
    pub fn moves(&mut self, group: GroupAt, index: Index, (shard, config): (u32, u64), change: &ShardChange) {
        if let Some(answers) = &mut self.answers {
            answers.moves(group.place(index), shard, config, change);
        }
    }

    /// A snapshot of so many bytes is durable on a server's disk, on which there are so many in all.
    pub fn holds(
        &mut self,
        stamp: Stamp,
        (group, node): (GroupAt, NodeId),
        index: Index,
        [snapshot, disk]: [u64; 2],
    ) -> Option<Violation> {
        let kept = &mut self.answers.as_mut()?.kept;
        let detail = kept.holds(node, group.place(index), snapshot, disk, self.threshold).err()?;
        Some(self.named(group.0, violated("shard-storage", detail, stamp)))
    }

    /// A client's operation is executed.
    pub fn executes(&mut self, stamp: Stamp, group: GroupAt, index: Index, entry: &Entry) -> Option<Violation> {
        self.stamp = stamp;
        let verdict = self.answers.as_mut().map(|answers| answers.executes(group.place(index), entry));
        self.judged(verdict)
    }

    /// Whether a client's operation that is in a log was executed.
    pub fn has_executed(&self, group: GroupAt, index: Index, entry: &Entry) -> bool {
        self.answers.as_ref().is_some_and(|answers| answers.has_executed(group.place(index), entry))
    }

    /// A server refuses to execute a client's operation in the state behind that entry.
    pub fn refuses(&self, stamp: Stamp, group: GroupAt, index: Index, call: &Call) -> Option<Violation> {
        let place = group.place(index);
        self.answers.as_ref().filter(|answers| answers.has_shard_of(place, call))?;
        let detail = format!(
            "an operation on \"{}\" is refused behind {index}, where the group has its shard",
            call.key().escape_ascii()
        );
        Some(self.named(group.0, violated("shard-available", detail, stamp)))
    }

    /// A client of a key/value service asks for something.
    pub fn asks(&mut self, client: u32) {
        if let Some(answers) = &mut self.answers {
            answers.asks(client);
        }
    }

    /// It has an answer.
    pub fn is_told(&mut self, stamp: Stamp, client: u32, call: &Call, told: &Told) -> Option<Violation> {
        self.stamp = stamp;
        let groups = &self.groups;
        let applied = |Place { group, index }: Place| {
            let oracle = group.checked_sub(1).and_then(|at| groups.get(at as usize));
            oracle.is_some_and(|oracle| index == Index(0) || oracle.known.state(index).is_some())
        };
        let verdict = self.answers.as_mut().map(|answers| answers.is_told(client, call, told, applied));
        self.judged(verdict)
    }

    /// Whether all servers of all groups run and can talk to each other, and no rule says otherwise.
    pub fn can_all_talk(&self, view: &View<'_>) -> bool {
        let servers: Vec<NodeId> =
            self.groups.iter().flat_map(|oracle| oracle.known.servers()).map(|(node, _)| node).collect();
        let runs = |node: &NodeId| view.is_up(*node) && !view.is_paused(*node);
        let talks = |from: &NodeId| servers.iter().all(|to| view.is_linked(*from, *to));
        !view.has_rules() && servers.iter().all(|node| runs(node) && talks(node))
    }

    /// The run is over, in which so many messages were sent in all.
    pub fn at_end(&mut self, stamp: Stamp, messages: u64) -> Option<Violation> {
        let (work, alone) = (self.commits(), self.groups.len() == 1);
        (0..self.groups.len()).find_map(|at| {
            let messages = if alone {
                Messages { own: messages, across: 0, others: 0, clients: self.clients, work }
            } else {
                self.counts.messages(GroupAt(at), work)
            };
            let violation = self.groups[at].at_end(stamp, &messages);
            violation.map(|violation| self.named(at, violation))
        })
    }

    /// Where there are several groups, a violation says in which one it was seen.
    fn named(&self, at: usize, mut violation: Violation) -> Violation {
        if self.groups.len() > 1 {
            violation.detail = format!("group {}: {}", at + 1, violation.detail);
        }
        violation
    }

    /// Entries committed, in all groups together.
    pub fn commits(&self) -> u64 {
        self.groups.iter().map(|oracle| oracle.known.commit().0).sum()
    }

    /// How often each mark was reached in all groups together, in the order of [`MARKS`].
    pub fn marks(&self) -> Vec<u32> {
        let mut sum = vec![0; MARKS.len()];
        for oracle in &self.groups {
            sum.iter_mut().zip(oracle.marks.counts()).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// Checks that could not be made in some group, since the implementation does not tell enough.
    pub fn not_checked(&self, explains: bool) -> Vec<&'static str> {
        let mut missing = self.unexplained.clone();
        for id in self.groups.iter().flat_map(|oracle| oracle.not_checked(explains)) {
            if !missing.contains(&id) {
                missing.push(id);
            }
        }
        missing
    }
}

/// The checks that are asked for and cannot be made where nobody says what is in the logs.
fn of_logs(plan: &Plan) -> Vec<&'static str> {
    let is_asked = |card: &&Card| {
        let applies = plan.groups > 1 || card.id != "shard-available";
        card.needs == Needs::Log && applies && !plan.mute.iter().any(|mute| mute == card.id)
    };
    cards().into_iter().filter(is_asked).map(|card| card.id).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{node, packet};
    use super::*;

    #[test]
    fn what_needs_the_logs_is_named_where_they_are_not_explained() {
        let mut plan = Plan::default();
        assert_eq!(of_logs(&plan), ["retry-storm", "ack-honest"]);
        plan.mute.push("ack-honest".into());
        assert_eq!(of_logs(&plan), ["retry-storm"]);
        plan.groups = 3;
        assert_eq!(of_logs(&plan), ["retry-storm", "shard-available"]);
    }

    /// Two groups of three; nodes 7 and 8 are clients.
    #[test]
    fn messages_count_for_the_groups_that_have_part_in_them() {
        let mut counts = Counts { servers: 3, groups: vec![Count::default(); 2] };
        let of = [0, 1, 3, 4, 6, 7].map(|n| counts.group_of(node(n)).map(GroupAt::slot));
        assert_eq!(of, [None, Some(0), Some(0), Some(1), Some(1), None]);
        for (from, to) in [(1, 2), (3, 1), (1, 4), (2, 6), (3, 6), (4, 1), (7, 4), (4, 7), (7, 8)] {
            counts.sent(&packet(from, to));
        }
        let messages = |own, across, clients| Messages { own, across, others: 3, clients, work: 9 };
        assert_eq!(counts.messages(GroupAt(0), 9), messages(2, 3, 0));
        assert_eq!(counts.messages(GroupAt(1), 9), messages(2, 1, 1));
    }
}
