//! A checker that knows no trick at all: it tries every order.

use crate::history::{Call, Expect, History, Key, Outcome, Reply, Value};
use std::collections::BTreeMap;

type Store = BTreeMap<Key, (Value, u64)>;

/// Whether there is an order.
pub fn is_linearizable(history: &History) -> bool {
    let all: Vec<usize> = (0..history.operations.len())
        .filter(|op| !matches!(history.operations[*op].outcome, Outcome::Fail { .. }))
        .collect();
    search(history, &all, &Store::new())
}

fn search(history: &History, left: &[usize], store: &Store) -> bool {
    let returned = |op: &usize| history.operations[*op].returned().map(|at| at.nth);
    if left.iter().all(|op| returned(op).is_none()) {
        return true;
    }
    let first_return = left.iter().filter_map(returned).min().expect("one did return");
    left.iter().enumerate().any(|(nth, op)| {
        let operation = &history.operations[*op];
        if operation.invoked.nth > first_return {
            return false;
        }
        let mut after = store.clone();
        let reply = execute(&mut after, &operation.call);
        let fits = match &operation.outcome {
            Outcome::Ok { reply: told, .. } => is_as_told(&reply, told),
            _ => true,
        };
        let rest = [&left[..nth], &left[nth + 1..]].concat();
        fits && search(history, &rest, &after)
    })
}

/// What a store does.
pub fn execute(store: &mut Store, call: &Call) -> Reply {
    let key = call.key();
    let there = store.get(key).cloned();
    let (value, version) = there.clone().map_or((None, 0), |(value, version)| (Some(value), version));
    let mut write = |value: Value| {
        store.insert(key.clone(), (value, version + 1));
        Reply::Written { version: version + 1 }
    };
    match call {
        Call::Get { .. } => Reply::Value { value, version },
        Call::Put { value, .. } => write(value.clone()),
        Call::Append { value: more, .. } => write([value.unwrap_or_default(), more.clone()].concat().into()),
        Call::Delete { .. } => Reply::Deleted { existed: store.remove(key).is_some() },
        Call::Cas { expect, value: new, .. } => {
            let fits = match expect {
                Expect::Value(expect) => *expect == value,
                Expect::Version(expect) => *expect == version,
            };
            if fits { write(new.clone()) } else { Reply::CasFailed { value, version } }
        }
        Call::Scan { prefix, limit } => {
            let all: Vec<_> = store.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
            let more = all.len() > *limit as usize;
            let items = all.into_iter().take(*limit as usize);
            let items = items.map(|(key, (value, version))| (key.clone(), value.clone(), *version)).collect();
            Reply::Entries { items, more, index: 0 }
        }
    }
}

fn is_as_told(reply: &Reply, told: &Reply) -> bool {
    let versions = |there: u64, told: u64| told == 0 || there == told;
    match (reply, told) {
        (Reply::Value { value, version }, Reply::Value { value: told, version: of }) => {
            value == told && versions(*version, *of)
        }
        (Reply::CasFailed { value, version }, Reply::CasFailed { value: told, version: of }) => {
            value == told && versions(*version, *of)
        }
        (Reply::Written { version }, Reply::Written { version: told }) => versions(*version, *told),
        (reply, told) => reply == told,
    }
}
