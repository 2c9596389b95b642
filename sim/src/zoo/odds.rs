//! What may be said of a probability after so many runs.

/// The two-sided quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The share of runs that detect, with its 95 % interval after Wilson. (It holds near 0 and 1 too, where the usual one does
/// not.) Nothing is known after no runs.
pub fn rate(detections: u64, runs: u64) -> (f64, f64, f64) {
    if runs == 0 {
        return (0.0, 0.0, 1.0);
    }
    let (n, p) = (runs as f64, detections as f64 / runs as f64);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    let low = if detections == 0 { 0.0 } else { ((middle - half) / scale).max(0.0) };
    let high = if detections == runs { 1.0 } else { ((middle + half) / scale).min(1.0) };
    (p, low, high)
}

/// The middle one of these, the lower of two; none of none.
pub fn median(values: &mut [u64]) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The runs that it took from one detection to the next, given the numbers of the runs that detected, from 1.
pub fn waits(detections: &[u64]) -> Vec<u64> {
    let before = std::iter::once(0).chain(detections.iter().copied());
    detections.iter().zip(before).map(|(nth, before)| nth - before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: (f64, f64, f64), expected: (f64, f64, f64)) {
        let near = |one: f64, other: f64| (one - other).abs() < 5e-4;
        assert!(
            near(found.0, expected.0) && near(found.1, expected.1) && near(found.2, expected.2),
            "{found:?} and not {expected:?}"
        );
    }

    /// Figures that can be looked up in tables of the interval.
    #[test]
    fn the_interval_is_wilson_s() {
        close(rate(0, 10), (0.0, 0.0, 0.2775));
        close(rate(5, 10), (0.5, 0.2366, 0.7634));
        close(rate(10, 10), (1.0, 0.7225, 1.0));
        close(rate(1, 100), (0.01, 0.0018, 0.0545));
        assert_eq!(rate(0, 0), (0.0, 0.0, 1.0));
    }

    #[test]
    fn the_interval_holds_what_was_seen_and_shrinks_with_more_runs() {
        for runs in [1, 7, 200, 5_000] {
            for detections in [0, 1, runs / 2, runs] {
                let (p, low, high) = rate(detections, runs);
                assert!(0.0 <= low && low <= p && p <= high && high <= 1.0, "{detections} of {runs}");
                let (_, tighter_low, tighter_high) = rate(detections * 10, runs * 10);
                assert!(tighter_high - tighter_low < high - low, "{detections} of {runs}");
            }
        }
    }

    #[test]
    fn runs_are_counted_from_the_detection_before() {
        assert_eq!(waits(&[3, 4, 10]), [3, 1, 6]);
        assert_eq!(median(&mut waits(&[3, 4, 10])), Some(3));
        assert_eq!(median(&mut [8, 2]), Some(2));
        assert_eq!(median(&mut []), None);
    }
}
