//! Servers as hosts of one process, each with a socket and a directory: they can be stopped, and started on what they have written.

mod kvraft;
mod load;
mod raft;
mod shardkv;

use labrpc::net::{Config, Host};
use labrpc::{Env, NodeId};
use shardlab::raft::Options;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Within this everything happens, or it never will. The machine may be busy.
const SOON: Duration = Duration::from_secs(60);
/// Clients have ids from here on.
const CLIENTS: u32 = 1 << 31;

/// Where nodes are.
pub struct Machine {
    root: PathBuf,
    addresses: BTreeMap<NodeId, String>,
    /// Those that run.
    hosts: BTreeMap<NodeId, Host>,
    clients: Vec<Host>,
}

impl Machine {
    fn new(test: &str) -> Machine {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("smoke-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        Machine { root, addresses: BTreeMap::new(), hosts: BTreeMap::new(), clients: Vec::new() }
    }

    /// Starts a node on its directory, where it was before if it was there.
    pub fn start(&mut self, id: NodeId) -> Env {
        let address = self.addresses.get(&id).map_or("127.0.0.1:0", String::as_str);
        let host = Host::start(Config {
            listen: Some(address.parse().expect("it is an address of this machine")),
            dir: Some(self.root.join(id.to_string())),
            peers: self.addresses.clone(),
            ..Config::new(id, 7)
        })
        .unwrap();
        let address = host.local_addr().expect("it listens").to_string();
        self.hosts.values().for_each(|other| other.set_peer(id, address.clone()));
        self.addresses.insert(id, address);
        let env = host.env();
        self.hosts.insert(id, host);
        env
    }

    /// Stops a node at once. It hands nothing over.
    pub async fn stop(&mut self, id: NodeId) {
        self.hosts.remove(&id).expect("it runs").stop().await;
    }

    /// What those that run have done with their disks, all together.
    pub fn disk_operations(&self) -> u64 {
        self.hosts.values().map(|host| host.counters().disk.operations()).sum()
    }

    /// Somebody who knows where all nodes are, and whom nobody knows.
    pub fn client(&mut self) -> Env {
        let id = NodeId(CLIENTS + self.clients.len() as u32);
        let host = Host::start(Config { peers: self.addresses.clone(), ..Config::new(id, 7) }).unwrap();
        let env = host.env();
        self.clients.push(host);
        env
    }

    /// Stops everything.
    async fn end(&mut self) {
        for host in self.clients.drain(..).chain(std::mem::take(&mut self.hosts).into_values()) {
            host.stop().await;
        }
    }
}

/// Runs a test on a machine of its own. What nodes have written stays there if it fails.
pub fn on_a_machine(test: &str, story: impl AsyncFnOnce(&mut Machine)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut machine = Machine::new(test);
    runtime.block_on(async {
        story(&mut machine).await;
        machine.end().await;
    });
    fs::remove_dir_all(&machine.root).unwrap();
}

/// Whose files a node's are.
pub fn options(id: NodeId) -> Options {
    Options { inputs_per_ready: None, identity: id.to_string() }
}

/// Waits for something that can be seen.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_it_is(what, async || look()).await
}

/// Waits for something that has to be asked for.
pub async fn until_it_is<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The nodes with these numbers.
pub fn nodes(numbers: impl IntoIterator<Item = u32>) -> Vec<NodeId> {
    numbers.into_iter().map(NodeId).collect()
}
