//! What is done to a cluster and when, drawn from a seed before it begins. Only who leads is seen at the time.

use labrpc::Rng;
use shardlab::cluster::Part;
use shardlab::shardmaster::{GroupId, ShardId};
use std::fmt;
use std::time::Duration;

/// How many servers each part has.
pub const SERVERS: usize = 3;
/// How many groups there are.
pub const GROUPS: u64 = 3;
/// How many shards there are.
pub const SHARDS: u32 = 6;
/// How long a round of faults is.
pub const ROUND: Duration = Duration::from_secs(15);
/// How long a node is gone, or frozen: less than an election takes, or for a while.
const SPANS: [(Duration, Duration); 2] = [
    (Duration::from_millis(100), Duration::from_millis(500)),
    (Duration::from_millis(500), Duration::from_secs(3)),
];
/// How long all nodes of a part are there before one is gone again: long enough to elect somebody, or not quite.
const CALM: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1_500));
/// How long after the first of several nodes another one is struck, if not at once: one that is left alone does something yet.
const LATER: Duration = Duration::from_millis(600);
/// Between two changes of the configuration.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How a node is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Killed, as with `kill -9`, and started again.
    Kill,
    /// Told to stop in good order, and started again.
    Stop,
    /// Frozen, and let go on as if nothing had been.
    Pause,
    /// Cut off from the others of its part, but not from anybody else.
    Cut,
    /// The others of its part do not hear it, and it hears them.
    Mute,
    /// It does not hear the others of its part, and they hear it.
    Deaf,
}

impl How {
    /// Whether it is links that are treated so, and whether what the node sends is lost, and what is sent to it.
    pub fn cuts(self) -> Option<(bool, bool)> {
        match self {
            How::Cut => Some((true, true)),
            How::Mute => Some((true, false)),
            How::Deaf => Some((false, true)),
            How::Kill | How::Stop | How::Pause => None,
        }
    }
}

/// What can be done everywhere.
const TO_PROCESSES: &[How] = &[How::Kill, How::Kill, How::Pause, How::Pause, How::Stop];
/// What can be done where links can be cut.
const TO_LINKS_TOO: &[How] = &[How::Kill, How::Pause, How::Stop, How::Cut, How::Cut, How::Mute, How::Deaf];

/// One node that is treated so, for so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blow {
    /// From then on, after the strike has begun.
    pub after: Duration,
    pub how: How,
    pub span: Duration,
}

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nodes of one part. The first is its leader, or else the one with that number; the others are the next ones.
    Strike { part: Part, leader: bool, first: usize, blows: Vec<Blow> },
    /// A group gets a shard.
    Move(ShardId, GroupId),
    /// A group goes.
    Leave(GroupId),
    /// A group comes.
    Join(GroupId),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Strike { part, blows, .. } => write!(f, "strike {} of {part}", blows.len()),
            Act::Move(shard, group) => write!(f, "move {shard} to {group}"),
            Act::Leave(group) => write!(f, "{group} leaves"),
            Act::Join(group) => write!(f, "{group} joins"),
        }
    }
}

/// All parts of the cluster.
pub fn parts() -> impl Iterator<Item = Part> {
    std::iter::once(Part::Controller).chain((1..=GROUPS).map(|group| Part::Group(GroupId(group))))
}

/// What is done within `length`, with the time from the beginning of each, in order; also to links, if there are some.
///
/// In each part strikes follow one another, each with a calm behind it: so there is always soon a majority again. Those of
/// different parts know nothing of each other.
pub fn draw(seed: u64, length: Duration, links: bool) -> Vec<(Duration, Act)> {
    let mut acts = Vec::new();
    for part in parts() {
        let mut rng = Rng::new(seed, &part.to_string());
        let mut at = rng.between(Duration::ZERO, CALM.1);
        while at < length {
            let act = strike(&mut rng, part, if links { TO_LINKS_TOO } else { TO_PROCESSES });
            let Act::Strike { blows, .. } = &act else { unreachable!("it was drawn as one") };
            let end = ends(blows);
            acts.push((at, act));
            at += end + rng.between(CALM.0, CALM.1);
        }
    }
    let mut rng = Rng::new(seed, "configurations");
    let mut at = rng.between(PAUSE.0, PAUSE.1);
    while at < length {
        acts.push((at, change(&mut rng)));
        at += rng.between(PAUSE.0, PAUSE.1);
    }
    acts.sort_by_key(|(at, _)| *at);
    acts
}

/// When all nodes are there again, after the strike has begun.
fn ends(blows: &[Blow]) -> Duration {
    blows.iter().map(|blow| blow.after + blow.span).max().expect("a strike has blows")
}

fn strike(rng: &mut Rng, part: Part, hows: &[How]) -> Act {
    let hit = match rng.below(10) {
        0..6 => 1,
        6..9 => 2,
        _ => SERVERS,
    };
    let blow = |rng: &mut Rng| {
        let (shortest, longest) = *rng.pick(&SPANS);
        let how = *rng.pick(hows);
        let after = if rng.chance(500_000) { Duration::ZERO } else { rng.between(Duration::ZERO, LATER) };
        Blow { after, how, span: rng.between(shortest, longest) }
    };
    let blows = (0..hit).map(|_| blow(rng)).collect();
    Act::Strike { part, leader: rng.chance(800_000), first: rng.below(SERVERS as u64) as usize, blows }
}

fn change(rng: &mut Rng) -> Act {
    let group = GroupId(rng.within(1..=GROUPS));
    match rng.below(5) {
        0 => Act::Leave(group),
        1 => Act::Join(group),
        _ => Act::Move(ShardId(rng.below(SHARDS.into()) as u32), group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_one_plan_and_another_seed_another() {
        assert_eq!(draw(7, ROUND, true), draw(7, ROUND, true));
        assert_ne!(draw(7, ROUND, true), draw(8, ROUND, true));
        let strikes_links = |act: &Act| matches!(act, Act::Strike { blows, .. } if blows.iter().any(|blow| blow.how.cuts().is_some()));
        assert!(!(0..50).any(|seed| draw(seed, ROUND, false).iter().any(|(_, act)| strikes_links(act))));
    }

    #[test]
    fn every_part_is_whole_again_soon_and_all_that_can_be_done_is_done() {
        let mut seen = [0; 9];
        for seed in 0..50 {
            let acts = draw(seed, ROUND, true);
            for part in parts() {
                let mut whole_from = Duration::ZERO;
                for (at, act) in &acts {
                    let Act::Strike { part: whose, blows, .. } = act else { continue };
                    if *whose != part {
                        continue;
                    }
                    assert!(whole_from.is_zero() || *at >= whole_from + CALM.0, "seed {seed} at {at:?}");
                    whole_from = *at + ends(blows);
                    assert!(whole_from <= *at + LATER + SPANS[1].1, "seed {seed} at {at:?}");
                    blows.iter().for_each(|blow| seen[blow.how as usize] += 1);
                }
                assert!(!whole_from.is_zero(), "seed {seed}: nobody troubles {part}");
            }
            for (_, act) in &acts {
                match act {
                    Act::Move(shard, _) => seen[6] += usize::from(shard.0 < SHARDS),
                    Act::Leave(_) => seen[7] += 1,
                    Act::Join(_) => seen[8] += 1,
                    Act::Strike { .. } => {}
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }
}
