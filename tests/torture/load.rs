//! What clients ask of the cluster: writes that all differ, and reads, on a few keys of every shard.

use super::plan::{ROUND, SHARDS};
use crate::record::{self, Lost, Record, Store};
use bytes::Bytes;
use labrpc::Rng;
use shardlab::client::{self, Cas, Error, Options};
use shardlab::shardmaster::shard_of;
use sim::history::{Call, Expect, Reply};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// How long an operation may take: shorter than many faults, so that nobody knows what became of some.
const DEADLINE: Duration = Duration::from_secs(1);
/// A busy client rests up to so long between two operations: not long, for what is under way when a node goes is what tells.
const REST: Duration = Duration::from_millis(4);
/// A watcher rests from and to so long: it has not heard yet that somebody else leads.
const WATCH: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));
/// How large the values of heavy keys are: a few dozen fill a log so far that it is made a snapshot of.
const WEIGHT: usize = 48 << 10;

/// What is done with a key. Its name begins with it.
const KINDS: [&str; 3] = [LOG, REGISTER, HEAVY];
/// It is only appended to.
const LOG: &str = "log";
/// All is done to it.
const REGISTER: &str = "register";
/// It is put to, large values.
const HEAVY: &str = "heavy";

fn is_of(kind: &str, key: &Bytes) -> bool {
    key.starts_with(kind.as_bytes())
}

/// Whether a key is only appended to.
pub fn is_log(key: &Bytes) -> bool {
    is_of(LOG, key)
}

/// One key of each kind in each shard; others each round, so that what is only appended to does not grow for ever.
pub fn keys(round: u32) -> Vec<Bytes> {
    let of_shard = |kind: &str, shard| {
        let mut names = (0..).map(|nth| Bytes::from(format!("{kind}-{round}-{nth}")));
        names.find(|name| shard_of(name, SHARDS).0 == shard).expect("a hash reaches every shard")
    };
    (0..SHARDS).flat_map(|shard| KINDS.map(|kind| of_shard(kind, shard))).collect()
}

/// In which round a history is, from 0.
pub fn round(record: &Record) -> u32 {
    record.elapsed().div_duration_f64(ROUND) as u32
}

/// The cluster, as `shardlab::client` sees it.
pub struct Cluster(client::Client);

impl Cluster {
    pub async fn enter(entries: &[String], deadline: Duration) -> Result<Cluster, Error> {
        client::Client::connect(entries, Options { deadline, ..Options::default() }).await.map(Cluster)
    }

    pub async fn leave(self) {
        self.0.close().await;
    }

    async fn work(&self, call: Call) -> Result<Reply, Error> {
        let written = |version| Reply::Written { version };
        match call {
            Call::Get { key } => {
                let found = self.0.get(key.clone()).await?;
                let value = if is_of(HEAVY, &key) { found.map(lighter) } else { found };
                Ok(Reply::Value { value, version: 0 })
            }
            Call::Put { key, value } => {
                let value = if is_of(HEAVY, &key) { heavier(&value) } else { value };
                self.0.put(key, value).await.map(written)
            }
            Call::Append { key, value } => self.0.append(key, value).await.map(written),
            Call::Cas { key, expect, value } => {
                Ok(match self.0.cas(key, record::expected(expect), value).await? {
                    Cas::Written { version } => written(version),
                    Cas::Failed { value, version } => Reply::CasFailed { value, version },
                })
            }
            Call::Delete { .. } | Call::Scan { .. } => unreachable!("nobody here asks for that"),
        }
    }
}

impl Store for Cluster {
    async fn call(&mut self, call: &Call) -> Result<Reply, Lost> {
        let lost = |error: Error| if error.may_have_happened() { Lost::Perhaps } else { Lost::Surely };
        self.work(call.clone()).await.map_err(lost)
    }
}

/// A word, and itself again and again. In the history there is only the word.
fn heavier(word: &Bytes) -> Bytes {
    word.repeat(WEIGHT / word.len().max(1)).into()
}

/// The word that a value is made of. If it is not, the value: nobody has written that.
fn lighter(value: Bytes) -> Bytes {
    let end = value.iter().position(|byte| *byte == b' ').map_or(value.len(), |space| space + 1);
    let word = value.slice(..end);
    if heavier(&word) == value { word } else { value }
}

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// It writes and reads, one after the other.
    Busy,
    /// It reads now and then.
    Watcher,
}

/// How a client comes along, and whether it is to go on.
pub struct Progress {
    habit: Habit,
    stop: AtomicBool,
    /// How many of its writes were acknowledged, or of a watcher its reads.
    done: AtomicUsize,
}

impl Progress {
    pub fn of(habit: Habit) -> Arc<Progress> {
        Arc::new(Progress { habit, stop: AtomicBool::new(false), done: AtomicUsize::new(0) })
    }

    pub fn done(&self) -> usize {
        self.done.load(Relaxed)
    }

    /// How many more make progress.
    pub fn enough(&self) -> usize {
        match self.habit {
            Habit::Busy => 20,
            Habit::Watcher => 3,
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }
}

/// A client that works until it is told to stop.
pub async fn work(number: usize, seed: u64, entries: Vec<String>, record: Record, progress: Arc<Progress>) {
    let mut rng = Rng::new(seed, &format!("client {number}"));
    // It starts from another node than the others.
    let mut entries = entries;
    rng.shuffle(&mut entries);
    let cluster = Cluster::enter(&entries, DEADLINE).await.expect("all nodes run when clients come");
    let mut client = record::Client::new(cluster, &record);
    let mut words = (1..).map(|nth| Bytes::from(format!("{number}.{nth} ")));
    let mut known = BTreeMap::new();
    while !progress.stop.load(Relaxed) {
        let key = rng.pick(&keys(round(&record))).clone();
        let (call, rest) = match progress.habit {
            Habit::Busy => (draw(&mut rng, &key, &mut words, &known), rng.between(Duration::ZERO, REST)),
            Habit::Watcher => (Call::Get { key: key.clone() }, rng.between(WATCH.0, WATCH.1)),
        };
        let counts = progress.habit == Habit::Watcher || !matches!(call, Call::Get { .. });
        let told = client.call(call.clone()).await;
        if counts && told.is_ok() {
            progress.done.fetch_add(1, Relaxed);
        }
        remember(&mut known, key, call, told);
        tokio::time::sleep(rest).await;
    }
    client.into_store().leave().await;
}

/// What a client last knew of keys: what it expects there.
type Known = BTreeMap<Bytes, Expect>;

fn draw(rng: &mut Rng, key: &Bytes, words: &mut impl Iterator<Item = Bytes>, known: &Known) -> Call {
    let (key, chance) = (key.clone(), rng.below(100));
    let mut value = || words.next().expect("there is no last word");
    if is_log(&key) {
        return if chance < 60 { Call::Append { key, value: value() } } else { Call::Get { key } };
    }
    if is_of(HEAVY, &key) {
        return if chance < 50 { Call::Put { key, value: value() } } else { Call::Get { key } };
    }
    match chance {
        0..25 => Call::Put { key, value: value() },
        25..50 => Call::Append { key, value: value() },
        50..75 => {
            let expect = known.get(&key).cloned().unwrap_or(Expect::Value(None));
            Call::Cas { key, expect, value: value() }
        }
        _ => Call::Get { key },
    }
}

/// The next compare-and-set of this client should have a chance.
fn remember(known: &mut Known, key: Bytes, call: Call, told: Result<Reply, Lost>) {
    let expect = match (call, told) {
        (Call::Put { value, .. } | Call::Cas { value, .. }, Ok(Reply::Written { .. })) => {
            Expect::Value(Some(value))
        }
        (_, Ok(Reply::Written { version } | Reply::CasFailed { version, .. })) => Expect::Version(version),
        (_, Ok(Reply::Value { value, .. })) => Expect::Value(value),
        _ => return,
    };
    known.insert(key, expect);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_a_key_of_each_kind() {
        let keys = keys(3);
        for kind in KINDS {
            let mut shards: Vec<u32> =
                keys.iter().filter(|key| is_of(kind, key)).map(|key| shard_of(key, SHARDS).0).collect();
            shards.sort_unstable();
            assert_eq!(shards, (0..SHARDS).collect::<Vec<_>>(), "{kind}");
        }
    }

    #[test]
    fn a_heavy_value_that_is_not_whole_is_not_taken_for_its_word() {
        let word = Bytes::from_static(b"3.17 ");
        let heavy = heavier(&word);
        assert!(heavy.len() > WEIGHT - word.len());
        assert_eq!(lighter(heavy.clone()), word);
        let torn = heavy.slice(..heavy.len() - word.len());
        assert_eq!(lighter(torn.clone()), torn);
        assert_eq!(lighter(Bytes::new()), Bytes::new());
    }
}
