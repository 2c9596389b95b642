//! The checker, judged by one that tries everything.

mod clients;
mod naive;
mod random;

use super::{Kv, Limits, Part, Parts, Register, Search, Searched, Spec, Verdict, Window, check};
use crate::history::{At, Call, Expect, History, OpId, Outcome, Reply};
use bytes::Bytes;
use random::{Dice, Shape, break_one, linearizable};

/// For those who read why a test failed.
fn lines(history: &History) -> String {
    let line = |op: &crate::history::Operation| {
        let returned = op.returned().map_or("..".into(), |at| at.nth.to_string());
        format!("{}-{returned} {:?} {:?}\n", op.invoked.nth, op.call, op.outcome)
    };
    history.operations.iter().map(line).collect()
}

const SMALL: Shape = Shape {
    operations: 7,
    spread: 3,
    unknown: 5,
    keys: 1,
    calls: "gpadcv",
    versions: true,
    unique: false,
    words: &["a", "b"],
};

/// Values that can be taken apart in several ways.
const AMBIGUOUS: &[&str] = &["a", "b", "ab", "ba", "aba", "bab"];

/// Compares with the naive checker, on histories as they were made and broken in one place. How many were violated.
fn compare<S: Spec>(spec: &S, shape: Shape, cases: u64) -> u64 {
    let mut violated = 0;
    for seed in 0..cases {
        let dice = &mut Dice(seed << 20);
        let mut history = linearizable(dice, shape);
        let verdict = check(&history, spec, Limits::default());
        assert!(verdict.is_ok(), "{shape:?}, seed {seed}: {verdict}\n{}", lines(&history));
        assert!(is_ok_blurred(&history, spec), "{shape:?}, seed {seed}\n{}", lines(&history));
        break_one(dice, &mut history);
        let expected = naive::is_linearizable(&history);
        let verdict = check(&history, spec, Limits::default());
        assert_eq!(verdict.is_ok(), expected, "{shape:?}, broken seed {seed}: {verdict}\n{}", lines(&history));
        assert_eq!(is_ok_blurred(&history, spec), expected, "{shape:?}, seed {seed}\n{}", lines(&history));
        if let Verdict::Violated(window) = verdict {
            violated += 1;
            judge_window(&history, &window);
        }
    }
    violated
}

/// The same as if each search had turned out to be hard.
fn is_ok_blurred<S: Spec>(history: &History, spec: &S) -> bool {
    let (parts, mut part) = (Parts::of(history), Part::default());
    (0..parts.len()).all(|key| {
        parts.fill(key, &mut part);
        let (mut model, ops) = spec.model(&part, true);
        matches!(Search::default().run(&mut model, &ops, usize::MAX), Searched::Order(_))
    })
}

/// What a window says is true: without what any of its operations returned there is an order, and with them all there
/// is none, whatever else happened.
fn judge_window(history: &History, window: &Window) {
    let forget = |keep: &dyn Fn(usize) -> bool| {
        let mut less = history.clone();
        less.operations.retain(|op| *op.call.key() == window.key && op.invoked <= window.to);
        for (nth, op) in history.operations.iter().enumerate() {
            let place = less.operations.iter().position(|other| other.invoked == op.invoked);
            if let Some(place) = place
                && !keep(nth)
            {
                less.operations[place].outcome = Outcome::Unknown;
            }
        }
        naive::is_linearizable(&less)
    };
    let in_conflict = |nth: usize| window.conflict.iter().any(|id| id.0 == nth);
    assert!(!forget(&in_conflict), "{window:?}\n{}", lines(history));
    for one in &window.conflict {
        assert!(
            forget(&|nth| in_conflict(nth) && nth != one.0),
            "{one:?} is not needed: {window:?}\n{}",
            lines(history)
        );
    }
    assert!(window.conflict.contains(&window.breaks) && window.from.nth <= window.to.nth);
}

#[test]
fn key_value_histories_are_judged_as_by_trying_everything() {
    let mut violated = 0;
    for versions in [true, false] {
        for unique in [true, false] {
            violated += compare(&Kv, Shape { versions, unique, ..SMALL }, 1500);
            violated += compare(&Kv, Shape { versions, unique, calls: "gggap", ..SMALL }, 700);
            violated += compare(&Kv, Shape { versions, unique, calls: "gaac", ..SMALL }, 700);
        }
    }
    assert!(violated > 1200, "only {violated} of the broken histories were violated");
}

#[test]
fn keys_that_are_only_appended_to_are_judged_as_by_trying_everything() {
    let mut violated = 0;
    for versions in [true, false] {
        for unique in [true, false] {
            violated += compare(&Kv, Shape { versions, unique, calls: "ga", ..SMALL }, 1500);
        }
    }
    assert!(violated > 600, "only {violated} of the broken histories were violated");
}

#[test]
fn registers_are_judged_as_by_trying_everything() {
    let shape = Shape { calls: "gggppc", versions: false, ..SMALL };
    let violated = compare(&Register, shape, 3000) + compare(&Register, Shape { unique: true, ..shape }, 1500);
    assert!(violated > 250, "only {violated} of the broken histories were violated");
}

#[test]
fn several_keys_are_judged_as_by_trying_everything() {
    let violated = compare(&Kv, Shape { keys: 2, ..SMALL }, 1500);
    assert!(violated > 150, "only {violated} of the broken histories were violated");
}

#[test]
fn histories_of_mostly_unknown_outcomes_are_judged_as_by_trying_everything() {
    let mut violated = 0;
    for versions in [true, false] {
        let shape = Shape { unknown: 2, calls: "ggpacd", versions, ..SMALL };
        violated += compare(&Kv, shape, 1500) + compare(&Kv, Shape { spread: 1, ..shape }, 700);
    }
    violated += compare(&Register, Shape { unknown: 2, calls: "ggpc", versions: false, ..SMALL }, 1500);
    assert!(violated > 200, "only {violated} of the broken histories were violated");
}

/// The order that was found is one.
#[test]
fn orders_that_are_found_tell_every_client_what_it_was_told() {
    for seed in 0..40 {
        let shape = Shape { operations: 200, spread: 6, unknown: 12, keys: 1, ..SMALL };
        let history = linearizable(&mut Dice(seed << 30), shape);
        let (parts, mut part) = (Parts::of(&history), Part::default());
        parts.fill(0, &mut part);
        let (mut model, ops) = Kv.model(&part, seed % 2 == 0);
        let Searched::Order(order) = Search::default().run(&mut model, &ops, usize::MAX) else {
            panic!("there is an order")
        };
        let mut in_order = History::new();
        for (nth, op) in (0..).zip(order) {
            let mut operation = history.operations[part.ops[op].id.0].clone();
            operation.invoked.nth = 2 * nth;
            if let Outcome::Ok { at, .. } = &mut operation.outcome {
                at.nth = 2 * nth + 1;
            }
            in_order.operations.push(operation);
        }
        assert!(in_order_is_right(&in_order));
    }
}

/// Whether every operation, one after the other, returned what it must have.
fn in_order_is_right(history: &History) -> bool {
    let mut store = std::collections::BTreeMap::new();
    history.operations.iter().all(|operation| {
        let reply = naive::execute(&mut store, &operation.call);
        operation.returned().is_none()
            || matches!(&operation.outcome, Outcome::Ok { reply: told, .. } if *told == reply)
    })
}

/// Larger ones are decided without much memory, whether they hold or not.
#[test]
fn long_histories_with_many_unknown_outcomes_are_decided() {
    for (calls, versions) in
        [("gpadc", true), ("gpadcv", true), ("gpacv", true), ("ga", true), ("ga", false), ("ggp", false)]
    {
        for seed in 0..6 {
            let shape = Shape { operations: 600, spread: 8, unknown: 10, calls, versions, unique: true, ..SMALL };
            let dice = &mut Dice(seed << 30);
            let mut history = linearizable(dice, shape);
            let limits = Limits { memory: 16 << 20 };
            let verdict = check(&history, &Kv, limits);
            assert!(verdict.is_ok(), "{shape:?}, seed {seed}: {verdict}");
            (0..3).for_each(|_| break_one(dice, &mut history));
            let verdict = check(&history, &Kv, limits);
            assert!(!matches!(verdict, Verdict::Unknown(_)), "{shape:?}, broken seed {seed}: {verdict}");
        }
    }
}

/// Here what is known before the search rules out most: where what was seen can be taken apart in one way, by whom it
/// was written is often certain.
#[test]
fn what_is_known_of_unknown_outcomes_before_the_search_is_true() {
    let mut violated = 0;
    for versions in [true, false] {
        for unique in [true, false] {
            let shape = Shape { unknown: 3, spread: 2, versions, unique, words: AMBIGUOUS, ..SMALL };
            for calls in ["gpadcv", "gggaadp", "ggapdc"] {
                violated += compare(&Kv, Shape { calls, ..shape }, 700);
            }
            violated += compare(&Kv, Shape { calls: "ggaapd", operations: 6, unknown: 6, ..shape }, 700);
        }
    }
    assert!(violated > 400, "only {violated} of the broken histories were violated");
}

/// As long ones, of many clients, with a quarter of all outcomes unknown.
#[test]
fn histories_of_clients_that_are_often_not_answered_are_decided() {
    let mut violated = 0;
    for seed in 0..20 {
        let dice = &mut Dice(seed << 30);
        let mut history = clients::history(&mut |limit| dice.below(limit), 300);
        let limits = Limits { memory: 16 << 20 };
        let verdict = check(&history, &Kv, limits);
        assert!(verdict.is_ok(), "seed {seed}: {verdict}");
        (0..3).for_each(|_| break_one(dice, &mut history));
        let verdict = check(&history, &Kv, limits);
        assert!(!matches!(verdict, Verdict::Unknown(_)), "broken seed {seed}: {verdict}");
        violated += u64::from(!verdict.is_ok());
    }
    assert!(violated > 4, "only {violated} of the broken histories were violated");
}

fn at(nth: u64) -> At {
    At { nth, nanos: nth }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(value: &'static str) -> Call {
    Call::Put { key: bytes("x"), value: bytes(value) }
}

fn is(value: Option<&'static str>, version: u64) -> Reply {
    Reply::Value { value: value.map(bytes), version }
}

/// One operation after the other.
fn sequence(operations: Vec<(Call, Option<Reply>)>) -> History {
    let mut history = History::new();
    for (nth, (call, reply)) in (0..).zip(operations) {
        let id = history.invoke(nth as u32, call, at(2 * nth));
        if let Some(reply) = reply {
            history.ret(id, Outcome::Ok { reply, at: at(2 * nth + 1) });
        }
    }
    history
}

fn verdict(operations: Vec<(Call, Option<Reply>)>) -> Verdict {
    check(&sequence(operations), &Kv, Limits::default())
}

#[test]
fn a_write_of_unknown_outcome_may_happen_much_later_or_never_but_not_twice() {
    let get = || Call::Get { key: bytes("x") };
    let unknown = (put("1"), None);
    let written = || Some(Reply::Written { version: 0 });
    let two = (put("2"), written());
    let read = |value| (get(), Some(is(Some(value), 0)));
    assert!(verdict(vec![unknown.clone(), two.clone(), read("2"), read("2")]).is_ok());
    assert!(verdict(vec![unknown.clone(), two.clone(), read("2"), read("1"), read("1")]).is_ok());
    assert!(!verdict(vec![unknown.clone(), two.clone(), read("1"), read("2")]).is_ok());
    let twice = vec![unknown, read("1"), two, read("2"), read("1")];
    assert!(!verdict(twice).is_ok());
}

#[test]
fn a_version_that_nobody_made_is_the_work_of_one_of_unknown_outcome() {
    let append = |value| Call::Append { key: bytes("x"), value: bytes(value) };
    let written = |version| Some(Reply::Written { version });
    let unknown = (append("?"), None);
    assert!(verdict(vec![unknown.clone(), (append("a"), written(2))]).is_ok());
    assert!(!verdict(vec![(append("a"), written(2)), unknown.clone()]).is_ok());
    assert!(!verdict(vec![unknown, (append("a"), written(3))]).is_ok());
}

#[test]
fn a_compare_and_set_that_fails_shows_what_was_there() {
    let cas = |expect| Call::Cas { key: bytes("x"), expect, value: bytes("9") };
    let failed = |value: Option<&'static str>, version| Some(Reply::CasFailed { value: value.map(bytes), version });
    let one = (put("1"), Some(Reply::Written { version: 1 }));
    assert!(verdict(vec![one.clone(), (cas(Expect::Version(2)), failed(Some("1"), 1))]).is_ok());
    assert!(!verdict(vec![one.clone(), (cas(Expect::Version(2)), failed(Some("2"), 1))]).is_ok());
    let wrongly = cas(Expect::Value(Some(bytes("1"))));
    assert!(!verdict(vec![one.clone(), (wrongly, failed(Some("1"), 1))]).is_ok());
    assert!(!verdict(vec![one, (cas(Expect::Version(1)), failed(Some("1"), 1))]).is_ok());
}

#[test]
fn a_scan_reads_each_key_of_its_range() {
    let key = |name: &'static str, value: &'static str| {
        (Call::Put { key: bytes(name), value: bytes(value) }, Some(Reply::Written { version: 1 }))
    };
    let scan = |limit, items: &[(&'static str, &'static str)], more| {
        let items = items.iter().map(|(key, value)| (bytes(key), bytes(value), 1)).collect();
        (Call::Scan { prefix: bytes("a"), limit }, Some(Reply::Entries { items, more, index: 9 }))
    };
    let with = |last| verdict(vec![key("a1", "1"), key("a2", "2"), key("b1", "3"), last]);
    assert!(with(scan(9, &[("a1", "1"), ("a2", "2")], false)).is_ok());
    assert!(with(scan(1, &[("a1", "1")], true)).is_ok());
    assert!(!with(scan(9, &[("a1", "1")], false)).is_ok(), "a2 is missing");
    assert!(!with(scan(9, &[("a2", "2")], true)).is_ok(), "a1 is before what is shown");
    assert!(!with(scan(9, &[("a1", "1"), ("a2", "1")], false)).is_ok(), "a2 is something else");
    assert!(!with(scan(9, &[("a1", "1"), ("a2", "2"), ("a3", "2")], false)).is_ok(), "nobody wrote a3");
    assert!(!with(scan(9, &[("a2", "2"), ("a1", "1")], false)).is_ok(), "they are out of order");
    assert!(!with(scan(1, &[("a1", "1"), ("a2", "2")], false)).is_ok(), "there are too many");
}

#[test]
fn the_window_is_what_contradicts_and_no_more() {
    let get = || Call::Get { key: bytes("x") };
    let mut operations = Vec::new();
    for (nth, value) in (1..).zip(["1", "2", "3", "4"]) {
        operations.push((put(value), Some(Reply::Written { version: nth })));
        operations.push((get(), Some(is(Some(value), nth))));
    }
    operations.push((get(), Some(is(Some("3"), 3))));
    operations.push((get(), Some(is(Some("4"), 4))));
    let Verdict::Violated(window) = verdict(operations) else { panic!("it goes back") };
    assert_eq!((window.breaks.0, window.to.nth), (8, 17));
    assert_eq!(window.conflict.iter().map(|id| id.0).collect::<Vec<_>>(), [7, 8], "two reads suffice");
    assert_eq!(window.prefix.len(), 8);
}

#[test]
fn what_cannot_be_decided_in_the_memory_that_there_is_is_unknown() {
    let shape = Shape { operations: 400, spread: 40, versions: false, calls: "gpad", ..SMALL };
    let mut history = linearizable(&mut Dice(7), shape);
    let last = history.operations.len() as u64 * 3;
    let id = history.invoke(0, Call::Get { key: bytes("k0") }, at(last));
    history.ret(id, Outcome::Ok { reply: is(Some("never"), 0), at: at(last + 1) });
    let verdict = check(&history, &Kv, Limits { memory: 1 << 12 });
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict}");
}

/// At first both could create the key, to the same end; but the Put must be over before the Delete, and then only the
/// other one is left to create it again.
#[test]
fn one_that_must_be_over_soon_does_not_wait_for_one_that_can_do_less() {
    let mut history = History::new();
    let expect = Expect::Value(None);
    let cas = history.invoke(0, Call::Cas { key: bytes("x"), expect, value: bytes("1") }, at(0));
    for (nth, call, reply) in [
        (1, put("1"), Reply::Written { version: 0 }),
        (3, Call::Delete { key: bytes("x") }, Reply::Deleted { existed: true }),
        (5, Call::Get { key: bytes("x") }, is(Some("1"), 0)),
    ] {
        let id = history.invoke(1, call, at(nth));
        history.ret(id, Outcome::Ok { reply, at: at(nth + 1) });
    }
    history.ret(cas, Outcome::Ok { reply: Reply::Written { version: 0 }, at: at(7) });
    assert!(naive::is_linearizable(&history) && is_ok_blurred(&history, &Kv));
    assert!(check(&history, &Kv, Limits::default()).is_ok());
}
