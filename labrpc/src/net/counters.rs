//! What a host counts, as plain numbers for whoever asks.

use super::env::NetEnv;
use super::peer::Peer;
use crate::id::NodeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted since a host has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that have arrived.
    pub received: u64,
    /// Messages that have arrived, or replies that were to leave, and found no room.
    pub overflowed: u64,
    /// Replies that nobody waited for any more.
    pub late_replies: u64,
    /// Messages to nodes of which no address is known.
    pub without_address: u64,
    /// Connections that were refused.
    pub turned_away: u64,
    /// Of the disk.
    pub disk: DiskCounters,
    /// Of each peer.
    pub peers: BTreeMap<NodeId, PeerCounters>,
    /// How often each sort of event was emitted.
    pub events: BTreeMap<&'static str, u64>,
}

/// What was counted of the disk. Each is one operation on the files of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Appends and writes at an offset.
    pub writes: u64,
    /// Bytes in these.
    pub bytes: u64,
    /// Syncs of files that were made; those that wait together are made once.
    pub syncs: u64,
    /// Syncs of the directory.
    pub dir_syncs: u64,
    /// Reads of files, of lengths and of the list of names.
    pub reads: u64,
    /// Truncations, renames and removals.
    pub others: u64,
}

impl DiskCounters {
    /// All of them.
    pub fn operations(&self) -> u64 {
        let DiskCounters { writes, bytes: _, syncs, dir_syncs, reads, others } = self;
        writes + syncs + dir_syncs + reads + others
    }
}

/// What was counted of a peer. Each message is counted when it is sent, and again if it is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounters {
    /// Messages that were taken to be sent.
    pub sent: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that were not taken: the queue was full, or they were too large.
    pub overflowed: u64,
    /// Messages that were taken, and dropped because the peer could not be reached.
    pub unreachable: u64,
    /// Connections that this node has opened to it.
    pub connections: u64,
}

pub(crate) fn read(env: &NetEnv) -> Counters {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let disk = &env.disk.counts;
    let of_peer = |peer: &Peer| PeerCounters {
        sent: of(&peer.counts.sent),
        bytes: of(&peer.counts.bytes),
        overflowed: of(&peer.counts.overflowed),
        unreachable: of(&peer.counts.unreachable),
        connections: of(&peer.counts.connections),
    };
    let peers = env.peers.read().expect("nobody panics while holding it");
    Counters {
        received: of(&env.router.received),
        overflowed: of(&env.router.overflowed),
        late_replies: of(&env.router.late),
        without_address: of(&env.without_address),
        turned_away: of(&env.turned_away),
        disk: DiskCounters {
            writes: of(&disk.writes),
            bytes: of(&disk.bytes),
            syncs: of(&disk.syncs),
            dir_syncs: of(&disk.dir_syncs),
            reads: of(&disk.reads),
            others: of(&disk.others),
        },
        peers: peers.iter().map(|(id, peer)| (*id, of_peer(peer))).collect(),
        events: env.observer.counts(),
    }
}
