//! A cluster, its clients and its nemesis: from the first start to the judgement.

use super::account;
use super::links::Links;
use super::load::{Cluster, Habit, Progress, is_log, keys, round, work};
use super::nemesis::{Nemesis, Nodes};
use super::plan::{GROUPS, SERVERS, SHARDS, draw, parts};
use crate::net::{Place, SOON};
use crate::record::{Client as Recorded, Record, verdict};
use shardlab::client::{Client, Error, Options};
use shardlab::cluster::{Layout, Part, Status, Work, processes};
use shardlab::shardmaster::GroupId;
use sim::history::{Call, History, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many clients there are of each habit.
const CLIENTS: [(Habit, usize); 2] = [(Habit::Busy, 10), (Habit::Watcher, 4)];
/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is to be done.
pub struct Torture {
    pub seed: u64,
    /// How long there are faults.
    pub length: Duration,
    /// A bug to plant in all nodes.
    pub bug: Option<String>,
    /// Whether links are cut, too.
    pub links: bool,
}

/// What is left of a run. If the test fails, it goes to a file.
pub struct Evidence {
    record: Record,
    file: PathBuf,
    seed: u64,
}

impl Evidence {
    pub fn history(&self) -> History {
        self.record.history()
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let written = fs::write(&self.file, self.history().to_lines());
            println!("the history of seed {} is in {}: {written:?}", self.seed, self.file.display());
            println!("the nodes' logs and disks are beside it, in data");
        }
    }
}

/// Treats a cluster in this place badly. Returns what is wrong with what its clients were told.
pub fn run(place: &Place, torture: &Torture) -> (Evidence, Vec<String>) {
    let Torture { seed, length, .. } = *torture;
    println!("SHARDLAB_TORTURE_SEED={seed} for {length:?} in {}", place.root.display());
    let evidence = Evidence { record: Record::begin(), file: place.root.join("history.jsonl"), seed };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(faults_and_load(&place.root, torture, &evidence.record));
    let history = evidence.history();
    let mut wrong = account::wrong(&history, is_log);
    wrong.extend(verdict(&history));
    println!("{}", summary(&history));
    (evidence, wrong)
}

fn summary(history: &History) -> String {
    let count = |of: fn(&Outcome) -> bool| history.operations.iter().filter(|op| of(&op.outcome)).count();
    format!(
        "{} operations: {} answered, {} surely not executed, {} of which nobody knows; {} faults",
        history.operations.len(),
        count(|outcome| matches!(outcome, Outcome::Ok { .. })),
        count(|outcome| matches!(outcome, Outcome::Fail { .. })),
        count(|outcome| matches!(outcome, Outcome::Unknown)),
        history.annotations.len(),
    )
}

async fn faults_and_load(root: &Path, torture: &Torture, record: &Record) {
    let names = names();
    let links = torture.links.then(|| Links::lay(&names).expect("it was tried before"));
    let layout = lay_out(root, &names, links.as_ref());
    let nodes = Nodes::start(layout, torture.bug.clone(), links);
    let entries: Vec<String> = nodes.layout.nodes.values().map(|member| member.address.clone()).collect();
    let client = begin(&entries).await;
    let mut nemesis = Nemesis::new(nodes, record).await;
    let habits = CLIENTS.iter().flat_map(|&(habit, count)| std::iter::repeat_n(habit, count));
    let progress: Vec<Arc<Progress>> = habits.map(Progress::of).collect();
    let clients: Vec<_> = progress
        .iter()
        .enumerate()
        .map(|(nth, progress)| {
            tokio::spawn(work(nth, torture.seed, entries.clone(), record.clone(), progress.clone()))
        })
        .collect();
    everybody_comes_along(&progress, "before there are faults").await;
    nemesis.carry_out(draw(torture.seed, torture.length, torture.links)).await;
    everybody_comes_along(&progress, "when all is well again").await;
    progress.iter().for_each(|client| client.stop());
    for client in clients {
        client.await.expect("a client has no reason to panic");
    }
    read_all(&entries, record).await;
    until("shards come to rest", async || is_at_rest(&client).await.then_some(())).await;
    client.close().await;
    nemesis.close().await.end().await;
}

/// What nodes are called.
fn names() -> Vec<String> {
    let name = |part, nth: usize| match part {
        Part::Controller => format!("m{nth}"),
        Part::Group(GroupId(group)) => format!("g{group}-{nth}"),
    };
    parts().flat_map(|part| (1..=SERVERS).map(move |nth| name(part, nth))).collect()
}

/// Writes a layout. Returns its file.
fn lay_out(root: &Path, names: &[String], links: Option<&Links>) -> PathBuf {
    let dir = root.join("data");
    fs::create_dir(&dir).unwrap();
    let mut layout = Layout { shards: SHARDS, ..Layout::new(77) };
    let ports = processes::free_ports(names.len()).unwrap();
    for (name, port) in names.iter().zip(ports) {
        let address = links.map_or_else(|| format!("127.0.0.1:{port}"), |links| links.socket(name));
        layout.add_named(name, &address, dir.join(name), false).unwrap();
    }
    let file = dir.join("cluster.toml");
    layout.save(&file).unwrap();
    file
}

/// Waits for something, as long as it may take on a busy machine.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Has all groups join when all nodes are there.
async fn begin(entries: &[String]) -> Client {
    let client = until("a node answers", async || Client::connect(entries, Options::default()).await.ok()).await;
    until("all parts have leaders", async || {
        let nodes = client.statuses(PATIENCE).await;
        let leads = |part| nodes.iter().flat_map(|(_, status)| status).any(|it| it.leads && it.part == part);
        parts().all(leads).then_some(())
    })
    .await;
    for group in (1..=GROUPS).map(GroupId) {
        until("a group joins", async || match client.join(group).await {
            Ok(_) | Err(Error::Refused(_)) => Some(()),
            Err(_) => None,
        })
        .await;
    }
    client
}

/// Waits until some more operations of each client are answered.
async fn everybody_comes_along(progress: &[Arc<Progress>], when: &str) {
    let due: Vec<usize> = progress.iter().map(|client| client.done() + client.enough()).collect();
    until(&format!("all clients come along {when}"), async || {
        let came_along = |(client, due): (&Arc<Progress>, &usize)| client.done() >= *due;
        progress.iter().zip(&due).all(came_along).then_some(())
    })
    .await;
}

/// Reads every key once more, for the record.
async fn read_all(entries: &[String], record: &Record) {
    let reader = Cluster::enter(entries, SOON).await.unwrap();
    let mut reader = Recorded::new(reader, record);
    for key in (0..=round(record)).flat_map(keys) {
        let told = reader.call(Call::Get { key: key.clone() }).await;
        assert!(told.is_ok(), "all nodes run, and nobody answers for {key:?}");
    }
    reader.into_store().leave().await;
}

/// Whether every group is where the controller is, and each shard is served by whom it belongs to, and kept by nobody else.
async fn is_at_rest(client: &Client) -> bool {
    let Ok(latest) = client.configuration().await else { return false };
    let nodes = client.statuses(PATIENCE).await;
    let serves = |group: GroupId, status: &Status| {
        let due = (0..).zip(&latest.shards).filter(|(_, owner)| **owner == Some(group)).map(|(shard, _)| shard);
        let due: Vec<u32> = due.collect();
        matches!(&status.work, Some(Work::Shards { config, owned, coming: 0, frozen: 0 })
            if *config == latest.num && owned.iter().map(|shard| shard.0).eq(due))
    };
    (1..=GROUPS).map(GroupId).all(|group| {
        let mut servers =
            nodes.iter().flat_map(|(_, status)| status).filter(|it| it.part == Part::Group(group)).peekable();
        servers.peek().is_some() && servers.all(|status| serves(group, status))
    })
}
