//! The log in memory: everything behind the last compaction, and how much of it is on the disk.

use super::types::{Entry, EntryId, Index, Term};
use std::collections::VecDeque;

/// Entries without a gap, in the order of their indexes, with terms that never decrease.
#[derive(Debug)]
pub struct Log {
    /// The entry in front of the first one kept. A snapshot covers it, and its term stands in for it wherever
    /// somebody asks for the entry in front (§7).
    start: EntryId,
    entries: VecDeque<Entry>,
    /// Up to here the disk holds this log as it stands here. May be in front of `start` for the time that a
    /// snapshot takes to become durable.
    durable: Index,
    /// The first entry that no write was made for, or whose predecessor on the disk was cut off.
    unsaved: Index,
    /// The last entry that any write so far has left on the disk.
    written: Index,
}

/// A change of the log that must reach the disk: what stands behind `after` is replaced by `entries`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogWrite {
    /// The last entry that stays.
    pub after: Index,
    /// What follows it.
    pub entries: Vec<Entry>,
}

impl Log {
    /// The log as it was found on the disk, behind `start`.
    ///
    /// # Panics
    /// If the entries do not follow `start` without a gap.
    pub fn restore(start: EntryId, entries: Vec<Entry>) -> Log {
        let mut expected = start.index;
        for entry in &entries {
            expected = expected.next();
            assert_eq!(entry.id.index, expected, "the log on the disk has a gap");
        }
        let written = expected;
        Log { start, entries: entries.into(), durable: written, unsaved: written.next(), written }
    }

    /// The entry in front of the first one kept.
    pub fn start(&self) -> EntryId {
        self.start
    }

    /// The last entry, or `start` if there is none.
    pub fn last(&self) -> EntryId {
        self.entries.back().map_or(self.start, |entry| entry.id)
    }

    /// Up to here the log is durable.
    pub fn durable(&self) -> Index {
        self.durable
    }

    fn slot(&self, index: Index) -> Option<usize> {
        index.0.checked_sub(self.start.index.0 + 1).map(|slot| slot as usize)
    }

    /// The entry at `index`, if it is there and was not compacted.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.slot(index)?)
    }

    /// The term of the entry at `index`; known for `start` too.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        self.entry(index).map(|entry| entry.id.term)
    }

    /// Whether the log holds this entry.
    pub fn contains(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// Entries from `from` on: at most `count`, and no more than fit into `bytes`, but at least one if there is
    /// one.
    pub fn slice(&self, from: Index, count: usize, bytes: usize) -> Vec<Entry> {
        let Some(slot) = self.slot(from) else { return Vec::new() };
        let mut room = bytes;
        let mut slice = Vec::with_capacity(count.min(self.entries.len().saturating_sub(slot)));
        for entry in self.entries.iter().skip(slot).take(count) {
            let size = entry.payload.size();
            if size > room && !slice.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            slice.push(entry.clone());
        }
        slice
    }

    /// The first entry of the run of entries with this term that ends at `index`.
    pub fn first_of_term_at(&self, index: Index) -> Index {
        let term = self.term_at(index);
        let mut first = index;
        while first.prev() > self.start.index && self.term_at(first.prev()) == term {
            first = first.prev();
        }
        first
    }

    /// The last entry at or in front of `index` whose term is not above `term`.
    pub fn last_not_above(&self, term: Term, index: Index) -> EntryId {
        let mut at = index.min(self.last().index);
        while at > self.start.index {
            match self.term_at(at) {
                Some(found) if found > term => at = at.prev(),
                Some(found) => return EntryId::new(found, at),
                None => break,
            }
        }
        self.start
    }

    /// Puts an entry at the end.
    ///
    /// # Panics
    /// If it does not belong there: a gap or a falling term would break Log Matching for good.
    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index.next(), "an entry leaves a gap behind {last}");
        assert!(entry.id.term >= last.term, "an entry of {} behind {last}", entry.id.term);
        self.entries.push_back(entry);
    }

    /// Cuts off the entry at `from` and all behind it.
    pub fn truncate(&mut self, from: Index) {
        let keep = self.slot(from).expect("what is covered by a snapshot is never cut");
        self.entries.truncate(keep);
        self.durable = self.durable.min(from.prev());
        self.unsaved = self.unsaved.min(from);
    }

    /// Forgets what is in front of `to`, and `to` itself except for its term.
    ///
    /// # Panics
    /// If the log does not hold `to`.
    pub fn compact(&mut self, to: EntryId) {
        if to.index <= self.start.index {
            return;
        }
        let gone = self.slot(to.index).expect("behind the start") + 1;
        assert!(gone <= self.entries.len(), "the log does not reach {to}");
        self.entries.drain(..gone);
        self.start = to;
        self.unsaved = self.unsaved.max(to.index.next());
    }

    /// Begins anew behind `to`. Up to `agreed`, what was there before is known to agree with what `to` stands
    /// for.
    pub fn reset(&mut self, to: EntryId, agreed: Index) {
        self.entries.clear();
        self.start = to;
        self.durable = self.durable.min(agreed);
        self.unsaved = to.index.next();
        self.written = self.written.max(to.index);
    }

    /// What must be written so that the disk holds this log, if anything.
    pub fn take_write(&mut self) -> Option<LogWrite> {
        let last = self.last().index;
        if self.unsaved > last && self.unsaved > self.written {
            return None;
        }
        let after = self.unsaved.prev();
        let entries = self.slice(self.unsaved, usize::MAX, usize::MAX);
        self.unsaved = last.next();
        self.written = last;
        Some(LogWrite { after, entries })
    }

    /// Whether [`Log::take_write`] would return something.
    pub fn needs_write(&self) -> bool {
        self.unsaved <= self.last().index || self.unsaved <= self.written
    }

    /// The disk holds the log up to the entry `id`, as it stood when the write was made. If the log was cut
    /// there since, that says nothing about what stands there now.
    pub fn saved(&mut self, id: EntryId) {
        if id.index > self.durable && self.contains(id) && id.index < self.unsaved {
            self.durable = id.index;
        }
    }

    /// The disk holds a snapshot up to `index`. What it covers is committed, so it agrees with this log.
    pub fn saved_snapshot(&mut self, index: Index) {
        self.durable = self.durable.max(index);
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
