//! A part of a group's state: a table that knows the digest of what it holds.
//!
//! The digest is asked for after every entry of the log, and an entry changes few rows: so each change takes the row's
//! old digest out of the sum, and puts the new one in. A row is changed through [`Parts::change`] and in no other way.

use std::collections::BTreeMap;

/// What a table holds.
pub(super) trait Part<K> {
    /// Equal for equal rows, and another one for another key.
    fn digest(&self, key: &K) -> u64;
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Parts<K, V> {
    table: BTreeMap<K, V>,
    /// The sum of the rows' own digests.
    sum: u64,
}

impl<K: Ord, V: Part<K>> Parts<K, V> {
    /// No row.
    pub fn new() -> Parts<K, V> {
        Parts { table: BTreeMap::new(), sum: 0 }
    }

    /// To read. Nothing in it can be changed.
    pub fn table(&self) -> &BTreeMap<K, V> {
        &self.table
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.sum = self.sum.wrapping_add(value.digest(&key));
        self.table.insert(key, value);
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.table.remove(key)?;
        self.sum = self.sum.wrapping_sub(value.digest(key));
        Some(value)
    }

    /// Changes a row. None: there is no such row.
    pub fn change<T>(&mut self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let value = self.table.get_mut(key)?;
        let before = value.digest(key);
        let outcome = change(value);
        self.sum = self.sum.wrapping_sub(before).wrapping_add(value.digest(key));
        Some(outcome)
    }

    /// Equal for equal tables, however they came to be.
    pub fn digest(&self) -> u64 {
        self.sum
    }

    /// The same, from the rows as they are now.
    #[cfg(test)]
    pub fn digest_from_scratch(&self) -> u64 {
        self.table.iter().fold(0, |sum: u64, (key, value)| sum.wrapping_add(value.digest(key)))
    }
}
