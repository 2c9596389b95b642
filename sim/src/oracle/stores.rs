//! The stores of keys that answers are about: what a group holds; or, where shards move between groups, a shard, wherever it
//! is. Each has a reference of its own, and knows whose log has spoken of it when.

use super::reference::{Point, Reference};
use crate::history::{Call, Reply};
use crate::kv::Place;
use labrpc::{Index, ShardChange};
use std::collections::BTreeMap;

/// Which store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StoreId {
    /// What this group holds, where each group is a store by itself.
    Group(u32),
    /// A shard.
    Shard(u32),
}

/// A part of a log that speaks of a store.
#[derive(Clone, Copy, Debug)]
struct Stay {
    /// Whose log.
    group: u32,
    /// The first entry behind which the store is there.
    from: Index,
    /// The first one behind which it is not there any more, if there is one.
    to: Option<Index>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Store {
    stays: Vec<Stay>,
    /// What it holds.
    pub reference: Reference,
    /// What is remembered of the last operation of each session, in bytes.
    sessions: BTreeMap<u64, u64>,
}

/// What a session takes besides a value in its last answer: its id, its number, and where that was executed.
const OF_SESSION: u64 = 40;

impl Store {
    /// One that was never anywhere, unless it is what a group holds: that is always there.
    pub fn new(id: StoreId) -> Store {
        let always = |group| vec![Stay { group, from: Index(0), to: None }];
        let stays = if let StoreId::Group(group) = id { always(group) } else { Vec::new() };
        Store { stays, ..Store::default() }
    }

    /// Something happens to it with this entry.
    pub fn changes(&mut self, Place { group, index }: Place, change: &ShardChange) {
        match change {
            ShardChange::Created | ShardChange::Installed { .. } => {
                self.stays.push(Stay { group, from: index, to: None });
            }
            ShardChange::Frozen { .. } => {
                let open = self.stays.iter_mut().rfind(|stay| stay.group == group && stay.to.is_none());
                open.into_iter().for_each(|stay| stay.to = Some(index));
            }
            ShardChange::Deleted | ShardChange::Unreadable { .. } => {}
        }
    }

    /// The point that an entry is, if the store was there then.
    pub fn point(&self, Place { group, index }: Place) -> Option<Point> {
        let holds = |stay: &Stay| stay.group == group && stay.from <= index && stay.to.is_none_or(|to| index < to);
        self.stays.iter().rposition(holds).map(|stay| Point { stay, index })
    }

    /// An operation of a session is executed there.
    pub fn execute(&mut self, at: Point, session: u64, call: &Call) -> Option<Reply> {
        let reply = self.reference.execute(at, call);
        let value = match &reply {
            Some(Reply::CasFailed { value: Some(value), .. }) => value.len() as u64,
            _ => 0,
        };
        self.sessions.insert(session, OF_SESSION + value);
        reply
    }

    /// What it takes now, with what is remembered of sessions.
    pub fn bytes(&self) -> u64 {
        self.reference.bytes() + self.sessions.values().sum::<u64>()
    }

    /// The same for an entry that is executed now: the store must still be there, and nowhere else.
    pub fn now(&self, place: Place) -> Option<Point> {
        self.point(place).filter(|point| point.stay + 1 == self.stays.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN: ShardChange = ShardChange::Frozen { to: None, hash: 0 };
    const INSTALLED: ShardChange = ShardChange::Installed { from: 2, frozen: 1, hash: 0 };

    fn place(group: u32, index: u64) -> Place {
        Place { group, index: Index(index) }
    }

    fn point(stay: usize, index: u64) -> Option<Point> {
        Some(Point { stay, index: Index(index) })
    }

    #[test]
    fn what_a_group_holds_is_always_there() {
        let store = Store::new(StoreId::Group(2));
        assert_eq!(
            [(2, 0), (2, 9), (1, 9)].map(|(group, index)| store.now(place(group, index))),
            [point(0, 0), point(0, 9), None]
        );
    }

    #[test]
    fn a_shard_is_where_it_went() {
        let mut store = Store::new(StoreId::Shard(7));
        assert_eq!(store.point(place(2, 9)), None);
        store.changes(place(2, 3), &ShardChange::Created);
        assert_eq!([2, 3, 9].map(|index| store.now(place(2, index))), [None, point(0, 3), point(0, 9)]);
        store.changes(place(2, 10), &FROZEN);
        assert_eq!([9, 10, 11].map(|index| store.point(place(2, index))), [point(0, 9), None, None]);
        store.changes(place(3, 5), &INSTALLED);
        assert_eq!([4, 5].map(|index| store.now(place(3, index))), [None, point(1, 5)]);
        assert_eq!(store.point(place(2, 9)), point(0, 9), "a read of then is still a read of then");
        assert_eq!(store.now(place(2, 9)), None, "and a write of now is none of then");
        store.changes(place(3, 8), &FROZEN);
        store.changes(place(3, 8), &ShardChange::Deleted);
        store.changes(place(2, 20), &INSTALLED);
        assert_eq!([15, 20].map(|index| store.point(place(2, index))), [None, point(2, 20)]);
    }
}
