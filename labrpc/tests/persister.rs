//! The persister on disks that lose, keep and tear what was not synced, and on disks that lie.

mod world;

use labrpc::persister::{Persister, PersisterBug, Refused, Saved, Saver, SnapshotId, read_snapshot};
use labrpc::sim::{Command, DiskWeather, Lab, NetWeather, Span, Spread};
use labrpc::{Env, Time};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{S1, booter, world};

/// What the test knows of a node that numbers its records.
#[derive(Default, Clone, Debug)]
struct Known {
    /// Records written so far, in all boots.
    written: u64,
    /// Up to here they were reported durable.
    durable: u64,
    /// Below this number they were dropped by a rewrite; the rewrite may or may not have been seen to return.
    dropped: (u64, u64),
    boots: u32,
    torn: u32,
    /// How often a boot was refused, and why.
    refused: Vec<String>,
}

type Shared = Arc<Mutex<Known>>;

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(record[..8].try_into().unwrap())
}

/// Records of very different sizes, so that frames cross sectors in every way.
fn record(n: u64) -> Vec<u8> {
    let mut record = n.to_le_bytes().to_vec();
    record.resize(8 + (n * 37 % 900) as usize, n as u8);
    record
}

/// Opens the log, holds what it finds against what is known, and goes on writing until the lights go out.
async fn write_for_ever(env: Env, known: Shared, bug: Option<PersisterBug>) {
    let (mut persister, records) = match Persister::open(env.disk(), "S1", bug).await {
        Ok(opened) => opened,
        Err(refused) => {
            known.lock().unwrap().refused.push(refused.to_string());
            return;
        }
    };
    let numbers: Vec<u64> = records.iter().map(number).collect();
    let mut next = {
        let mut known = known.lock().unwrap();
        known.boots += 1;
        let first = numbers.first().copied().unwrap_or(0);
        let end = numbers.last().map_or(0, |last| last + 1);
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a hole: {numbers:?}");
        assert!(records.iter().all(|bytes| bytes == record(number(bytes))), "a record is not what was written");
        assert!(first == known.dropped.0 || first == known.dropped.1, "begins with {first}: {known:?}");
        assert!(end >= known.durable, "durable records are gone: found {end}, {known:?}");
        assert!(end <= known.written, "records that nobody wrote");
        known.torn += u32::from(end < known.written);
        (known.written, known.durable, known.dropped) = (end, end, (first, first));
        end
    };
    let mut rng = env.rng("writer");
    loop {
        let batch: Vec<Vec<u8>> = (next..next + rng.within(1..=4)).map(record).collect();
        next += batch.len() as u64;
        known.lock().unwrap().written = next;
        persister.append(batch.iter().map(|record| &record[..])).await.expect("a healthy disk");
        persister.sync().await.expect("a healthy disk");
        known.lock().unwrap().durable = next;
        if next > 2 && rng.chance(200_000) {
            let kept: Vec<Vec<u8>> = (next - 2..next).map(record).collect();
            known.lock().unwrap().dropped.1 = next - 2;
            persister.rewrite(kept.iter().map(|record| &record[..])).await.expect("a healthy disk");
            known.lock().unwrap().dropped.0 = next - 2;
        }
    }
}

/// Many power failures and kills at random moments; returns what is known at the end.
fn torture(seed: u64, bug: Option<PersisterBug>) -> Known {
    let disk = DiskWeather {
        write: Spread::of(Span::ZERO, Span::micros(300)),
        sync: Spread::of(Span::micros(100), Span::micros(900)),
        ..DiskWeather::default()
    };
    let known = Shared::default();
    let shared = known.clone();
    world(seed, NetWeather::default(), move |lab: Lab| async move {
        lab.add_node(S1, disk, booter(move |env| write_for_ever(env, shared.clone(), bug)));
        for n in 0..30u64 {
            lab.order(Command::Boot { node: S1 });
            lab.sleep(Duration::from_micros(500 + (seed * 7_919 + n * 104_729) % 9_000)).await;
            lab.order(Command::Crash { node: S1, power: !(seed + n).is_multiple_of(3) });
        }
    });
    known.lock().unwrap().clone()
}

#[test]
fn whatever_is_torn_what_was_synced_is_there_and_the_rest_is_a_prefix() {
    let (mut torn, mut boots) = (0, 0);
    for seed in 0..100 {
        let known = torture(seed, None);
        assert!(known.refused.is_empty(), "seed {seed}: a power failure is no damage: {:?}", known.refused);
        torn += known.torn;
        boots += known.boots;
    }
    assert!(boots > 2_500 && torn > 300, "the test was not empty: {torn} torn tails in {boots} boots");
}

/// In how many of 20 runs a planted bug was noticed: by a check, or by the persister's own refusal.
#[cfg(feature = "zoo")]
fn noticed(bug: PersisterBug) -> usize {
    let notices = |seed| {
        std::panic::catch_unwind(|| torture(seed, Some(bug))).map_or(true, |known| !known.refused.is_empty())
    };
    (0..20).filter(|&seed| notices(seed)).count()
}

#[test]
#[cfg(feature = "zoo")]
fn the_test_above_sees_a_persister_that_does_not_sync() {
    assert_eq!(noticed(PersisterBug::NoFsync), 20);
}

#[test]
#[cfg(feature = "zoo")]
fn the_test_above_sees_a_log_that_is_rewritten_in_place() {
    assert!(noticed(PersisterBug::TornStateFile) > 10);
}

/// Writes a log of several synced batches and a snapshot, lets `harm` loose on the disk, and boots again.
fn after_harm(harm: impl Fn(&Lab) + Send + 'static) -> Result<usize, Refused> {
    let outcome = Arc::new(Mutex::new(None));
    let shared = outcome.clone();
    world(1, NetWeather::default(), move |lab| async move {
        lab.add_node(
            S1,
            DiskWeather::default(),
            booter(move |env| {
                let shared = shared.clone();
                async move {
                    let opened = Persister::open(env.disk(), "S1", None).await;
                    if env.boot().0 > 1 {
                        let read = async {
                            let (persister, records) = opened?;
                            persister.read_snapshot(SnapshotId(1, 1)).await?;
                            Ok(records.len())
                        };
                        *shared.lock().unwrap() = Some(read.await);
                        return;
                    }
                    let (mut persister, _) = opened.unwrap();
                    persister.write_snapshot(SnapshotId(1, 1), &[5; 3_000]).await.unwrap();
                    for n in 0..10 {
                        persister.append([&record(n)[..]].into_iter()).await.unwrap();
                        persister.sync().await.unwrap();
                    }
                }
            }),
        );
        lab.order(Command::Boot { node: S1 });
        lab.sleep_until(Time::from_nanos(1_000_000_000)).await;
        lab.order(Command::Crash { node: S1, power: true });
        harm(&lab);
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
    });
    let outcome = outcome.lock().unwrap().take();
    outcome.expect("the second boot read its disk")
}

fn flip(lab: &Lab, file: &str, offset: u64) {
    lab.order(Command::Corrupt { node: S1, file: file.into(), offset });
}

#[test]
fn a_healthy_disk_is_accepted() {
    assert_eq!(after_harm(|_| {}), Ok(10));
}

#[test]
fn damage_below_the_mark_is_refused_with_file_offset_and_advice() {
    for offset in [0, 5, 40, 100, 700, 1_500] {
        let refused = after_harm(move |lab| flip(lab, "log-", offset)).unwrap_err().to_string();
        for needle in ["`log-00000001` is damaged at offset", "known to be durable", "empty directory"] {
            assert!(refused.contains(needle), "offset {offset}: {refused}");
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    for offset in [0, 50, 1_000, 3_000] {
        let refused = after_harm(move |lab| flip(lab, "snap-", offset)).unwrap_err();
        assert!(matches!(refused, Refused::Damaged { .. }), "offset {offset}: {refused}");
    }
}

#[test]
fn damage_and_loss_are_never_taken_for_a_fresh_node() {
    let gone = |name: &'static str, snapshot: bool| {
        let outcome = Arc::new(Mutex::new(None));
        let shared = outcome.clone();
        world(1, NetWeather::default(), move |lab| async move {
            lab.add_node(
                S1,
                DiskWeather::default(),
                booter(move |env| {
                    let shared = shared.clone();
                    async move {
                        let (disk, boot) = (env.disk(), env.boot().0);
                        if boot == 2 {
                            disk.remove(name).await.unwrap();
                        }
                        let opened = Persister::open(disk, "S1", None).await;
                        match (boot, opened) {
                            (1, Ok((mut persister, _))) if snapshot => {
                                persister.write_snapshot(SnapshotId(1, 1), b"state").await.unwrap();
                            }
                            (1, opened) => assert!(opened.is_ok()),
                            (_, opened) => {
                                *shared.lock().unwrap() = opened.err().map(|refused| refused.to_string())
                            }
                        }
                    }
                }),
            );
            for _ in 0..2 {
                lab.order(Command::Boot { node: S1 });
                lab.sleep(Duration::from_secs(1)).await;
                lab.order(Command::Crash { node: S1, power: false });
            }
        });
        let refused = outcome.lock().unwrap().take();
        refused.expect("it was refused")
    };
    let refused = gone("log-00000001", true);
    assert!(refused.starts_with("there is no log, though there is the snapshot"), "{refused}");
    let refused = gone("log-00000001", false);
    assert!(refused.starts_with("there is no log, though there is the file `identity`"), "{refused}");
}

/// What is on the disk of a node that has done this.
fn disk_after<F>(act: impl Fn(Env) -> F + Send + Sync + 'static) -> BTreeMap<String, Vec<u8>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let image = Arc::new(Mutex::new(BTreeMap::new()));
    let (shared, act) = (image.clone(), Arc::new(act));
    world(1, NetWeather::default(), move |lab| async move {
        let boot = booter(move |env: Env| {
            let (shared, act) = (shared.clone(), act.clone());
            async move {
                act(env.clone()).await;
                for name in env.disk().list().await.unwrap() {
                    let content = env.disk().read(&name).await.unwrap();
                    shared.lock().unwrap().insert(name, content);
                }
            }
        });
        world::start(&lab, S1, boot);
        lab.sleep(Duration::from_secs(1)).await;
    });
    let image = image.lock().unwrap();
    image.clone()
}

#[test]
fn a_snapshot_is_taken_only_whole_under_its_own_name_and_by_its_owner() {
    let image = disk_after(|env| async move {
        let (mut persister, _) = Persister::open(env.disk(), "S1", None).await.unwrap();
        persister.write_snapshot(SnapshotId(7, 2), b"state").await.unwrap();
    });
    let file = "snap-00000007-00000002";
    assert_eq!(read_snapshot(&image, SnapshotId(7, 2), "S1"), Ok(b"state".to_vec()));
    let refused = read_snapshot(&image, SnapshotId(7, 2), "S2").unwrap_err();
    assert_eq!(refused.to_string(), format!("`{file}` belongs to S1, not to S2: is this the right directory?"));
    // The content of one, under the name of another.
    for other in [SnapshotId(7, 3), SnapshotId(8, 2), SnapshotId(7, 2 << 32), SnapshotId(2, 7)] {
        let name = format!("snap-{:08x}-{:08x}", other.0, other.1);
        let image = BTreeMap::from([(name.clone(), image[file].clone())]);
        match read_snapshot(&image, other, "S1") {
            Err(Refused::Damaged { file, .. }) => assert_eq!(file, name),
            found => panic!("{other:?}: {found:?}"),
        }
    }
    let whole = &image[file];
    let harmed = [[&whole[..], b"x"].concat(), [&whole[..], whole].concat(), whole[..whole.len() - 1].to_vec()];
    for bytes in harmed.into_iter().chain([vec![]]) {
        match read_snapshot(&BTreeMap::from([(file.to_string(), bytes.clone())]), SnapshotId(7, 2), "S1") {
            Err(Refused::Damaged { file: named, .. }) => assert_eq!(named, file),
            found => panic!("{} bytes of {}: {found:?}", bytes.len(), whole.len()),
        }
    }
}

/// Whoever is in the wrong directory leaves it as it was, also what looks like a leftover.
#[test]
fn nothing_is_removed_from_another_nodes_directory() {
    let image = disk_after(|env| async move {
        drop(Persister::open(env.disk(), "S1", None).await.unwrap());
        env.disk().append("log-00000002.tmp", b"half a rewrite".to_vec()).await.unwrap();
        assert!(matches!(Persister::open(env.disk(), "S2", None).await, Err(Refused::Foreign { .. })));
    });
    assert!(image.contains_key("log-00000002.tmp"));
    let image = disk_after(|env| async move {
        drop(Persister::open(env.disk(), "S1", None).await.unwrap());
        env.disk().append("log-00000002.tmp", b"half a rewrite".to_vec()).await.unwrap();
        drop(Persister::open(env.disk(), "S1", None).await.unwrap());
    });
    assert_eq!(image.keys().collect::<Vec<_>>(), ["identity", "log-00000001"]);
}

/// A first start that a crash cuts short has promised nothing, and is not taken for a loss.
#[test]
fn a_first_start_that_was_cut_short_is_made_again() {
    for after in (50..3_000).step_by(50) {
        let opened = Arc::new(Mutex::new(None));
        let shared = opened.clone();
        world(after, NetWeather::default(), move |lab| async move {
            let boot = booter(move |env: Env| {
                let shared = shared.clone();
                async move {
                    let outcome = Persister::open(env.disk(), "S1", None).await;
                    if env.boot().0 > 1 {
                        *shared.lock().unwrap() = Some(outcome.map(|(_, records)| records.len()));
                    }
                }
            });
            world::start(&lab, S1, boot);
            lab.sleep(Duration::from_micros(after)).await;
            lab.order(Command::Crash { node: S1, power: true });
            lab.order(Command::Boot { node: S1 });
            lab.sleep(Duration::from_secs(1)).await;
        });
        assert_eq!(*opened.lock().unwrap(), Some(Ok(0)), "cut short after {after} us");
    }
}

#[test]
fn another_nodes_directory_is_refused() {
    let outcome = Arc::new(Mutex::new(None));
    let shared = outcome.clone();
    world(1, NetWeather::default(), move |lab| async move {
        lab.add_node(
            S1,
            DiskWeather::default(),
            booter(move |env| {
                let shared = shared.clone();
                async move {
                    drop(Persister::open(env.disk(), "cluster 7, S1", None).await);
                    let refused = Persister::open(env.disk(), "cluster 8, S1", None).await.err();
                    *shared.lock().unwrap() = refused.map(|refused| refused.to_string());
                }
            }),
        );
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
    });
    let refused = outcome.lock().unwrap().take().unwrap();
    assert_eq!(refused, "`identity` belongs to cluster 7, S1, not to cluster 8, S1: is this the right directory?");
}

/// The course's shape: each save is a pair, and a crash leaves the old pair or the new one.
async fn save_pairs(env: Env, last: Arc<Mutex<(u64, u64)>>) {
    let (mut saver, saved) = Saver::open(env.disk(), "S1", None).await.expect("a power failure is no damage");
    let mut n = match saved {
        Saved { state, .. } if state.is_empty() => 0,
        Saved { state, snapshot } => {
            let n = number(&state);
            let expected = n / 3;
            assert_eq!(
                snapshot.first().map_or(0, |_| number(&snapshot)),
                expected,
                "state {n} has another's snapshot"
            );
            n
        }
    };
    {
        let last = last.lock().unwrap();
        assert!(n == last.0 || n == last.1, "found {n}, saved {last:?}");
    }
    loop {
        n += 1;
        *last.lock().unwrap() = (n - 1, n);
        let snapshot = n.is_multiple_of(3).then(|| [(n / 3).to_le_bytes().to_vec(), vec![1; 500]].concat());
        saver.save(&[n.to_le_bytes().to_vec(), vec![2; 700]].concat(), snapshot.as_deref()).await.unwrap();
        *last.lock().unwrap() = (n, n);
    }
}

#[test]
fn a_saved_pair_is_there_as_a_pair() {
    for seed in 0..50u64 {
        world(seed, NetWeather::default(), move |lab| async move {
            let last = Arc::new(Mutex::new((0, 0)));
            let saves = last.clone();
            lab.add_node(S1, DiskWeather::default(), booter(move |env| save_pairs(env, last.clone())));
            for n in 0..20u64 {
                lab.order(Command::Boot { node: S1 });
                lab.sleep(Duration::from_micros(700 + (seed * 7_919 + n * 104_729) % 15_000)).await;
                lab.order(Command::Crash { node: S1, power: !(seed + n).is_multiple_of(3) });
            }
            assert!(saves.lock().unwrap().0 > 20, "the test was not empty: {saves:?}");
        });
    }
}
