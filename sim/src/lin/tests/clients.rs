//! Histories as clients of a store on a bad network see them: a quarter of what they ask for is never answered, and
//! half of that takes effect all the same, perhaps much later.

use super::{At, Call, Expect, History, OpId, Outcome, Reply};
use bytes::Bytes;

const CLIENTS: u64 = 8;
const KEYS: u64 = 3;
/// One in so many is never answered.
const UNKNOWN: u64 = 4;
/// One of those takes effect at a step with this chance.
const LATE: u64 = 60;

/// A value and its version.
type There = Option<(Bytes, u64)>;

enum Client {
    Idle,
    Asked(OpId, usize),
    Done(OpId, usize, Reply),
}

/// A history of so many operations, with numbers below a limit drawn from `below`.
pub fn history(below: &mut dyn FnMut(u64) -> u64, operations: usize) -> History {
    let mut history = History::new();
    let mut keys: [There; KEYS as usize] = Default::default();
    // What clients know of each key, and what may still take effect.
    let mut known: [There; KEYS as usize] = Default::default();
    let mut late: Vec<(OpId, usize)> = Vec::new();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::Idle).collect();
    let mut nth = 0;
    while history.operations.len() < operations {
        nth += 1;
        let at = At { nth, nanos: nth * 1000 };
        if !late.is_empty() && below(LATE) < late.len() as u64 {
            let (id, key) = late.swap_remove(below(late.len() as u64) as usize);
            carry_out(&mut keys[key], &history.operations[id.0].call);
        }
        let who = below(CLIENTS) as usize;
        clients[who] = match std::mem::replace(&mut clients[who], Client::Idle) {
            Client::Idle => {
                let key = below(KEYS) as usize;
                let id = history.invoke(who as u32, call(below, key, &known[key], nth), at);
                match below(UNKNOWN) {
                    0 if below(2) == 0 => {
                        late.push((id, key));
                        Client::Idle
                    }
                    0 => Client::Idle,
                    _ => Client::Asked(id, key),
                }
            }
            Client::Asked(id, key) => {
                let reply = carry_out(&mut keys[key], &history.operations[id.0].call);
                Client::Done(id, key, reply)
            }
            Client::Done(id, key, reply) => {
                if let Reply::Value { value, version } | Reply::CasFailed { value, version } = &reply {
                    known[key] = value.clone().map(|value| (value, *version));
                }
                history.ret(id, Outcome::Ok { reply, at });
                Client::Idle
            }
        };
    }
    history
}

fn call(below: &mut dyn FnMut(u64) -> u64, key: usize, known: &There, nth: u64) -> Call {
    let key = Bytes::from(format!("k{key}"));
    let value = Bytes::from(format!("{nth};"));
    match below(20) {
        0..=8 => Call::Get { key },
        9..=12 => Call::Append { key, value },
        13 | 14 => Call::Put { key, value },
        15 => Call::Delete { key },
        16 | 17 => {
            let expect = Expect::Value(known.as_ref().map(|(value, _)| value.clone()));
            Call::Cas { key, expect, value }
        }
        _ => {
            let expect = Expect::Version(known.as_ref().map_or(0, |(_, version)| *version));
            Call::Cas { key, expect, value }
        }
    }
}

/// What a key becomes, and what is said of it.
fn carry_out(there: &mut There, call: &Call) -> Reply {
    let (value, version) = there.clone().map_or((None, 0), |(value, version)| (Some(value), version));
    let mut write = |value: Bytes| {
        *there = Some((value, version + 1));
        Reply::Written { version: version + 1 }
    };
    match call {
        Call::Put { value, .. } => write(value.clone()),
        Call::Append { value: more, .. } => write([value.unwrap_or_default(), more.clone()].concat().into()),
        Call::Cas { expect: Expect::Value(expect), value: new, .. } if *expect == value => write(new.clone()),
        Call::Cas { expect: Expect::Version(expect), value: new, .. } if *expect == version => write(new.clone()),
        Call::Cas { .. } => Reply::CasFailed { value, version },
        Call::Delete { .. } => Reply::Deleted { existed: there.take().is_some() },
        Call::Get { .. } | Call::Scan { .. } => Reply::Value { value, version },
    }
}
