//! Which keys are asked for how often. Pure: the same draws choose the same keys.

use labrpc::Rng;
use std::fmt;

/// How often each key is asked for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Popularity {
    /// Each as often as any other.
    Uniform,
    /// The nth most popular key in proportion to 1 / n to the power of this: Zipf's law.
    Zipf(f64),
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Popularity::Uniform => f.write_str("uniform"),
            Popularity::Zipf(exponent) => write!(f, "zipf {exponent}"),
        }
    }
}

/// Chooses keys by number, from 0 on. Under [`Popularity::Zipf`] smaller numbers are more popular; as shards take keys by their hash,
/// neighbours are not in the same one.
#[derive(Clone, Debug)]
pub struct Keys {
    count: u64,
    /// For each key the sum of its weight and of all before it; empty if all weigh the same.
    sums: Vec<f64>,
}

impl Keys {
    /// So many keys.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(count: u64, popularity: Popularity) -> Keys {
        assert!(count > 0, "there is a key to ask for");
        let Popularity::Zipf(exponent) = popularity else { return Keys { count, sums: Vec::new() } };
        let mut sum = 0.0;
        let weigh = |rank: u64| {
            sum += (rank as f64).powf(-exponent);
            sum
        };
        Keys { count, sums: (1..=count).map(weigh).collect() }
    }

    /// The next key.
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        let Some(all) = self.sums.last() else { return rng.below(self.count) };
        let at = fraction(rng) * all;
        // Rounding may lead to the sum itself, which is behind the last.
        (self.sums.partition_point(|sum| *sum <= at) as u64).min(self.count - 1)
    }
}

/// A number from 0 on, below 1.
pub(super) fn fraction(rng: &mut Rng) -> f64 {
    const STEPS: u64 = 1 << 53;
    rng.below(STEPS) as f64 / STEPS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(keys: &Keys, draws: usize) -> Vec<f64> {
        let (mut rng, mut counts) = (Rng::new(1, "keys"), vec![0; keys.count as usize]);
        (0..draws).for_each(|_| counts[keys.draw(&mut rng) as usize] += 1);
        counts.into_iter().map(|count| f64::from(count) / draws as f64).collect()
    }

    #[test]
    fn each_key_has_its_share() {
        let even = counts(&Keys::new(4, Popularity::Uniform), 40_000);
        assert!(even.iter().all(|share| (share - 0.25).abs() < 0.01), "{even:?}");
        // 1, 1/2, 1/3 and 1/4 of what is 25/12 together.
        let steep = counts(&Keys::new(4, Popularity::Zipf(1.0)), 40_000);
        for (share, wanted) in steep.iter().zip([0.48, 0.24, 0.16, 0.12]) {
            assert!((share - wanted).abs() < 0.01, "{steep:?}");
        }
        // An exponent of nothing is no preference.
        let flat = counts(&Keys::new(4, Popularity::Zipf(0.0)), 40_000);
        assert!(flat.iter().all(|share| (share - 0.25).abs() < 0.01), "{flat:?}");
    }

    #[test]
    fn one_key_is_always_the_same() {
        for popularity in [Popularity::Uniform, Popularity::Zipf(0.99)] {
            assert_eq!(counts(&Keys::new(1, popularity), 10), [1.0]);
        }
    }
}
