//! What deciding a history costs. `cargo bench -p sim --bench lin`
//!
//! Half of the operations append a token that no other does, half read, each by one of several clients that always
//! have one operation open. Versions are not told, each reply has bytes of its own, and taking the history apart by
//! keys is part of what is measured. Before the timings each case says what it does.
//!
//! The last case is one for the search: all kinds of operations, and a quarter of them of unknown outcome.

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use sim::history::{At, Call, Expect, History, OpId, Outcome, Reply};
use sim::lin::{Kv, Limits, check};

#[path = "../src/lin/tests/clients.rs"]
mod clients;

const SEED: u64 = 1;

#[derive(Clone, Copy)]
struct Case {
    operations: usize,
    keys: usize,
    clients: usize,
}

const EASY: Case = Case { operations: 10_000, keys: 10, clients: 10 };
const MANY: Case = Case { operations: 1_000_000, keys: 1_000, clients: 10 };
const HOT: Case = Case { operations: 2_000, keys: 1, clients: 50 };

fn main() {
    divan::main();
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % limit as u64) as usize
    }
}

enum Client {
    Idle,
    Invoked(OpId, usize),
    Done(OpId, Reply),
}

/// Clients take steps in random order: invoke, be carried out, return.
fn history(case: Case) -> History {
    let mut dice = Dice(SEED);
    let keys: Vec<Bytes> = (0..case.keys).map(|key| format!("key-{key}").into()).collect();
    let mut values = vec![Vec::new(); case.keys];
    let mut clients: Vec<Client> = (0..case.clients).map(|_| Client::Idle).collect();
    let (mut history, mut nth) = (History::new(), 0);
    while history.operations.len() < case.operations {
        let client = dice.below(case.clients);
        let at = At { nth, nanos: nth * 1000 };
        nth += 1;
        clients[client] = match std::mem::replace(&mut clients[client], Client::Idle) {
            Client::Idle => {
                let key = dice.below(case.keys);
                let call = match dice.below(2) {
                    0 => Call::Get { key: keys[key].clone() },
                    _ => Call::Append { key: keys[key].clone(), value: format!("{client}.{nth};").into() },
                };
                Client::Invoked(history.invoke(client as u32, call, at), key)
            }
            Client::Invoked(id, key) => {
                let there: &mut Vec<u8> = &mut values[key];
                let reply = match &history.operations[id.0].call {
                    Call::Append { value, .. } => {
                        there.extend_from_slice(value);
                        Reply::Written { version: 0 }
                    }
                    _ => Reply::Value { value: (!there.is_empty()).then(|| there.clone().into()), version: 0 },
                };
                Client::Done(id, reply)
            }
            Client::Done(id, reply) => {
                history.ret(id, Outcome::Ok { reply, at });
                Client::Idle
            }
        };
    }
    history
}

fn measure(bencher: Bencher<'_, '_>, case: Case) {
    let history = history(case);
    let read: usize = history.operations.iter().map(read_bytes).sum();
    println!(
        "{} operations over {} keys by {} clients, seed {SEED}: {} appends, {} kB read",
        case.operations,
        case.keys,
        case.clients,
        history.operations.iter().filter(|operation| matches!(operation.call, Call::Append { .. })).count(),
        read / 1000
    );
    bencher.counter(ItemsCount::new(case.operations)).bench_local(|| {
        assert!(check(&history, &Kv, Limits::default()).is_ok());
    });
}

fn read_bytes(operation: &sim::history::Operation) -> usize {
    match &operation.outcome {
        Outcome::Ok { reply: Reply::Value { value: Some(value), .. }, .. } => value.len(),
        _ => 0,
    }
}

/// Items are operations.
#[divan::bench(sample_count = 50)]
fn ten_thousand_over_ten_keys(bencher: Bencher<'_, '_>) {
    measure(bencher, EASY);
}

/// Items are operations.
#[divan::bench(sample_count = 5)]
fn a_million_over_a_thousand_keys(bencher: Bencher<'_, '_>) {
    measure(bencher, MANY);
}

/// Items are operations.
#[divan::bench(sample_count = 50)]
fn fifty_clients_on_one_key(bencher: Bencher<'_, '_>) {
    measure(bencher, HOT);
}

/// Items are operations.
#[divan::bench(sample_count = 50)]
fn clients_that_are_often_not_answered(bencher: Bencher<'_, '_>) {
    const OPERATIONS: usize = 640;
    let mut dice = Dice(SEED);
    let history = clients::history(&mut |limit| dice.below(limit as usize) as u64, OPERATIONS);
    let unknown = history.operations.iter().filter(|operation| operation.returned().is_none()).count();
    println!("{OPERATIONS} operations over 3 keys by 8 clients, seed {SEED}: {unknown} of unknown outcome");
    bencher.counter(ItemsCount::new(OPERATIONS)).bench_local(|| {
        assert!(check(&history, &Kv, Limits::default()).is_ok());
    });
}
