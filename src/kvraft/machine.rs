//! The map: a pure state machine.

use super::operation::{Answer, Command, Expect, MAX_SCAN, MAX_SCAN_BYTES, MAX_VALUE, Query, Reply};
use crate::rsm::chunks;
use crate::rsm::digest::{self, Growing};
use crate::rsm::machine::{Malformed, StateMachine, TooLarge};
use bytes::Bytes;
use labrpc::Index;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What a key holds.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    value: Vec<u8>,
    /// At least 1.
    version: u64,
    /// Of the value.
    digest: Growing,
}

impl Slot {
    fn digest(&self, key: &Bytes) -> u64 {
        digest::mix(digest::of(key), digest::mix(self.digest.value(), self.version))
    }
}

/// The key/value map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kv {
    map: BTreeMap<Bytes, Slot>,
    /// The sum of the slots' own digests.
    sum: u64,
}

impl Kv {
    /// The value and version of a key.
    pub fn get(&self, key: &[u8]) -> (Option<&[u8]>, u64) {
        self.map.get(key).map_or((None, 0), |slot| (Some(&slot.value), slot.version))
    }

    /// How many keys are present.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether no key is.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Every key that is present, with value and version, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &[u8], u64)> {
        self.map.iter().map(|(key, slot)| (key, &*slot.value, slot.version))
    }

    /// Changes a slot, which is made if it is not there; the version is the next one.
    fn write(&mut self, key: &Bytes, change: impl FnOnce(&mut Vec<u8>, &mut Growing)) -> Reply {
        let empty = || Slot { value: Vec::new(), version: 0, digest: Growing::default() };
        let slot = self.map.entry(key.clone()).or_insert_with(empty);
        if slot.version > 0 {
            self.sum = self.sum.wrapping_sub(slot.digest(key));
        }
        change(&mut slot.value, &mut slot.digest);
        slot.version += 1;
        self.sum = self.sum.wrapping_add(slot.digest(key));
        Reply::Written { version: slot.version }
    }

    fn put(&mut self, key: &Bytes, new: &Bytes) -> Reply {
        self.write(key, |value, digest| {
            value.clear();
            value.extend_from_slice(new);
            *digest = Growing::of(new);
        })
    }

    fn append(&mut self, key: &Bytes, more: &Bytes) -> Reply {
        let size = self.get(key).0.map_or(0, <[u8]>::len) + more.len();
        if size > MAX_VALUE {
            return Reply::TooLarge(TooLarge { size: size as u64, limit: MAX_VALUE as u64 });
        }
        self.write(key, |value, digest| {
            value.extend_from_slice(more);
            digest.grow(more);
        })
    }

    fn delete(&mut self, key: &Bytes) -> Reply {
        let gone = self.map.remove(key);
        if let Some(slot) = &gone {
            self.sum = self.sum.wrapping_sub(slot.digest(key));
        }
        Reply::Deleted { existed: gone.is_some() }
    }

    fn cas(&mut self, key: &Bytes, expect: &Expect, new: &Bytes) -> Reply {
        let (value, version) = self.get(key);
        let is_so = match expect {
            Expect::Value(expected) => value == expected.as_deref(),
            Expect::Version(expected) => version == *expected,
        };
        if is_so {
            self.put(key, new)
        } else {
            Reply::CasFailed { value: value.map(Bytes::copy_from_slice), version }
        }
    }

    fn scan(&self, prefix: &Bytes, limit: u64) -> Answer {
        let limit = limit.min(MAX_SCAN) as usize;
        let (mut items, mut size) = (Vec::new(), 0);
        let found = self.map.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, slot) in found {
            if items.len() >= limit || size >= MAX_SCAN_BYTES {
                return Answer::Entries { items, more: true };
            }
            size += key.len() + slot.value.len();
            items.push((key.clone(), Bytes::copy_from_slice(&slot.value)));
        }
        Answer::Entries { items, more: false }
    }
}

/// Bytes that are encoded at once, and not one by one: the encoding is the same.
struct Whole<'a>(&'a [u8]);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl StateMachine for Kv {
    const TAG: u8 = b'k';

    type Settings = ();
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = Answer;

    fn new((): &()) -> Kv {
        Kv::default()
    }

    fn apply(&mut self, _: Index, command: &Command) -> Reply {
        match command {
            Command::Put { key, value } => self.put(key, value),
            Command::Append { key, value } => self.append(key, value),
            Command::Delete { key } => self.delete(key),
            Command::Cas { key, expect, value } => self.cas(key, expect, value),
        }
    }

    fn query(&self, query: &Query) -> Answer {
        match query {
            Query::Get { key } => {
                let (value, version) = self.get(key);
                Answer::Value { value: value.map(Bytes::copy_from_slice), version }
            }
            Query::Scan { prefix, limit } => self.scan(prefix, *limit),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, slot) in &self.map {
            chunks::put(&mut bytes, &(key, slot.version, Whole(&slot.value)));
        }
        bytes
    }

    fn restore((): &(), mut bytes: &[u8]) -> Result<Kv, Malformed> {
        let mut kv = Kv::default();
        while !bytes.is_empty() {
            let (key, version, value): (Bytes, u64, Bytes) = chunks::take(&mut bytes)?;
            let slot = Slot { digest: Growing::of(&value), value: value.into(), version };
            kv.sum = kv.sum.wrapping_add(slot.digest(&key));
            if version == 0 || kv.map.insert(key, slot).is_some() {
                return Err(Malformed);
            }
        }
        Ok(kv)
    }

    fn digest(&self) -> u64 {
        self.sum
    }

    fn admit(command: &Command) -> Result<(), TooLarge> {
        command.check()
    }
}
