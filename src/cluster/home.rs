//! The directory of a node: whose it is, which process has it, and the disk inside of it.
//!
//! ```text
//! owner    which node of which cluster this is, sealed with the first start
//! pid      the process that runs it, which holds a lock on this file
//! log      what that process says, if it was started in the background
//! disk/    the node's own files
//! ```
//!
//! Whether a node runs is told by the lock and not by the number: that of a process that is gone may be somebody else's by now.

use super::layout::{Layout, Member, Part};
use labrpc::NodeId;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The version of all that is in such a directory.
const FORMAT: u32 = 1;

const OWNER: &str = "owner";
const OWNER_DRAFT: &str = "owner.draft";
const PID: &str = "pid";

/// Whose a directory is. None of it may change as long as the directory is used, but for the founders, which are not looked at again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The version of what is in there.
    pub format: u32,
    /// Of which cluster the node is.
    pub cluster: u64,
    /// Which node it is.
    pub node: NodeId,
    /// What it is for.
    pub part: Part,
    /// How many shards there are.
    pub shards: u32,
    /// The founders of its part, itself included; none if it joined a part that was there. What was so at the first start counts.
    #[serde(alias = "servers")]
    pub founders: Vec<NodeId>,
}

impl Owner {
    /// The owner of a node's directory according to a layout.
    pub fn of(layout: &Layout, member: &Member) -> Owner {
        let Member { id: node, part, joins, .. } = *member;
        let founders = if joins { Vec::new() } else { layout.founders(part) };
        Owner { format: FORMAT, cluster: layout.cluster, node, part, shards: layout.shards, founders }
    }

    /// What of it differs, in words.
    fn differs(&self, found: &Owner) -> Option<String> {
        let said = [
            ("format", found.format.to_string(), self.format.to_string()),
            ("cluster", found.cluster.to_string(), self.cluster.to_string()),
            ("node", found.node.to_string(), self.node.to_string()),
            ("part", found.part.to_string(), self.part.to_string()),
            ("shards", found.shards.to_string(), self.shards.to_string()),
        ];
        let (what, found, ours) = said.into_iter().find(|(_, found, ours)| found != ours)?;
        Some(format!("{what} {found} and not {what} {ours}"))
    }
}

/// Why a directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It is somebody else's, or was made by another version.
    #[error(
        "the directory {} was made for {differs}. Give this node a directory of its own, or start it as what it was", .path.display()
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What is different.
        differs: String,
    },
    /// Nobody can tell whose it is.
    #[error("{} cannot be read ({why}): restore it from a copy, or give the node an empty directory", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is something in it, and no word of whose it is.
    #[error(
        "the directory {} has files, and none that says whose they are: give the node an empty one", .path.display()
    )]
    NoOwner {
        /// Which.
        path: PathBuf,
    },
    /// A process has it.
    #[error("the node runs already, as process {pid}: it has the directory {}", .path.display())]
    Taken {
        /// Which.
        path: PathBuf,
        /// Its number, as far as it says so.
        pid: String,
    },
    /// The machine does not let us.
    #[error("cannot use {}: {why}. It must be a directory that this process may write to", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the machine says.
        why: io::Error,
    },
}

/// The directory of a node, claimed for this process as long as this lives.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    founders: Vec<NodeId>,
    /// Holds the lock.
    _pid: File,
}

impl Home {
    /// Claims a directory for this process. One that is not there is made.
    ///
    /// # Errors
    /// [`HomeError`], with what to do about it.
    pub fn claim(path: &Path, owner: &Owner) -> Result<Home, HomeError> {
        let failed = |why| HomeError::Io { path: path.into(), why };
        // Before anything is written: a directory with other people's files stays as it is.
        let found = read_owner(path)?;
        match &found {
            Some(found) => {
                if let Some(differs) = owner.differs(found) {
                    return Err(HomeError::Foreign { path: path.into(), differs });
                }
            }
            None if path.is_dir() && has_files(path).map_err(failed)? => {
                return Err(HomeError::NoOwner { path: path.into() });
            }
            None => fs::create_dir_all(path).map_err(failed)?,
        }
        let pid = lock_pid(path)?;
        if found.is_none() {
            write_owner(path, owner).map_err(failed)?;
        }
        let founders = found.map_or_else(|| owner.founders.clone(), |found| found.founders);
        Ok(Home { path: path.into(), founders, _pid: pid })
    }

    /// With whom the log of its part began, as it was at its first start.
    pub fn founders(&self) -> &[NodeId] {
        &self.founders
    }

    /// Where the node's own files are.
    pub fn disk(&self) -> PathBuf {
        self.path.join("disk")
    }
}

/// The number of the process that runs the node of a directory, if one does.
///
/// # Errors
/// What the machine says.
pub(super) fn running(path: &Path) -> io::Result<Option<i32>> {
    let file = match File::open(path.join(PID)) {
        Ok(file) => file,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    loop {
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(None),
            Err(why) if why == rustix::io::Errno::WOULDBLOCK => {
                if let Ok(pid) = fs::read_to_string(path.join(PID))?.trim().parse() {
                    return Ok(Some(pid));
                }
                // It has just got the lock, and will say at once who it is.
                std::thread::yield_now();
            }
            Err(why) => return Err(why.into()),
        }
    }
}

fn lock_pid(path: &Path) -> Result<File, HomeError> {
    let file_path = path.join(PID);
    let failed = |why| HomeError::Io { path: file_path.clone(), why };
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&file_path);
    let mut file = file.map_err(failed)?;
    loop {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            break;
        }
        // Whoever looks whether a node runs shares the lock for a moment, and so can we; a node does not share it.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => std::thread::yield_now(),
            Err(why) if why == rustix::io::Errno::WOULDBLOCK => {
                let pid = fs::read_to_string(&file_path).unwrap_or_default().trim().into();
                return Err(HomeError::Taken { path: path.into(), pid });
            }
            Err(why) => return Err(failed(why.into())),
        }
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn has_files(path: &Path) -> io::Result<bool> {
    // What somebody who starts a node in the background puts there first.
    let ours = ["log", PID, OWNER_DRAFT];
    let mut entries = fs::read_dir(path)?;
    entries.try_fold(false, |any, entry| {
        let name = entry?.file_name();
        Ok(any || !ours.iter().any(|own| name == *own))
    })
}

fn read_owner(path: &Path) -> Result<Option<Owner>, HomeError> {
    let path = path.join(OWNER);
    let unreadable = |why: String| HomeError::Unreadable { path: path.clone(), why };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(unreadable(why.to_string())),
    };
    toml::from_str(&text).map(Some).map_err(|why| unreadable(why.message().replace('\n', ", ")))
}

fn write_owner(path: &Path, owner: &Owner) -> io::Result<()> {
    let draft = path.join(OWNER_DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(toml::to_string(owner).expect("numbers and strings can be written").as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path.join(OWNER))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("shardlab-home-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn owner(cluster: u64, node: u32) -> Owner {
        let founders = vec![NodeId(1), NodeId(2)];
        Owner { format: FORMAT, cluster, node: NodeId(node), part: Part::Controller, shards: 16, founders }
    }

    #[test]
    fn a_directory_belongs_to_one_node_of_one_cluster_in_one_format_for_ever() {
        let path = fresh("owner");
        drop(Home::claim(&path, &owner(7, 1)).unwrap());
        drop(Home::claim(&path, &owner(7, 1)).unwrap());
        let mut larger = owner(7, 1);
        larger.founders.push(NodeId(3));
        assert_eq!(Home::claim(&path, &larger).unwrap().founders(), [1, 2].map(NodeId), "as at its first start");
        let others = [
            (owner(8, 1), "cluster 7 and not cluster 8"),
            (owner(7, 2), "node S1 and not node S2"),
            (Owner { format: 2, ..owner(7, 1) }, "format 1 and not format 2"),
            (Owner { shards: 8, ..owner(7, 1) }, "shards 16 and not shards 8"),
        ];
        for (other, told) in others {
            let why = Home::claim(&path, &other).unwrap_err().to_string();
            assert!(why.contains(told), "{why}");
        }
        fs::write(path.join(OWNER), "format = \"none\"").unwrap();
        assert!(matches!(Home::claim(&path, &owner(7, 1)), Err(HomeError::Unreadable { .. })));
        fs::remove_file(path.join(OWNER)).unwrap();
        drop(Home::claim(&path, &owner(7, 1)).unwrap());
        fs::remove_file(path.join(OWNER)).unwrap();
        fs::create_dir(path.join("disk")).unwrap();
        assert!(
            matches!(Home::claim(&path, &owner(7, 1)), Err(HomeError::NoOwner { .. })),
            "not taken for a fresh one"
        );
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn one_process_has_it_and_all_can_see_which() {
        let path = fresh("pid");
        assert_eq!(running(&path).unwrap(), None);
        let home = Home::claim(&path, &owner(7, 1)).unwrap();
        let pid = std::process::id();
        assert_eq!(running(&path).unwrap(), i32::try_from(pid).ok());
        let why = Home::claim(&path, &owner(7, 1)).unwrap_err().to_string();
        assert!(why.contains(&format!("as process {pid}")), "{why}");
        drop(home);
        assert_eq!(running(&path).unwrap(), None);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn those_who_only_look_are_in_nobodys_way() {
        let path = fresh("looks");
        drop(Home::claim(&path, &owner(7, 1)).unwrap());
        let looks = path.clone();
        let looking = std::thread::spawn(move || (0..2_000).for_each(|_| _ = running(&looks)));
        for _ in 0..200 {
            drop(Home::claim(&path, &owner(7, 1)).unwrap());
        }
        looking.join().unwrap();
        fs::remove_dir_all(&path).unwrap();
    }
}
