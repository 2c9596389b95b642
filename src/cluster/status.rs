//! How a node is, in its own words: nothing of it goes through a log, and it may be old when it is read.

use super::layout::Part;
use crate::raft::{Membership, Node, Role};
use crate::shardmaster::{ConfigNum, ShardId};
use labrpc::NodeId;
use labrpc::net::{Counters, DiskCounters};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its id.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// How often it was started on its directory.
    pub boot: u32,
    /// The process that runs it.
    pub process: u32,
    /// What it is in its part of the cluster: leader, follower, candidate.
    pub role: String,
    /// Whether that is the leader.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// Whom it has voted for in that term.
    pub vote: Option<NodeId>,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// Its log.
    pub log: Log,
    /// Who belongs to its part of the cluster, by its log.
    pub members: Members,
    /// What it works on; none if its service did not say.
    pub work: Option<Work>,
    /// What it has counted since its start.
    pub counts: Counts,
}

/// Who belongs to a part of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Members {
    /// Those who count.
    pub voters: Vec<NodeId>,
    /// Those who receive the log and do not count yet.
    pub learners: Vec<NodeId>,
    /// Whether that is committed, as far as the node knows.
    pub committed: bool,
}

impl Members {
    /// As a node has it.
    pub(super) fn of(node: &Node) -> Members {
        let (since, membership) = &*node.membership();
        let Membership { voters, learners } = membership.clone();
        Members { voters, learners, committed: *since <= node.view().commit }
    }
}

/// What a log has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Log {
    /// The first entry that is there; what is in front of it is in the snapshot.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Up to here it is durable.
    pub durable: u64,
    /// Up to here it is committed.
    pub commit: u64,
    /// Up to here it is applied.
    pub applied: u64,
}

/// What a node works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Work {
    /// A server of the controller: the latest configuration that it has applied.
    Configurations {
        /// Which one.
        config: ConfigNum,
        /// How many groups it has.
        groups: usize,
    },
    /// A server of a group.
    Shards {
        /// The configuration that the group has adopted.
        config: ConfigNum,
        /// What it serves.
        owned: Vec<ShardId>,
        /// How many shards it waits for.
        coming: usize,
        /// How many it keeps for others.
        frozen: usize,
    },
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that have arrived.
    pub received: u64,
    /// Messages that were sent to other nodes.
    pub sent: u64,
    /// Messages that found no room or no way, coming or going.
    pub dropped: u64,
    /// Connections that were refused.
    pub turned_away: u64,
    /// Writes to the disk.
    pub writes: u64,
    /// Bytes in these.
    pub bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Everything that was done with the disk: writes, syncs, reads, changes of names.
    pub disk_operations: u64,
}

impl From<Counters> for Counts {
    fn from(counters: Counters) -> Counts {
        let Counters { received, overflowed, without_address, turned_away, disk, peers, .. } = counters;
        let sent = peers.values().map(|peer| peer.sent).sum();
        let unsent: u64 = peers.values().map(|peer| peer.overflowed + peer.unreachable).sum();
        let dropped = overflowed + without_address + unsent;
        let disk_operations = disk.operations();
        let DiskCounters { writes, bytes, syncs, .. } = disk;
        Counts { received, sent, dropped, turned_away, writes, bytes, syncs, disk_operations }
    }
}

/// What a node says of its Raft: role, term, vote, leader, log.
pub(super) fn of_raft(node: &Node) -> (Role, u64, Option<NodeId>, Option<NodeId>, Log) {
    let view = node.view();
    let log = Log {
        first: view.snapshot.index.0 + 1,
        last: view.last.index.0,
        durable: view.durable.0,
        commit: view.commit.0,
        applied: view.applied.0,
    };
    (view.role, view.term.0, view.vote, view.leader, log)
}

/// For a table.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::PreCandidate | Role::Candidate => "candidate",
    }
}

impl fmt::Display for Work {
    /// For a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Configurations { config, groups: 1 } => write!(f, "1 group in {config}"),
            Work::Configurations { config, groups } => write!(f, "{groups} groups in {config}"),
            Work::Shards { config, owned, coming, frozen } => {
                write!(f, "{} in {config}", shards(owned))?;
                if *coming > 0 {
                    write!(f, ", {coming} coming")?;
                }
                if *frozen > 0 {
                    write!(f, ", {frozen} to be fetched")?;
                }
                Ok(())
            }
        }
    }
}

/// Numbers in rows: `0-3 7`.
fn shards(owned: &[ShardId]) -> String {
    let mut rows: Vec<(u32, u32)> = Vec::new();
    for ShardId(shard) in owned {
        match rows.last_mut() {
            Some((_, last)) if *last + 1 == *shard => *last = *shard,
            _ => rows.push((*shard, *shard)),
        }
    }
    let rows =
        rows.iter().map(|(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") });
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() { "none".into() } else { rows.join(" ") }
}

/// A table of nodes, a row each; of those that do not answer only what is known about them.
pub fn table(nodes: &[(super::Entry, Option<Status>)]) -> String {
    let head = ["NODE", "PART", "ADDRESS", "STATE", "TERM", "LOG", "COMMIT", "APPLIED", "SHARDS"].map(String::from);
    let mut rows = vec![head];
    for (entry, status) in nodes {
        let known = [entry.name.clone(), entry.part.to_string(), entry.address.clone()];
        let said = match status {
            None => ["down", "-", "-", "-", "-", "-"].map(String::from),
            Some(Status { role, term, log, work, .. }) => [
                role.clone(),
                term.to_string(),
                format!("{}..{}", log.first, log.last),
                log.commit.to_string(),
                log.applied.to_string(),
                work.as_ref().map_or("-".into(), Work::to_string),
            ],
        };
        let mut cells = known.into_iter().chain(said);
        rows.push(std::array::from_fn(|_| cells.next().expect("three and six are nine")));
    }
    let widths: [usize; 9] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default());
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What a table has no room for.
pub fn details(status: &Status) -> String {
    let Status { boot, process, vote, leader, log, members, counts, .. } = status;
    let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ");
    let learners = match &*members.learners {
        [] => String::new(),
        learners => format!(", learning: {}", names(learners)),
    };
    let pending = if members.committed { "" } else { ", not committed yet" };
    let named = |node: &Option<NodeId>| node.map_or("nobody".into(), |node| node.to_string());
    let Counts { received, sent, dropped, turned_away, writes, bytes, syncs, disk_operations } = counts;
    format!(
        "id        {}, start {boot}, process {process}\n\
         election  takes {} for the leader, has voted for {} in this term\n\
         members   {}{learners}{pending}\n\
         log       {}..{}, durable to {}\n\
         messages  {received} received, {sent} sent, {dropped} dropped; {turned_away} connections turned away\n\
         disk      {disk_operations} operations: {writes} writes of {bytes} bytes, {syncs} syncs, and others\n",
        status.id,
        named(leader),
        named(vote),
        names(&members.voters),
        log.first,
        log.last,
        log.durable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_told_in_rows() {
        let told = |numbers: &[u32]| shards(&numbers.iter().copied().map(ShardId).collect::<Vec<_>>());
        assert_eq!(told(&[]), "none");
        assert_eq!(told(&[3]), "3");
        assert_eq!(told(&[0, 1, 2, 7, 9, 10]), "0-2 7 9-10");
    }
}
