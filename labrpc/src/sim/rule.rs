//! Rules for links: one mechanism for loss, delay, duplication, holding back and targeted drops.
//!
//! Every message is shown to the rules in force, in the order in which they were put up. The first that
//! answers decides; where none does, the weather does. A rule is put up and taken down by name.

use super::fate::Fate;
use super::span::Spread;
use crate::id::NodeId;
use crate::message::{Direction, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A set of nodes, with numbers below 128.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct NodeSet(u128);

impl NodeSet {
    /// No node.
    pub const NONE: NodeSet = NodeSet(0);
    /// Every node there can be.
    pub const ALL: NodeSet = NodeSet(u128::MAX);
    /// Node numbers are below this.
    pub const CAPACITY: u32 = 128;

    /// Whether the node is in the set.
    pub fn contains(self, node: NodeId) -> bool {
        node.0 < NodeSet::CAPACITY && self.0 >> node.0 & 1 == 1
    }

    /// Puts the node in.
    ///
    /// # Panics
    /// If the node's number is not below [`NodeSet::CAPACITY`].
    pub fn insert(&mut self, node: NodeId) {
        assert!(node.0 < NodeSet::CAPACITY, "node numbers are below {}", NodeSet::CAPACITY);
        self.0 |= 1 << node.0;
    }

    /// Takes the node out.
    pub fn remove(&mut self, node: NodeId) {
        if node.0 < NodeSet::CAPACITY {
            self.0 &= !(1 << node.0);
        }
    }

    /// How many nodes are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether no node is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The nodes in the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (next < NodeSet::CAPACITY).then_some(NodeId(next))
        })
    }

    /// Servers 1 to `count`.
    pub fn first(count: u32) -> NodeSet {
        (1..=count).map(NodeId).collect()
    }

    /// A number that is the set's own.
    pub fn hash(self) -> u64 {
        (self.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.0 >> 64) as u64
    }

    /// The nodes in both.
    pub fn and(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 & other.0)
    }

    /// The nodes in either.
    pub fn or(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 | other.0)
    }

    /// The nodes in this and not in the other.
    pub fn minus(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 & !other.0)
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> NodeSet {
        let mut set = NodeSet::NONE;
        nodes.into_iter().for_each(|node| set.insert(node));
        set
    }
}

impl From<NodeId> for NodeSet {
    fn from(node: NodeId) -> NodeSet {
        NodeSet::from_iter([node])
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == NodeSet::ALL {
            return f.write_str("everyone");
        }
        let names: Vec<String> = self.iter().map(|node| node.to_string()).collect();
        write!(f, "{{{}}}", names.join(" "))
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for NodeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == NodeSet::ALL { "all".serialize(serializer) } else { serializer.collect_seq(self.iter()) }
    }
}

impl<'de> Deserialize<'de> for NodeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeSet, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected \"all\" or a list of node numbers below 128")]
        enum Form {
            Word(String),
            List(Vec<NodeId>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "all" => Ok(NodeSet::ALL),
            Form::List(nodes) if nodes.iter().all(|node| node.0 < NodeSet::CAPACITY) => {
                Ok(nodes.into_iter().collect())
            }
            _ => Err(serde::de::Error::custom("expected \"all\" or a list of node numbers below 128")),
        }
    }
}

/// What a rule does to a message.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verdict {
    /// The weather decides, whatever later rules say.
    Pass,
    /// It is lost.
    Drop,
    /// It arrives, but so much later than its base delay. Nothing else happens to it.
    Delay(Spread),
    /// It arrives, and a copy so much later.
    Duplicate(Spread),
    /// It is held back until the rule is released.
    Hold,
}

/// Which messages, and what happens to them.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// By what name it is taken down or released.
    pub name: String,
    /// Senders.
    #[serde(default = "everyone")]
    pub from: NodeSet,
    /// Receivers.
    #[serde(default = "everyone")]
    pub to: NodeSet,
    /// Names of kinds; none: every kind.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// One-way messages, requests or replies; none named: all of them.
    #[serde(default)]
    pub directions: Vec<Direction>,
    /// Only so many of a million that match; the rest is left to later rules and the weather.
    #[serde(default = "always")]
    pub chance: u32,
    /// The first so many that match are left to later rules and the weather.
    #[serde(default)]
    pub skip: u32,
    /// At most so many are acted on; none: no bound.
    #[serde(default)]
    pub take: Option<u32>,
    /// What happens to them.
    pub verdict: Verdict,
}

fn everyone() -> NodeSet {
    NodeSet::ALL
}

fn always() -> u32 {
    1_000_000
}

impl Rule {
    /// A rule for every message on every link.
    pub fn new(name: impl Into<String>, verdict: Verdict) -> Rule {
        Rule {
            name: name.into(),
            from: NodeSet::ALL,
            to: NodeSet::ALL,
            kinds: Vec::new(),
            directions: Vec::new(),
            chance: always(),
            skip: 0,
            take: None,
            verdict,
        }
    }

    fn matches(&self, from: NodeId, to: NodeId, kind: Kind, direction: Direction) -> bool {
        self.from.contains(from)
            && self.to.contains(to)
            && (self.directions.is_empty() || self.directions.contains(&direction))
            && (self.kinds.is_empty() || self.kinds.iter().any(|name| name == kind.name()))
    }
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Rules(Vec<InForce>);

/// A rule, and what came of it so far.
struct InForce {
    rule: Rule,
    /// Messages that matched.
    seen: u32,
    /// Whether it has answered.
    acted: bool,
}

impl Rules {
    pub fn add(&mut self, rule: Rule) {
        self.0.push(InForce { rule, seen: 0, acted: false });
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|entry| entry.rule.name != name);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rules that have not decided over a single message.
    pub fn idle(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(|entry| !entry.acted).map(|entry| &entry.rule)
    }

    /// The first answer, with the rule's name.
    pub fn judge(
        &mut self,
        from: NodeId,
        to: NodeId,
        kind: Kind,
        direction: Direction,
        seed: u64,
    ) -> Option<(&str, &Verdict)> {
        for InForce { rule, seen, acted } in &mut self.0 {
            if !rule.matches(from, to, kind, direction) {
                continue;
            }
            *seen = seen.saturating_add(1);
            let link = u64::from(from.0) << 32 | u64::from(to.0);
            if rule.chance < always() && !Fate::of(seed, [link, kind.hash(), (*seen).into()]).chance(rule.chance) {
                continue;
            }
            let past = seen.saturating_sub(rule.skip);
            if past > 0 && rule.take.is_none_or(|take| past <= take) {
                *acted = true;
                return Some((&rule.name, &rule.verdict));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const VOTE: Kind = Kind::new("vote");

    #[test]
    fn the_first_rule_that_answers_wins_and_counts_are_honoured() {
        let mut rules = Rules::default();
        let only_second = Rule { skip: 1, take: Some(1), from: A.into(), ..Rule::new("second", Verdict::Hold) };
        rules.add(only_second);
        rules.add(Rule::new("rest", Verdict::Drop));
        assert_eq!(rules.idle().count(), 2);
        let mut ask = || rules.judge(A, B, VOTE, Direction::OneWay, 1).map(|(name, _)| name.to_string());
        assert_eq!([ask(), ask(), ask()].map(Option::unwrap), ["rest", "second", "rest"]);
        assert_eq!(rules.idle().count(), 0);
        rules.remove("rest");
        assert!(rules.judge(B, A, VOTE, Direction::OneWay, 1).is_none());
    }

    #[test]
    fn kinds_and_directions_select() {
        let mut rules = Rules::default();
        rules.add(Rule {
            kinds: vec!["vote".into()],
            directions: vec![Direction::Reply],
            ..Rule::new("replies", Verdict::Drop)
        });
        assert!(rules.judge(A, B, VOTE, Direction::Reply, 1).is_some());
        assert!(rules.judge(A, B, VOTE, Direction::Request, 1).is_none());
        assert!(rules.judge(A, B, Kind::new("append"), Direction::Reply, 1).is_none());
    }

    #[test]
    fn a_rule_of_chance_acts_on_its_share() {
        let mut rules = Rules::default();
        rules.add(Rule { chance: 300_000, ..Rule::new("some", Verdict::Drop) });
        let hits = (0..1_000).filter(|_| rules.judge(A, B, VOTE, Direction::OneWay, 7).is_some()).count();
        assert!((250..350).contains(&hits), "{hits} of 1,000 at 30 %");
    }

    #[test]
    fn sets_are_sets() {
        let set = NodeSet::from_iter([NodeId(3), NodeId(1), NodeId(3)]);
        assert_eq!((set.len(), set.to_string()), (2, "{S1 S3}".into()));
        assert_eq!(set.minus(NodeId(1).into()).iter().collect::<Vec<_>>(), [NodeId(3)]);
        assert!(NodeSet::ALL.contains(NodeId(127)) && !NodeSet::ALL.contains(NodeId(128)));
    }
}
