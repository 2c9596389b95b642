//! The map against a naive one, and its snapshots against itself.

use super::machine::Kv;
use super::operation::{Answer, Command, Expect, MAX_KEY, MAX_SCAN, MAX_SCAN_BYTES, MAX_VALUE, Query, Reply};
#[cfg(feature = "zoo")]
use crate::rsm::bugs::Bug;
use crate::rsm::config::Config;
use crate::rsm::machine::StateMachine;
use crate::rsm::replica::{LogCommand, Replica};
use crate::rsm::sessions::{Outcome, SessionId};
use bytes::Bytes;
use labrpc::{Index, Rng};
use std::collections::BTreeMap;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn random(rng: &mut Rng) -> Command {
    let key = bytes(rng.pick::<&str>(&["a", "b", "c", "d"]));
    let value = bytes(rng.pick::<&str>(&["", "x", "yz", "\0"]));
    match rng.below(5) {
        0 => Command::Put { key, value },
        1 | 2 => Command::Append { key, value },
        3 => Command::Delete { key },
        _ if rng.chance(500_000) => Command::Cas { key, expect: Expect::Version(rng.below(3)), value },
        _ => {
            let expected = rng.chance(700_000).then(|| bytes(rng.pick::<&str>(&["", "x", "yz"])));
            Command::Cas { key, expect: Expect::Value(expected), value }
        }
    }
}

/// What the definitions say, word by word.
fn naive(map: &mut BTreeMap<Bytes, (Bytes, u64)>, command: &Command) -> Reply {
    let (value, version) = match map.get(command.key()) {
        Some((value, version)) => (Some(value.clone()), *version),
        None => (None, 0),
    };
    let mut write = |value: Bytes| {
        map.insert(command.key().clone(), (value, version + 1));
        Reply::Written { version: version + 1 }
    };
    match command {
        Command::Put { value, .. } => write(value.clone()),
        Command::Append { value: more, .. } => write([&value.unwrap_or_default()[..], more].concat().into()),
        Command::Delete { key } => Reply::Deleted { existed: map.remove(key).is_some() },
        Command::Cas { expect: Expect::Value(expected), value: new, .. } if *expected == value => {
            write(new.clone())
        }
        Command::Cas { expect: Expect::Version(expected), value: new, .. } if *expected == version => {
            write(new.clone())
        }
        Command::Cas { .. } => Reply::CasFailed { value, version },
    }
}

#[test]
fn it_does_what_the_definitions_say() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed, "commands");
        let (mut kv, mut reference) = (Kv::default(), BTreeMap::new());
        for index in 1..100 {
            let command = random(&mut rng);
            assert_eq!(kv.apply(Index(index), &command), naive(&mut reference, &command), "{command:?}");
            let entries: Vec<_> = kv.iter().map(|(key, value, version)| (key.clone(), value, version)).collect();
            let expected: Vec<_> =
                reference.iter().map(|(key, (value, version))| (key.clone(), &**value, *version)).collect();
            assert_eq!(entries, expected);
        }
    }
}

#[test]
fn equal_maps_have_equal_digests_however_they_came_to_be() {
    let digest = |commands: &[Command]| {
        let mut kv = Kv::default();
        commands.iter().for_each(|command| _ = kv.apply(Index(1), command));
        kv.digest()
    };
    let put = |key, value| Command::Put { key: bytes(key), value: bytes(value) };
    let append = |key, value| Command::Append { key: bytes(key), value: bytes(value) };
    assert_eq!(digest(&[put("a", "1"), put("b", "2")]), digest(&[put("b", "2"), put("a", "1")]));
    assert_eq!(digest(&[put("a", "1"), append("a", "2")]), digest(&[put("a", ""), put("a", "12")]));
    assert_eq!(digest(&[put("a", "1"), Command::Delete { key: bytes("a") }]), Kv::default().digest());
    assert_ne!(digest(&[put("a", "1"), put("a", "12")]), digest(&[put("a", "12")]), "the version counts");
    assert_ne!(digest(&[put("a", "b")]), digest(&[put("b", "a")]));
}

#[test]
fn a_state_from_a_snapshot_goes_on_as_the_one_it_was_made_of() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed, "snapshots");
        let config = Config { max_sessions: 3, ..Config::default() };
        let mut replica = Replica::<Kv>::new(config, ());
        let cut = rng.within(1..=60);
        let mut restored = None;
        let mut ids = vec![SessionId(0)];
        for index in (1..=90).map(Index) {
            let entry = match rng.below(8) {
                0 => LogCommand::Register { room: config.max_sessions },
                1 => LogCommand::Mark,
                _ => {
                    let (session, seq) = (*rng.pick(&ids), rng.within(1..=4));
                    LogCommand::Operate { session, seq, command: random(&mut rng) }
                }
            };
            let entry = labgob::encode(&entry).unwrap();
            let outcome = replica.apply(index, &entry);
            if let Outcome::Registered(id) = outcome {
                ids.push(id);
            }
            if let Some(restored) = &mut restored {
                let restored: &mut Replica<Kv> = restored;
                assert_eq!(restored.apply(index, &entry), outcome);
                assert_eq!(restored.digest(), replica.digest());
                assert_eq!(restored.snapshot(), replica.snapshot());
            }
            if index.0 == cut {
                restored = Some(Replica::restore(config, (), index, &replica.snapshot()).unwrap());
            }
        }
    }
}

#[test]
fn a_duplicate_changes_nothing_and_repeats_the_reply() {
    let mut replica = Replica::<Kv>::new(Config::default(), ());
    let entry = |entry: LogCommand<Command>| labgob::encode(&entry).unwrap();
    replica.apply(Index(1), &entry(LogCommand::Register { room: 9 }));
    let append = entry(LogCommand::Operate {
        session: SessionId(1),
        seq: 1,
        command: Command::Append { key: bytes("a"), value: bytes("x") },
    });
    let first = replica.apply(Index(2), &append);
    assert_eq!(first, Outcome::Done(Index(2), Reply::Written { version: 1 }));
    let digest = replica.digest();
    assert_eq!((replica.apply(Index(3), &append), replica.digest()), (first, digest));
    assert_eq!(replica.machine().get(b"a"), (Some(&b"x"[..]), 1));
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut replica = Replica::<Kv>::new(Config::default(), ());
    let register = labgob::encode(&LogCommand::<Command>::Register { room: 9 }).unwrap();
    replica.apply(Index(1), &register);
    let whole = replica.snapshot();
    assert!(Replica::<Kv>::restore(Config::default(), (), Index(1), &whole).is_ok());
    for length in 0..whole.len() {
        let cut = Replica::<Kv>::restore(Config::default(), (), Index(1), &whole[..length]);
        assert!(cut.is_err(), "{length} bytes of {}", whole.len());
    }
    let other_version = [&[9], &whole[1..]].concat();
    assert!(Replica::<Kv>::restore(Config::default(), (), Index(1), &other_version).is_err());
}

#[test]
fn a_scan_is_ordered_and_bounded_and_says_if_there_is_more() {
    let mut kv = Kv::default();
    for number in 0..MAX_SCAN + 1 {
        kv.apply(Index(1), &Command::Put { key: bytes(&format!("k{number:04}")), value: bytes("") });
    }
    let scan = |kv: &Kv, prefix, limit| match kv.query(&Query::Scan { prefix: bytes(prefix), limit }) {
        Answer::Entries { items, more } => (items, more),
        other => panic!("{other:?}"),
    };
    let (items, more) = scan(&kv, "k", u64::MAX);
    assert!(items.len() as u64 == MAX_SCAN && more && items.is_sorted());
    let (items, more) = scan(&kv, "k000", 10);
    assert!(items.len() == 10 && !more, "the next key has another prefix");
    assert_eq!(scan(&kv, "k", 0), (vec![], true));
    assert_eq!(scan(&kv, "x", 9), (vec![], false));

    for number in 0..8 {
        kv.apply(Index(1), &Command::Put { key: bytes(&format!("l{number}")), value: vec![0; MAX_VALUE].into() });
    }
    let (items, more) = scan(&kv, "l", 100);
    assert!(more && items.len() == MAX_SCAN_BYTES / MAX_VALUE);
}

#[test]
fn sizes_are_checked_to_the_byte() {
    let put = |key: usize, value: usize| Command::Put { key: vec![0; key].into(), value: vec![0; value].into() };
    assert!(put(MAX_KEY, MAX_VALUE).check().is_ok());
    assert!(put(MAX_KEY + 1, 0).check().is_err() && put(0, MAX_VALUE + 1).check().is_err());
    let mut kv = Kv::default();
    kv.apply(Index(1), &put(1, MAX_VALUE));
    let (before, append) = (kv.clone(), Command::Append { key: vec![0].into(), value: bytes("x") });
    assert!(matches!(kv.apply(Index(2), &append), Reply::TooLarge(_)));
    assert_eq!(kv, before);
}

#[cfg(feature = "zoo")]
/// What a retry of an append does. Entries: a session, the append, `between` others of another session, then the
/// append again, all of it across a snapshot if asked for.
fn retried(bug: Option<Bug>, between: u64, across_snapshot: bool) -> (Outcome<Reply>, Vec<u8>) {
    let config = Config { bug, ..Config::default() };
    let mut replica = Replica::<Kv>::new(config, ());
    let mut index = Index(0);
    let mut apply = |replica: &mut Replica<Kv>, entry: LogCommand<Command>| {
        index = index.next();
        replica.apply(index, &labgob::encode(&entry).unwrap())
    };
    let operate = |session, seq, command| LogCommand::Operate { session: SessionId(session), seq, command };
    let append = || operate(1, 1, Command::Append { key: bytes("a"), value: bytes("x") });
    apply(&mut replica, LogCommand::Register { room: 9 });
    apply(&mut replica, LogCommand::Register { room: 9 });
    apply(&mut replica, append());
    for seq in 1..=between {
        apply(&mut replica, operate(2, seq, Command::Put { key: bytes("b"), value: bytes("") }));
    }
    if across_snapshot {
        replica = Replica::restore(config, (), Index(3 + between), &replica.snapshot()).unwrap();
    }
    let outcome = apply(&mut replica, append());
    let value = replica.machine().get(b"a").0.unwrap().to_vec();
    (outcome, value)
}

#[test]
#[cfg(feature = "zoo")]
fn each_planted_bug_of_sessions_executes_a_retry_again_where_it_says() {
    let (right, once, twice) = (Outcome::Done(Index(3), Reply::Written { version: 1 }), b"x", b"xx");
    for (between, across) in [(0, false), (0, true), (20, false), (20, true)] {
        assert_eq!(retried(None, between, across), (right.clone(), once.to_vec()));
    }
    let shows = |bug, between, across| retried(Some(bug), between, across).1 == twice;
    assert!(shows(Bug::NoDedup, 0, false));
    assert!(shows(Bug::DedupOnlyAtSubmit, 0, false));
    assert!(shows(Bug::DedupNotInSnapshot, 0, true) && !shows(Bug::DedupNotInSnapshot, 20, false));
    assert!(shows(Bug::DedupWindowTooSmall, 20, false) && !shows(Bug::DedupWindowTooSmall, 5, true));
}

#[test]
#[cfg(feature = "zoo")]
fn a_duplicate_that_loses_its_reply_tells_of_a_state_that_never_was() {
    let config = Config { bug: Some(Bug::DedupLosesReply), ..Config::default() };
    let mut replica = Replica::<Kv>::new(config, ());
    let mut apply = |index, entry: LogCommand<Command>| {
        replica.apply(Index(index), &labgob::encode(&entry).unwrap());
        replica.recall(SessionId(1), 2, &Command::Delete { key: bytes("a") }, true)
    };
    let command = Command::Put { key: bytes("a"), value: bytes("x") };
    let put = |seq| LogCommand::Operate { session: SessionId(1), seq, command: command.clone() };
    apply(1, LogCommand::Register { room: 9 });
    apply(2, put(1));
    assert_eq!(apply(3, put(2)), Some(Outcome::Done(Index(3), Reply::Written { version: 2 })));
    let again = replica.apply(Index(4), &labgob::encode(&put(2)).unwrap());
    assert_eq!(again, Outcome::Done(Index(4), Reply::Written { version: 1 }));
}
