//! A table that finds numbers by hash. Its order is never looked at, its hash is fixed, and it trusts no hash: who
//! asks also compares.

use xxhash_rust::xxh3::xxh3_64;

const FREE: u32 = u32::MAX;

/// Numbers by the hash of what they stand for.
#[derive(Default)]
pub struct Table {
    /// A power of two of them, at most half of them taken.
    slots: Vec<(u64, u32)>,
    taken: usize,
}

impl Table {
    /// The first number with this hash that passes the comparison.
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        while let Some((here, id)) = self.slots.get(at) {
            if *id == FREE {
                return None;
            }
            if *here == hash && is_it(*id) {
                return Some(*id);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// One more. It is not asked whether it is there.
    pub fn insert(&mut self, hash: u64, id: u32) {
        if self.taken * 2 >= self.slots.len() {
            let more = (self.slots.len() * 2).max(16);
            let old = std::mem::replace(&mut self.slots, vec![(0, FREE); more]);
            old.into_iter().filter(|(_, id)| *id != FREE).for_each(|(hash, id)| self.put(hash, id));
        }
        self.put(hash, id);
        self.taken += 1;
    }

    fn put(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].1 != FREE {
            at = (at + 1) & mask;
        }
        self.slots[at] = (hash, id);
    }

    /// Forgets all, and keeps the room unless it is much.
    pub fn clear(&mut self) {
        if self.slots.len() > 1 << 12 {
            self.slots.clear();
        } else if self.taken > 0 {
            self.slots.fill((0, FREE));
        }
        self.taken = 0;
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.slots.len() * size_of::<(u64, u32)>()
    }
}

/// A hash of bytes.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// A hash of words.
pub fn of_words(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, word| mix(hash ^ word))
}

/// Spreads what it is given over all bits.
pub fn mix(word: u64) -> u64 {
    let folded = u128::from(word ^ 0xa076_1d64_78bd_642f) * 0xd6e8_feb8_6659_fd93;
    (folded as u64) ^ (folded >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_collides_is_not_believed() {
        let names = ["one", "two", "three"];
        let mut table = Table::default();
        (0..3).for_each(|id| table.insert(7, id));
        let find = |name| table.find(7, |id| names[id as usize] == name);
        assert_eq!((find("two"), find("three"), find("four")), (Some(1), Some(2), None));
        assert_eq!(table.find(8, |_| true), None);
    }

    #[test]
    fn it_grows_and_forgets() {
        let mut table = Table::default();
        (0..10_000u32).for_each(|id| table.insert(mix(id.into()), id));
        assert!((0..10_000u32).all(|id| table.find(mix(id.into()), |found| found == id) == Some(id)));
        table.clear();
        assert_eq!(table.find(mix(1), |_| true), None);
    }
}
