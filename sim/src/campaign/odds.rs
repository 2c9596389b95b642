//! What counts of failures say about how often a run fails: runs of different seeds are independent trials.

/// How often one is wrong who relies on what is said here.
const DOUBT: f64 = 0.05;

/// If none of so many independent runs failed, a run fails with less than this probability, at 95 % confidence:
/// the p at which that many runs would all pass in one case of twenty.
pub fn bound(runs: u64) -> f64 {
    if runs == 0 { 1.0 } else { -(DOUBT.ln() / runs as f64).exp_m1() }
}

/// The probabilities of a failure that `failed` of `runs` are compatible with, at 95 % confidence: the exact interval of
/// Clopper and Pearson. Its lower end is as true of a campaign that stopped at its last failure.
///
/// # Panics
/// If more failed than there were.
pub fn interval(failed: u64, runs: u64) -> (f64, f64) {
    assert!(failed <= runs, "{failed} of {runs} cannot have failed");
    let half = DOUBT / 2.0;
    let low = if failed == 0 { 0.0 } else { p_where(|p| 1.0 - at_most(failed - 1, runs, p) < half) };
    let high = if failed == runs { 1.0 } else { p_where(|p| at_most(failed, runs, p) > half) };
    (low, high)
}

/// How many runs in a row without a failure it takes to say, at 95 % confidence, that a run fails with less than this
/// probability. `None`: no number of runs says that.
pub fn clean_needed(p: f64) -> Option<u64> {
    let runs = (DOUBT.ln() / (-p).ln_1p()).ceil();
    (p > 0.0 && runs < 1e18).then(|| (runs as u64).max(1))
}

/// What a campaign supports in which so many runs failed, and so many could not be decided.
pub fn statement(failed: u64, undecided: u64, runs: u64) -> String {
    let open = if undecided > 0 { format!(", and {undecided} could not be decided") } else { String::new() };
    match failed {
        0 if undecided == 0 => format!("0 of {runs} runs failed: p < {:.1e} at 95 %", bound(runs)),
        0 => format!("0 of {runs} runs failed{open}"),
        _ => {
            let (low, high) = interval(failed, runs);
            let rate = failed as f64 / runs as f64;
            format!("{failed} of {runs} runs failed{open}: p = {rate:.1e}, from {low:.1e} to {high:.1e} at 95 %")
        }
    }
}

/// The probability that at most `failed` of `runs` fail.
fn at_most(failed: u64, runs: u64, p: f64) -> f64 {
    let step = p.ln() - (-p).ln_1p();
    let mut term = runs as f64 * (-p).ln_1p();
    let mut sum = term.exp();
    for k in 0..failed {
        term += ((runs - k) as f64 / (k + 1) as f64).ln() + step;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The largest p of which this is true, if it is true of all smaller ones.
fn p_where(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if is_below(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-3 * other
    }

    #[test]
    fn the_bound_is_the_rule_of_three_for_many_runs() {
        assert!((bound(10_000) - 3.0e-4).abs() < 1e-6);
        assert!((bound(1) - 0.95).abs() < 1e-9);
        assert!(near(bound(1_000_000_000_000), 3.0e-12 * 0.99858));
    }

    /// Values that every table of the exact binomial interval has.
    #[test]
    fn the_interval_is_that_of_the_tables() {
        for (failed, runs, low, high) in [
            (1, 10, 0.00253, 0.44502),
            (5, 10, 0.18709, 0.81291),
            (10, 10, 0.69150, 1.0),
            (0, 10, 0.0, 0.30850),
            (3, 1_000, 6.191e-4, 8.742e-3),
        ] {
            let (from, to) = interval(failed, runs);
            assert!((from == 0.0 && low == 0.0) || near(from, low), "{failed}/{runs}: from {from}");
            assert!(near(to, high), "{failed}/{runs}: to {to}");
        }
    }

    /// Each end is where the counts would be as rare as one in forty.
    #[test]
    fn at_each_end_of_the_interval_the_count_is_rare() {
        for (failed, runs) in [(1, 100), (7, 7_000), (900, 1_000), (5_000, 1_000_000)] {
            let (low, high) = interval(failed, runs);
            assert!(near(1.0 - at_most(failed - 1, runs, low), 0.025), "{failed}/{runs}");
            assert!(near(at_most(failed, runs, high), 0.025), "{failed}/{runs}");
        }
    }

    #[test]
    fn so_many_clean_runs_bring_the_bound_below_the_rate() {
        for p in [0.9, 0.5, 0.003, 2.5e-7] {
            let needed = clean_needed(p).expect("some number is enough");
            assert!(bound(needed) <= p * (1.0 + 1e-9), "{p}: {needed}");
            assert!(needed == 1 || bound(needed - 1) > p, "{p}: {needed}");
        }
        assert_eq!((clean_needed(0.01), clean_needed(1.0), clean_needed(0.0)), (Some(299), Some(1), None));
    }

    #[test]
    fn a_statement_says_what_is_known() {
        assert_eq!(statement(0, 0, 10_000), "0 of 10000 runs failed: p < 3.0e-4 at 95 %");
        assert_eq!(statement(0, 2, 10), "0 of 10 runs failed, and 2 could not be decided");
        assert_eq!(
            statement(3, 1, 1_000),
            "3 of 1000 runs failed, and 1 could not be decided: p = 3.0e-3, from 6.2e-4 to 8.7e-3 at 95 %"
        );
    }
}
