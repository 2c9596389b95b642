//! Random histories: linearizable since they were made so, or broken in one place.

use super::naive::execute;
use crate::history::{At, Call, Expect, History, OpId, Outcome, Reply};
use crate::lin::table::mix;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A stream of numbers, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below this.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        mix(mix(self.0)) % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len() as u64) as usize]
    }
}

/// What kind of history.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many operations.
    pub operations: u64,
    /// How far an operation's interval extends to each side, in operations.
    pub spread: u64,
    /// One in so many has no known outcome.
    pub unknown: u64,
    /// How many keys.
    pub keys: u64,
    /// Which calls: letters of get, put, append, delete, cas on value, cas on version (`v`), in any number.
    pub calls: &'static str,
    /// Whether versions are told.
    pub versions: bool,
    /// Whether each value is written once.
    pub unique: bool,
    /// Otherwise, what is written.
    pub words: &'static [&'static str],
}

/// A history in which each operation was carried out at an instant within its interval.
pub fn linearizable(dice: &mut Dice, shape: Shape) -> History {
    let mut store = BTreeMap::new();
    let mut events = Vec::new();
    for nth in 0..shape.operations {
        let call = call(dice, shape, nth);
        let unknown = dice.one_in(shape.unknown);
        // One of unknown outcome may never have happened.
        let reply = if unknown && dice.one_in(2) { None } else { Some(execute(&mut store, &call)) };
        let now = (nth + shape.spread) * 1000;
        let invoked = now - dice.below(shape.spread * 1000);
        let returned = (!unknown).then(|| now + 1 + dice.below(shape.spread * 1000));
        events.push((invoked, nth, Some(call), reply.clone()));
        events.extend(returned.map(|at| (at, nth, None, reply)));
    }
    events.sort_by_key(|(at, nth, ..)| (*at, *nth));
    let mut history = History::new();
    let mut ids = BTreeMap::new();
    for (number, (_, nth, call, reply)) in (1..).zip(events) {
        let at = At { nth: number, nanos: number * 10 };
        match call {
            Some(call) => {
                ids.insert(nth, history.invoke(nth as u32, call, at));
            }
            None => {
                let reply = reply.expect("what returned was carried out");
                let reply = if shape.versions { reply } else { without_version(reply) };
                history.ret(ids[&nth], Outcome::Ok { reply, at });
            }
        }
    }
    history
}

fn call(dice: &mut Dice, shape: Shape, nth: u64) -> Call {
    let key = Bytes::from(format!("k{}", dice.below(shape.keys)));
    let some = |dice: &mut Dice| match shape.unique {
        true => Bytes::from(format!("{};", dice.below(nth + 1))),
        false => Bytes::from_static(dice.pick(shape.words).as_bytes()),
    };
    let new = |dice: &mut Dice| if shape.unique { Bytes::from(format!("{nth};")) } else { some(dice) };
    match dice.pick(shape.calls.as_bytes()) {
        b'g' => Call::Get { key },
        b'p' => Call::Put { key, value: new(dice) },
        b'a' => Call::Append { key, value: new(dice) },
        b'd' => Call::Delete { key },
        b'c' => {
            let expect = if dice.one_in(4) { None } else { Some(some(dice)) };
            Call::Cas { key, expect: Expect::Value(expect), value: new(dice) }
        }
        _ => Call::Cas { key, expect: Expect::Version(dice.below(4)), value: new(dice) },
    }
}

fn without_version(reply: Reply) -> Reply {
    match reply {
        Reply::Value { value, .. } => Reply::Value { value, version: 0 },
        Reply::Written { .. } => Reply::Written { version: 0 },
        Reply::CasFailed { value, .. } => Reply::CasFailed { value, version: 0 },
        other => other,
    }
}

/// Changes what one operation returned, or when.
pub fn break_one(dice: &mut Dice, history: &mut History) {
    let count = history.operations.len() as u64;
    let id = OpId(dice.below(count) as usize);
    let other = OpId(dice.below(count) as usize);
    let others = history.operations[other.0].outcome.clone();
    let operation = &mut history.operations[id.0];
    let Outcome::Ok { reply, at } = &mut operation.outcome else { return };
    if dice.one_in(4) {
        // It was over sooner than it was.
        at.nth = operation.invoked.nth.max(at.nth / 2);
        return;
    }
    match (reply, others) {
        (Reply::Value { value, version }, Outcome::Ok { reply: Reply::Value { value: seen, version: of }, .. })
        | (
            Reply::CasFailed { value, version },
            Outcome::Ok { reply: Reply::CasFailed { value: seen, version: of }, .. },
        ) => (*value, *version) = (seen, of),
        (Reply::Value { value, version }, _) => (*value, *version) = (None, 0),
        (Reply::Written { version }, Outcome::Ok { reply: Reply::Written { version: of }, .. }) => *version = of,
        (Reply::Deleted { existed }, _) => *existed = !*existed,
        _ => {}
    }
}
