//! Randomness that is the same in every run of the same seed.
//!
//! There is no ambient randomness in a node. Each concern of each boot of each node has a stream of its own,
//! named by its purpose, so that a draw more in one place does not shift the draws of another. Sharing one
//! stream between nodes would also hide bugs: followers whose election timeouts are never equal cannot
//! split a vote.

use crate::id::NodeId;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream for `purpose` under `seed`.
    pub fn new(seed: u64, purpose: &str) -> Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(xxhash_rust::xxh3::xxh3_64(purpose.as_bytes()));
        Rng(rng)
    }

    /// The stream for `purpose` on boot `boot` of `node`, under `seed`.
    pub fn of_node(seed: u64, node: NodeId, boot: u32, purpose: &str) -> Rng {
        let own = (u64::from(node.0) << 32 | u64::from(boot)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::new(seed ^ own, purpose)
    }

    /// A number below `n`, each as likely as any other.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below zero");
        // Lemire's method: the high half of the product, rejecting the few values that would be unfair.
        let unfair = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in the range, both ends included.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        assert!(!range.is_empty(), "there is no number in an empty range");
        match (range.end() - range.start()).checked_add(1) {
            Some(width) => range.start() + self.below(width),
            None => self.0.next_u64(),
        }
    }

    /// A duration between the two, both included.
    ///
    /// # Panics
    /// If `max` is less than `min`.
    pub fn between(&mut self, min: Duration, max: Duration) -> Duration {
        Duration::from_nanos(self.within(crate::time::nanos(min)..=crate::time::nanos(max)))
    }

    /// True in `ppm` of a million cases.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// One of the items, each as likely as any other.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.0.try_fill_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this changes, every stored plan and every printed seed means another run: raise the plan format.
    #[test]
    fn the_first_draws_are_pinned() {
        let mut rng = Rng::of_node(7, NodeId(2), 1, "election");
        let mut letters = *b"abcdef";
        rng.shuffle(&mut letters);
        let draws = (
            rng.next_u64(),
            rng.below(1_000),
            rng.within(5..=9),
            rng.between(Duration::from_millis(150), Duration::from_millis(300)),
            (0..20).map(|_| u8::from(rng.chance(500_000))).collect::<Vec<_>>(),
            String::from_utf8(letters.to_vec()).unwrap(),
        );
        insta::assert_debug_snapshot!(draws);
    }

    #[test]
    fn streams_of_nodes_boots_and_purposes_differ() {
        let first = |node, boot, purpose| Rng::of_node(1, NodeId(node), boot, purpose).next_u64();
        let mut draws = vec![first(1, 1, "a"), first(2, 1, "a"), first(1, 2, "a"), first(1, 1, "b")];
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 4);
    }

    #[test]
    fn small_ranges_are_drawn_evenly() {
        let mut rng = Rng::new(3, "even");
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[rng.below(3) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
    }
}
