//! A simulated disk: files whose writes are pending until synced, and a directory of their names.
//!
//! The model is what a POSIX file system promises and no more. Contents and names are separate: a synced file
//! whose directory entry is not durable is gone after a power failure. Each pending operation survives a power
//! failure or not on its own, so a later one may survive an earlier one, and a write may survive in part.
//!
//! This is a data structure: it knows nothing of time, nodes or tasks.

use super::fate::Fate;
use crate::disk::DiskError;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Unit in which a write is torn.
const SECTOR: u64 = 512;

type Name = Arc<str>;

/// A change of one file that is not durable yet.
#[derive(Clone, Debug)]
enum Patch {
    Write { offset: u64, bytes: Bytes },
    Truncate { len: u64 },
}

impl Patch {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Patch::Write { offset, bytes } => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if content.len() == start {
                    content.extend_from_slice(bytes);
                    return;
                }
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(bytes);
            }
            Patch::Truncate { len } => content.resize(*len as usize, 0),
        }
    }
}

/// A change of the directory that is not durable yet.
#[derive(Clone, Debug)]
enum NameChange {
    Create { name: Name, inode: u32 },
    Rename { from: Name, to: Name, inode: u32 },
    Remove { name: Name },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<Name, u32>) {
        match self {
            NameChange::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Rename { from, to, inode } => {
                // The creation of `from` may have been lost: the journal entry names the file itself.
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

#[derive(Default)]
struct Inode {
    durable: Vec<u8>,
    pending: VecDeque<Patch>,
    /// Length with the pending changes.
    len: u64,
    /// How many patches have left `pending` so far: a sync covers patches by their number.
    settled: u64,
}

impl Inode {
    fn patch(&mut self, patch: Patch) {
        self.len = match &patch {
            Patch::Write { offset, bytes } => self.len.max(offset + bytes.len() as u64),
            Patch::Truncate { len } => *len,
        };
        self.pending.push_back(patch);
    }

    fn settle(&mut self, up_to: u64, keep: bool) {
        while self.settled < up_to {
            let Some(patch) = self.pending.pop_front() else { break };
            self.settled += 1;
            if keep {
                patch.apply(&mut self.durable);
            }
        }
        if !keep {
            self.len = self.current().len() as u64;
        }
    }

    fn current(&self) -> Cow<'_, [u8]> {
        if self.pending.is_empty() {
            return Cow::Borrowed(&self.durable);
        }
        let mut content = self.durable.clone();
        self.pending.iter().for_each(|patch| patch.apply(&mut content));
        Cow::Owned(content)
    }
}

/// A point up to which a file's changes will be durable when a sync that was asked for then completes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncPoint {
    inode: u32,
    up_to: u64,
}

/// Which state of a disk to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    /// What a power failure cannot take any more.
    Durable,
    /// What a read returns: with everything that is pending.
    Current,
}

/// The disk of one node.
#[derive(Default)]
pub(crate) struct SimDisk {
    current: BTreeMap<Name, u32>,
    durable: BTreeMap<Name, u32>,
    pending: Vec<NameChange>,
    inodes: BTreeMap<u32, Inode>,
    next_inode: u32,
}

impl SimDisk {
    fn inode(&self, file: &str) -> Result<(u32, &Inode), DiskError> {
        let id = *self.current.get(file).ok_or_else(|| DiskError::NotFound(file.to_string()))?;
        Ok((id, &self.inodes[&id]))
    }

    fn inode_mut(&mut self, file: &str) -> Result<&mut Inode, DiskError> {
        let id = self.current.get(file).ok_or_else(|| DiskError::NotFound(file.to_string()))?;
        Ok(self.inodes.get_mut(id).expect("every name has a file"))
    }

    fn open(&mut self, file: &str) -> &mut Inode {
        let id = match self.current.get(file) {
            Some(id) => *id,
            None => {
                self.next_inode += 1;
                let (name, inode) = (Name::from(file), self.next_inode);
                self.inodes.insert(inode, Inode::default());
                self.current.insert(name.clone(), inode);
                self.pending.push(NameChange::Create { name, inode });
                inode
            }
        };
        self.inodes.get_mut(&id).expect("every name has a file")
    }

    /// Bytes in all files, pending ones included.
    pub fn used(&self) -> u64 {
        self.current.values().map(|id| self.inodes[id].len).sum()
    }

    pub fn append(&mut self, file: &str, bytes: Bytes) {
        let inode = self.open(file);
        let offset = inode.len;
        inode.patch(Patch::Write { offset, bytes });
    }

    pub fn write_at(&mut self, file: &str, offset: u64, bytes: Bytes) {
        self.open(file).patch(Patch::Write { offset, bytes });
    }

    pub fn truncate(&mut self, file: &str, len: u64) -> Result<(), DiskError> {
        self.inode_mut(file)?.patch(Patch::Truncate { len });
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let (inode, _) = self.inode(from)?;
        let change = NameChange::Rename { from: Name::from(from), to: Name::from(to), inode };
        change.apply(&mut self.current);
        self.pending.push(change);
        Ok(())
    }

    pub fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.inode(file)?;
        let change = NameChange::Remove { name: Name::from(file) };
        change.apply(&mut self.current);
        self.pending.push(change);
        Ok(())
    }

    /// What a sync of the file that is asked for now will cover.
    pub fn sync_point(&self, file: &str) -> Result<SyncPoint, DiskError> {
        let (id, inode) = self.inode(file)?;
        Ok(SyncPoint { inode: id, up_to: inode.settled + inode.pending.len() as u64 })
    }

    /// The sync completes: what it covers is durable, or after a failure lost.
    pub fn sync(&mut self, point: SyncPoint, success: bool) {
        if let Some(inode) = self.inodes.get_mut(&point.inode) {
            inode.settle(point.up_to, success);
        }
    }

    pub fn sync_dir(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
        self.forget_nameless();
    }

    fn forget_nameless(&mut self) {
        let (current, durable) = (&self.current, &self.durable);
        self.inodes.retain(|id, _| current.values().chain(durable.values()).any(|named| named == id));
    }

    /// Whether anything would be lost if the power failed now and nothing pending survived.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.inodes.values().any(|inode| !inode.pending.is_empty())
    }

    /// The power fails. Each pending change is kept, torn or lost, on its own.
    pub fn fail_power(&mut self, keep: u32, tear: u32, mut fate: impl FnMut() -> Fate) {
        for change in std::mem::take(&mut self.pending) {
            if fate().chance(keep) {
                change.apply(&mut self.durable);
            }
        }
        for inode in self.inodes.values_mut() {
            for patch in std::mem::take(&mut inode.pending) {
                inode.settled += 1;
                let mut fate = fate();
                if fate.chance(keep) {
                    patch.apply(&mut inode.durable);
                } else if fate.chance(share_of_rest(tear, keep))
                    && let Patch::Write { offset, bytes } = patch
                {
                    tear_write(&mut inode.durable, offset, &bytes, &mut fate);
                }
            }
            inode.len = inode.durable.len() as u64;
        }
        self.current = self.durable.clone();
        self.forget_nameless();
    }

    /// Flips a bit of the first durable file whose name begins so. Tells which file, if there is one.
    pub fn corrupt(&mut self, prefix: &str, offset: u64) -> Option<String> {
        let (name, id) = self.durable.iter().find(|(name, _)| name.starts_with(prefix))?;
        let byte = self.inodes.get_mut(id)?.durable.get_mut(offset as usize)?;
        *byte ^= 0x10;
        Some(name.to_string())
    }

    pub fn view(&self, face: Face) -> DiskView<'_> {
        DiskView { disk: self, face }
    }
}

/// Of those not kept, how many ppm must be torn so that `tear` ppm of all are.
fn share_of_rest(tear: u32, keep: u32) -> u32 {
    let rest = 1_000_000u64.saturating_sub(keep.into()).max(1);
    u32::try_from((u64::from(tear) * 1_000_000 / rest).min(1_000_000)).unwrap_or(1_000_000)
}

/// Part of a write reaches the disk: a prefix, or any of its sectors. The file is as long as the last byte
/// that did; what lies between reads as zeros.
fn tear_write(content: &mut Vec<u8>, offset: u64, bytes: &Bytes, fate: &mut Fate) {
    if bytes.is_empty() {
        return;
    }
    if fate.chance(500_000) {
        let cut = fate.below(bytes.len() as u64) as usize;
        return Patch::Write { offset, bytes: bytes.slice(..cut) }.apply(content);
    }
    let end = offset + bytes.len() as u64;
    let mut start = offset;
    while start < end {
        let stop = (start / SECTOR + 1) * SECTOR;
        let stop = stop.min(end);
        if fate.chance(500_000) {
            let part = bytes.slice((start - offset) as usize..(stop - offset) as usize);
            Patch::Write { offset: start, bytes: part }.apply(content);
        }
        start = stop;
    }
}

/// A look at a node's disk from outside: for those who judge it.
#[derive(Clone, Copy)]
pub struct DiskView<'a> {
    disk: &'a SimDisk,
    face: Face,
}

impl<'a> DiskView<'a> {
    /// The names of the files, in order.
    pub fn files(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names().keys().map(|name| &**name)
    }

    /// The content of a file.
    pub fn read(&self, file: &str) -> Option<Cow<'a, [u8]>> {
        let inode = &self.disk.inodes[self.names().get(file)?];
        Some(match self.face {
            Face::Durable => Cow::Borrowed(&inode.durable),
            Face::Current => inode.current(),
        })
    }

    fn names(&self) -> &'a BTreeMap<Name, u32> {
        match self.face {
            Face::Durable => &self.disk.durable,
            Face::Current => &self.disk.current,
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
