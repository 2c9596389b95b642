//! A node's disk: one directory of named files.
//!
//! The contract is that of a POSIX file system, taken at its word:
//!
//! * what was written is *pending* until [`Disk::sync`] of its file has returned; a power failure may keep it,
//!   lose it, or keep part of it, each write on its own;
//! * a new, renamed or removed *name* is pending until [`Disk::sync_dir`] has returned, whatever was synced of
//!   its content;
//! * when a process ends without a power failure, what is pending stays readable and stays pending: a node that
//!   recovers from a file must sync it before it relies on what it read;
//! * a failed sync loses what was pending, and the next one succeeds without it. So the first write or sync
//!   that fails must stop the node ([`crate::Env::halt`]); going on would break promises. (On a real disk nothing
//!   succeeds any more after that: a kernel forgets what it could not write, and would call the next sync a success.)
//!
//! Operations that are awaited one after the other take effect in that order.

use crate::env::Env;
use bytes::Bytes;
use std::borrow::Cow;

/// Why an operation of the disk failed. Each names the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiskError {
    /// There is no such file.
    #[error("no file `{0}`")]
    NotFound(String),
    /// The device failed. What was pending may be lost.
    #[error("the disk failed on `{0}`")]
    Failed(String),
    /// There is no room left.
    #[error("the disk is full: no room for `{0}`")]
    Full(String),
    /// Somebody else uses this disk.
    #[error("the disk is in use by another process")]
    Locked,
    /// A file cannot have this name.
    #[error("`{0}` cannot be the name of a file: it would leave the node's directory, or is taken")]
    BadName(String),
}

/// What a node asks of its disk.
#[derive(Clone, Debug)]
pub(crate) enum DiskOp<'a> {
    Append { file: Cow<'a, str>, bytes: Bytes },
    WriteAt { file: Cow<'a, str>, offset: u64, bytes: Bytes },
    Truncate { file: Cow<'a, str>, len: u64 },
    Rename { from: Cow<'a, str>, to: Cow<'a, str> },
    Remove { file: Cow<'a, str> },
    Sync { file: Cow<'a, str> },
    SyncDir,
}

impl DiskOp<'_> {
    /// The file it is about; for a rename the new name, for the directory nothing.
    pub fn file(&self) -> &str {
        match self {
            DiskOp::Append { file, .. }
            | DiskOp::WriteAt { file, .. }
            | DiskOp::Truncate { file, .. }
            | DiskOp::Remove { file }
            | DiskOp::Sync { file }
            | DiskOp::Rename { to: file, .. } => file,
            DiskOp::SyncDir => "",
        }
    }

    /// The same, for later.
    pub fn into_owned(self) -> DiskOp<'static> {
        let own = |name: Cow<'_, str>| Cow::Owned(name.into_owned());
        match self {
            DiskOp::Append { file, bytes } => DiskOp::Append { file: own(file), bytes },
            DiskOp::WriteAt { file, offset, bytes } => DiskOp::WriteAt { file: own(file), offset, bytes },
            DiskOp::Truncate { file, len } => DiskOp::Truncate { file: own(file), len },
            DiskOp::Rename { from, to } => DiskOp::Rename { from: own(from), to: own(to) },
            DiskOp::Remove { file } => DiskOp::Remove { file: own(file) },
            DiskOp::Sync { file } => DiskOp::Sync { file: own(file) },
            DiskOp::SyncDir => DiskOp::SyncDir,
        }
    }
}

/// The disk of a node. Reads see everything that was written, pending or not.
#[derive(Clone)]
pub struct Disk {
    env: Env,
}

impl Disk {
    pub(crate) fn of(env: Env) -> Disk {
        Disk { env }
    }

    /// Writes at the end of a file, which is created if there is none.
    ///
    /// # Errors
    /// [`DiskError::Failed`], [`DiskError::Full`].
    pub async fn append(&self, file: &str, bytes: impl Into<Bytes>) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::Append { file: file.into(), bytes: bytes.into() }).await
    }

    /// Writes at an offset in bytes. A gap reads as zeros.
    ///
    /// # Errors
    /// [`DiskError::Failed`], [`DiskError::Full`].
    pub async fn write_at(&self, file: &str, offset: u64, bytes: impl Into<Bytes>) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::WriteAt { file: file.into(), offset, bytes: bytes.into() }).await
    }

    /// Cuts the file to `len` bytes, or fills it with zeros up to there.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn truncate(&self, file: &str, len: u64) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::Truncate { file: file.into(), len }).await
    }

    /// Gives a file another name; a file of that name is replaced, in one step.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::Rename { from: from.into(), to: to.into() }).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn remove(&self, file: &str) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::Remove { file: file.into() }).await
    }

    /// Makes durable what was written to the file before this was called.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn sync(&self, file: &str) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::Sync { file: file.into() }).await
    }

    /// [`Disk::append`] and then [`Disk::sync`]. A real disk is asked once for both, and wakes whoever waits once.
    ///
    /// # Errors
    /// Those of the two. After one of the first the second was not tried.
    pub async fn append_and_sync(&self, file: &str, bytes: impl Into<Bytes>) -> Result<(), DiskError> {
        let append = DiskOp::Append { file: file.into(), bytes: bytes.into() };
        self.env.disk_ops([append, DiskOp::Sync { file: file.into() }]).await
    }

    /// Makes all names durable.
    ///
    /// # Errors
    /// [`DiskError::Failed`].
    pub async fn sync_dir(&self) -> Result<(), DiskError> {
        self.env.disk_op(DiskOp::SyncDir).await
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn read(&self, file: &str) -> Result<Vec<u8>, DiskError> {
        self.env.disk_read(file).await
    }

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// [`DiskError::NotFound`], [`DiskError::Failed`].
    pub async fn len(&self, file: &str) -> Result<u64, DiskError> {
        self.env.disk_len(file).await
    }

    /// The names of all files, in order.
    ///
    /// # Errors
    /// [`DiskError::Failed`].
    pub async fn list(&self) -> Result<Vec<String>, DiskError> {
        self.env.disk_list().await
    }

    /// Claims the disk for this boot, until it ends. A simulated disk belongs to one node and is never taken.
    ///
    /// # Errors
    /// [`DiskError::Locked`].
    pub async fn lock(&self) -> Result<(), DiskError> {
        self.env.disk_lock().await
    }
}
