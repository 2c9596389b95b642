//! One number for a whole run.
//!
//! Every event goes into one rolling 64-bit hash. The same seed and build give the same digest, whatever the
//! process, thread, order or machine; two runs that differ in one event differ in it.

use std::hash::{Hash, Hasher};

/// A rolling hash of everything that was observed.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Digest {
        Digest(0x243f_6a88_85a3_08d3)
    }

    /// The digest of one value.
    pub fn of(item: &impl Hash) -> u64 {
        let mut digest = Digest::new();
        digest.add(item);
        digest.value()
    }

    pub(crate) fn add(&mut self, item: &impl Hash) {
        item.hash(self);
    }

    pub(crate) fn value(self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// A multiply-rotate step per word: fast, and the order of words matters. It defends against accidents, not
/// against forgers.
impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.value()
    }
    fn write(&mut self, bytes: &[u8]) {
        self.write_u64(xxhash_rust::xxh3::xxh3_64(bytes));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }
    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}
