//! Runs that should be there and are not: the file of a machine that was forgotten, or that did not come to its end.

use super::Merged;
use crate::campaign::gaps;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

/// Gaps and scenarios shown: of a lost shard there is one for every few seeds.
const SHOWN: usize = 6;

/// The suites and scenarios of which there are runs.
pub fn seen(merged: &Merged) -> Vec<(String, String)> {
    let seen: BTreeSet<_> =
        merged.runs().keys().map(|which| (which.suite.clone(), which.scenario.clone())).collect();
    seen.into_iter().collect()
}

/// What is not there of these scenarios, in the order in which a campaign goes through them, and these seeds. Which bug
/// was planted does not matter.
pub fn of(merged: &Merged, chosen: &[(String, String)], seeds: &Range<u64>, shards: Option<u64>) -> Option<String> {
    let mut there: BTreeMap<(&str, &str), BTreeSet<u64>> = BTreeMap::new();
    for (which, runs) in merged.runs() {
        there.entry((&which.suite, &which.scenario)).or_default().extend(runs.keys());
    }
    let none = BTreeSet::new();
    let gaps_of = |(suite, scenario): &(String, String)| {
        gaps(seeds, there.get(&(suite.as_str(), scenario.as_str())).unwrap_or(&none).iter())
    };
    let lacking: Vec<(usize, Vec<Range<u64>>)> = (0..).zip(chosen.iter().map(gaps_of)).collect();
    let count: u128 = lacking.iter().map(|(_, gaps)| size(gaps)).sum();
    let all = u128::from(seeds.end - seeds.start) * chosen.len() as u128;
    if count == 0 {
        return None;
    }
    let mut text = format!("MISSING: {count} of {all} runs\n");
    if let Some(shards) = shards {
        let missing = by_shard(&lacking, chosen.len() as u64, seeds.start, shards);
        for (shard, missing) in (0u128..).zip(missing).filter(|(_, missing)| *missing > 0) {
            let its = all.saturating_sub(shard).div_ceil(u128::from(shards));
            let what = if missing == its { "all".into() } else { missing.to_string() };
            let _ = writeln!(text, "    shard {}/{shards}: {what} of its {its} runs", shard + 1);
        }
    }
    let lacking = lacking.iter().filter(|(_, gaps)| !gaps.is_empty()).map(|(nth, gaps)| (&chosen[*nth], gaps));
    text.push_str(&listed(
        lacking.map(|((suite, scenario), gaps)| (format!("{suite} {scenario}"), gaps.as_slice())),
    ));
    Some(text)
}

/// Where nobody has said which seeds there should be: those between the first and the last that are not there.
pub fn between(merged: &Merged) -> String {
    let lacking: Vec<(String, Vec<Range<u64>>)> = merged
        .runs()
        .iter()
        .filter_map(|(which, runs)| {
            let whole = *runs.keys().next()?..*runs.keys().next_back()?;
            Some((super::named(which), gaps(&whole, runs.keys())))
        })
        .filter(|(_, gaps)| !gaps.is_empty())
        .collect();
    if lacking.is_empty() {
        return String::new();
    }
    let text =
        "seeds between the first and the last that are not there (say --seeds, and --of, if they should be):\n";
    text.to_string() + &listed(lacking.iter().map(|(name, gaps)| (name.clone(), gaps.as_slice())))
}

fn size(gaps: &[Range<u64>]) -> u128 {
    gaps.iter().map(|gap| u128::from(gap.end - gap.start)).sum()
}

fn listed<'a>(lacking: impl Iterator<Item = (String, &'a [Range<u64>])>) -> String {
    let mut text = String::new();
    let mut more = 0;
    for (nth, (name, gaps)) in lacking.enumerate() {
        if nth >= SHOWN {
            more += 1;
            continue;
        }
        let shown: Vec<String> = gaps.iter().take(SHOWN).map(range).collect();
        let dots = if gaps.len() > SHOWN { ", ..." } else { "" };
        let _ = writeln!(text, "    {name}: {} seeds: {}{dots}", size(gaps), shown.join(", "));
    }
    if more > 0 {
        let _ = writeln!(text, "    and seeds of {more} scenarios more");
    }
    text
}

fn range(gap: &Range<u64>) -> String {
    if gap.end - gap.start == 1 { gap.start.to_string() } else { format!("{}..{}", gap.start, gap.end) }
}

/// How many runs of each part are not there. Runs are dealt out in turn, one seed of every scenario after the other.
fn by_shard(lacking: &[(usize, Vec<Range<u64>>)], scenarios: u64, first_seed: u64, shards: u64) -> Vec<u128> {
    let mut missing = vec![0; shards as usize];
    for (nth, gaps) in lacking {
        for gap in gaps {
            // Seeds that are as many apart as there are parts are in the same part.
            let length = gap.end - gap.start;
            for from in 0..length.min(shards) {
                let run = u128::from(gap.start - first_seed + from) * u128::from(scenarios) + *nth as u128;
                missing[(run % u128::from(shards)) as usize] += u128::from((length - from).div_ceil(shards));
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against dealing them out one by one.
    #[test]
    fn what_is_missing_is_told_by_shard() {
        for (scenarios, shards) in [(1, 3), (4, 2), (3, 5), (5, 1), (2, 40)] {
            let gaps = |nth: u64| vec![10 + nth..15 + nth, 20..21, 25..60];
            let lacking: Vec<_> = (0..scenarios).map(|nth| (nth as usize, gaps(nth))).collect();
            let mut expected = vec![0; shards as usize];
            for run in 0..50 * scenarios {
                let (seed, nth) = (10 + run / scenarios, run % scenarios);
                if gaps(nth).iter().any(|gap| gap.contains(&seed)) {
                    expected[(run % shards) as usize] += 1;
                }
            }
            assert_eq!(
                by_shard(&lacking, scenarios, 10, shards),
                expected,
                "{scenarios} scenarios, {shards} shards"
            );
        }
    }
}
