//! The persister in the shape that the course gives it: `save(state, snapshot)`, whole and at once.
//!
//! For a Raft that keeps all it must remember in one blob. Each save is one record of the log that holds the
//! blob and names the snapshot that goes with it; that is what makes the pair atomic.

use super::{Directory, Persister, PersisterBug, Refused, SnapshotId, read_snapshot, recover};
use crate::disk::{Disk, DiskError};
use serde::{Deserialize, Serialize};

/// The log is rewritten when it holds more than this many bytes and more than [`REWRITE_FACTOR`] states.
const REWRITE_ABOVE: u64 = 16 << 10;
const REWRITE_FACTOR: u64 = 4;

/// What was saved last. Both are empty on a fresh disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// The state.
    pub state: Vec<u8>,
    /// The snapshot that goes with it.
    pub snapshot: Vec<u8>,
}

impl Saved {
    /// What a node would find in this directory.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn recover(directory: &dyn Directory, identity: &str) -> Result<Saved, Refused> {
        let records = recover(directory, identity)?.unwrap_or_default();
        let Some(last) = records.iter().next_back().map(Save::decode) else {
            return Ok(Saved::default());
        };
        let snapshot = match last.snapshot {
            0 => Vec::new(),
            number => read_snapshot(directory, SnapshotId(number, 0), identity)?,
        };
        Ok(Saved { state: last.state, snapshot })
    }
}

/// One save. Snapshot 0 is the empty one.
#[derive(Serialize, Deserialize)]
struct Save {
    snapshot: u64,
    state: Vec<u8>,
}

impl Save {
    fn decode(record: &[u8]) -> Save {
        labgob::decode(record).expect("a record with a sound checksum is one that a saver wrote")
    }
}

/// Saves a state and a snapshot together.
pub struct Saver {
    persister: Persister,
    snapshot: u64,
}

impl Saver {
    /// Opens what is on the disk, or starts fresh on an empty one.
    ///
    /// # Errors
    /// [`Refused`], with what to do about it.
    pub async fn open(disk: Disk, identity: &str, bug: Option<PersisterBug>) -> Result<(Saver, Saved), Refused> {
        let (mut persister, records) = Persister::open(disk, identity, bug).await?;
        let last = records.iter().next_back().map(Save::decode);
        let (number, state) = last.map(|save| (save.snapshot, save.state)).unwrap_or_default();
        let id = (number > 0).then_some(SnapshotId(number, 0));
        let snapshot = match id {
            Some(id) => persister.read_snapshot(id).await?,
            None => Vec::new(),
        };
        persister.keep_only(id).await?;
        Ok((Saver { persister, snapshot: number }, Saved { state, snapshot }))
    }

    /// Saves the state, and with it a new snapshot or the one from before. Durable on return; a crash leaves
    /// the pair from before or this one.
    ///
    /// # Errors
    /// [`DiskError`]: the node must stop.
    pub async fn save(&mut self, state: &[u8], snapshot: Option<&[u8]>) -> Result<(), DiskError> {
        if let Some(content) = snapshot {
            self.snapshot += 1;
            self.persister.write_snapshot(SnapshotId(self.snapshot, 0), content).await?;
        }
        let save = Save { snapshot: self.snapshot, state: state.to_vec() };
        let record = labgob::encode(&save).map_err(|_| DiskError::Full("a state above labgob's limit".into()))?;
        let records = std::iter::once(&record[..]);
        let large = REWRITE_ABOVE.max(REWRITE_FACTOR * record.len() as u64);
        if self.persister.log_size() > large {
            self.persister.rewrite(records).await?;
        } else {
            self.persister.append(records).await?;
            self.persister.sync().await?;
        }
        if snapshot.is_some() {
            self.persister.keep_only(Some(SnapshotId(self.snapshot, 0))).await?;
        }
        Ok(())
    }
}
