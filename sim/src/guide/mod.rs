//! Guidance: plans that reach what others seldom reach are kept, and changed, in the hope of what nobody has reached yet.
//!
//! A swarm draws every plan anew and learns nothing. Here every second plan is made of one that was kept, with parts of a fresh
//! one, or with less, or at other times. What a plan has reached is read off its marks ([`crate::oracle::MARKS`]): which of them,
//! and how often, in powers of two. A plan is kept if nothing before it has reached something that it has, and is chosen
//! again the more often the rarer that is.
//!
//! What is kept is a folder of plans. Folders of several machines are merged by copying: what the others have reached too
//! is found out when a folder is taken up, for every plan in it is run again first.

mod corpus;
mod mutate;
mod source;

pub use corpus::Corpus;
pub use source::Guided;

use crate::plan::Plan;
use labrpc::Rng;
use std::collections::BTreeMap;

/// Of so many plans that could be changed the one is taken that has reached what is rarest.
const AMONG: usize = 3;

/// What a run has come to: a mark, and how often, as a power of two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Feature {
    mark: usize,
    doublings: u32,
}

/// What a run has reached with these counts of the marks.
fn features(marks: &[u32]) -> impl Iterator<Item = Feature> {
    let reached = marks.iter().enumerate().filter(|(_, count)| **count > 0);
    reached.map(|(mark, count)| Feature { mark, doublings: count.ilog2() })
}

/// A plan that was kept.
struct Kept {
    plan: Plan,
    features: Vec<Feature>,
}

/// What is known of one system, and what to try next.
#[derive(Default)]
pub struct Guide {
    kept: Vec<Kept>,
    /// In how many runs each was reached.
    reached: BTreeMap<Feature, u64>,
}

impl Guide {
    /// How many plans are kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// How many different things were reached.
    pub fn reached(&self) -> usize {
        self.reached.len()
    }

    /// The plan to try in the place of a fresh one. It is the fresh one as long as nothing is kept that could be changed.
    pub fn next(&self, fresh: &Plan, rng: &mut Rng) -> Plan {
        if self.kept.is_empty() {
            return fresh.clone();
        }
        let among: Vec<&Kept> = (0..AMONG).map(|_| rng.pick(&self.kept)).collect();
        let rarest = |kept: &&&Kept| kept.features.iter().filter_map(|one| self.reached.get(one)).min().copied();
        let chosen = among.iter().min_by_key(rarest).expect("there are some");
        mutate::changed(&chosen.plan, fresh, rng)
    }

    /// What came of a plan, which is only asked for if it is kept: if it has reached what none had before it.
    pub fn learn(&mut self, marks: &[u32], plan: impl FnOnce() -> Plan) -> Option<&Plan> {
        let features: Vec<Feature> = features(marks).collect();
        let is_new = features.iter().any(|one| !self.reached.contains_key(one));
        features.iter().for_each(|one| *self.reached.entry(*one).or_default() += 1);
        if !is_new {
            return None;
        }
        self.kept.push(Kept { plan: plan(), features });
        self.kept.last().map(|kept| &kept.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new("swarm", seed, 3)
    }

    #[test]
    fn a_plan_is_kept_for_what_none_had_reached_before_it() {
        let mut guide = Guide::default();
        assert!(guide.learn(&[1, 0, 0], || plan(1)).is_some());
        assert!(guide.learn(&[1, 0, 0], || plan(2)).is_none(), "the same again");
        assert!(guide.learn(&[2, 0, 0], || plan(3)).is_some(), "twice as often");
        assert!(guide.learn(&[3, 0, 0], || plan(4)).is_none(), "that is no power of two");
        assert!(guide.learn(&[1, 0, 9], || plan(5)).is_some(), "another mark");
        assert!(guide.learn(&[0, 0, 0], || plan(6)).is_none(), "nothing");
        assert_eq!((guide.kept(), guide.reached()), (3, 3));
    }

    #[test]
    fn what_is_rare_is_chosen_more_often() {
        let mut guide = Guide::default();
        guide.learn(&[1, 0], || plan(1));
        (0..100).for_each(|_| _ = guide.learn(&[1, 0], || plan(1)));
        guide.learn(&[1, 1], || plan(2));
        let mut rng = Rng::new(1, "test");
        let of_the_rare = (0..200).filter(|_| guide.next(&plan(9), &mut rng).drawn[0].contains("seed 2")).count();
        assert!(
            (150..200).contains(&of_the_rare),
            "{of_the_rare} of 200: both are chosen, one three times of four or more"
        );
    }

    #[test]
    fn without_anything_to_change_the_plan_is_fresh() {
        assert_eq!(Guide::default().next(&plan(9), &mut Rng::new(1, "test")), plan(9));
    }
}
