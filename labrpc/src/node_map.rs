//! A table in the order of a hash that each node keys for itself.
//!
//! Standard tables draw their keys in each process, so their order differs from server to server, and whoever lets it
//! decide something has replicas that differ. In a simulator all servers are one process and the keys are fixed, so
//! the mistake would go unseen. This table is there to plant it; nothing else has a use for it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use xxhash_rust::xxh3::Xxh3;

/// A table whose order is as good as random, and another one for each key of its hash.
#[derive(Clone, Debug)]
pub struct NodeMap<K, V> {
    hash_key: u64,
    slots: BTreeMap<(u64, K), V>,
}

impl<K: Hash + Ord, V> NodeMap<K, V> {
    /// An empty one. `hash_key` is what a node draws for itself when it boots.
    pub fn new(hash_key: u64) -> NodeMap<K, V> {
        NodeMap { hash_key, slots: BTreeMap::new() }
    }

    fn slot(&self, key: K) -> (u64, K) {
        let mut hasher = Xxh3::with_seed(self.hash_key);
        key.hash(&mut hasher);
        (hasher.finish(), key)
    }

    /// Puts a value there. Returns what was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let slot = self.slot(key);
        self.slots.insert(slot, value)
    }

    /// Keys and values, in the order of the hash.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().map(|((_, key), value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(hash_key: u64, keys: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut map = NodeMap::new(hash_key);
        keys.for_each(|key| assert_eq!(map.insert(key, ()), None));
        map.iter().map(|(key, ())| *key).collect()
    }

    #[test]
    fn the_order_is_that_of_the_hash_key_and_not_that_of_insertion() {
        assert_eq!(keys(1, 0..20), keys(1, (0..20).rev()));
        assert_ne!(keys(1, 0..20), keys(2, 0..20));
        let mut sorted = keys(3, 0..20);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_key_has_one_value() {
        let mut map = NodeMap::new(1);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("a", 2), Some(1));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"a", &2)]);
    }
}
