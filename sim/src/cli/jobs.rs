//! The runs of a campaign: counted, and made one by one as they are needed.

use super::Usage;
use crate::campaign::{Job, Shard};
use crate::scenario::Scenario;
use std::ops::Range;

/// A campaign of more runs would take thousands of years.
const MOST: u64 = 1_000_000_000_000_000;

/// One seed of every scenario after the other, so that a campaign that is cut short has seen all scenarios.
pub struct Jobs {
    /// Suites and scenarios.
    chosen: Vec<(&'static str, &'static str)>,
    first_seed: u64,
    /// Runs of all parts.
    all: u64,
    shard: Shard,
    bug: Option<String>,
    mute: Vec<String>,
}

impl Jobs {
    pub fn of(
        chosen: &[(&'static str, &Scenario)],
        seeds: Range<u64>,
        shard: Option<Shard>,
        bug: Option<String>,
        mute: Vec<String>,
    ) -> Result<Jobs, Usage> {
        let chosen: Vec<_> = chosen.iter().map(|(suite, scenario)| (*suite, scenario.name)).collect();
        let all = (seeds.end - seeds.start).checked_mul(chosen.len() as u64).filter(|all| *all <= MOST);
        let Some(all) = all else {
            return Err(Usage(format!("these are more than {MOST} runs, which would never end; take fewer seeds")));
        };
        let shard = shard.unwrap_or_default();
        Ok(Jobs { chosen, first_seed: seeds.start, all, shard, bug, mute })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.shard.count(self.all)
    }

    pub fn iter(&self) -> impl Iterator<Item = Job> {
        (0..self.count()).map(|nth| self.job(self.shard.nth(nth)))
    }

    fn job(&self, nth: u64) -> Job {
        let count = self.chosen.len() as u64;
        let (suite, scenario) = self.chosen[(nth % count) as usize];
        Job {
            suite: suite.into(),
            scenario: scenario.into(),
            seed: self.first_seed + nth / count,
            bug: self.bug.clone(),
            mute: self.mute.clone(),
            drawn: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(shard: Shard) -> Jobs {
        let chosen = vec![("raft", "one"), ("raft", "two"), ("other", "three")];
        Jobs { chosen, first_seed: u64::MAX - 4, all: 12, shard, bug: None, mute: Vec::new() }
    }

    fn listed(jobs: &Jobs) -> Vec<(u64, String)> {
        jobs.iter().map(|job| (job.seed, job.scenario)).collect()
    }

    #[test]
    fn shards_are_parts_of_a_whole() {
        let whole = listed(&jobs(Shard::default()));
        for of in [1, 5, 12, 40] {
            let parts: Vec<Jobs> =
                (1..=of).map(|index| jobs(Shard::of(index, of).expect("it is a part"))).collect();
            let mut union: Vec<_> = parts.iter().flat_map(listed).collect();
            union.sort();
            let mut all = whole.clone();
            all.sort();
            assert_eq!(union, all, "{of} parts");
            assert_eq!(parts.iter().map(Jobs::count).sum::<u64>(), 12, "{of} parts");
        }
    }

    #[test]
    fn each_seed_goes_through_all_scenarios_before_the_next() {
        let listed = listed(&jobs(Shard::default()));
        let expected =
            [(u64::MAX - 4, "one"), (u64::MAX - 4, "two"), (u64::MAX - 4, "three"), (u64::MAX - 3, "one")];
        assert_eq!(listed[..4], expected.map(|(seed, scenario)| (seed, scenario.to_string())));
        assert_eq!(listed.last(), Some(&(u64::MAX - 1, "three".to_string())));
    }
}
