//! Digests of replicated state: equal states have equal digests, on every server and in every run.
//!
//! They are made to be kept up to date as the state changes, and to find replicas that differ by mistake. They are
//! no protection against somebody who looks for collisions.

use std::hash::{Hash, Hasher};

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product: each bit of the result depends on all of both.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// A number that depends on both, in this order.
pub fn mix(left: u64, right: u64) -> u64 {
    fold(left ^ 0xa076_1d64_78bd_642f, right.wrapping_add(ODD) | 1) ^ fold(right ^ ODD, left | 1)
}

/// The digest of a value, from what it feeds a hasher.
pub fn of(value: &impl Hash) -> u64 {
    let mut hasher = Digester(ODD);
    value.hash(&mut hasher);
    hasher.finish()
}

/// A hasher without a key. Numbers of the machine's own width count as 64 bits.
struct Digester(u64);

impl Hasher for Digester {
    fn finish(&self) -> u64 {
        mix(self.0, ODD)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
}

/// The digest of a string of bytes that grows at its end: what is added is all that is looked at.
///
/// The bytes are the coefficients of a polynomial, modulo a prime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Growing(u64);

impl Growing {
    const PRIME: u64 = (1 << 61) - 1;
    const BASE: u64 = 0x0c3a_5c85_c97c_b127;
    /// So many bytes are added in one step, whose products do not wait for one another: byte by byte it took a tenth of a write.
    const STEP: usize = 8;
    /// The powers of the base, from the highest that a step needs down to the first and the zeroth.
    const POWERS: [u64; Growing::STEP + 1] = {
        let mut powers = [1; Growing::STEP + 1];
        let mut at = Growing::STEP;
        while at > 0 {
            at -= 1;
            powers[at] = Growing::reduce(powers[at + 1] as u128 * Growing::BASE as u128);
        }
        powers
    };

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Growing {
        let mut digest = Growing::default();
        digest.grow(bytes);
        digest
    }

    /// `bytes` are added at the end.
    pub fn grow(&mut self, bytes: &[u8]) {
        let (steps, rest) = bytes.as_chunks::<{ Growing::STEP }>();
        for step in steps {
            let [highest, powers @ ..] = Growing::POWERS;
            let mut sum = u128::from(self.0) * u128::from(highest);
            for (byte, power) in step.iter().zip(powers) {
                // One more than the byte, so that zeros count.
                sum += (u128::from(*byte) + 1) * u128::from(power);
            }
            self.0 = Growing::reduce(sum);
        }
        for byte in rest {
            self.0 = Growing::reduce(u128::from(self.0) * u128::from(Growing::BASE) + u128::from(*byte) + 1);
        }
    }

    /// What is left of a number below 2^124 when it is divided by the prime, which is one below a power of two: what stands above that
    /// power counts as much below it.
    const fn reduce(number: u128) -> u64 {
        let sum = (number as u64 & Growing::PRIME) + (number >> 61) as u64;
        let sum = (sum & Growing::PRIME) + (sum >> 61);
        if sum >= Growing::PRIME { sum - Growing::PRIME } else { sum }
    }

    /// As a number.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_grew_has_the_digest_of_one_that_was_there_at_once() {
        let mut grown = Growing::of(b"ab");
        grown.grow(b"");
        grown.grow(b"\0cd");
        assert_eq!(grown, Growing::of(b"ab\0cd"));
        assert_ne!(Growing::of(b"\0"), Growing::of(b""));
        assert_ne!(Growing::of(b"ab"), Growing::of(b"ba"));
    }

    #[test]
    fn steps_and_single_bytes_come_to_the_same() {
        let bytes: Vec<u8> = (0..=255).chain([255; 64]).chain([0; 64]).collect();
        for end in (0..bytes.len()).step_by(7) {
            let mut grown = Growing::default();
            bytes[..end].iter().for_each(|byte| grown.grow(&[*byte]));
            assert_eq!(Growing::of(&bytes[..end]), grown, "{end} bytes");
        }
        // Digests are compared between servers, which may be of different versions.
        assert_eq!(Growing::of(&bytes).value(), 0x1c94_0a67_7d68_ded0);
    }

    #[test]
    fn order_and_boundaries_count() {
        assert_ne!(mix(1, 2), mix(2, 1));
        assert_ne!(of(&("ab", "c")), of(&("a", "bc")));
        assert_eq!(of(&(1u64, "x")), of(&(1u64, "x")));
    }
}
