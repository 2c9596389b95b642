//! A log as the oracle keeps it: terms and hashes, no contents.
//!
//! Each entry carries a hash of everything up to it, so that "these two logs agree up to here" is one
//! comparison and not a walk.

use labrpc::{Content, Index, Members, Term};
use std::collections::VecDeque;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its term.
    pub term: Term,
    /// Hash of what it carries.
    pub hash: u64,
    /// Hash of the whole log up to and including it. None if what is in front of it is not known.
    pub chain: Option<u64>,
}

/// A log, or what is left of one behind a snapshot.
#[derive(Clone, Debug, Default)]
pub struct LogView {
    /// The entry in front of the first one kept.
    pub base: Index,
    /// Its term.
    pub base_term: Term,
    /// Hash of the log up to there, if known.
    pub base_chain: Option<u64>,
    items: VecDeque<Item>,
    /// Those of them that are memberships.
    memberships: Vec<(Index, Members)>,
}

/// The hash of what an entry carries.
pub fn hash_of(content: &Content) -> u64 {
    match content {
        Content::Noop => 1,
        Content::Command(command) => command_hash(command),
        Content::Membership(members) => command_hash(members.to_string().as_bytes()) ^ 2,
    }
}

/// The hash of a command.
pub fn command_hash(command: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(command)
}

/// The hash of a log with one more entry.
pub fn extend_chain(chain: u64, term: Term, hash: u64) -> u64 {
    let mixed = (chain.rotate_left(25) ^ term.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(hash);
    (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The hash of the empty log.
pub const EMPTY_CHAIN: u64 = 0x51ed_270b;

impl LogView {
    /// The empty log.
    pub fn new() -> LogView {
        LogView { base_chain: Some(EMPTY_CHAIN), ..LogView::default() }
    }

    /// Index of the last entry.
    pub fn last(&self) -> Index {
        Index(self.base.0 + self.items.len() as u64)
    }

    /// Term of the last entry.
    pub fn last_term(&self) -> Term {
        self.items.back().map_or(self.base_term, |item| item.term)
    }

    /// The entry at `index`, if it is kept.
    pub fn get(&self, index: Index) -> Option<Item> {
        let slot = index.0.checked_sub(self.base.0 + 1)?;
        self.items.get(slot as usize).copied()
    }

    /// Whether the entry of that term stands at `index`, as an entry or within what the snapshot covers.
    pub fn has(&self, index: Index, term: Term, hash: u64) -> bool {
        self.get(index).map_or(index <= self.base, |item| item.term == term && item.hash == hash)
    }

    /// The term at `index`, known for the base too.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base { Some(self.base_term) } else { self.get(index).map(|item| item.term) }
    }

    /// Hash of the log up to `index`.
    pub fn chain_at(&self, index: Index) -> Option<u64> {
        if index == self.base { self.base_chain } else { self.get(index)?.chain }
    }

    /// Puts an entry at the end.
    pub fn push(&mut self, term: Term, hash: u64) {
        let chain = self.chain_at(self.last()).map(|chain| extend_chain(chain, term, hash));
        self.items.push_back(Item { term, hash, chain });
    }

    /// Puts an entry with this content at the end.
    pub fn push_content(&mut self, term: Term, content: &Content) {
        self.push(term, hash_of(content));
        if let Content::Membership(members) = content {
            self.memberships.push((self.last(), (**members).clone()));
        }
    }

    /// The memberships among the entries kept.
    pub fn memberships(&self) -> &[(Index, Members)] {
        &self.memberships
    }

    /// The membership that the entry at `index` is, if it is one.
    pub fn membership_at(&self, index: Index) -> Option<&Members> {
        self.memberships.iter().find(|(at, _)| *at == index).map(|(_, members)| members)
    }

    /// Cuts off the entry at `from` and all behind it.
    pub fn cut(&mut self, from: Index) {
        self.memberships.retain(|(index, _)| *index < from);
        self.items.truncate(from.0.saturating_sub(self.base.0 + 1) as usize);
    }

    /// A snapshot replaces the log up to `index`; if the log does not hold that entry, all of it. `chain` is the
    /// hash of the log that the snapshot stands for, if known.
    pub fn cover(&mut self, index: Index, term: Term, chain: Option<u64>) {
        let held = self.term_at(index) == Some(term);
        let own = if held { self.chain_at(index) } else { None };
        if held {
            self.items.drain(..(index.0 - self.base.0) as usize);
            self.memberships.retain(|(at, _)| *at > index);
        } else {
            self.items.clear();
            self.memberships.clear();
        }
        (self.base, self.base_term, self.base_chain) = (index, term, own.or(chain));
    }

    /// The entries kept, with their indexes.
    pub fn iter(&self) -> impl Iterator<Item = (Index, Item)> + '_ {
        self.items.iter().zip(self.base.0 + 1..).map(|(item, index)| (Index(index), *item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> LogView {
        let mut log = LogView::new();
        terms.iter().for_each(|&term| log.push(Term(term), term * 7));
        log
    }

    #[test]
    fn equal_prefixes_have_equal_chains_and_others_not() {
        let (one, two) = (log(&[1, 1, 2]), log(&[1, 1, 3]));
        assert_eq!(one.chain_at(Index(2)), two.chain_at(Index(2)));
        assert_ne!(one.chain_at(Index(3)), two.chain_at(Index(3)));
        let (one, two) = (log(&[1, 2, 3]), log(&[2, 2, 3]));
        assert_ne!(one.chain_at(Index(3)), two.chain_at(Index(3)), "a difference in front shows behind it");
    }

    #[test]
    fn a_snapshot_keeps_the_chain() {
        let (mut short, long) = (log(&[1, 2, 3]), log(&[1, 2, 3]));
        short.cover(Index(2), Term(2), None);
        assert_eq!((short.base, short.chain_at(Index(3))), (Index(2), long.chain_at(Index(3))));
        let mut other = log(&[9]);
        other.cover(Index(2), Term(2), long.chain_at(Index(2)));
        other.push(Term(3), 21);
        assert_eq!(other.chain_at(Index(3)), long.chain_at(Index(3)));
    }

    #[test]
    fn a_snapshot_of_something_else_discards_the_log() {
        let mut log = log(&[1, 2, 3]);
        log.cover(Index(2), Term(9), None);
        assert_eq!((log.last(), log.chain_at(Index(2))), (Index(2), None));
    }
}
