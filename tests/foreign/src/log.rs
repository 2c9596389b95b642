//! The log behind the snapshot, and how much of it is on the disk.

use crate::message::Entry;
use labrpc::{Index, Term};
use serde::{Deserialize, Serialize};

/// Entries `base + 1` and on. `base` is the last one that the snapshot covers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    base: Index,
    base_term: Term,
    entries: Vec<Entry>,
    /// Up to here it is on the disk as it is here.
    #[serde(skip)]
    stable: Index,
    /// The same, when the save that is under way is done.
    #[serde(skip)]
    saving: Index,
}

impl Log {
    pub fn base(&self) -> (Index, Term) {
        (self.base, self.base_term)
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn last(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64)
    }

    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(index.0.checked_sub(self.base.0 + 1)? as usize)
    }

    /// The term at `index`, known for the end of the snapshot too.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base { Some(self.base_term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// The entries behind `prev`, which must not be in front of the base.
    pub fn behind(&self, prev: Index) -> &[Entry] {
        &self.entries[(prev.0 - self.base.0) as usize..]
    }

    /// The first entry that is of the term of the one at `index`, as far as the log reaches back.
    pub fn first_of_term_at(&self, index: Index) -> Index {
        let term = self.term_at(index);
        let in_front = (self.base.0 + 1..index.0).rev().map(Index);
        in_front.take_while(|at| self.term_at(*at) == term).last().unwrap_or(index)
    }

    /// The last entry of that term in front of `end`.
    pub fn last_of_term(&self, term: Term, end: Index) -> Option<Index> {
        (self.base.0..end.0).rev().map(Index).find(|at| self.term_at(*at) == Some(term))
    }

    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Removes the entry at `from` and all behind it.
    pub fn cut(&mut self, from: Index) {
        self.entries.truncate((from.0 - self.base.0 - 1) as usize);
        self.stable = self.stable.min(from.prev());
        self.saving = self.saving.min(from.prev());
    }

    /// A snapshot stands for everything up to `index`. What is behind it stays if it belongs to it, which is to
    /// say, if the entry at `index` is of that term (Figure 13, rules 6 and 7).
    pub fn cover(&mut self, index: Index, term: Term) {
        if self.term_at(index) == Some(term) {
            self.entries.drain(..(index.0 - self.base.0) as usize);
            (self.stable, self.saving) = (self.stable.max(index), self.saving.max(index));
        } else {
            self.entries.clear();
            (self.stable, self.saving) = (index, index);
        }
        (self.base, self.base_term) = (index, term);
    }

    pub fn stable(&self) -> Index {
        self.stable
    }

    /// The log as it is now is being written.
    pub fn begin_save(&mut self) {
        self.saving = self.last();
    }

    /// It is on the disk.
    pub fn end_save(&mut self) {
        self.stable = self.saving;
    }
}
