//! The disk of one server, in memory: what was synced, and one write that may not be.

use super::say;
use bytes::Bytes;
use shardlab::raft::{EntryId, Saved, Write, storage};
use std::collections::BTreeMap;

/// A disk.
#[derive(Default)]
pub struct Disk {
    /// The log, record by record, as the driver would write it.
    records: Vec<Vec<u8>>,
    snapshots: BTreeMap<EntryId, Bytes>,
    pending: Option<Pending>,
}

/// A write that is not durable.
struct Pending {
    seq: u64,
    text: String,
    records: Vec<Vec<u8>>,
    snapshot: Option<(EntryId, Bytes)>,
}

impl Disk {
    /// A disk that holds this and no more.
    pub fn holding(saved: &Saved) -> Disk {
        let records = storage::records_of(saved).iter().map(<[u8]>::to_vec).collect();
        Disk { records, ..Disk::default() }
    }

    /// What a server that starts will find.
    pub fn saved(&self) -> Saved {
        Saved::recover(self.records.iter().map(Vec::as_slice)).expect("the core leaves no hole in its log")
    }

    /// The bytes of a snapshot.
    pub fn snapshot(&self, last: EntryId) -> Bytes {
        self.snapshots.get(&last).cloned().expect("a snapshot is on the disk before the record that names it")
    }

    /// Begins a write. The core has one under way at a time.
    pub fn begin(&mut self, write: &Write, snapshot: Option<(EntryId, Bytes)>) {
        assert!(self.pending.is_none(), "the core makes no write before the last one is durable");
        let records = storage::records(write).iter().map(<[u8]>::to_vec).collect();
        self.pending = Some(Pending { seq: write.seq, text: say::write(write), records, snapshot });
    }

    /// Makes the pending write durable, and returns its number.
    pub fn sync(&mut self) -> Option<u64> {
        let done = self.pending.take()?;
        self.records.extend(done.records);
        if let Some((last, content)) = done.snapshot {
            self.snapshots = BTreeMap::from([(last, content)]);
        }
        Some(done.seq)
    }

    /// Loses the pending write, and says what that was.
    pub fn lose(&mut self) -> Option<String> {
        self.pending.take().map(|write| write.text)
    }
}
