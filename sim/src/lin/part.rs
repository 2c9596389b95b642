//! A history falls apart by keys: it is linearizable if and only if what happened to each key is (Herlihy and Wing,
//! *Linearizability*, 1990, Theorem 1).
//!
//! A Scan is a read of each key of its range, all in its interval. That all of them were read at the same instant is
//! not asked for here.

use super::search::NEVER;
use super::table::{Table, of_bytes};
use crate::history::{Call, History, OpId, Operation, Outcome, Reply};

/// What an operation did to one key.
#[derive(Clone, Debug)]
pub struct PartOp<'h> {
    /// Which it is.
    pub id: OpId,
    /// What happened.
    pub what: What<'h>,
    /// The number of the event at which it was invoked.
    pub invoked: u64,
    /// The number of the event at which it returned, or [`NEVER`].
    pub returned: u64,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug)]
pub enum What<'h> {
    /// An operation on this key, and what it returned.
    Call(&'h Call, Option<&'h Reply>),
    /// A Scan showed this value and version.
    Shown(&'h [u8], u64),
    /// A Scan did not show the key, and would have if it had been there.
    NotShown,
    /// A Scan returned what is no range of keys at all.
    Disorder,
}

/// What happened to one key: first what returned, then what did not, each by invocation.
#[derive(Clone, Debug, Default)]
pub struct Part<'h> {
    /// The key.
    pub key: &'h [u8],
    /// What happened to it. Reads that never returned are left out: they say nothing.
    pub ops: Vec<PartOp<'h>>,
}

impl<'h> Part<'h> {
    /// Puts the operations in their order.
    pub(super) fn sort(&mut self) {
        let place = |op: &PartOp<'_>| (op.returned == NEVER, op.invoked);
        if !self.ops.is_sorted_by_key(place) {
            self.ops.sort_by_key(place);
        }
    }

    /// The same as it was known after the event of this number.
    pub(super) fn until(&self, last: u64) -> Part<'h> {
        let begun = self.ops.iter().filter(|op| op.invoked <= last).cloned();
        let ops = begun.filter_map(|op| if op.returned > last { op.forgotten() } else { Some(op) });
        let mut part = Part { key: self.key, ops: ops.collect() };
        part.sort();
        part
    }

    /// The same if nobody knew what became of some.
    pub(super) fn without(&self, forget: impl Fn(&PartOp<'h>) -> bool) -> Part<'h> {
        let ops = self.ops.iter().cloned().filter_map(|op| if forget(&op) { op.forgotten() } else { Some(op) });
        let mut part = Part { key: self.key, ops: ops.collect() };
        part.sort();
        part
    }
}

impl<'h> PartOp<'h> {
    /// The same if nobody knew what became of it; nothing if it then says nothing.
    fn forgotten(self) -> Option<PartOp<'h>> {
        match self.what {
            What::Call(call, _) if writes(call) => {
                Some(PartOp { what: What::Call(call, None), returned: NEVER, ..self })
            }
            _ => None,
        }
    }
}

fn writes(call: &Call) -> bool {
    !matches!(call, Call::Get { .. } | Call::Scan { .. })
}

/// A history by keys.
pub struct Parts<'h> {
    history: &'h History,
    /// In the order in which they are first seen.
    keys: Vec<&'h [u8]>,
    /// The operations of all keys, and where those of each key begin.
    ops: Vec<u32>,
    starts: Vec<usize>,
    /// The keys in order, for Scans.
    sorted: Vec<u32>,
    /// For each key, Scans that cover it.
    scans: Vec<(u32, u32)>,
}

impl<'h> Parts<'h> {
    /// Takes a history apart.
    pub fn of(history: &'h History) -> Parts<'h> {
        let mut table = Table::default();
        let mut keys: Vec<&'h [u8]> = Vec::new();
        let mut find = |key: &'h [u8]| {
            let hash = of_bytes(key);
            table.find(hash, |id| keys[id as usize] == key).unwrap_or_else(|| {
                let id = keys.len() as u32;
                keys.push(key);
                table.insert(hash, id);
                id
            })
        };
        let mut of_key = Vec::with_capacity(history.operations.len());
        let mut has_scans = false;
        for operation in &history.operations {
            of_key.push(if says(operation) { find(operation.call.key()) } else { u32::MAX });
            if let Outcome::Ok { reply: Reply::Entries { items, .. }, .. } = &operation.outcome {
                has_scans = true;
                items.iter().for_each(|(key, ..)| {
                    find(key);
                });
            }
        }
        let mut starts = vec![0; keys.len() + 1];
        of_key.iter().filter(|key| **key != u32::MAX).for_each(|key| starts[*key as usize + 1] += 1);
        (0..keys.len()).for_each(|key| starts[key + 1] += starts[key]);
        let mut ops = vec![0; starts[keys.len()]];
        let mut to = starts.clone();
        for (op, key) in of_key.iter().enumerate().filter(|(_, key)| **key != u32::MAX) {
            ops[to[*key as usize]] = op as u32;
            to[*key as usize] += 1;
        }
        let mut parts = Parts { history, keys, ops, starts, sorted: Vec::new(), scans: Vec::new() };
        if has_scans {
            parts.spread_scans();
        }
        parts
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing happened to any key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn spread_scans(&mut self) {
        self.sorted = (0..self.keys.len() as u32).collect();
        self.sorted.sort_by_key(|key| self.keys[*key as usize]);
        for (op, operation) in self.history.operations.iter().enumerate() {
            let (Call::Scan { prefix, .. }, Outcome::Ok { reply, .. }) = (&operation.call, &operation.outcome)
            else {
                continue;
            };
            let Reply::Entries { items, more, .. } = reply else { continue };
            if is_disorder(&operation.call, reply) {
                continue;
            }
            let last = items.last().map(|(key, ..)| &**key);
            let from = self.sorted.partition_point(|key| self.keys[*key as usize] < &**prefix);
            let covered = self.sorted[from..].iter().take_while(|key| {
                let key = self.keys[**key as usize];
                key.starts_with(prefix) && (!more || last.is_some_and(|last| key <= last))
            });
            self.scans.extend(covered.map(|key| (*key, op as u32)));
        }
        self.scans.sort_unstable();
    }

    /// What happened to the key of this number.
    pub fn fill(&self, key: usize, part: &mut Part<'h>) {
        part.key = self.keys[key];
        part.ops.clear();
        let history: &'h History = self.history;
        for op in &self.ops[self.starts[key]..self.starts[key + 1]] {
            let operation = &history.operations[*op as usize];
            let (reply, returned) = match &operation.outcome {
                Outcome::Ok { reply, at } => (Some(reply), at.nth),
                Outcome::Fail { .. } | Outcome::Unknown => (None, NEVER),
            };
            let what = match &operation.call {
                Call::Scan { .. } => What::Disorder,
                call => What::Call(call, reply),
            };
            part.ops.push(PartOp { id: OpId(*op as usize), what, invoked: operation.invoked.nth, returned });
        }
        let first = self.scans.partition_point(|(other, _)| (*other as usize) < key);
        for (_, op) in self.scans[first..].iter().take_while(|(other, _)| *other as usize == key) {
            let operation = &history.operations[*op as usize];
            let Outcome::Ok { reply: Reply::Entries { items, .. }, at } = &operation.outcome else { continue };
            let what = match items.binary_search_by_key(&part.key, |(key, ..)| key) {
                Ok(found) => What::Shown(&items[found].1, items[found].2),
                Err(_) => What::NotShown,
            };
            let (invoked, returned) = (operation.invoked.nth, at.nth);
            part.ops.push(PartOp { id: OpId(*op as usize), what, invoked, returned });
        }
        part.sort();
    }
}

/// Whether an operation says anything about the key that it names. A Scan does only if it makes no sense.
fn says(operation: &Operation) -> bool {
    match (&operation.outcome, &operation.call) {
        (Outcome::Fail { .. }, _) => false,
        (Outcome::Unknown, call) => writes(call),
        (Outcome::Ok { reply, .. }, call @ Call::Scan { .. }) => is_disorder(call, reply),
        (Outcome::Ok { .. }, _) => true,
    }
}

/// Whether a Scan returned what cannot be: keys out of order or of another prefix, or too many.
fn is_disorder(call: &Call, reply: &Reply) -> bool {
    let (Call::Scan { prefix, limit }, Reply::Entries { items, .. }) = (call, reply) else { return true };
    let in_order = items.is_sorted_by(|(one, ..), (other, ..)| one < other);
    let fit = items.iter().all(|(key, ..)| key.starts_with(prefix));
    !in_order || !fit || items.len() > *limit as usize
}
