//! The load: clients in a closed loop, who ask the same of whichever cluster it is.

use bytes::Bytes;
use etcd_client::KvClient;
use hdrhistogram::Histogram;
use shardlab::client::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Give a key a value.
    Write,
    /// Ask for the value of a key.
    Read,
}

/// Where they do it.
pub enum Store {
    /// At etcd's leader, over these connections.
    Etcd(Vec<KvClient>),
    /// At ours, whose client finds the leader itself.
    Ours(Arc<Client>),
}

/// What all clients have in common.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many clients. Each has one operation at a time.
    pub clients: u64,
    /// How many keys. All are asked for as often.
    pub keys: u64,
    /// Bytes of a value.
    pub value_size: usize,
    /// For how long operations do not count yet.
    pub warm_up: Duration,
    /// For how long they do.
    pub span: Duration,
}

/// What came of it.
pub struct Found {
    /// How long the operations took that were done in time, in microseconds.
    pub latency: Histogram<u64>,
    /// How many were done, also while it did not count yet.
    pub done: u64,
    /// Those that were not done, with the words of one of them.
    pub failed: (u64, String),
}

impl Default for Found {
    fn default() -> Found {
        Found { latency: microseconds(), done: 0, failed: (0, String::new()) }
    }
}

/// For times up to a minute. A histogram that grows by itself would do it when it is recorded, and not when it is told to saturate.
pub fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("three digits can be had")
}

impl Found {
    /// Adds what others have found.
    pub fn add(&mut self, other: &Found) {
        self.latency.add(&other.latency).expect("histograms of one kind");
        self.done += other.done;
        self.failed.0 += other.failed.0;
        if self.failed.1.is_empty() {
            self.failed.1.clone_from(&other.failed.1);
        }
    }
}

/// One client.
enum One {
    Etcd(Box<KvClient>),
    Ours(Arc<Client>),
}

impl One {
    async fn perform(&mut self, kind: Kind, key: String, value: &Bytes) -> Result<(), String> {
        let absent = || "a key that was written is absent".to_string();
        match (self, kind) {
            (One::Etcd(etcd), Kind::Write) => {
                etcd.put(key, value.to_vec(), None).await.map(drop).map_err(|why| why.to_string())
            }
            (One::Etcd(etcd), Kind::Read) => {
                let found = etcd.get(key, None).await.map_err(|why| why.to_string())?;
                let found = found.kvs().first().map(|pair| pair.value().len());
                if found == Some(value.len()) { Ok(()) } else { Err(absent()) }
            }
            (One::Ours(ours), Kind::Write) => {
                ours.put(key, value.clone()).await.map(drop).map_err(|why| why.to_string())
            }
            (One::Ours(ours), Kind::Read) => {
                let found = ours.get(key).await.map_err(|why| why.to_string())?.map(|value| value.len());
                if found == Some(value.len()) { Ok(()) } else { Err(absent()) }
            }
        }
    }
}

impl Store {
    fn client(&self, number: u64) -> One {
        match self {
            Store::Etcd(connections) => {
                One::Etcd(Box::new(connections[number as usize % connections.len()].clone()))
            }
            Store::Ours(client) => One::Ours(client.clone()),
        }
    }

    /// Writes each key once.
    pub async fn fill(&self, load: Load) -> Result<(), String> {
        let value = Bytes::from(vec![b'.'; load.value_size]);
        let share = |number: u64| {
            let (mut one, value) = (self.client(number), value.clone());
            tokio::spawn(async move {
                for nth in (number..load.keys).step_by(load.clients as usize) {
                    one.perform(Kind::Write, key(nth), &value).await?;
                }
                Ok::<(), String>(())
            })
        };
        let clients: Vec<_> = (0..load.clients).map(share).collect();
        for client in clients {
            client.await.map_err(|why| why.to_string())??;
        }
        Ok(())
    }

    /// Has all clients ask until time is up. `begun` is called when it begins to count, and `over` when it ends.
    pub async fn ask<T>(&self, kind: Kind, load: Load, seed: u64, look: impl Fn() -> T) -> (Found, T, T) {
        let from = Instant::now() + load.warm_up;
        let to = from + load.span;
        let value = Bytes::from(vec![b'.'; load.value_size]);
        let ask = |number: u64| {
            let (mut one, value, mut draw) = (self.client(number), value.clone(), Draw::new(seed, number));
            tokio::spawn(async move {
                let mut found = Found::default();
                loop {
                    let begun = Instant::now();
                    if begun >= to {
                        return found;
                    }
                    let outcome = one.perform(kind, key(draw.below(load.keys)), &value).await;
                    let over = Instant::now();
                    found.done += u64::from(outcome.is_ok());
                    match outcome {
                        Ok(()) if from <= over && over < to => {
                            found.latency.saturating_record((over - begun).as_micros() as u64);
                        }
                        Ok(()) => {}
                        Err(why) => found.failed = (found.failed.0 + 1, why),
                    }
                }
            })
        };
        let clients: Vec<_> = (0..load.clients).map(ask).collect();
        tokio::time::sleep_until(from.into()).await;
        let before = look();
        tokio::time::sleep_until(to.into()).await;
        let after = look();
        let mut all = Found::default();
        for client in clients {
            all.add(&client.await.expect("clients do not panic"));
        }
        (all, before, after)
    }
}

fn key(number: u64) -> String {
    format!("compare/{number:08}")
}

/// Which keys a client asks for: the same of both clusters.
struct Draw(u64);

impl Draw {
    fn new(seed: u64, client: u64) -> Draw {
        Draw(seed << 32 | client)
    }

    /// The generator is SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
