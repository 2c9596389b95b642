//! The controller against what is asked of it, word by word, and its snapshots against itself; and each planted bug
//! against the same.

use super::bugs::Bug;
use super::machine::ShardMaster;
use super::operation::{Command, MAX_GROUPS, MAX_GROUPS_AT_ONCE, MAX_SERVERS, Query, Refusal, Reply};
use super::settings::{MAX_SHARDS, Settings};
use super::types::{ConfigNum, GroupId, ShardConfig, ShardId};
use crate::rsm::machine::StateMachine;
use labrpc::{Index, NodeId, Rng};
use std::collections::BTreeSet;

fn machine(shards: u32) -> ShardMaster {
    ShardMaster::new(&Settings { shards, ..Settings::default() })
}

fn servers(group: u64) -> Vec<NodeId> {
    (1..=3).map(|server| NodeId(group as u32 * 10 + server)).collect()
}

fn join(groups: impl IntoIterator<Item = u64>) -> Command {
    Command::Join { groups: groups.into_iter().map(|group| (GroupId(group), servers(group))).collect() }
}

fn leave(groups: impl IntoIterator<Item = u64>) -> Command {
    Command::Leave { groups: groups.into_iter().map(GroupId).collect() }
}

fn move_shard(shard: u32, to: u64) -> Command {
    Command::Move { shard: ShardId(shard), to: GroupId(to) }
}

fn latest(machine: &ShardMaster) -> ShardConfig {
    machine.query(&Query(None))
}

/// Who has each shard; 0 for nobody.
fn owners(machine: &ShardMaster) -> Vec<u64> {
    latest(machine).shards.iter().map(|owner| owner.map_or(0, |group| group.0)).collect()
}

fn does(machine: &mut ShardMaster, command: Command, num: u64) {
    assert_eq!(machine.apply(Index(1), &command), Reply::Configured(ConfigNum(num)), "{command:?}");
}

fn refuses(machine: &mut ShardMaster, command: Command, why: Refusal) {
    let before = (latest(machine), machine.digest(), machine.snapshot());
    assert_eq!(machine.apply(Index(1), &command), Reply::Refused(why), "{command:?}");
    assert_eq!((latest(machine), machine.digest(), machine.snapshot()), before, "{command:?}");
}

#[test]
fn groups_come_and_go_and_shards_follow_with_as_few_moves_as_can_be() {
    let mut master = machine(10);
    assert_eq!(latest(&master), ShardConfig::first(10));
    does(&mut master, join([1]), 1);
    assert_eq!(owners(&master), [1; 10]);
    does(&mut master, join([2]), 2);
    assert_eq!(owners(&master), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    does(&mut master, join([3]), 3);
    assert_eq!(owners(&master), [1, 1, 1, 1, 3, 2, 2, 2, 3, 3]);
    does(&mut master, move_shard(0, 3), 4);
    assert_eq!(owners(&master), [3, 1, 1, 1, 3, 2, 2, 2, 3, 3], "nothing else moves");
    does(&mut master, move_shard(0, 3), 5);
    does(&mut master, leave([1, 3]), 6);
    assert_eq!(owners(&master), [2; 10]);
    assert_eq!(latest(&master).groups.keys().collect::<Vec<_>>(), [&GroupId(2)]);
    does(&mut master, leave([2]), 7);
    assert_eq!((owners(&master), latest(&master).groups.len()), (vec![0; 10], 0));
    does(&mut master, join([2, 1]), 8);
    assert_eq!(latest(&master).groups[&GroupId(2)], servers(2));
}

#[test]
fn there_may_be_more_groups_than_shards() {
    let mut master = machine(2);
    does(&mut master, join(1..=5), 1);
    assert_eq!(owners(&master), [1, 2]);
    does(&mut master, leave([4, 1]), 2);
    assert_eq!(owners(&master), [3, 2], "who had nothing takes over");
}

#[test]
fn what_cannot_be_done_is_refused_as_a_whole_and_changes_nothing() {
    let mut master = machine(4);
    refuses(&mut master, join([]), Refusal::NoGroups);
    refuses(&mut master, leave([]), Refusal::NoGroups);
    refuses(&mut master, join([0, 1]), Refusal::Reserved);
    refuses(&mut master, move_shard(0, 1), Refusal::UnknownGroup(GroupId(1)));
    let empty = [(GroupId(1), servers(1)), (GroupId(2), vec![])];
    refuses(&mut master, Command::Join { groups: empty.into() }, Refusal::NoServers(GroupId(2)));
    does(&mut master, join([1, 2]), 1);
    refuses(&mut master, join([2]), Refusal::AlreadyJoined(GroupId(2)));
    refuses(&mut master, join([2, 3]), Refusal::AlreadyJoined(GroupId(2)));
    refuses(&mut master, leave([1, 3]), Refusal::UnknownGroup(GroupId(3)));
    refuses(&mut master, move_shard(0, 3), Refusal::UnknownGroup(GroupId(3)));
    refuses(&mut master, move_shard(4, 2), Refusal::UnknownShard(ShardId(4)));
    does(&mut master, leave([2]), 2);
    does(&mut master, join([2]), 3);
}

#[test]
fn sizes_are_bounded() {
    let groups = MAX_GROUPS_AT_ONCE as u64;
    assert!(join(1..=groups).check().is_ok() && join(1..=groups + 1).check().is_err());
    assert!(leave(1..=groups).check().is_ok() && leave(1..=groups + 1).check().is_err());
    let of = |servers| Command::Join { groups: [(GroupId(1), vec![NodeId(1); servers])].into() };
    assert!(of(MAX_SERVERS).check().is_ok() && of(MAX_SERVERS + 1).check().is_err());
    let mut master = machine(MAX_SHARDS);
    does(&mut master, join(1..=MAX_GROUPS as u64), 1);
    refuses(&mut master, join([MAX_GROUPS as u64 + 1]), Refusal::TooManyGroups);
}

#[test]
#[should_panic(expected = "there are 0 shards")]
fn there_is_a_shard() {
    machine(0);
}

#[test]
#[should_panic(expected = "there are 4097 shards")]
fn there_are_not_too_many_shards() {
    machine(MAX_SHARDS + 1);
}

/// The group consists of these servers by now.
fn other_servers(group: u64, first: u32) -> Command {
    Command::Servers { group: GroupId(group), servers: (first * 1_000..first * 1_000 + 3).map(NodeId).collect() }
}

#[test]
fn a_group_that_consists_of_other_servers_keeps_its_shards() {
    let mut master = machine(6);
    does(&mut master, join([1, 2]), 1);
    does(&mut master, move_shard(0, 2), 2);
    let before = latest(&master);
    does(&mut master, other_servers(2, 7), 3);
    let after = latest(&master);
    assert_eq!(after.shards, before.shards, "out of balance as it was");
    assert_eq!(after.groups[&GroupId(2)], [7_000, 7_001, 7_002].map(NodeId));
    assert_eq!(after.groups[&GroupId(1)], before.groups[&GroupId(1)]);
    assert_eq!(master.query(&Query(Some(ConfigNum(2)))), before, "as it was then");
    refuses(&mut master, other_servers(3, 7), Refusal::UnknownGroup(GroupId(3)));
    refuses(&mut master, Command::Servers { group: GroupId(1), servers: vec![] }, Refusal::NoServers(GroupId(1)));
    let crowd = Command::Servers { group: GroupId(1), servers: vec![NodeId(1); MAX_SERVERS + 1] };
    assert!(crowd.check().is_err());
}

fn random(rng: &mut Rng, shards: u32) -> Command {
    let count = rng.within(1..=3);
    let some = (0..count).map(|_| rng.within(0..=6)).collect::<BTreeSet<_>>();
    match rng.below(10) {
        0..4 => join(some),
        4..6 => leave(some),
        6 => other_servers(rng.within(0..=6), rng.within(1..=3) as u32),
        _ => move_shard(rng.below(u64::from(shards) + 1) as u32, rng.within(0..=6)),
    }
}

/// The fewest moves that bring `old` into balance over the groups of `new`.
fn fewest_moves(old: &ShardConfig, new: &ShardConfig) -> usize {
    let (shards, groups) = (new.shards.len(), new.groups.len());
    let present = |group: &GroupId| old.shards.iter().filter(|owner| **owner == Some(*group)).count();
    let present: Vec<usize> = new.groups.keys().map(present).collect();
    match (shards.checked_div(groups), shards.checked_rem(groups)) {
        (Some(share), Some(larger)) => {
            let kept: usize = present.iter().map(|count| *count.min(&share)).sum();
            shards - kept - larger.min(present.iter().filter(|count| **count > share).count())
        }
        _ => old.shards.iter().flatten().count(),
    }
}

fn is_balanced(config: &ShardConfig) -> bool {
    let count = |group: &GroupId| config.shards.iter().filter(|owner| **owner == Some(*group)).count();
    let counts: Vec<usize> = config.groups.keys().map(count).collect();
    let given = config.shards.iter().flatten().count();
    match (counts.iter().max(), counts.iter().min()) {
        (Some(max), Some(min)) => max - min <= 1 && counts.iter().sum::<usize>() == config.shards.len(),
        _ => given == 0,
    }
}

/// What is wrong with what an executed command has made of a configuration.
fn faults(command: &Command, old: &ShardConfig, new: &ShardConfig) -> Vec<&'static str> {
    let mut expected = old.groups.clone();
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what| wrong.extend((!holds).then_some(what));
    check(new.num == old.num.next(), "number");
    match command {
        Command::Join { groups } => {
            check(groups.keys().all(|group| !old.groups.contains_key(group) && group.0 > 0), "join");
            expected.extend(groups.clone());
        }
        Command::Leave { groups } => {
            check(groups.iter().all(|group| expected.remove(group).is_some()), "leave");
        }
        Command::Move { shard, to } => {
            let mut shards = old.shards.clone();
            shards[shard.slot()] = Some(*to);
            check(new.shards == shards, "move");
        }
        Command::Servers { group, servers } => {
            check(expected.insert(*group, servers.clone()).is_some(), "servers");
            check(new.shards == old.shards, "shards stay");
        }
    }
    check(new.groups == expected, "groups");
    if !matches!(command, Command::Move { .. } | Command::Servers { .. }) {
        check(is_balanced(new), "balance");
        let moves = old.shards.iter().zip(&new.shards).filter(|(old, new)| old != new).count();
        check(moves == fewest_moves(old, new), "fewest moves");
    }
    wrong
}

/// What goes wrong on two servers while 150 commands are executed and the state goes through a snapshot.
fn findings(seed: u64, bug: Option<Bug>) -> BTreeSet<&'static str> {
    let mut rng = Rng::new(seed, "commands");
    let settings = Settings { shards: rng.within(1..=12) as u32, hash_key: 1, bug };
    let mut master = ShardMaster::new(&settings);
    let mut other = ShardMaster::new(&Settings { hash_key: 2, ..settings });
    let mut known = vec![latest(&master)];
    let mut found = BTreeSet::new();
    for index in (1..=150).map(Index) {
        let command = random(&mut rng, settings.shards);
        let reply = master.apply(index, &command);
        let same = reply == other.apply(index, &command) && master.digest() == other.digest();
        found.extend((!same).then_some("replicas"));
        let new = latest(&master);
        match reply {
            Reply::Configured(num) => {
                let old = known.last().expect("there is always one");
                found.extend((num != new.num).then_some("number"));
                found.extend(faults(&command, old, &new));
                known.push(new);
            }
            Reply::Refused(_) => found.extend((Some(&new) != known.last()).then_some("refusal")),
        }
        if index.0 % 50 == 0 {
            let restored = ShardMaster::restore(&settings, &master.snapshot()).expect("it was just made");
            let same = restored.digest() == master.digest() && restored.snapshot() == master.snapshot();
            found.extend((!same).then_some("snapshot"));
            master = restored;
        }
        let kept = |num: &usize| master.query(&Query(Some(ConfigNum(*num as u64)))) == known[*num];
        found.extend((!(0..known.len()).all(|num| kept(&num))).then_some("history"));
    }
    assert!(known.len() > 20, "{} configurations", known.len());
    assert_eq!(master.query(&Query(Some(ConfigNum(9_999)))), latest(&master), "beyond the last is the last");
    found
}

#[test]
fn it_does_what_the_definitions_say_on_all_servers_and_forgets_nothing() {
    for seed in 0..60 {
        assert_eq!(findings(seed, None), BTreeSet::new(), "seed {seed}");
    }
}

#[test]
#[cfg(feature = "zoo")]
fn each_planted_bug_breaks_what_it_says() {
    let of = |bug| (0..20).flat_map(|seed| findings(seed, Some(bug))).collect::<BTreeSet<_>>();
    assert_eq!(of(Bug::RebalanceNondeterministic), ["replicas"].into());
    assert_eq!(of(Bug::RebalanceNotMinimal), ["fewest moves"].into());
    assert_eq!(of(Bug::MoveUndone), ["move"].into());
    assert_eq!(of(Bug::DupJoin), ["join"].into());
    assert!(of(Bug::HistoryAliasing).contains("history"));
    assert_eq!(of(Bug::QueryLatestStale), BTreeSet::new(), "what it needs is a leader that was deposed");
}

#[test]
fn a_configuration_that_is_many_changes_back_is_found_as_it_was() {
    let mut master = machine(8);
    does(&mut master, join([1, 2]), 1);
    let mut known = vec![ShardConfig::first(8), latest(&master)];
    for num in 2..=400 {
        does(&mut master, move_shard(num as u32 % 7, num % 2 + 1), num);
        known.push(latest(&master));
    }
    let restored = ShardMaster::restore(&Settings::default(), &master.snapshot()).unwrap();
    assert_eq!(restored.digest(), master.digest(), "and the number of shards is the one that was saved");
    for (num, config) in (0..).map(ConfigNum).zip(&known) {
        assert_eq!(master.query(&Query(Some(num))), *config);
        assert_eq!(restored.query(&Query(Some(num))), *config);
    }
    let size = master.snapshot().len();
    assert!(size < 400 * 12, "a move takes few bytes, and not a whole configuration: {size}");
}

#[test]
fn histories_that_differ_have_other_digests() {
    let digest = |commands: &[Command]| {
        let mut master = machine(4);
        commands.iter().for_each(|command| _ = master.apply(Index(1), command));
        master.digest()
    };
    let all = [
        digest(&[]),
        machine(5).digest(),
        digest(&[join([1])]),
        digest(&[join([1]), move_shard(0, 1)]),
        digest(&[join([1, 2])]),
        digest(&[join([1]), join([2])]),
        digest(&[join([2]), join([1])]),
    ];
    assert_eq!(BTreeSet::from(all).len(), all.len());
    assert_eq!(digest(&[join([1]), join([1])]), digest(&[join([1])]), "what is refused leaves no trace");
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut master = machine(4);
    does(&mut master, join([1, 2]), 1);
    let whole = master.snapshot();
    let restore = |bytes: &[u8]| ShardMaster::restore(&Settings::default(), bytes);
    // Cut behind the number of shards, or behind a change, it is that of an earlier state.
    let shorter = (0..whole.len()).filter(|length| restore(&whole[..*length]).is_ok());
    assert_eq!(shorter.count(), 1);
    let of_fewer_shards = [&machine(1).snapshot(), &whole[machine(4).snapshot().len()..]].concat();
    assert!(restore(&of_fewer_shards).is_err());
}
