//! The runs of a guided campaign: which is next depends on what came of those before it.

use super::corpus::name_of;
use super::{Corpus, Guide};
use crate::campaign::{Drawn, Job, Next, Shard, Source};
use crate::plan::Plan;
use crate::scenario::{Scenario, Suite};
use labrpc::Rng;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// A plan depends on what came of all runs up to this many before it, and of none behind: so it is the same however many
/// workers there are, and these need not wait for one another.
const BEHIND: u64 = 32;

/// One system.
struct System<'a> {
    suite: &'a Suite,
    scenario: &'a Scenario,
    guide: Guide,
}

/// See the module.
pub struct Guided<'a> {
    suites: &'a [Suite],
    systems: Vec<System<'a>>,
    corpus: Corpus,
    /// What was in the folder, to be run first; the last one first.
    old: Vec<Plan>,
    /// Of each suite. Of two runs one is as its seed draws it, for the other the seed lends its parts.
    seeds: Range<u64>,
    /// The bug to plant, and the checks that are off.
    bug: Option<String>,
    mute: Vec<String>,
    shard: Shard,
    ends: Option<Instant>,
    /// Runs that were begun.
    begun: u64,
    /// Those of them of which is known what came of them. The rest wait here, with their marks once these are there.
    learned: u64,
    waiting: BTreeMap<u64, (Job, Option<Vec<u32>>)>,
    /// Runs of new plans that were begun.
    new: u64,
    /// Plans that were kept.
    kept: u64,
    error: Option<std::io::Error>,
}

impl<'a> Guided<'a> {
    /// Of these swarms, for so many seeds each, and with the plans that are in the folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn new(
        suites: &'a [Suite],
        swarms: &[(&'static str, &'a Scenario)],
        seeds: Range<u64>,
        corpus: Corpus,
        ends: Option<Instant>,
    ) -> std::io::Result<Guided<'a>> {
        let of = |name: &str| suites.iter().find(|suite| suite.name == name).expect("swarms are of suites");
        let systems: Vec<_> = swarms
            .iter()
            .map(|(name, scenario)| System { suite: of(name), scenario, guide: Guide::default() })
            .collect();
        let mut old = corpus.plans()?;
        old.retain(|plan| systems.iter().any(|system| system.suite.name == plan.suite));
        old.reverse();
        let (bug, mute, shard, waiting) = Default::default();
        let (begun, learned, new, kept, error) = (0, 0, 0, 0, None);
        Ok(Guided {
            suites,
            systems,
            corpus,
            old,
            seeds,
            bug,
            mute,
            shard,
            ends,
            begun,
            learned,
            waiting,
            new,
            kept,
            error,
        })
    }

    /// With a bug planted and checks switched off, and only a part of the new runs.
    #[must_use]
    pub fn with(self, bug: Option<String>, mute: Vec<String>, shard: Shard) -> Guided<'a> {
        Guided { bug, mute, shard, ..self }
    }

    /// How many runs there are to be.
    pub fn count(&self) -> u64 {
        let new = self.shard.count(self.seeds.end - self.seeds.start).saturating_mul(self.systems.len() as u64);
        new.saturating_add(self.old.len() as u64)
    }

    /// Learns what is left to be learned. In words: what was reached and kept.
    ///
    /// # Errors
    /// If the corpus could not be written.
    pub fn finish(mut self) -> std::io::Result<String> {
        while self.learn_next() {}
        if let Some(error) = self.error {
            return Err(error);
        }
        let of = |system: &System<'_>| {
            let (kept, reached) = (system.guide.kept(), system.guide.reached());
            format!("{}: {kept} plans that reach {reached} different things", system.suite.name)
        };
        let systems: Vec<String> = self.systems.iter().map(of).collect();
        Ok(format!("{} new plans were kept; {}\n", self.kept, systems.join("; ")))
    }

    fn system(&mut self, suite: &str) -> &mut System<'a> {
        let is_it = |system: &&mut System<'_>| system.suite.name == suite;
        self.systems.iter_mut().find(is_it).expect("there are no other plans")
    }

    /// What came of the next run in order. Whether that is known.
    fn learn_next(&mut self) -> bool {
        let next = self.learned + 1;
        if !self.waiting.get(&next).is_some_and(|(_, marks)| marks.is_some()) {
            return false;
        }
        let Some((job, Some(marks))) = self.waiting.remove(&next) else { return false };
        self.learned = next;
        let (suites, is_old) = (self.suites, next <= self.begun - self.new);
        let kept = self.system(&job.suite).guide.learn(&marks, || job.plan(suites)).cloned();
        // What came from the folder is there already.
        if let Some(plan) = kept.filter(|_| !is_old) {
            self.kept += 1;
            self.error = self.corpus.add(&plan).err().or(self.error.take());
        }
        true
    }

    /// The next plan of the folder, and then one for each system after the other.
    fn job(&mut self) -> Option<Job> {
        if let Some(old) = self.old.pop() {
            return Some(self.drawn(old));
        }
        // Each part has seeds of its own, and all systems: a folder is of use for those that it has seen.
        let (nth, count) = (self.new, self.systems.len() as u64);
        let seed =
            self.seeds.start.checked_add(self.shard.nth(nth / count)).filter(|seed| *seed < self.seeds.end)?;
        self.new += 1;
        let System { suite, scenario, guide } = &self.systems[(nth % count) as usize];
        let fresh = Job {
            suite: suite.name.into(),
            scenario: scenario.name.into(),
            seed,
            bug: self.bug.clone(),
            mute: self.mute.clone(),
            drawn: None,
        };
        // Not by the seed: a part of a campaign may have even ones only.
        if (nth / count).is_multiple_of(2) || guide.kept() == 0 {
            return Some(fresh);
        }
        let plan = guide.next(&suite.plan(scenario, seed, None), &mut Rng::new(seed, "guided"));
        Some(self.drawn(plan))
    }

    fn drawn(&self, mut plan: Plan) -> Job {
        let scenario = self.systems.iter().find(|system| system.suite.name == plan.suite);
        let scenario = scenario.map_or("", |system| system.scenario.name);
        (plan.bug, plan.mute) = (self.bug.clone(), self.mute.clone());
        // Named after all the rest of it, so that it has the same name when it is taken up again.
        plan.scenario = "guided".into();
        plan.scenario = format!("guided-{}", name_of(&plan));
        Job {
            suite: plan.suite.clone(),
            scenario: scenario.into(),
            seed: plan.seed,
            bug: self.bug.clone(),
            mute: self.mute.clone(),
            drawn: Some(Drawn { file: self.corpus.failed(&plan), plan: Box::new(plan) }),
        }
    }
}

impl Source for Guided<'_> {
    fn next(&mut self) -> Next {
        let nth = self.begun + 1;
        while self.learned + BEHIND < nth {
            if !self.learn_next() {
                return Next::Later;
            }
        }
        if self.error.is_some() || self.ends.is_some_and(|ends| Instant::now() >= ends) {
            return Next::End;
        }
        let Some(job) = self.job() else { return Next::End };
        self.begun = nth;
        self.waiting.insert(nth, (job.clone(), None));
        Next::Job(job)
    }

    fn done(&mut self, nth: u64, marks: Option<&[u32]>) {
        if let Some((_, known)) = self.waiting.get_mut(&nth) {
            // A run that failed may not have come far; nothing is made of it.
            *known = Some(marks.map(<[u32]>::to_vec).unwrap_or_default());
        }
    }

    fn in_hand(&self) -> usize {
        2
    }
}
