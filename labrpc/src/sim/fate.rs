//! Fate by hash: chance that does not depend on the order in which it is asked.
//!
//! What happens to the nth message of a kind on a link is a function of (seed, link, kind, n), and what
//! happens to the nth operation of a disk a function of (seed, node, n). Nothing is drawn from a shared
//! stream, so taking one fault out of a plan leaves the fate of everything else as it was. That is what
//! makes a failing plan shrink.

use super::span::Spread;

/// A short stream of numbers that belongs to one question.
pub(crate) struct Fate(u64);

impl Fate {
    /// The fate of whatever the words name, under `seed`.
    pub fn of(seed: u64, words: [u64; 3]) -> Fate {
        let mut state = mix(seed ^ 0x5a17_1ab5_1ab5_5a17);
        for word in words {
            state = mix(state ^ word);
        }
        Fate(state)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// True in `ppm` of a million cases.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// A number below `n` (the bias, below 2^-40 for the ranges used here, does not matter to a fault).
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Nanoseconds within the spread.
    pub fn spread(&mut self, spread: Spread) -> u64 {
        let (min, max) = (spread.min.nanos(), spread.max.nanos());
        if max <= min { min } else { min + self.below(max - min + 1) }
    }
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_fate_and_others_another() {
        let draw = |words| Fate::of(1, words).below(u64::MAX);
        assert_eq!(draw([1, 2, 3]), draw([1, 2, 3]));
        assert_ne!(draw([1, 2, 3]), draw([1, 3, 2]));
        assert_ne!(Fate::of(1, [1, 2, 3]).below(u64::MAX), Fate::of(2, [1, 2, 3]).below(u64::MAX));
    }

    #[test]
    fn chances_are_what_they_say() {
        let hits = (0..100_000).filter(|&n| Fate::of(9, [0, 0, n]).chance(100_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits} of 100,000 at 10 %");
    }
}
