//! A cluster of shardlab: one group of three servers, and a controller of one, which is the smallest there is with three copies.

use crate::load::Store;
use crate::members::Members;
use shardlab::client::{Client, Options};
use shardlab::cluster::processes::free_ports;
use shardlab::cluster::{Layout, Part};
use shardlab::shardmaster::{ConfigNum, GroupId};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The nodes; the controller is in front.
const NODES: [&str; 4] = ["m1", "g1-1", "g1-2", "g1-3"];
/// How long a node may take to say how it is.
const SOON: Duration = Duration::from_secs(5);

/// A running cluster.
pub struct Ours {
    pub members: Members,
    pub store: Store,
    client: Arc<Client>,
}

/// What the servers of the group have done with their disks since they were started, all together.
#[derive(Clone, Copy, Default)]
pub struct Disk {
    /// Syncs of files.
    pub syncs: u64,
    /// Operations of any sort.
    pub operations: u64,
}

impl Ours {
    /// Starts it in a directory.
    pub async fn start(program: &Path, dir: &Path, clients: usize, patience: Duration) -> Result<Ours, String> {
        let mut layout = Layout::new(1);
        let ports = free_ports(NODES.len()).map_err(|why| why.to_string())?;
        for (name, port) in NODES.iter().zip(&ports) {
            layout.add_named(name, &format!("127.0.0.1:{port}"), dir.join(name), false)?;
        }
        let file = dir.join("cluster.toml");
        layout.save(&file).map_err(|why| format!("cannot write {}: {why}", file.display()))?;
        let mut members = Members::new(dir);
        for name in NODES {
            let file = file.display().to_string();
            members.start(name, program, ["node", "start", "--name", name, "--config", &file])?;
        }
        let entries: Vec<String> = layout.nodes.values().map(|member| member.address.clone()).collect();
        let deadline = Instant::now() + patience;
        let client = loop {
            members.check()?;
            match begin(&entries, clients, patience).await {
                Ok(client) => break Arc::new(client),
                Err(why) if Instant::now() >= deadline => return Err(format!("shardlab does not come up: {why}")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        Ok(Ours { members, store: Store::Ours(client.clone()), client })
    }

    /// What the servers of the group say of their disks.
    pub async fn disk(&self) -> Result<Disk, String> {
        let mut disk = Disk::default();
        for (entry, status) in self.client.statuses(SOON).await {
            if matches!(entry.part, Part::Group(_)) {
                let counts = status.ok_or_else(|| format!("{} does not say how it is", entry.name))?.counts;
                disk.syncs += counts.syncs;
                disk.operations += counts.disk_operations;
            }
        }
        Ok(disk)
    }
}

/// A client of the cluster, in which the group has joined and serves.
async fn begin(entries: &[String], clients: usize, patience: Duration) -> Result<Client, String> {
    let options = Options { deadline: patience, ..Options::default() };
    let client = Client::connect(entries, options).await.map_err(|why| why.to_string())?.keep_idle(clients);
    let config = client.configuration().await.map_err(|why| why.to_string())?;
    if config.num == ConfigNum(0) {
        client.join(GroupId(1)).await.map_err(|why| why.to_string())?;
    }
    client.put("compare", "begins").await.map_err(|why| why.to_string())?;
    Ok(client)
}
