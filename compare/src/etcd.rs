//! A cluster of etcd: three members on this machine with the settings that it comes with, asked at its leader.

use crate::load::Store;
use crate::members::Members;
use etcd_client::{Client, KvClient};
use shardlab::cluster::processes::free_ports;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A running cluster.
pub struct Etcd {
    pub members: Members,
    pub store: Store,
    /// Where its members answer clients.
    addresses: Vec<String>,
}

impl Etcd {
    /// Starts it in a directory, and connects so often with its leader.
    pub async fn start(program: &Path, dir: &Path, connections: usize, patience: Duration) -> Result<Etcd, String> {
        let ports = free_ports(6).map_err(|why| why.to_string())?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (client_ports, peer_ports) = ports.split_at(3);
        let names = ["etcd-1", "etcd-2", "etcd-3"];
        let all: Vec<String> =
            names.iter().zip(peer_ports).map(|(name, port)| format!("{name}={}", url(*port))).collect();
        let mut members = Members::new(dir);
        for (name, (client, peer)) in names.iter().zip(client_ports.iter().zip(peer_ports)) {
            let data = dir.join(name);
            let args = [
                "--name",
                name,
                "--data-dir",
                &data.display().to_string(),
                "--listen-client-urls",
                &url(*client),
                "--advertise-client-urls",
                &url(*client),
                "--listen-peer-urls",
                &url(*peer),
                "--initial-advertise-peer-urls",
                &url(*peer),
                "--initial-cluster",
                &all.join(","),
            ];
            members.start(name, program, args)?;
        }
        let addresses: Vec<String> = client_ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let deadline = Instant::now() + patience;
        let leader = loop {
            members.check()?;
            match leader(&addresses).await {
                Ok(leader) => break leader,
                Err(why) if Instant::now() >= deadline => return Err(format!("etcd does not come up: {why}")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let mut clients: Vec<KvClient> = Vec::new();
        for _ in 0..connections {
            clients.push(Client::connect([leader], None).await.map_err(|why| why.to_string())?.kv_client());
        }
        let store = Store::Etcd(clients);
        Ok(Etcd { members, store, addresses })
    }

    /// How often its members have synced their logs since they were started, all together, as they say themselves.
    pub async fn syncs(&self) -> Result<u64, String> {
        let mut syncs = 0;
        for address in &self.addresses {
            let text = metrics(address).await.map_err(|why| format!("{address} tells no metrics: {why}"))?;
            let line =
                text.lines().find_map(|line| line.strip_prefix("etcd_disk_wal_fsync_duration_seconds_count "));
            let count = line.and_then(|count| count.trim().parse::<u64>().ok());
            syncs += count.ok_or_else(|| format!("{address} does not say how often it has synced its log"))?;
        }
        Ok(syncs)
    }
}

/// The address of the member that leads.
async fn leader(addresses: &[String]) -> Result<&str, String> {
    for address in addresses {
        let mut client = Client::connect([address], None).await.map_err(|why| why.to_string())?;
        let status = client.status().await.map_err(|why| why.to_string())?;
        let own = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
        if status.leader() != 0 && status.leader() == own {
            return Ok(address);
        }
    }
    Err("nobody leads".into())
}

async fn metrics(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
