//! The persister: a log that grows, snapshots that are replaced, and one rule of recovery for both.
//!
//! ```text
//! identity             whose directory this is, sealed; never removed
//! log-00000003         the log: sealed part, then what was appended since (see `wal`)
//! snap-0000002a-00000007   a snapshot, sealed
//! *.tmp                what a crash left unfinished; removed at the next start
//! ```
//!
//! A **sealed** file is written under another name, synced, renamed, and the directory synced: it is there as
//! a whole or not at all, so any damage in it is refused. The log starts sealed and then grows; only its end
//! can be torn. When it has grown too long it is rewritten as the next generation, sealed again.
//!
//! *Fresh* means that there is no identity, no log and no snapshot. Damage never is: a node that took damage for
//! a fresh start would vote twice and forget what it had acknowledged.
//!
//! The first start seals an empty log and then the identity, before anything is promised. So a crash between the
//! two leaves a log that says nothing, and an identity without a log is a log that was lost.
//!
//! The persister knows bytes and numbers. What the records mean is its caller's business.

mod saver;

pub use saver::{Saved, Saver};

use crate::disk::{Disk, DiskError};
use crate::wal::{self, Damage, Records, Scan, Tail};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Version of the files' format.
const FORMAT: u32 = 2;
/// The file that says whose directory this is.
const IDENTITY: &str = "identity";
const IDENTITY_SALT: u32 = 0x4944_4e54;
/// Snapshots are framed in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// Names a snapshot. For Raft: index and term of the last entry covered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SnapshotId(pub u64, pub u64);

impl SnapshotId {
    fn file(self) -> String {
        format!("snap-{:08x}-{:08x}", self.0, self.1)
    }

    fn parse(name: &str) -> Option<SnapshotId> {
        let (first, second) = name.strip_prefix("snap-")?.split_once('-')?;
        Some(SnapshotId(u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(second, 16).ok()?))
    }

    fn salt(self) -> u32 {
        let mut words = [0; 16];
        words[..8].copy_from_slice(&self.0.to_le_bytes());
        words[8..].copy_from_slice(&self.1.to_le_bytes());
        xxhash_rust::xxh3::xxh3_64(&words) as u32 ^ 0x534e_4150
    }
}

/// Why a node may not start from what is on its disk. Each says what to do.
#[derive(Debug, PartialEq, Eq, Clone, thiserror::Error)]
pub enum Refused {
    /// Bytes that had been durable are damaged.
    #[error(
        "`{file}` is {damage}. The disk has lost what it had confirmed, and going on without it could break \
         promises to other nodes. Restore the file from a copy, or give this node an empty directory and let it \
         join as a new one"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where and what.
        damage: Damage,
    },
    /// A file is missing that cannot be.
    #[error(
        "there is no {missing}, though there is {present}. Somebody or something removed it. Restore it from a \
         copy, or give this node an empty directory and let it join as a new one"
    )]
    Missing {
        /// What is missing.
        missing: String,
        /// What shows that it was there.
        present: String,
    },
    /// The files are somebody else's.
    #[error("`{file}` belongs to {found}, not to {expected}: is this the right directory?")]
    Foreign {
        /// The file.
        file: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A directory that can be read: a node's disk, or an image of one.
pub trait Directory {
    /// The names of the files.
    fn names(&self) -> Vec<String>;
    /// The content of a file.
    fn content(&self, file: &str) -> Option<Cow<'_, [u8]>>;
}

impl Directory for BTreeMap<String, Vec<u8>> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
    fn content(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        self.get(file).map(|content| Cow::Borrowed(&content[..]))
    }
}

#[cfg(feature = "sim")]
impl Directory for crate::sim::DiskView<'_> {
    fn names(&self) -> Vec<String> {
        self.files().map(String::from).collect()
    }
    fn content(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        self.read(file)
    }
}

/// Bugs that can be planted here, for the laboratory to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PersisterBug {
    /// A sync is reported that was never made.
    NoFsync,
    /// The log is rewritten in place, and a log that cannot be read is taken for a fresh node.
    TornStateFile,
}

macro_rules! bug {
    ($self:expr, $bug:ident) => {
        cfg!(feature = "zoo") && $self.bug == Some(PersisterBug::$bug)
    };
}

/// A log as read: its generation, what is in it, and how it ends.
#[derive(Debug)]
struct Log {
    generation: u64,
    records: Records,
    tail: Tail,
    is_torn: bool,
}

fn log_name(generation: u64) -> String {
    format!("log-{generation:08x}")
}

/// The name of the log that counts in a directory, with its salt for [`wal::Tail::new`]: that of the newest
/// generation. `None`: there is none.
pub fn current_log(directory: &dyn Directory) -> Option<(String, u32)> {
    let generation = newest(&directory.names())?;
    Some((log_name(generation), generation as u32))
}

fn newest(names: &[String]) -> Option<u64> {
    names
        .iter()
        .filter_map(|name| name.strip_prefix("log-"))
        .filter_map(|number| u64::from_str_radix(number, 16).ok())
        .max()
}

/// What a node would find in this directory: the records of its log. `None`: it would be fresh. Nothing is
/// changed; torn tails are left where they are.
///
/// # Errors
/// [`Refused`], as for [`Persister::open`].
pub fn recover(directory: &dyn Directory, identity: &str) -> Result<Option<Records>, Refused> {
    Ok(read_log(directory, identity)?.map(|log| log.records))
}

fn read_log(directory: &dyn Directory, identity: &str) -> Result<Option<Log>, Refused> {
    let names = directory.names();
    if let Some(bytes) = directory.content(IDENTITY) {
        read_sealed(IDENTITY, &bytes, IDENTITY_SALT, identity)?;
    }
    let Some(generation) = newest(&names) else {
        let snapshot = names.iter().find(|name| SnapshotId::parse(name).is_some());
        let present = match snapshot {
            Some(snapshot) => format!("the snapshot `{snapshot}`"),
            None if names.iter().any(|name| name == IDENTITY) => {
                format!("the file `{IDENTITY}` of an earlier start")
            }
            None => return Ok(None),
        };
        return Err(Refused::Missing { missing: "log".into(), present });
    };
    let file = log_name(generation);
    let bytes = directory.content(&file).unwrap_or_default();
    let scan =
        wal::scan(&bytes, generation as u32).map_err(|damage| Refused::Damaged { file: file.clone(), damage })?;
    Seal::check(&file, &bytes, &scan)?.belongs_to(&file, identity)?;
    let Scan { records, tail, torn } = scan;
    let records = Records::within(bytes.into_owned(), records[1..].to_vec());
    Ok(Some(Log { generation, records, tail, is_torn: torn.is_some() }))
}

/// The content of a snapshot.
///
/// # Errors
/// [`Refused::Damaged`], [`Refused::Foreign`], [`Refused::Missing`].
pub fn read_snapshot(directory: &dyn Directory, id: SnapshotId, identity: &str) -> Result<Vec<u8>, Refused> {
    let file = id.file();
    let Some(bytes) = directory.content(&file) else {
        return Err(Refused::Missing {
            missing: format!("snapshot `{file}`"),
            present: "a log that names it".into(),
        });
    };
    let scan = read_sealed(&file, &bytes, id.salt(), identity)?;
    let pieces = scan.records[1..].iter().map(|range| &bytes[range.clone()]);
    Ok(pieces.collect::<Vec<_>>().concat())
}

/// A file that is sealed from its first byte to its last, and ours.
fn read_sealed(file: &str, bytes: &[u8], salt: u32, identity: &str) -> Result<Scan, Refused> {
    let damaged = |damage| Refused::Damaged { file: file.into(), damage };
    let scan = wal::scan(bytes, salt).map_err(damaged)?;
    let seal = Seal::check(file, bytes, &scan)?;
    seal.belongs_to(file, identity)?;
    let (sealed, length) = (u64::from_le_bytes(seal.sealed), bytes.len() as u64);
    if sealed != length {
        let why = scan.torn.unwrap_or(wal::Broken::Behind);
        return Err(damaged(Damage { offset: sealed, durable: length, why }));
    }
    Ok(scan)
}

/// The first record of a sealed file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Seal {
    format: u32,
    /// Bytes that were there when the file got its name. In fixed width, since it counts itself.
    sealed: [u8; 8],
    /// Whose file it is.
    identity: String,
}

impl Seal {
    /// The bytes of a sealed file that holds these records.
    fn file<'a>(salt: u32, identity: &str, records: impl Iterator<Item = &'a [u8]> + Clone) -> (Vec<u8>, Tail) {
        let head = |sealed: u64| {
            let seal = Seal { format: FORMAT, sealed: sealed.to_le_bytes(), identity: identity.into() };
            labgob::encode(&seal).expect("a seal is small")
        };
        let framed: usize = records.clone().map(|record| wal::framed(record.len())).sum();
        let sealed = wal::framed(head(0).len()) + framed;
        let (mut bytes, mut tail) = (Vec::with_capacity(sealed), Tail::new(salt));
        tail.append(&mut bytes, &head(sealed as u64));
        records.for_each(|record| tail.append(&mut bytes, record));
        assert_eq!(bytes.len(), sealed, "a seal says how long the file is");
        (bytes, tail)
    }

    fn belongs_to(&self, file: &str, identity: &str) -> Result<(), Refused> {
        if self.identity == identity {
            return Ok(());
        }
        let (found, expected) = (self.identity.clone(), identity.into());
        Err(Refused::Foreign { file: file.into(), found, expected })
    }

    /// The seal of a file, if all that was sealed is sound.
    fn check(file: &str, bytes: &[u8], scan: &Scan) -> Result<Seal, Refused> {
        let len = bytes.len();
        let damaged = |durable: u64| {
            let why = scan.torn.unwrap_or(wal::Broken::Chain);
            let damage = Damage { offset: scan.tail.end, durable, why };
            Refused::Damaged { file: file.into(), damage }
        };
        let Some(head) = scan.records.first() else {
            return Err(damaged(len as u64));
        };
        let Ok(seal) = labgob::decode::<Seal>(&bytes[head.clone()]) else {
            return Err(damaged(len as u64));
        };
        if seal.format != FORMAT {
            let (found, expected) = (format!("format {}", seal.format), format!("format {FORMAT}"));
            return Err(Refused::Foreign { file: file.into(), found, expected });
        }
        let sealed = u64::from_le_bytes(seal.sealed);
        if scan.tail.end < sealed {
            return Err(damaged(sealed));
        }
        Ok(seal)
    }
}

/// The log and the snapshots of one node. Nothing that was written counts before [`Persister::sync`] returns.
///
/// After an error the persister must not be used again: see [`crate::Disk`] on failed syncs.
pub struct Persister {
    disk: Disk,
    identity: String,
    generation: u64,
    file: String,
    tail: Tail,
    bug: Option<PersisterBug>,
}

impl Persister {
    /// Opens what is on the disk, or starts fresh on an empty one. `identity` says whose it is, and must be the
    /// same each time. Returns the records of the log too; there are none on a fresh disk.
    ///
    /// When this returns, everything it read is durable: a process that died may have left it pending.
    ///
    /// # Errors
    /// [`Refused`], with what to do about it.
    pub async fn open(
        disk: Disk,
        identity: &str,
        bug: Option<PersisterBug>,
    ) -> Result<(Persister, Records), Refused> {
        disk.lock().await?;
        let image = load(&disk).await?;
        let tail = Tail::new(0);
        let file = String::new();
        let identity = identity.to_string();
        let mut persister = Persister { disk, identity, generation: 0, file, tail, bug };
        let read = match read_log(&image, &persister.identity) {
            Err(_) if bug!(persister, TornStateFile) => None,
            read => read?,
        };
        // Not before it is known whose they are.
        for name in image.names().iter().filter(|name| name.ends_with(".tmp")) {
            persister.disk.remove(name).await?;
        }
        let Some(log) = read else {
            persister.rewrite(std::iter::empty()).await?;
            persister.say_whose(&image).await?;
            return Ok((persister, Records::default()));
        };
        persister.generation = log.generation;
        persister.file = log_name(log.generation);
        persister.tail = log.tail;
        if log.is_torn {
            persister.disk.truncate(&persister.file, persister.tail.end).await?;
        }
        persister.disk.sync(&persister.file).await?;
        persister.disk.sync_dir().await?;
        persister.tail.synced();
        let superseded = |name: &&String| name.starts_with("log-") && **name != persister.file;
        for name in image.names().iter().filter(superseded).filter(|name| !name.ends_with(".tmp")) {
            persister.disk.remove(name).await?;
        }
        persister.say_whose(&image).await?;
        Ok((persister, log.records))
    }

    /// Puts the identity where a first start, or one that a crash cut short, has not found it.
    async fn say_whose(&self, image: &BTreeMap<String, Vec<u8>>) -> Result<(), DiskError> {
        if image.contains_key(IDENTITY) {
            return Ok(());
        }
        let (bytes, _) = Seal::file(IDENTITY_SALT, &self.identity, std::iter::empty());
        seal(&self.disk, IDENTITY, bytes).await
    }

    /// Writes records at the end of the log. They are durable after the next [`Persister::sync`].
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn append<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Result<(), DiskError> {
        let frames = self.frames(records);
        if frames.is_empty() { Ok(()) } else { self.disk.append(&self.file, frames).await }
    }

    /// [`Persister::append`] and [`Persister::sync`]: the records are durable on return.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn append_and_sync<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Result<(), DiskError> {
        let frames = self.frames(records);
        if frames.is_empty() {
            return self.sync().await;
        }
        if bug!(self, NoFsync) {
            self.disk.append(&self.file, frames).await?;
        } else {
            self.disk.append_and_sync(&self.file, frames).await?;
        }
        self.tail.synced();
        Ok(())
    }

    /// What puts these records at the end of the log.
    fn frames<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut frames = Vec::with_capacity(256);
        records.for_each(|record| self.tail.append(&mut frames, record));
        frames
    }

    /// Makes the log durable, up to its end.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn sync(&mut self) -> Result<(), DiskError> {
        if !bug!(self, NoFsync) {
            self.disk.sync(&self.file).await?;
        }
        self.tail.synced();
        Ok(())
    }

    /// Bytes in the log.
    pub fn log_size(&self) -> u64 {
        self.tail.end
    }

    /// Replaces the log by one that holds just these records, durable on return. A crash leaves the old log or
    /// the new one.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn rewrite<'a>(&mut self, records: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(), DiskError> {
        if bug!(self, TornStateFile) && self.generation > 0 {
            return self.rewrite_in_place(records).await;
        }
        let generation = self.generation + 1;
        let (bytes, tail) = Seal::file(generation as u32, &self.identity, records);
        let name = log_name(generation);
        seal(&self.disk, &name, bytes).await?;
        let old = std::mem::replace(&mut self.file, name);
        (self.generation, self.tail) = (generation, tail);
        self.tail.synced();
        // If this removal is lost the old log comes back, and loses against the newer one.
        if generation > 1 { self.disk.remove(&old).await } else { Ok(()) }
    }

    async fn rewrite_in_place<'a>(
        &mut self,
        records: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), DiskError> {
        let (bytes, tail) = Seal::file(self.generation as u32, &self.identity, records);
        self.disk.truncate(&self.file, 0).await?;
        self.disk.append(&self.file, bytes).await?;
        self.disk.sync(&self.file).await?;
        self.tail = tail;
        self.tail.synced();
        Ok(())
    }

    /// Writes a snapshot, durable on return. Write it before the record that names it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn write_snapshot(&mut self, id: SnapshotId, content: &[u8]) -> Result<(), DiskError> {
        let (bytes, _) = Seal::file(id.salt(), &self.identity, content.chunks(PIECE));
        seal(&self.disk, &id.file(), bytes).await
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn read_snapshot(&self, id: SnapshotId) -> Result<Vec<u8>, Refused> {
        let name = id.file();
        let image = match self.disk.read(&name).await {
            Ok(content) => BTreeMap::from([(name, content)]),
            Err(DiskError::NotFound(_)) => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        read_snapshot(&image, id, &self.identity)
    }

    /// Removes all snapshots but one. Call it when no durable record names another one.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn keep_only(&mut self, id: Option<SnapshotId>) -> Result<(), DiskError> {
        for name in self.disk.list().await? {
            if let Some(found) = SnapshotId::parse(&name)
                && Some(found) != id
            {
                self.disk.remove(&name).await?;
            }
        }
        Ok(())
    }
}

/// Puts a file in place as a whole or not at all.
async fn seal(disk: &Disk, name: &str, bytes: Vec<u8>) -> Result<(), DiskError> {
    let draft = format!("{name}.tmp");
    disk.append(&draft, bytes).await?;
    disk.sync(&draft).await?;
    disk.rename(&draft, name).await?;
    disk.sync_dir().await
}

/// Reads everything that recovery looks at; snapshots by name only.
async fn load(disk: &Disk) -> Result<BTreeMap<String, Vec<u8>>, DiskError> {
    let mut image = BTreeMap::new();
    for name in disk.list().await? {
        let is_read = name == IDENTITY || (name.starts_with("log-") && !name.ends_with(".tmp"));
        let content = if is_read { disk.read(&name).await? } else { Vec::new() };
        image.insert(name, content);
    }
    Ok(image)
}
