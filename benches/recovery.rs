//! How long a node takes to be there again after a crash, with a long log and no snapshot: from the start of its process' work on its
//! directory to its first answer to a client.
//!
//! `cargo bench --features net --bench recovery`
//!
//! The node is the only server of a group, so that nobody helps it. What it has written is written by the product's own code, in
//! batches of which each is synced, as under load.

use bytes::Bytes;
use futures::future::join;
use labrpc::net::{Config, Host};
use labrpc::persister::Persister;
use labrpc::{Env, NodeId};
use shardlab::kvraft;
use shardlab::raft::{self, Entry, EntryId, HardState, Index, LogWrite, Payload, Saved, Term, Write, storage};
use shardlab::rsm::{self, LogCommand, Patience, SessionId};
use shardlab::shardkv::{self, Clerk, Command, Settings, Timing};
use shardlab::shardmaster::{self, GroupId};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The allocator of the program that runs nodes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Entries of the log, unless another number is given.
const ENTRIES: u64 = 1_000_000;
/// How many of them are synced together.
const BATCH: u64 = 64;
/// How many sessions have written them, in turn.
const SESSIONS: u64 = 64;
/// The first of these: above any that the controller gives out here.
const FIRST_SESSION: u64 = 1_000_000;
/// How many keys they have written to.
const KEYS: u64 = 10_000;
/// How often it is started.
const STARTS: usize = 5;

const MASTER: NodeId = NodeId(1);
const SERVER: NodeId = NodeId(101);
const CLIENT: NodeId = NodeId(1 << 31);
const GROUP: GroupId = GroupId(1);
const SHARDS: u32 = 16;

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ENTRIES);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recovery");
    let _ = fs::remove_dir_all(&root);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(&root, entries));
    fs::remove_dir_all(&root).unwrap();
}

async fn measure(root: &Path, entries: u64) {
    let master = start(root, MASTER, None).await;
    let at = |host: &Host| host.local_addr().expect("it listens").to_string();
    let master_at = at(&master);
    boot_master(&master.env()).await;
    let server = start(root, SERVER, Some((MASTER, master_at.clone()))).await;
    let server_at = at(&server);
    boot(&server.env()).await;
    master.set_peer(SERVER, server_at.clone());
    let mut config = Config::new(CLIENT, 1);
    config.peers = [(MASTER, master_at.clone()), (SERVER, server_at.clone())].into();
    let client = Host::start(config).unwrap();
    let mut masters = shardmaster::Clerk::new(client.env(), vec![MASTER], Patience::default());
    masters.join([(GROUP, vec![SERVER])]).await.unwrap();
    let mut clerk = Clerk::new(client.env(), vec![MASTER], Patience::default());
    clerk.put("first", "there").await.unwrap();
    server.stop().await;
    let bytes = fill(root, entries).await;
    println!("{entries} entries, {} MB of log, no snapshot", bytes >> 20);
    println!("start    open    all     memory");
    for nth in 1..=STARTS {
        let begun = Instant::now();
        let server = start(root, SERVER, Some((MASTER, master_at.clone()))).await;
        client.set_peer(SERVER, at(&server));
        master.set_peer(SERVER, at(&server));
        let (open, value) = join(
            async {
                boot(&server.env()).await;
                begun.elapsed()
            },
            last_value(&mut clerk, entries),
        )
        .await;
        let all = begun.elapsed();
        assert_eq!(value, Some(value_of(entries - 1)), "the last entry of the log has been applied");
        println!("{nth:>5} {:>6.2}s {:>5.2}s {:>7} MB", open.as_secs_f64(), all.as_secs_f64(), memory());
        server.stop().await;
    }
    client.stop().await;
    master.stop().await;
}

/// A host in its directory. It knows whoever it has to ask.
async fn start(root: &Path, id: NodeId, peer: Option<(NodeId, String)>) -> Host {
    let config = Config {
        listen: Some("127.0.0.1:0".parse().expect("it is an address")),
        dir: Some(directory(root, id)),
        peers: peer.into_iter().collect(),
        ..Config::new(id, 1)
    };
    Host::start(config).unwrap()
}

fn directory(root: &Path, id: NodeId) -> PathBuf {
    root.join(id.to_string())
}

fn options() -> raft::Options {
    raft::Options { inputs_per_ready: None, identity: "recovery".into() }
}

async fn boot_master(env: &Env) {
    let settings = shardmaster::Settings { shards: SHARDS, ..shardmaster::Settings::default() };
    let (raft, service) = (raft::Config::new(MASTER, [MASTER]), rsm::Config::default());
    let config = shardmaster::Config { raft, options: options(), service, settings };
    shardmaster::Server::boot(env.clone(), config, None).await.unwrap();
}

/// Boots the server. It makes no snapshot, or there would be less to do at the next start.
async fn boot(env: &Env) {
    let settings = Settings { group: GROUP, shards: SHARDS, ..Settings::default() };
    let service = rsm::Config { snapshot_after: None, ..rsm::Config::default() };
    let (raft, masters, timing) = (raft::Config::new(SERVER, [SERVER]), vec![MASTER], Timing::default());
    let config = shardkv::Config { raft, options: options(), service, settings, masters: masters.into(), timing };
    shardkv::Server::boot(env.clone(), config, None).await.unwrap();
}

/// Makes the log so much longer, as a leader would. Bytes of all of it.
async fn fill(root: &Path, entries: u64) -> u64 {
    let host = start(root, SERVER, None).await;
    let (mut persister, records) = Persister::open(host.env().disk(), &options().identity, None).await.unwrap();
    let saved = Saved::recover(records.iter()).unwrap();
    let (term, mut last): (Term, Index) = (saved.hard.term, saved.last().index);
    let mut write = |from: u64| {
        let after = last;
        let entries: Vec<Entry> = (from..entries.min(from + BATCH))
            .map(|nth| {
                last = last.next();
                Entry { id: EntryId::new(term, last), payload: Payload::Command(command(nth)) }
            })
            .collect();
        let log = Some(LogWrite { after, entries });
        storage::records(&Write { seq: 1, snapshot: None, hard: None::<HardState>, log })
    };
    for from in (0..entries).step_by(BATCH as usize) {
        persister.append(write(from).iter()).await.unwrap();
        persister.sync().await.unwrap();
    }
    let bytes = persister.log_size();
    host.stop().await;
    bytes
}

/// What the nth entry says.
fn command(nth: u64) -> Bytes {
    let put = kvraft::Command::Put { key: key_of(nth), value: value_of(nth) };
    let session = SessionId(FIRST_SESSION + nth % SESSIONS);
    let command = LogCommand::Operate { session, seq: 1 + nth / SESSIONS, command: Command::Client(put) };
    labgob::encode(&command).unwrap().into()
}

fn key_of(nth: u64) -> Bytes {
    format!("key-{}", nth % KEYS).into()
}

fn value_of(nth: u64) -> Bytes {
    format!("value-{nth}").into()
}

/// What the last entry has written, as soon as somebody says it.
async fn last_value(clerk: &mut Clerk, entries: u64) -> Option<Bytes> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match clerk.get(key_of(entries - 1)).await {
            Ok(value) => return value,
            Err(why) => assert!(Instant::now() < deadline, "nobody answers: {why}"),
        }
    }
}

/// The most memory that this process has had, in MB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib >> 10)
}
