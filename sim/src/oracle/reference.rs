//! The key/value map that every answer is compared with: written for plainness, fed with what the log says, and able to
//! say what any key held after any entry.
//!
//! Values that grow by appends share their bytes: what a key held at some time is a beginning of one of them.

use crate::history::{Call, Expect, Key, Reply, Value};
use bytes::Bytes;
use labrpc::Index;
use std::collections::BTreeMap;

/// What a key held from an entry on.
#[derive(Clone, Copy, Debug)]
struct Since {
    index: Index,
    /// Which value, how much of it, and its version; none if the key was absent.
    held: Option<(usize, usize, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reference {
    /// Values as long as they became.
    values: Vec<Vec<u8>>,
    keys: BTreeMap<Key, Vec<Since>>,
}

impl Reference {
    /// Executes what the entry at `index` says, behind all others, and says what comes of it.
    pub fn execute(&mut self, index: Index, call: &Call) -> Option<Reply> {
        let held = self.keys.get(call.key()).and_then(|since| since.last()?.held);
        match call {
            Call::Get { .. } | Call::Scan { .. } => None,
            Call::Put { key, value } => Some(self.put(index, key, value)),
            Call::Append { key, value } => {
                let Some((nth, len, version)) = held else { return Some(self.put(index, key, value)) };
                self.values[nth].extend_from_slice(value);
                Some(self.hold(index, key, (nth, len + value.len(), version + 1)))
            }
            Call::Delete { key } => {
                self.keys.entry(key.clone()).or_default().push(Since { index, held: None });
                Some(Reply::Deleted { existed: held.is_some() })
            }
            Call::Cas { key, expect, value } => {
                let (there, version) = self.value(held);
                let is_so = match expect {
                    Expect::Value(expect) => expect.as_deref() == there,
                    Expect::Version(expect) => *expect == version,
                };
                if is_so {
                    return Some(self.put(index, key, value));
                }
                Some(Reply::CasFailed { value: there.map(Bytes::copy_from_slice), version })
            }
        }
    }

    fn put(&mut self, index: Index, key: &Key, value: &Value) -> Reply {
        let (_, version) = self.get(key, index);
        self.values.push(value.to_vec());
        self.hold(index, key, (self.values.len() - 1, value.len(), version + 1))
    }

    fn hold(&mut self, index: Index, key: &Key, held: (usize, usize, u64)) -> Reply {
        self.keys.entry(key.clone()).or_default().push(Since { index, held: Some(held) });
        Reply::Written { version: held.2 }
    }

    fn value(&self, held: Option<(usize, usize, u64)>) -> (Option<&[u8]>, u64) {
        held.map_or((None, 0), |(nth, len, version)| (Some(&self.values[nth][..len]), version))
    }

    fn at(&self, since: &[Since], index: Index) -> (Option<&[u8]>, u64) {
        let behind = since.partition_point(|since| since.index <= index);
        self.value(behind.checked_sub(1).and_then(|last| since[last].held))
    }

    /// What a key held after the entry at `index`, and the version of that.
    pub fn get(&self, key: &Key, index: Index) -> (Option<&[u8]>, u64) {
        self.keys.get(key).map_or((None, 0), |since| self.at(since, index))
    }

    /// All keys that begin with a prefix and were there after the entry at `index`, with their values, in order.
    pub fn scan(&self, prefix: &Key, index: Index) -> impl Iterator<Item = (&Key, &[u8])> {
        let within = self.keys.range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(prefix));
        within.filter_map(move |(key, since)| Some((key, self.at(since, index).0?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn it_knows_what_was_there_at_any_time() {
        let mut reference = Reference::default();
        let written = |version| Some(Reply::Written { version });
        let append = |value| Call::Append { key: b("k"), value: b(value) };
        assert_eq!(reference.execute(Index(2), &append("a")), written(1));
        assert_eq!(reference.execute(Index(3), &append("b")), written(2));
        assert_eq!(
            reference.execute(Index(5), &Call::Delete { key: b("k") }),
            Some(Reply::Deleted { existed: true })
        );
        let cas = |expect| Call::Cas { key: b("k"), expect, value: b("c") };
        let found_nothing = Some(Reply::CasFailed { value: None, version: 0 });
        assert_eq!(reference.execute(Index(6), &cas(Expect::Value(Some(b("ab"))))), found_nothing);
        assert_eq!(reference.execute(Index(7), &cas(Expect::Version(0))), written(1));
        assert_eq!(reference.execute(Index(8), &Call::Put { key: b("l"), value: b("z") }), written(1));
        let get = |index| reference.get(&b("k"), Index(index));
        assert_eq!([get(1), get(2), get(4)], [(None, 0), (Some(&b"a"[..]), 1), (Some(&b"ab"[..]), 2)]);
        assert_eq!([get(5), get(6), get(9)], [(None, 0), (None, 0), (Some(&b"c"[..]), 1)]);
        let keys = |index| reference.scan(&b(""), Index(index)).map(|(key, _)| key.clone()).collect::<Vec<_>>();
        assert_eq!([keys(4), keys(6), keys(8)], [vec![b("k")], vec![], vec![b("k"), b("l")]]);
    }
}
