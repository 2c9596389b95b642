//! How long it took from one detection to the next.

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

    #[test]
    fn runs_are_counted_from_the_detection_before() {
        assert_eq!(waits(&[3, 4, 10]), [3, 1, 6]);
        assert_eq!(median(&mut waits(&[3, 4, 10])), Some(3));
        assert_eq!(median(&mut [8, 2]), Some(2));
        assert_eq!(median(&mut []), None);
    }
}
