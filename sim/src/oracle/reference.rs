//! The key/value map that every answer is compared with: written for plainness, fed with what the log says, and able to
//! say what any key held at any point.
//!
//! A point is an entry of a log; or, of a shard that goes from one group's log to another's, an entry of one of its stays.
//! What it holds goes along: nothing has to be carried from one to the next.
//!
//! Values that grow by appends share their bytes: what a key held at some time is a beginning of one of them.

use crate::history::{Call, Expect, Key, Reply, Value};
use bytes::Bytes;
use labrpc::Index;
use std::collections::BTreeMap;

/// A point in the life of a store, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Point {
    /// In which of its stays, from 0.
    pub stay: usize,
    /// Behind this entry of the log of where it was then.
    pub index: Index,
}

/// What a key held from a point on.
#[derive(Clone, Copy, Debug)]
struct Since {
    at: Point,
    /// Which value, how much of it, and its version; none if the key was absent.
    held: Option<(usize, usize, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reference {
    /// Values as long as they became.
    values: Vec<Vec<u8>>,
    keys: BTreeMap<Key, Vec<Since>>,
    /// What the keys that are there take with their values.
    bytes: u64,
}

/// What a key takes besides itself and its value: its version, and how long the two are.
const OF_KEY: u64 = 24;

impl Reference {
    /// Executes what the entry at a point says, behind all others, and says what comes of it.
    pub fn execute(&mut self, at: Point, call: &Call) -> Option<Reply> {
        let held = self.keys.get(call.key()).and_then(|since| since.last()?.held);
        match call {
            Call::Get { .. } | Call::Scan { .. } => None,
            Call::Put { key, value } => Some(self.put(at, key, value)),
            Call::Append { key, value } => {
                let Some((nth, len, version)) = held else { return Some(self.put(at, key, value)) };
                self.values[nth].extend_from_slice(value);
                Some(self.hold(at, key, (nth, len + value.len(), version + 1)))
            }
            Call::Delete { key } => {
                self.holds(at, key, None);
                Some(Reply::Deleted { existed: held.is_some() })
            }
            Call::Cas { key, expect, value } => {
                let (there, version) = self.value(held);
                let is_so = match expect {
                    Expect::Value(expect) => expect.as_deref() == there,
                    Expect::Version(expect) => *expect == version,
                };
                if is_so {
                    return Some(self.put(at, key, value));
                }
                Some(Reply::CasFailed { value: there.map(Bytes::copy_from_slice), version })
            }
        }
    }

    fn put(&mut self, at: Point, key: &Key, value: &Value) -> Reply {
        let (_, version) = self.get(key, at);
        self.values.push(value.to_vec());
        self.hold(at, key, (self.values.len() - 1, value.len(), version + 1))
    }

    fn hold(&mut self, at: Point, key: &Key, held: (usize, usize, u64)) -> Reply {
        self.holds(at, key, Some(held));
        Reply::Written { version: held.2 }
    }

    fn holds(&mut self, at: Point, key: &Key, held: Option<(usize, usize, u64)>) {
        let takes = |held: Option<(usize, usize, u64)>| {
            held.map_or(0, |(_, len, _)| OF_KEY + key.len() as u64 + len as u64)
        };
        let since = self.keys.entry(key.clone()).or_default();
        let before = since.last().and_then(|since| since.held);
        self.bytes = self.bytes + takes(held) - takes(before);
        since.push(Since { at, held });
    }

    /// What all of it takes that is there now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn value(&self, held: Option<(usize, usize, u64)>) -> (Option<&[u8]>, u64) {
        held.map_or((None, 0), |(nth, len, version)| (Some(&self.values[nth][..len]), version))
    }

    fn at(&self, since: &[Since], at: Point) -> (Option<&[u8]>, u64) {
        let behind = since.partition_point(|since| since.at <= at);
        self.value(behind.checked_sub(1).and_then(|last| since[last].held))
    }

    /// What a key held at a point, and the version of that.
    pub fn get(&self, key: &Key, at: Point) -> (Option<&[u8]>, u64) {
        self.keys.get(key).map_or((None, 0), |since| self.at(since, at))
    }

    /// All keys that begin with a prefix and were there at a point, with their values, in order.
    pub fn scan(&self, prefix: &Key, at: Point) -> impl Iterator<Item = (&Key, &[u8])> {
        let within = self.keys.range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(prefix));
        within.filter_map(move |(key, since)| Some((key, self.at(since, at).0?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn at(index: u64) -> Point {
        Point { stay: 0, index: Index(index) }
    }

    #[test]
    fn it_knows_what_was_there_at_any_time() {
        let mut reference = Reference::default();
        let written = |version| Some(Reply::Written { version });
        let append = |value| Call::Append { key: b("k"), value: b(value) };
        assert_eq!(reference.execute(at(2), &append("a")), written(1));
        assert_eq!(reference.execute(at(3), &append("b")), written(2));
        assert_eq!(reference.execute(at(5), &Call::Delete { key: b("k") }), Some(Reply::Deleted { existed: true }));
        let cas = |expect| Call::Cas { key: b("k"), expect, value: b("c") };
        let found_nothing = Some(Reply::CasFailed { value: None, version: 0 });
        assert_eq!(reference.execute(at(6), &cas(Expect::Value(Some(b("ab"))))), found_nothing);
        assert_eq!(reference.execute(at(7), &cas(Expect::Version(0))), written(1));
        assert_eq!(reference.execute(at(8), &Call::Put { key: b("l"), value: b("z") }), written(1));
        let get = |index| reference.get(&b("k"), at(index));
        assert_eq!([get(1), get(2), get(4)], [(None, 0), (Some(&b"a"[..]), 1), (Some(&b"ab"[..]), 2)]);
        assert_eq!([get(5), get(6), get(9)], [(None, 0), (None, 0), (Some(&b"c"[..]), 1)]);
        let keys = |index| reference.scan(&b(""), at(index)).map(|(key, _)| key.clone()).collect::<Vec<_>>();
        assert_eq!(reference.bytes(), 2 * (OF_KEY + 2), "what is gone takes nothing");
        assert_eq!([keys(4), keys(6), keys(8)], [vec![b("k")], vec![], vec![b("k"), b("l")]]);
    }

    /// It has gone from the ninth entry of one log to the third of another.
    #[test]
    fn what_it_holds_goes_along() {
        let mut reference = Reference::default();
        let append = |value| Call::Append { key: b("k"), value: b(value) };
        reference.execute(Point { stay: 0, index: Index(9) }, &append("a"));
        let there = Point { stay: 1, index: Index(3) };
        assert_eq!(reference.execute(there, &append("b")), Some(Reply::Written { version: 2 }));
        assert_eq!(reference.get(&b("k"), Point { stay: 0, index: Index(20) }).0, Some(&b"a"[..]));
        assert_eq!(reference.get(&b("k"), there).0, Some(&b"ab"[..]));
    }
}
