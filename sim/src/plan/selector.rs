//! Selectors: servers named by what they are when it matters, and not by number.
//!
//! The course's tests are reactive: "disconnect the leader". In a plan, which is data, that is a name that is
//! looked up when its step is reached. As text, so that plans can be edited by hand:
//!
//! ```text
//! S2   leader   followers   all   members   none   most-divergent   most-up-to-date   behind   down   up
//! not(leader)   or(S1, S2)   and(up, not(leader))   any(2, followers)   group(2)   $name
//! ```
//!
//! Where there are several groups, whoever is what they are by comparison (`leader`, `followers`, `most-divergent`,
//! `most-up-to-date`, `behind`) is so in their group: `leader` is the leader of each group that has one, and
//! `and(group(2), leader)` that of the second.

use labrpc::NodeId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Which servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// This one.
    Server(NodeId),
    /// The one that claims to lead the latest term; in each group one, if there is one.
    Leader,
    /// All that run and are not the leader of their group.
    Followers,
    /// Every server, of all groups.
    All,
    /// Every server of a group, from 1.
    Group(u32),
    /// Those that belong to the cluster by the latest membership that is committed, voters and learners.
    Members,
    /// No server.
    None,
    /// The one, in each group, whose durable log holds most entries that differ from what is committed, or the longest
    /// suffix that is not.
    MostDivergent,
    /// Among those that run, the one in each group whose durable log is the most up-to-date.
    MostUpToDate,
    /// Among those that run, the one in each group whose durable log is the least up-to-date.
    Behind,
    /// All that are down.
    Down,
    /// All that run.
    Up,
    /// All others.
    Not(Box<Selector>),
    /// All of the one and of the other.
    Or(Box<Selector>, Box<Selector>),
    /// Those of the one that are of the other too.
    And(Box<Selector>, Box<Selector>),
    /// So many of them, drawn by the seed.
    Any(u32, Box<Selector>),
    /// What a step before this one has bound to the name.
    Bound(String),
}

impl Selector {
    /// Server number `n`.
    pub fn s(n: u32) -> Selector {
        Selector::Server(NodeId(n))
    }

    /// All others. A method, not the operator: selectors are read from left to right.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Selector {
        Selector::Not(Box::new(self))
    }

    /// These and those.
    pub fn or(self, other: Selector) -> Selector {
        Selector::Or(Box::new(self), Box::new(other))
    }

    /// Those that are both.
    pub fn and(self, other: Selector) -> Selector {
        Selector::And(Box::new(self), Box::new(other))
    }

    /// So many of them.
    pub fn any(self, n: u32) -> Selector {
        Selector::Any(n, Box::new(self))
    }

    /// What was bound to the name.
    pub fn bound(name: &str) -> Selector {
        Selector::Bound(name.into())
    }

    /// The largest server number that it names.
    pub fn largest(&self) -> u32 {
        match self {
            Selector::Server(node) => node.0,
            Selector::Not(inner) | Selector::Any(_, inner) => inner.largest(),
            Selector::Or(one, other) | Selector::And(one, other) => one.largest().max(other.largest()),
            _ => 0,
        }
    }

    /// The groups that it names.
    pub fn groups(&self) -> Vec<u32> {
        match self {
            Selector::Group(group) => vec![*group],
            Selector::Not(inner) | Selector::Any(_, inner) => inner.groups(),
            Selector::Or(one, other) | Selector::And(one, other) => [one.groups(), other.groups()].concat(),
            _ => Vec::new(),
        }
    }

    /// How many servers it asks for, if it says.
    pub fn asks_for(&self) -> u32 {
        match self {
            Selector::Any(n, inner) => (*n).max(inner.asks_for()),
            Selector::Not(inner) => inner.asks_for(),
            Selector::Or(one, other) | Selector::And(one, other) => one.asks_for().max(other.asks_for()),
            _ => 0,
        }
    }

    /// The names that must be bound before.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Selector::Bound(name) => vec![name],
            Selector::Not(inner) | Selector::Any(_, inner) => inner.names(),
            Selector::Or(one, other) | Selector::And(one, other) => [one.names(), other.names()].concat(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Server(node) => write!(f, "{node}"),
            Selector::Leader => f.write_str("leader"),
            Selector::Followers => f.write_str("followers"),
            Selector::All => f.write_str("all"),
            Selector::Group(group) => write!(f, "group({group})"),
            Selector::Members => f.write_str("members"),
            Selector::None => f.write_str("none"),
            Selector::MostDivergent => f.write_str("most-divergent"),
            Selector::MostUpToDate => f.write_str("most-up-to-date"),
            Selector::Behind => f.write_str("behind"),
            Selector::Down => f.write_str("down"),
            Selector::Up => f.write_str("up"),
            Selector::Not(inner) => write!(f, "not({inner})"),
            Selector::Or(one, other) => write!(f, "or({one}, {other})"),
            Selector::And(one, other) => write!(f, "and({one}, {other})"),
            Selector::Any(n, inner) => write!(f, "any({n}, {inner})"),
            Selector::Bound(name) => write!(f, "${name}"),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Selector, String> {
        parse(text, 0)
    }
}

/// Selectors are nested no deeper. Whatever looks at one does so by recursion.
const DEEPEST: u32 = 64;

/// A selector that is nested so deep in another one.
fn parse(text: &str, depth: u32) -> Result<Selector, String> {
    let text = text.trim();
    let parse = |text: &str| parse(text, depth + 1);
    if depth > DEEPEST {
        return Err(format!("selectors are nested more than {DEEPEST} deep"));
    }
    let inside = |head: &str| text.strip_prefix(head)?.strip_suffix(')');
    if let Some(inner) = inside("not(") {
        return Ok(parse(inner)?.not());
    }
    if let Some(inner) = inside("any(") {
        let (count, of) = split(inner).ok_or(format!("`{text}`: write any(2, followers)"))?;
        let count = count.trim().parse().map_err(|_| format!("`{text}`: `{count}` is not a number"))?;
        return Ok(parse(of)?.any(count));
    }
    if let Some(inner) = inside("or(") {
        let (one, other) = split(inner).ok_or(format!("`{text}`: write or(S1, S2)"))?;
        return Ok(parse(one)?.or(parse(other)?));
    }
    if let Some(inner) = inside("and(") {
        let (one, other) = split(inner).ok_or(format!("`{text}`: write and(up, not(leader))"))?;
        return Ok(parse(one)?.and(parse(other)?));
    }
    if let Some(number) = inside("group(") {
        let group = number.trim().parse().map_err(|_| format!("`{text}`: `{number}` is not a number"))?;
        return Ok(Selector::Group(group));
    }
    if let Some(name) = text.strip_prefix('$') {
        return Ok(Selector::bound(name));
    }
    if let Some(Ok(n)) = text.strip_prefix('S').map(str::parse::<u32>) {
        return Ok(Selector::s(n));
    }
    Ok(match text {
        "leader" => Selector::Leader,
        "followers" => Selector::Followers,
        "all" => Selector::All,
        "members" => Selector::Members,
        "none" => Selector::None,
        "most-divergent" => Selector::MostDivergent,
        "most-up-to-date" => Selector::MostUpToDate,
        "behind" => Selector::Behind,
        "down" => Selector::Down,
        "up" => Selector::Up,
        _ => {
            return Err(format!(
                "`{text}` names no servers; write S2, leader, followers, all, members, none, most-divergent, \
                 most-up-to-date, behind, down, up, not(...), or(..., ...), and(..., ...), any(2, ...), \
                 group(2) or $name"
            ));
        }
    })
}

/// At the first comma that is not inside parentheses.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_is_text_and_comes_back() {
        let all = [
            Selector::s(3),
            Selector::Leader,
            Selector::Followers,
            Selector::All,
            Selector::Group(2),
            Selector::Group(2).and(Selector::Leader),
            Selector::Members,
            Selector::None,
            Selector::MostDivergent,
            Selector::MostUpToDate,
            Selector::Behind,
            Selector::Down,
            Selector::Up,
            Selector::Leader.not(),
            Selector::Followers.any(2),
            Selector::bound("old").not().any(1),
            Selector::s(1).or(Selector::Leader.not().and(Selector::Up)).any(2).not(),
        ];
        for selector in all {
            assert_eq!(selector.to_string().parse(), Ok(selector.clone()), "{selector}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        assert!("leeder".parse::<Selector>().unwrap_err().contains("write S2, leader"));
        assert!("group(two)".parse::<Selector>().unwrap_err().contains("not a number"));
        assert!("any(two, all)".parse::<Selector>().unwrap_err().contains("not a number"));
    }
}
