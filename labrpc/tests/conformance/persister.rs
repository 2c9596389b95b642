//! The write-ahead log and the persister, which are written once for all backends, on each of them.

use crate::world::{S1, World};
use labrpc::persister::{Persister, Refused, Saved, Saver, SnapshotId};
use labrpc::wal::Records;

const WHO: &str = "cluster 7, S1";
const LOG: &str = "log-00000001";

async fn open<W: World>(world: &W) -> Result<(Persister, Records), Refused> {
    Persister::open(world.env(S1).disk(), WHO, None).await
}

fn texts(records: &Records) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

async fn write(persister: &mut Persister, batch: &[&str]) {
    persister.append(batch.iter().map(|record| record.as_bytes())).await.unwrap();
    persister.sync().await.unwrap();
}

pub async fn a_fresh_log_is_empty_and_is_read_back_after_a_restart<W: World>(world: W) {
    let (mut persister, records) = open(&world).await.unwrap();
    assert!(records.is_empty());
    write(&mut persister, &["a", "b"]).await;
    world.restart(S1).await;
    let (mut persister, records) = open(&world).await.unwrap();
    assert_eq!(texts(&records), ["a", "b"]);
    write(&mut persister, &["c"]).await;
    world.restart(S1).await;
    let (persister, records) = open(&world).await.unwrap();
    assert_eq!(texts(&records), ["a", "b", "c"]);
    assert_eq!(persister.log_size(), world.env(S1).disk().len(LOG).await.unwrap());
    let other = Persister::open(world.env(S1).disk(), "cluster 8, S1", None).await.err();
    assert!(matches!(other, Some(Refused::Foreign { .. })), "{other:?}");
}

pub async fn a_torn_tail_is_dropped<W: World>(world: W) {
    let (mut persister, _) = open(&world).await.unwrap();
    write(&mut persister, &["a"]).await;
    write(&mut persister, &["b"]).await;
    let whole = persister.log_size();
    for torn in [&b"SL"[..], &[0; 700], b"noise"] {
        world.env(S1).disk().append(LOG, torn.to_vec()).await.unwrap();
        world.restart(S1).await;
        let (persister, records) = open(&world).await.unwrap();
        assert_eq!((texts(&records).concat(), persister.log_size()), ("ab".into(), whole));
        assert_eq!(world.env(S1).disk().len(LOG).await, Ok(whole), "it is cut off");
    }
}

pub async fn damage_below_the_mark_is_refused<W: World>(world: W) {
    let (mut persister, _) = open(&world).await.unwrap();
    for record in ["a", "b", "c"] {
        write(&mut persister, &[record]).await;
    }
    world.restart(S1).await;
    let disk = world.env(S1).disk();
    let content = disk.read(LOG).await.unwrap();
    disk.write_at(LOG, 20, vec![!content[20]]).await.unwrap();
    let refused = open(&world).await.err();
    assert!(matches!(refused, Some(Refused::Damaged { .. })), "{refused:?}");
}

pub async fn a_log_that_was_rewritten_is_the_new_one<W: World>(world: W) {
    let (mut persister, _) = open(&world).await.unwrap();
    write(&mut persister, &["a", "b"]).await;
    persister.rewrite([&b"B"[..]].into_iter()).await.unwrap();
    write(&mut persister, &["c"]).await;
    world.restart(S1).await;
    let (_, records) = open(&world).await.unwrap();
    assert_eq!(texts(&records), ["B", "c"]);
    assert_eq!(world.env(S1).disk().list().await.unwrap(), ["identity", "log-00000002"]);
}

pub async fn a_snapshot_is_read_back<W: World>(world: W) {
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n >> 7) as u8).collect();
    let (mut persister, _) = open(&world).await.unwrap();
    persister.write_snapshot(SnapshotId(7, 2), b"older").await.unwrap();
    persister.write_snapshot(SnapshotId(9, 2), &content).await.unwrap();
    persister.keep_only(Some(SnapshotId(9, 2))).await.unwrap();
    world.restart(S1).await;
    let (persister, _) = open(&world).await.unwrap();
    assert!(persister.read_snapshot(SnapshotId(9, 2)).await.unwrap() == content);
    let gone = persister.read_snapshot(SnapshotId(7, 2)).await;
    assert!(matches!(gone, Err(Refused::Missing { .. })), "{gone:?}");
}

pub async fn a_state_and_its_snapshot_are_saved_as_a_pair<W: World>(world: W) {
    let saver = || async { Saver::open(world.env(S1).disk(), WHO, None).await.unwrap() };
    let (mut saves, saved) = saver().await;
    assert_eq!(saved, Saved::default());
    saves.save(b"one", None).await.unwrap();
    saves.save(b"two", Some(b"of two")).await.unwrap();
    saves.save(b"three", None).await.unwrap();
    world.restart(S1).await;
    let (_, saved) = saver().await;
    assert_eq!(saved, Saved { state: b"three".to_vec(), snapshot: b"of two".to_vec() });
}
