//! The order in which parts of a list are taken out: all, halves, quarters, and at last one by one, from the back.

use std::ops::Range;

/// The parts of one size that end at `end` or before, the last one first.
pub(super) fn ending_at(end: usize, size: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut end = end;
    while end > 0 {
        let start = end.saturating_sub(size.max(1));
        parts.push(start..end);
        end = start;
    }
    parts
}

/// The size after this one; none: that was the last.
pub(super) fn next_size(size: usize) -> Option<usize> {
    (size > 1).then(|| size.div_ceil(2))
}

/// Takes out of a list of so many what it can do without. `take_out` gets the parts to try in order, and says which of
/// them was the first that could be taken out, and how long the list is then.
pub(super) fn without_chunks(len: usize, mut take_out: impl FnMut(&[Range<usize>]) -> Option<(usize, usize)>) {
    let mut len = len;
    let mut size = Some(len);
    while let Some(chunk) = size.filter(|_| len > 0) {
        let mut end = len;
        loop {
            let parts = ending_at(end, chunk);
            if parts.is_empty() {
                break;
            }
            let Some((nth, left)) = take_out(&parts) else { break };
            // What is behind it was tried, and is needed.
            len = left;
            end = parts[nth].start.min(left);
        }
        size = next_size(chunk.min(len.max(1)));
        if chunk == 1 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn parts_cover_the_list_from_the_back() {
        assert_eq!(ending_at(5, 2), [3..5, 1..3, 0..1]);
        assert_eq!(ending_at(0, 2), [0..0; 0]);
        let sizes: Vec<usize> = std::iter::successors(Some(9), |size| next_size(*size)).collect();
        assert_eq!(sizes, [9, 5, 3, 2, 1]);
    }

    /// What is left of 0..n if it must hold all of these, and how many parts were tried.
    fn left_of(n: usize, needed: &[usize]) -> (Vec<usize>, usize) {
        let mut list: Vec<usize> = (0..n).collect();
        let tried = Cell::new(0);
        without_chunks(n, |parts| {
            let found = parts.iter().position(|part| {
                tried.set(tried.get() + 1);
                !needed.iter().any(|it| list[part.clone()].contains(it))
            })?;
            list.drain(parts[found].clone());
            Some((found, list.len()))
        });
        (list, tried.get())
    }

    #[test]
    fn only_what_is_needed_is_left() {
        for needed in [&[] as &[usize], &[0], &[99], &[3, 50], &[17, 18, 80, 81]] {
            let (left, tried) = left_of(100, needed);
            assert_eq!(left, needed);
            assert!(tried <= 1 + 30 * needed.len(), "{tried} tries for {needed:?}");
        }
        assert_eq!(left_of(0, &[]), (vec![], 0));
        assert_eq!(left_of(1, &[0]).0, [0]);
    }

    #[test]
    fn what_needs_each_other_goes_together() {
        // 6 and 7 are needed by each other only: alone neither can go.
        let mut list: Vec<usize> = (0..8).collect();
        without_chunks(8, |parts| {
            let fits = |part: &Range<usize>| {
                let out = &list[part.clone()];
                !out.contains(&1) && out.contains(&6) == out.contains(&7)
            };
            let found = parts.iter().position(fits)?;
            list.drain(parts[found].clone());
            Some((found, list.len()))
        });
        assert_eq!(list, [1]);
    }
}
