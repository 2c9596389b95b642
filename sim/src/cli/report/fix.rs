//! How many clean seeds it takes after a fix before one may rely on it.
//!
//! A failure that came once in a thousand runs does not come in most hundreds of runs, fixed or not. So the seeds that are
//! needed follow from how often it failed before, and from the lower end of that: the rate is an estimate.

use super::{Merged, Usage, named};
use crate::campaign::{clean_needed, interval};
use std::fmt::Write as _;
use std::str::FromStr;

/// Nobody has made more runs than this.
const MOST: u64 = 1_000_000_000_000_000;

/// How often runs failed before a fix.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rate {
    /// So many of so many.
    Counted(u64, u64),
    /// With this probability.
    Known(f64),
}

/// What has become of a failure.
pub struct Fixed {
    /// In words.
    pub text: String,
    /// Whether it takes more seeds to say that it is gone.
    pub is_open: bool,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let number = |text: &str| text.trim().replace(['_', ','], "").parse::<u64>().ok();
        let rate = match text.split_once('/') {
            Some((failed, runs)) => {
                number(failed).zip(number(runs)).map(|(failed, runs)| Rate::Counted(failed, runs))
            }
            None => text.trim().parse::<f64>().ok().map(Rate::Known),
        };
        match rate {
            Some(Rate::Counted(failed, runs)) if 1 <= failed && failed <= runs.min(MOST) => {
                Ok(Rate::Counted(failed, runs))
            }
            Some(Rate::Known(p)) if (1e-15..1.0).contains(&p) => Ok(Rate::Known(p)),
            _ => Err(format!("`{text}` is no rate of failures; write 3/1000, or a probability such as 0.003")),
        }
    }
}

impl Rate {
    /// The least that it may have been.
    fn low(self) -> f64 {
        match self {
            Rate::Counted(failed, runs) => interval(failed, runs).0,
            Rate::Known(p) => p,
        }
    }

    fn needed(self) -> u64 {
        clean_needed(self.low()).expect("what has failed fails with some probability")
    }

    /// How it failed, and what follows from that.
    fn explained(self) -> String {
        let (low, needed) = (self.low(), self.needed());
        let before = match self {
            Rate::Counted(failed, runs) => format!("{failed} of {runs} runs failed, so p was {low:.1e} at least"),
            Rate::Known(p) => format!("a run failed with p = {p:.1e}"),
        };
        format!("{before}; were it so still, {needed} runs in a row would all pass in at most one case of twenty")
    }

    /// What is needed, without any runs to count.
    pub fn needed_text(self) -> String {
        format!("{}: {} clean seeds are needed to say at 95 % that it is less\n", self.explained(), self.needed())
    }

    /// What all of these runs say, if they were made after the fix.
    pub fn since(self, after: &Merged) -> Fixed {
        let mut fixed = Fixed { text: String::from("After the fix:\n"), is_open: false };
        let runs = || after.runs().values().flat_map(|runs| runs.values());
        let failed = runs().filter(|run| run.is_failure()).count() as u64;
        let clean = runs().filter(|run| !run.is_failure() && !run.is_undecided()).count() as u64;
        fixed.add(self, failed, clean, 0);
        fixed
    }
}

impl Fixed {
    fn add(&mut self, rate: Rate, failed: u64, clean: u64, seen: u64) {
        let needed = rate.needed();
        let _ = write!(self.text, "    {}: ", rate.explained());
        self.text.push_str(&match (failed, needed.saturating_sub(clean)) {
            (1.., _) => format!("NOT FIXED: {failed} of {} fresh seeds failed", failed + clean),
            (0, 0) => format!("FIXED at 95 %: {clean} fresh seeds were clean"),
            (0, more) => format!("NOT YET: {clean} fresh seeds were clean, {more} more are needed"),
        });
        if seen > 0 {
            let _ = write!(self.text, " ({seen} were run before the fix too, and do not count)");
        }
        self.text.push('\n');
        self.is_open |= failed > 0 || clean < needed;
    }
}

/// What has become of each scenario that failed before. Seeds that were run before do not count: those that failed are what
/// the fix was made for, and those that passed would have passed without it.
pub fn since(before: &Merged, after: &Merged) -> Result<Fixed, Usage> {
    let mut fixed = Fixed { text: String::from("After the fix:\n"), is_open: false };
    let mut has_failed = false;
    for (which, runs) in before.runs() {
        let failed = runs.values().filter(|run| run.is_failure()).count() as u64;
        if failed == 0 {
            continue;
        }
        has_failed = true;
        let _ = writeln!(fixed.text, "  {}", named(which));
        let (mut failed_since, mut clean, mut seen) = (0, 0, 0);
        for (seed, run) in after.runs().get(which).into_iter().flatten() {
            if run.is_failure() {
                failed_since += 1;
            } else if runs.contains_key(seed) {
                seen += 1;
            } else if !run.is_undecided() {
                clean += 1;
            }
        }
        fixed.add(Rate::Counted(failed, runs.len() as u64), failed_since, clean, seen);
    }
    if !has_failed {
        return Err(Usage("nothing failed before the fix, so there is no rate that could have fallen".into()));
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_counted_or_known() {
        assert_eq!("3/1_000".parse(), Ok(Rate::Counted(3, 1_000)));
        assert_eq!("3e-3".parse(), Ok(Rate::Known(0.003)));
        for wrong in ["0/10", "11/10", "1/0", "0", "1", "nan", "-0.1", "often", "1/x"] {
            assert!(wrong.parse::<Rate>().unwrap_err().contains("is no rate"), "{wrong}");
        }
    }

    /// A guess is worth less than a count: one failure in a hundred runs may have been bad luck.
    #[test]
    fn the_fewer_failures_are_known_the_more_seeds_it_takes() {
        let needed = |text: &str| text.parse::<Rate>().expect("a rate").needed();
        assert_eq!(needed("0.01"), 299);
        assert!(needed("1/100") > 10_000 && needed("10/1000") < 700, "{} {}", needed("1/100"), needed("10/1000"));
    }

    #[test]
    fn clean_seeds_count_until_one_fails() {
        let text = |failed, clean| {
            let mut fixed = Fixed { text: String::new(), is_open: false };
            fixed.add(Rate::Known(0.01), failed, clean, 0);
            (fixed.text, fixed.is_open)
        };
        let (says, is_open) = text(0, 298);
        assert!(says.contains("NOT YET: 298 fresh seeds were clean, 1 more are needed") && is_open, "{says}");
        let (says, is_open) = text(0, 299);
        assert!(says.contains("FIXED at 95 %") && !is_open, "{says}");
        let (says, is_open) = text(1, 5_000);
        assert!(says.contains("NOT FIXED: 1 of 5001") && is_open, "{says}");
    }
}
