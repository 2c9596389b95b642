//! The files of a node in a directory of the machine, under the contract of [`crate::Disk`].
//!
//! After the first write or sync that has failed nothing is carried out any more. When a kernel cannot write a page back
//! it says so once, and then takes the page for clean: the next sync would be a success about data that is lost.

use super::disk::Counts;
use crate::disk::{DiskError, DiskOp};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Held by the process that uses the directory.
const LOCK: &str = "LOCK";
/// How often a node was started on this directory.
const BOOTS: &str = "BOOTS";
const BOOTS_DRAFT: &str = "BOOTS.draft";
/// Names that are not the node's.
const OWN: [&str; 3] = [LOCK, BOOTS, BOOTS_DRAFT];

/// A directory, with what is open in it.
pub(crate) struct Directory {
    path: PathBuf,
    /// To sync names.
    names: File,
    /// Files stay open until they are removed: a failure to write one back is told to those who have it open. A node has
    /// a handful.
    open: BTreeMap<String, OpenFile>,
    lock: Option<File>,
    /// The first write or sync that failed.
    broken: Option<DiskError>,
    pub counts: Arc<Counts>,
}

struct OpenFile {
    file: File,
    len: u64,
}

impl Directory {
    /// Opens a directory, which is made if there is none.
    pub fn open(path: &Path) -> io::Result<Directory> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            // Its own name must be durable before anything in it can be.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let names = File::open(path)?;
        let open = BTreeMap::new();
        Ok(Directory { path: path.into(), names, open, lock: None, broken: None, counts: Arc::default() })
    }

    /// Counts one more start, durable on return. Two processes may draw the same number; only one of them gets the lock.
    pub fn count_boot(&self) -> io::Result<u32> {
        let damaged = |what: &str| {
            let why = format!("`{BOOTS}` says `{what}`, which is no number of starts: restore it from a copy");
            io::Error::new(ErrorKind::InvalidData, why)
        };
        let last: u32 = match fs::read_to_string(self.path.join(BOOTS)) {
            Ok(text) => text.trim().parse().map_err(|_| damaged(text.trim()))?,
            Err(missing) if missing.kind() == ErrorKind::NotFound => 0,
            Err(why) => return Err(why),
        };
        let boot = last.checked_add(1).ok_or_else(|| damaged(&last.to_string()))?;
        let draft = self.path.join(BOOTS_DRAFT);
        fs::write(&draft, format!("{boot}\n"))?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, self.path.join(BOOTS))?;
        self.names.sync_all()?;
        Ok(boot)
    }

    /// Claims the directory for this process.
    pub fn lock(&mut self) -> Result<(), DiskError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let failed = |_| DiskError::Failed(LOCK.into());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path.join(LOCK));
        let file = file.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(why) if why == rustix::io::Errno::WOULDBLOCK => Err(DiskError::Locked),
            Err(why) => Err(failed(why.into())),
        }
    }

    /// Changes something, or makes it durable.
    pub fn carry_out(&mut self, op: DiskOp<'_>) -> Result<(), DiskError> {
        self.sound()?;
        check_name(op.file(), &op)?;
        if let DiskOp::Rename { from, .. } = &op {
            check_name(from, &op)?;
        }
        let done = self.try_to(&op);
        done.map_err(|why| match why.kind() {
            // Nothing was lost by this: there was nothing.
            ErrorKind::NotFound => DiskError::NotFound(missing(&op).into()),
            kind => {
                let file = if op.file().is_empty() { "the directory" } else { op.file() };
                tracing::error!(target: "shardlab::disk", "{file} in {}: {why}", self.path.display());
                let is_full = matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                let error = if is_full { DiskError::Full(file.into()) } else { DiskError::Failed(file.into()) };
                self.broken.insert(error).clone()
            }
        })
    }

    fn sound(&self) -> Result<(), DiskError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn try_to(&mut self, op: &DiskOp<'_>) -> io::Result<()> {
        if matches!(op, DiskOp::Truncate { .. } | DiskOp::Rename { .. } | DiskOp::Remove { .. }) {
            self.counts.others.fetch_add(1, Ordering::Relaxed);
        }
        match op {
            DiskOp::Append { file, bytes } => self.write(file, None, bytes),
            DiskOp::WriteAt { file, offset, bytes } => self.write(file, Some(*offset), bytes),
            DiskOp::Truncate { file, len } => {
                let open = self.file(file, false)?;
                open.file.set_len(*len)?;
                open.len = *len;
                Ok(())
            }
            DiskOp::Rename { from, to } => {
                fs::rename(self.path.join(&**from), self.path.join(&**to))?;
                self.open.remove(&**to);
                if let Some(open) = self.open.remove(&**from) {
                    self.open.insert(to.to_string(), open);
                }
                Ok(())
            }
            DiskOp::Remove { file } => {
                fs::remove_file(self.path.join(&**file))?;
                self.open.remove(&**file);
                Ok(())
            }
            DiskOp::Sync { file } => {
                self.file(file, false)?.file.sync_data()?;
                self.counts.syncs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            DiskOp::SyncDir => {
                self.names.sync_all()?;
                self.counts.dir_syncs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Writes at an offset, or at the end.
    fn write(&mut self, file: &str, offset: Option<u64>, bytes: &[u8]) -> io::Result<()> {
        let open = self.file(file, true)?;
        let offset = offset.unwrap_or(open.len);
        open.file.write_all_at(bytes, offset)?;
        open.len = open.len.max(offset + bytes.len() as u64);
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// The file, open. A symbolic link is followed: an operator may have put a large file elsewhere.
    fn file(&mut self, name: &str, create: bool) -> io::Result<&mut OpenFile> {
        if !self.open.contains_key(name) {
            let path = self.path.join(name);
            let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
            let len = file.metadata()?.len();
            self.open.insert(name.into(), OpenFile { file, len });
        }
        Ok(self.open.get_mut(name).expect("it was just opened, if it was not before"))
    }

    pub fn read(&mut self, file: &str) -> Result<Vec<u8>, DiskError> {
        self.look(file, |path| fs::read(path))
    }

    pub fn len(&mut self, file: &str) -> Result<u64, DiskError> {
        self.look(file, |path| Ok(fs::metadata(path)?.len()))
    }

    fn look<T>(&mut self, file: &str, look: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, DiskError> {
        self.sound()?;
        check_name(file, &DiskOp::Sync { file: file.into() })?;
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        look(&self.path.join(file)).map_err(|why| match why.kind() {
            ErrorKind::NotFound => DiskError::NotFound(file.into()),
            _ => {
                tracing::error!(target: "shardlab::disk", "{file} in {}: {why}", self.path.display());
                DiskError::Failed(file.into())
            }
        })
    }

    /// The names of the node's files, in order.
    pub fn list(&mut self) -> Result<Vec<String>, DiskError> {
        self.sound()?;
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let names = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                // What cannot be a name of ours is none of our files.
                if let Ok(name) = entry.file_name().into_string()
                    && !OWN.contains(&&*name)
                    && !entry.file_type()?.is_dir()
                {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        names().map_err(|_| DiskError::Failed("the directory".into()))
    }
}

/// The name of what an operation did not find.
fn missing<'a>(op: &'a DiskOp<'_>) -> &'a str {
    match op {
        DiskOp::Rename { from, .. } => from,
        _ => op.file(),
    }
}

/// A name is one step into the directory, and none out of it.
fn check_name(name: &str, op: &DiskOp<'_>) -> Result<(), DiskError> {
    let is_fine = !name.is_empty()
        && name.len() <= 255
        && !name.contains(['/', '\\', '\0'])
        && !matches!(name, "." | "..")
        && !OWN.contains(&name);
    if is_fine || matches!(op, DiskOp::SyncDir) { Ok(()) } else { Err(DiskError::BadName(name.into())) }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
