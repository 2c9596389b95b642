//! What a client is told of its operation is what the log did with it.
//!
//! The log is executed once more, by a map of the laboratory's own. An answer names the entry that it comes from: that
//! entry must be this operation's, executed once, with this result; and a read must be of the state behind the entry
//! that it names, all keys of a scan of the same one. Together with the order of the entries that answers name, each
//! behind all that anybody was told of before it was asked for, this is linearizability with the log for a witness. The
//! search for any order at all, which knows nothing of logs, is made besides.
//!
//! Of several groups each may be a store by itself. Or shards of one store move between them: then each shard has a map of
//! its own that goes where it goes, and an answer must come from whoever had the shard behind the entry that it names. So this
//! is no invariant of one group but one of all of them together.

use super::kept::Kept;
use super::reference::Point;
use super::stores::{Store, StoreId};
use super::{Card, Needs, Verdict, When};
use crate::history::{Call, Key, Reply};
use crate::kv::{Entry, Place, Told};
use labrpc::{Index, ShardChange};
use std::collections::BTreeMap;

pub(super) static CARD: Card = Card {
    id: "ack-honest",
    property: "An answer names an entry of the log that is this operation, executed once with that result; a read shows \
               the state behind an entry that is no older than anything that was acknowledged before it was asked for",
    source: "§8; thesis 6.3 and 6.4",
    lesson: "An acknowledgement is a promise about the log. Ask what the server knew of the entry when it answered: \
             that it is committed, that it is this client's, that it was executed for the first time.",
    watches: &[],
    when: When::Before,
    needs: Needs::Log,
};

/// An executed entry.
struct Executed {
    call: Call,
    /// When that was in the life of its store. None: the group did not have it.
    at: Option<Point>,
    /// What it came to there.
    reply: Option<Reply>,
    /// Somebody was told of it.
    told: bool,
}

/// Up to where anybody was told: in each log, and of each store.
#[derive(Clone, Debug, Default)]
struct Floors {
    logs: BTreeMap<u32, Index>,
    stores: BTreeMap<StoreId, Point>,
}

impl Floors {
    fn rise(&mut self, place: Place, store: StoreId, at: Point) {
        let log = self.logs.entry(place.group).or_default();
        *log = place.index.max(*log);
        let store = self.stores.entry(store).or_default();
        *store = at.max(*store);
    }

    /// How far an entry is above them: not at all, on one of them, or above both.
    fn compare(&self, place: Place, store: StoreId, at: Point) -> std::cmp::Ordering {
        let log = place.index.cmp(&self.logs.get(&place.group).copied().unwrap_or_default());
        log.min(at.cmp(&self.stores.get(&store).copied().unwrap_or_default()))
    }
}

/// Which shard a key is of, if shards move.
pub type ShardOf = Box<dyn Fn(&Key) -> Option<u32> + Send>;

/// See the card.
pub struct AckHonest {
    /// How many groups there are.
    groups: u32,
    shard_of: ShardOf,
    stores: BTreeMap<StoreId, Store>,
    executed: BTreeMap<Place, Executed>,
    /// Where each operation was executed; where each group is a store by itself, in each.
    by: BTreeMap<(Option<u32>, [u64; 2]), Place>,
    told: Floors,
    /// That of when each client asked.
    asked: BTreeMap<u32, Floors>,
    /// What the groups have to keep for all of this, where shards move.
    pub kept: Kept,
}

impl AckHonest {
    /// Of so many groups, none of which has done anything yet.
    pub fn new(groups: u32, shard_of: ShardOf) -> AckHonest {
        let (stores, executed, by, told, asked, kept) = Default::default();
        AckHonest { groups, shard_of, stores, executed, by, told, asked, kept }
    }

    /// The store of a key, as a group speaks of it.
    fn store_of(&self, key: &Key, group: u32) -> StoreId {
        (self.shard_of)(key).map_or(StoreId::Group(group), StoreId::Shard)
    }

    fn store(&mut self, id: StoreId) -> &mut Store {
        self.stores.entry(id).or_insert_with(|| Store::new(id))
    }

    /// An entry, in words.
    fn named(&self, Place { group, index }: Place) -> String {
        if self.groups == 1 { index.to_string() } else { format!("{index} of group {group}") }
    }

    /// Something happens to a shard with this entry.
    pub fn moves(&mut self, place: Place, shard: u32, config: u64, change: &ShardChange) {
        self.store(StoreId::Shard(shard)).changes(place, change);
        let AckHonest { stores, kept, .. } = self;
        kept.moves(place, (shard, config), change, |shard| size(stores, shard));
    }

    /// Whether an operation was executed.
    pub fn has_executed(&self, place: Place, Entry { by, call }: &Entry) -> bool {
        let apart = matches!(self.store_of(call.key(), place.group), StoreId::Group(_)).then_some(place.group);
        self.by.contains_key(&(apart, *by))
    }

    /// Whether a group has the shard that an operation is about, behind that entry of its log.
    pub fn has_shard_of(&self, place: Place, call: &Call) -> bool {
        let id = self.store_of(call.key(), place.group);
        matches!(id, StoreId::Shard(_)) && self.stores.get(&id).is_some_and(|store| store.point(place).is_some())
    }

    /// An operation is executed. Told once for each entry, of the first server that comes there, in order.
    pub fn executes(&mut self, place: Place, Entry { by, call }: &Entry) -> Verdict {
        let id = self.store_of(call.key(), place.group);
        let apart = matches!(id, StoreId::Group(_)).then_some(place.group);
        if let Some(first) = self.by.insert((apart, *by), place) {
            let (first, again) = (self.named(first), self.named(place));
            return Err(format!("the operation that was executed at {first} is executed again at {again}"));
        }
        let store = self.store(id);
        let at = store.now(place);
        let reply = at.and_then(|at| store.execute(at, by[0], call));
        self.executed.insert(place, Executed { call: call.clone(), at, reply, told: false });
        if let StoreId::Shard(_) = id {
            let AckHonest { stores, kept, .. } = self;
            kept.grows(place, |shard| size(stores, shard));
        }
        Ok(())
    }

    /// A client asks for something.
    pub fn asks(&mut self, client: u32) {
        self.asked.insert(client, self.told.clone());
    }

    /// It has an answer. `applied` knows whether any server has come as far as an entry.
    pub fn is_told(
        &mut self,
        client: u32,
        call: &Call,
        Told { reply, places }: &Told,
        applied: impl Fn(Place) -> bool,
    ) -> Verdict {
        let asked = self.asked.get(&client).cloned().unwrap_or_default();
        if let Some(place) = places.iter().find(|place| !applied(**place)) {
            return Err(format!("client {client} is told of {}, which no server has applied", self.named(*place)));
        }
        if let Call::Scan { prefix, .. } = call {
            return self.scan_is_told(client, (call, prefix), reply, places, &asked);
        }
        let &[place] = &places[..] else {
            return Err("an answer does not say which entry of the log it comes from".into());
        };
        if !matches!(call, Call::Get { .. }) {
            return self.write_is_told(client, call, reply, place, &asked);
        }
        let key = call.key();
        let id = self.store_of(key, place.group);
        let at = self.read_at(client, id, place, &asked)?;
        let (value, version) = self.store(id).reference.get(key, at);
        let Reply::Value { value: told, version: of } = reply else { return Err(nonsense(client, call)) };
        if told.as_deref() != value || (*of != 0 && *of != version) {
            let place = self.named(place);
            return Err(format!("client {client} is told what its key does not hold after {place}"));
        }
        self.told.rise(place, id, at);
        Ok(())
    }

    /// What point of a store a read names, if it may be read there.
    fn read_at(&mut self, client: u32, id: StoreId, place: Place, asked: &Floors) -> Result<Point, String> {
        let Some(at) = self.store(id).point(place) else {
            return Err(self.not_there(client, place));
        };
        if asked.compare(place, id, at).is_lt() {
            let why = "older than what somebody was told of before it asked";
            return Err(format!("client {client} reads as of {}, {why}", self.named(place)));
        }
        Ok(at)
    }

    fn not_there(&self, client: u32, place: Place) -> String {
        format!("client {client} is told of {}, behind which the group does not have that shard", self.named(place))
    }

    /// Each shard is read at one point, and what is not a shard's is read at one point altogether.
    fn scan_is_told(
        &mut self,
        client: u32,
        (call, prefix): (&Call, &Key),
        reply: &Reply,
        places: &[Place],
        asked: &Floors,
    ) -> Verdict {
        let Reply::Entries { items, more, .. } = reply else { return Err(nonsense(client, call)) };
        let of_shards = (self.shard_of)(prefix).is_some();
        if places.is_empty() || !of_shards && places.len() > 1 {
            return Err("a scan does not say which entries it comes from".into());
        }
        let mut read = Vec::new();
        for (nth, place) in (0..).zip(places) {
            let id = if of_shards { StoreId::Shard(nth) } else { StoreId::Group(place.group) };
            read.push((id, *place, self.read_at(client, id, *place, asked)?));
        }
        let left_out = |id: &StoreId| of_shards && read.iter().all(|(read, ..)| read != id);
        if let Some(id) = self.stores.keys().find(|id| left_out(id)) {
            return Err(format!("client {client} is told of all keys, and {id:?} was left out"));
        }
        let of_one = |(id, _, at): &(StoreId, Place, Point)| {
            self.stores[id].reference.scan(prefix, *at).take(items.len() + 1).collect::<Vec<_>>()
        };
        let mut expected: Vec<(&Key, &[u8])> = read.iter().flat_map(of_one).collect();
        expected.sort_unstable();
        let mut expected = expected.into_iter();
        let same = items.iter().all(|(key, value, _)| expected.next() == Some((key, value)));
        if !same || *more != expected.next().is_some() {
            let places: Vec<String> = places.iter().map(|place| self.named(*place)).collect();
            let places = places.join(", ");
            return Err(format!("client {client} is told of keys that are not all as they were after {places}"));
        }
        read.into_iter().for_each(|(id, place, at)| self.told.rise(place, id, at));
        Ok(())
    }

    fn write_is_told(&mut self, client: u32, call: &Call, reply: &Reply, place: Place, asked: &Floors) -> Verdict {
        let (id, named) = (self.store_of(call.key(), place.group), self.named(place));
        let not_there = self.not_there(client, place);
        let Some(executed) = self.executed.get_mut(&place).filter(|executed| executed.call == *call) else {
            return Err(format!(
                "client {client} is told of {named}, where something else was executed, or nothing"
            ));
        };
        if std::mem::replace(&mut executed.told, true) {
            return Err(format!("client {client} is told of {named}, which another operation was told of"));
        }
        let Some(at) = executed.at else { return Err(not_there) };
        if asked.compare(place, id, at).is_le() {
            let why = "not behind what somebody was told of before it asked";
            return Err(format!("client {client} is told of {named}, {why}"));
        }
        if executed.reply.as_ref() != Some(reply) {
            return Err(format!("client {client} is told {reply:?}; {named} came to {:?}", executed.reply));
        }
        self.told.rise(place, id, at);
        Ok(())
    }
}

/// What a shard takes now.
fn size(stores: &BTreeMap<StoreId, Store>, shard: u32) -> u64 {
    stores.get(&StoreId::Shard(shard)).map_or(0, Store::bytes)
}

fn nonsense(client: u32, call: &Call) -> String {
    format!("client {client} is told something else than it asked for: {call:?}")
}

#[cfg(test)]
#[path = "ack_honest_tests.rs"]
mod tests;
