//! Answers that are held against logs, true ones and lies.

use super::*;
use bytes::Bytes;

fn append(value: &'static str) -> Call {
    Call::Append { key: "k".into(), value: value.into() }
}

fn get(key: &'static str) -> Call {
    Call::Get { key: key.into() }
}

fn value(value: &'static str, version: u64) -> Reply {
    Reply::Value { value: Some(value.into()), version }
}

fn entries(keys: &[(&'static str, &'static str)], more: bool) -> Reply {
    let items = keys.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value), 0));
    Reply::Entries { items: items.collect(), more, index: 0 }
}

const NOTHING: Reply = Reply::Value { value: None, version: 0 };
const WRITTEN: Reply = Reply::Written { version: 1 };

fn place(group: u32, index: u64) -> Place {
    Place { group, index: Index(index) }
}

/// Groups, and the check that hears of them.
struct Service {
    check: AckHonest,
    applied: BTreeMap<u32, Index>,
}

impl Service {
    fn of(groups: u32, shard_of: impl Fn(&Key) -> Option<u32> + Send + 'static) -> Service {
        Service { check: AckHonest::new(groups, Box::new(shard_of)), applied: BTreeMap::new() }
    }

    fn new() -> Service {
        Service::of(1, |_| None)
    }

    /// Keys with a `k` in front are of shard 0, all others of shard 1. Group 2 begins with both of them, with its entry 1.
    fn sharded() -> Service {
        let mut service = Service::of(3, |key| Some(u32::from(!key.starts_with(b"k"))));
        (0..2).for_each(|shard| service.moves(2, 1, shard, ShardChange::Created));
        service
    }

    fn moves(&mut self, group: u32, index: u64, shard: u32, change: ShardChange) {
        self.check.moves(place(group, index), shard, 1, &change);
        self.applied.insert(group, Index(index));
    }

    /// A shard goes from the entry of one group to that of another.
    fn goes(&mut self, shard: u32, (from, frozen): (u32, u64), (to, installed): (u32, u64)) {
        self.moves(from, frozen, shard, ShardChange::Frozen { to: Some(to.into()), hash: 0 });
        self.moves(to, installed, shard, ShardChange::Installed { from: from.into(), frozen: 1, hash: 0 });
    }

    fn executes_in(&mut self, group: u32, index: u64, seq: u64, call: Call) -> Verdict {
        self.applied.insert(group, Index(index));
        self.check.executes(place(group, index), &Entry { by: [1, seq], call })
    }

    /// An entry is executed; without a call, it does nothing.
    fn executes(&mut self, index: u64, seq: u64, call: Option<Call>) -> Verdict {
        self.applied.insert(1, Index(index));
        call.map_or(Ok(()), |call| self.executes_in(1, index, seq, call))
    }

    fn asks(&mut self, client: u32) {
        self.check.asks(client);
    }

    fn told_of(&mut self, client: u32, call: &Call, reply: Reply, places: Vec<Place>) -> Verdict {
        let applied = &self.applied;
        let told = Told { reply, places };
        let has = |place: Place| applied.get(&place.group).copied().unwrap_or_default() >= place.index;
        self.check.is_told(client, call, &told, has)
    }

    fn told(&mut self, client: u32, call: &Call, reply: Reply, index: u64) -> Verdict {
        self.told_of(client, call, reply, vec![place(1, index)])
    }

    fn told_in(&mut self, client: u32, call: &Call, reply: Reply, group: u32, index: u64) -> Verdict {
        self.told_of(client, call, reply, vec![place(group, index)])
    }
}

#[test]
fn an_operation_is_executed_once() {
    let mut service = Service::new();
    assert_eq!(service.executes(1, 1, Some(append("a"))), Ok(()));
    assert!(service.executes(2, 1, Some(append("a"))).unwrap_err().contains("again"));
}

#[test]
fn a_write_is_acknowledged_for_what_it_did() {
    let mut service = Service::new();
    (1..=3).for_each(|client| service.asks(client));
    service.executes(1, 1, Some(append("a"))).unwrap();
    service.executes(2, 2, None).unwrap();
    assert!(service.told(1, &append("a"), WRITTEN, 3).unwrap_err().contains("no server"));
    assert!(service.told(1, &append("a"), WRITTEN, 2).unwrap_err().contains("nothing"));
    assert!(service.told(1, &append("b"), WRITTEN, 1).unwrap_err().contains("something else"));
    assert!(service.told_of(1, &append("a"), WRITTEN, Vec::new()).unwrap_err().contains("does not say"));
    assert_eq!(service.told(1, &append("a"), WRITTEN, 1), Ok(()));
    assert!(service.told(2, &append("a"), WRITTEN, 1).unwrap_err().contains("another"));
    let mut service = Service::new();
    service.asks(1);
    service.executes(1, 1, Some(append("a"))).unwrap();
    assert!(service.told(1, &append("a"), Reply::Written { version: 2 }, 1).unwrap_err().contains("came to"));
}

#[test]
fn nobody_is_told_of_what_is_older_than_what_was_told_before() {
    let mut service = Service::new();
    service.asks(1);
    service.executes(1, 1, Some(append("a"))).unwrap();
    service.executes(2, 2, Some(append("b"))).unwrap();
    assert_eq!(service.told(1, &append("b"), Reply::Written { version: 2 }, 2), Ok(()));
    service.asks(2);
    assert!(service.told(2, &get("k"), value("a", 1), 1).unwrap_err().contains("older"));
    assert!(service.told(2, &append("a"), WRITTEN, 1).unwrap_err().contains("not behind"));
    assert_eq!(service.told(2, &get("k"), value("ab", 2), 2), Ok(()));
}

#[test]
fn a_read_is_of_the_state_that_it_names() {
    let mut service = Service::new();
    service.asks(1);
    service.executes(1, 1, Some(append("a"))).unwrap();
    service.executes(2, 2, Some(Call::Put { key: "l".into(), value: "z".into() })).unwrap();
    assert!(service.told(1, &get("k"), NOTHING, 1).is_err());
    assert!(service.told(1, &get("k"), value("a", 2), 1).is_err());
    assert!(service.told(1, &get("k"), WRITTEN, 1).unwrap_err().contains("asked for"));
    let scan = Call::Scan { prefix: Bytes::new(), limit: 10 };
    let all = [("k", "a"), ("l", "z")];
    assert_eq!(service.told(1, &scan, entries(&all, false), 2), Ok(()));
    assert_eq!(service.told(1, &scan, entries(&all[..1], true), 2), Ok(()));
    service.asks(3);
    assert!(service.told(3, &scan, entries(&all[..1], false), 2).is_err(), "there are more");
    assert!(service.told(3, &scan, entries(&all, true), 2).is_err(), "there are no more");
    assert!(service.told(4, &scan, entries(&all, false), 1).is_err(), "one of them is from later");
}

/// Each has its sessions and its keys.
#[test]
fn groups_by_themselves_are_stores_by_themselves() {
    let mut service = Service::of(2, |_| None);
    (1..=3).for_each(|client| service.asks(client));
    service.executes_in(1, 5, 1, append("a")).unwrap();
    assert_eq!(service.executes_in(2, 1, 1, append("b")), Ok(()));
    assert_eq!(service.told_in(1, &append("a"), WRITTEN, 1, 5), Ok(()));
    assert_eq!(service.told_in(2, &append("b"), WRITTEN, 2, 1), Ok(()), "its log is no older for being shorter");
    assert!(service.told_in(3, &get("k"), value("a", 1), 2, 1).unwrap_err().contains("#1 of group 2"));
    assert_eq!(service.told_in(3, &get("k"), value("b", 1), 2, 1), Ok(()));
    assert!(service.executes_in(2, 2, 1, append("b")).unwrap_err().contains("again at #2 of group 2"));
}

#[test]
fn a_shard_is_read_where_it_is_with_all_that_it_held() {
    let mut service = Service::sharded();
    (1..=6).for_each(|client| service.asks(client));
    service.executes_in(2, 9, 1, append("a")).unwrap();
    service.goes(0, (2, 10), (3, 4));
    service.executes_in(3, 5, 2, append("b")).unwrap();
    service.moves(2, 12, 1, ShardChange::Deleted);
    assert_eq!(service.told_in(1, &get("k"), value("a", 1), 3, 4), Ok(()));
    assert_eq!(service.told_in(2, &append("b"), Reply::Written { version: 2 }, 3, 5), Ok(()));
    assert_eq!(service.told_in(3, &append("a"), WRITTEN, 2, 9), Ok(()), "its answer was late, and it asked early");
    assert!(service.told_in(4, &get("k"), NOTHING, 3, 4).unwrap_err().contains("does not hold"));
    assert!(service.told_in(5, &get("k"), value("a", 1), 2, 10).unwrap_err().contains("does not have that shard"));
    assert!(service.told_in(5, &get("k"), NOTHING, 3, 3).unwrap_err().contains("does not have that shard"));
    // Whoever asks now must see what was told, though the number of that entry is a smaller one.
    service.asks(6);
    assert!(service.told_in(6, &get("k"), value("a", 1), 2, 9).unwrap_err().contains("older"));
    assert!(service.told_in(6, &get("k"), value("a", 1), 3, 4).unwrap_err().contains("older"));
    assert_eq!(service.told_in(6, &get("l"), NOTHING, 2, 9), Ok(()), "of the other shard nobody was told anything");
}

/// What it is refused for must not be that the group does not have it, behind the entry at which it was asked.
#[test]
fn a_group_has_a_shard_from_when_it_came_until_it_went() {
    let mut service = Service::sharded();
    service.goes(0, (2, 10), (3, 4));
    let has = |group, index, key| service.check.has_shard_of(place(group, index), &get(key));
    assert_eq!([1, 9, 10, 11].map(|index| has(2, index, "k")), [true, true, false, false]);
    assert_eq!([3, 4, 5].map(|index| has(3, index, "k")), [false, true, true]);
    assert_eq!([has(2, 11, "l"), has(3, 11, "l"), has(1, 1, "k")], [true, false, false]);
    assert!(
        !Service::new().check.has_shard_of(place(1, 1), &get("k")),
        "where nothing moves there is nothing to say"
    );
}

#[test]
fn what_moves_is_executed_once_wherever_it_is() {
    let mut service = Service::sharded();
    service.executes_in(2, 9, 1, append("a")).unwrap();
    service.goes(0, (2, 10), (3, 4));
    let why = service.executes_in(3, 5, 1, append("a")).unwrap_err();
    assert!(why.contains("executed at #9 of group 2 is executed again at #5 of group 3"), "{why}");
}

/// It may be that nobody ever sees it; but nobody may be told of it.
#[test]
fn nobody_is_told_of_what_was_executed_where_the_shard_was_not() {
    for (group, index) in [(2, 11), (3, 3), (1, 1)] {
        let mut service = Service::sharded();
        service.asks(1);
        service.moves(2, 10, 0, ShardChange::Frozen { to: Some(3), hash: 0 });
        assert_eq!(service.executes_in(group, index, 1, append("a")), Ok(()));
        let why = service.told_in(1, &append("a"), WRITTEN, group, index).unwrap_err();
        assert!(why.contains("does not have that shard"), "{why}");
    }
}

#[test]
fn a_scan_reads_every_shard_where_it_is() {
    let mut service = Service::sharded();
    (1..=4).for_each(|client| service.asks(client));
    service.executes_in(2, 9, 1, append("a")).unwrap();
    service.goes(0, (2, 10), (3, 4));
    service.executes_in(2, 11, 2, Call::Put { key: "c".into(), value: "z".into() }).unwrap();
    let scan = Call::Scan { prefix: Bytes::new(), limit: 10 };
    let all = [("c", "z"), ("k", "a")];
    let mut told = |client, reply, places| service.told_of(client, &scan, reply, places);
    assert!(told(1, entries(&all, false), vec![]).unwrap_err().contains("does not say"));
    assert!(told(1, entries(&all[1..], false), vec![place(3, 4)]).unwrap_err().contains("Shard(1) was left out"));
    assert!(told(1, entries(&all, false), vec![place(2, 11), place(2, 11)]).unwrap_err().contains("not have"));
    assert!(told(1, entries(&all, false), vec![place(3, 4), place(2, 9)]).unwrap_err().contains("as they were"));
    assert_eq!(told(1, entries(&all[1..], false), vec![place(3, 4), place(2, 9)]), Ok(()));
    assert_eq!(told(1, entries(&all, false), vec![place(3, 4), place(2, 11)]), Ok(()));
    assert_eq!(told(2, entries(&all[..1], true), vec![place(2, 9), place(2, 11)]), Ok(()));
    service.asks(3);
    assert!(service.told_of(3, &scan, entries(&all, false), vec![place(2, 9), place(2, 11)]).is_err());
}
