//! A guided campaign makes the same plans however its runs are spread and whichever is done first, and each of its parts has
//! all systems and changed plans. No run is made here: what came of each is made up.

mod common;

use sim::campaign::{Job, Next, Shard, Source};
use sim::guide::{Corpus, Guided};
use sim::labrpc::Rng;
use sim::plan::Plan;
use sim::scenario::{Group, Scenario, Suite};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

fn swarms(suites: &[Suite]) -> Vec<(&'static str, &Scenario)> {
    suites.iter().map(|suite| (suite.name, swarm(suite))).collect()
}

fn swarm(suite: &Suite) -> &Scenario {
    suite.scenarios.iter().find(|scenario| scenario.group == Group::Swarm).expect("each suite has one")
}

/// A folder that nothing is in.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("guided-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Folder(dir)
    }

    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run of a plan has reached, as if by chance.
fn marks(job: &Job, suites: &[Suite]) -> Vec<u32> {
    let mut rng = Rng::new(job.plan(suites).seed, &job.plan(suites).scenario);
    (0..8).map(|_| if rng.below(4) == 0 { rng.below(64) as u32 } else { 0 }).collect()
}

/// Runs a campaign with so many runs under way at a time, of which any may be done first; returns what was run.
fn conduct(suites: &[Suite], folder: &Folder, shard: Shard, under_way: usize, chance: u64) -> Vec<Job> {
    let swarms = swarms(suites);
    let corpus = Corpus::open(&folder.0).unwrap();
    let mut source = Guided::new(suites, &swarms, 0..60, corpus, None).unwrap().with(None, Vec::new(), shard);
    let (mut jobs, mut open) = (Vec::new(), VecDeque::new());
    let mut rng = Rng::new(chance, "who is done first");
    loop {
        let next = if open.len() < under_way { source.next() } else { Next::Later };
        match next {
            Next::Job(job) => {
                jobs.push(job.clone());
                open.push_back((jobs.len() as u64, job));
            }
            Next::End if open.is_empty() => break,
            Next::Later | Next::End => {
                let which = rng.below(open.len() as u64) as usize;
                let (nth, job) = open.remove(which).expect("nothing is waited for that is not under way");
                // Now and then one fails, of which nothing is to be learned.
                let marks = (nth % 7 != 0).then(|| marks(&job, suites));
                source.done(nth, marks.as_deref());
            }
        }
    }
    source.finish().unwrap();
    jobs
}

fn told(jobs: &[Job], suites: &[Suite]) -> Vec<String> {
    jobs.iter().map(|job| job.plan(suites).to_json()).collect()
}

#[test]
fn the_plans_are_the_same_whichever_run_is_done_first() {
    let suites = common::all();
    let all = Shard::default();
    let folder = Folder::new("one");
    let alone = told(&conduct(&suites, &folder, all, 1, 0), &suites);
    let changed = alone.iter().filter(|plan| plan.contains("guided-")).count();
    assert!(changed > 40, "{changed} plans were changed");
    for under_way in [2, 7, 32] {
        let other = Folder::new(&format!("of-{under_way}"));
        let together = conduct(&suites, &other, all, under_way, under_way as u64);
        assert_eq!(told(&together, &suites), alone, "{under_way} at a time");
        assert_eq!(other.names(), folder.names());
    }
}

#[test]
fn each_part_has_all_systems_with_changed_plans_and_seeds_of_its_own() {
    let suites = common::all();
    let parts: Vec<Vec<Job>> = [1, 2]
        .map(|part| conduct(&suites, &Folder::new(&format!("part-{part}")), Shard::of(part, 2).unwrap(), 4, part))
        .into();
    let systems: Vec<&str> = swarms(&suites).iter().map(|(name, _)| *name).collect();
    for part in &parts {
        for system in &systems {
            let of_it = part.iter().filter(|job| job.suite == *system);
            let changed = of_it.clone().filter(|job| job.drawn.is_some()).count();
            assert!(changed >= 10 && of_it.count() == 30, "{system}: {changed} plans were changed");
        }
    }
    let fresh = |part: &[Job]| -> BTreeSet<(String, u64)> {
        let fresh = part.iter().filter(|job| job.drawn.is_none());
        fresh.map(|job| (job.suite.clone(), job.seed)).collect()
    };
    assert!(fresh(&parts[0]).is_disjoint(&fresh(&parts[1])), "no run is made twice");
}

#[test]
fn what_is_in_the_folder_comes_first_and_is_not_kept_again() {
    let suites = common::all();
    let folder = Folder::new("again");
    conduct(&suites, &folder, Shard::default(), 3, 1);
    let kept = folder.names();
    assert!(kept.len() >= 8, "{kept:?}");
    let again = conduct(&suites, &folder, Shard::default(), 3, 2);
    assert!(again[..kept.len()].iter().all(|job| job.drawn.is_some()));
    assert_eq!(again.len(), kept.len() + 60 * swarms(&suites).len());
    let names = folder.names();
    assert!(kept.iter().all(|name| names.contains(name)), "and is not lost");
    // Whatever it is called.
    let nameless = |plan: Plan| Plan { scenario: String::new(), ..plan }.to_json();
    let plans = Corpus::open(&folder.0).unwrap().plans().unwrap();
    let different: BTreeSet<String> = plans.into_iter().map(nameless).collect();
    assert_eq!(different.len(), names.len(), "nor kept twice");
}
