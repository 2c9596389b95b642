//! What only a real directory has: names that lead out of it, locks, starts that are counted, and a device that is full.

use super::*;
use bytes::Bytes;

fn append(file: &str, bytes: &'static [u8]) -> DiskOp<'static> {
    DiskOp::Append { file: file.to_string().into(), bytes: Bytes::from_static(bytes) }
}

fn sync(file: &str) -> DiskOp<'static> {
    DiskOp::Sync { file: file.to_string().into() }
}

#[test]
fn no_name_leads_out_of_the_directory_or_to_what_is_not_the_nodes() {
    let home = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(&home.path().join("node")).unwrap();
    directory.count_boot().unwrap();
    directory.carry_out(append("fine", b"x")).unwrap();
    for name in ["", ".", "..", "../f", "/etc/f", "a/b", "a\0b", LOCK, BOOTS, BOOTS_DRAFT] {
        let bad = DiskError::BadName(name.into());
        assert_eq!(directory.carry_out(append(name, b"x")), Err(bad.clone()));
        assert_eq!(directory.read(name), Err(bad.clone()));
        assert_eq!(directory.len(name), Err(bad.clone()));
        let rename =
            |from: &str, to: &str| DiskOp::Rename { from: from.to_string().into(), to: to.to_string().into() };
        assert_eq!(directory.carry_out(rename("fine", name)), Err(bad.clone()));
        assert_eq!(directory.carry_out(rename(name, "other")), Err(bad));
    }
    assert_eq!(directory.list(), Ok(vec!["fine".to_string()]));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing beside the node's directory");
}

#[test]
fn a_directory_is_claimed_once_until_it_is_let_go_of() {
    let home = tempfile::tempdir().unwrap();
    let mut one = Directory::open(home.path()).unwrap();
    let mut other = Directory::open(home.path()).unwrap();
    assert_eq!(one.lock(), Ok(()));
    assert_eq!(one.lock(), Ok(()), "who has it has it");
    assert_eq!(other.lock(), Err(DiskError::Locked));
    drop(one);
    assert_eq!(other.lock(), Ok(()));
}

#[test]
fn starts_are_counted_and_a_damaged_count_is_not_taken_for_none() {
    let home = tempfile::tempdir().unwrap();
    let boots = || Directory::open(home.path()).unwrap().count_boot();
    assert_eq!([boots().unwrap(), boots().unwrap(), boots().unwrap()], [1, 2, 3]);
    fs::write(home.path().join(BOOTS), "").unwrap();
    let refused = boots().unwrap_err().to_string();
    assert!(refused.contains("restore it"), "{refused}");
}

/// A device that takes nothing: the first write fails, and nothing is carried out any more, though it could be.
#[test]
#[cfg(target_os = "linux")]
fn after_a_write_that_failed_nothing_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(home.path()).unwrap();
    directory.carry_out(append("f", b"kept")).unwrap();
    std::os::unix::fs::symlink("/dev/full", home.path().join("full")).unwrap();
    let full = DiskError::Full("full".into());
    assert_eq!(directory.carry_out(append("full", b"x")), Err(full.clone()));
    assert_eq!(directory.carry_out(append("f", b"more")), Err(full.clone()));
    assert_eq!(directory.carry_out(sync("f")), Err(full.clone()));
    assert_eq!(directory.carry_out(DiskOp::SyncDir), Err(full.clone()));
    assert_eq!(directory.read("f"), Err(full.clone()));
    assert_eq!(directory.list(), Err(full));
    assert_eq!(fs::read(home.path().join("f")).unwrap(), b"kept");
}

#[test]
#[cfg(target_os = "linux")]
fn after_a_sync_that_failed_no_other_is_made() {
    let home = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(home.path()).unwrap();
    directory.carry_out(append("f", b"x")).unwrap();
    // A device that cannot be synced says so.
    std::os::unix::fs::symlink("/dev/null", home.path().join("null")).unwrap();
    let failed = DiskError::Failed("null".into());
    assert_eq!(directory.carry_out(sync("null")), Err(failed.clone()));
    assert_eq!(directory.carry_out(sync("f")), Err(failed));
    assert_eq!(directory.counts.syncs.load(Ordering::Relaxed), 0);
}

/// What is asked of a file that is not there loses nothing.
#[test]
fn a_missing_file_is_named_and_breaks_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(home.path()).unwrap();
    let missing = DiskError::NotFound("f".into());
    assert_eq!(directory.carry_out(sync("f")), Err(missing.clone()));
    let rename = DiskOp::Rename { from: "f".into(), to: "g".into() };
    assert_eq!(directory.carry_out(rename), Err(missing.clone()));
    assert_eq!(directory.carry_out(DiskOp::Remove { file: "f".into() }), Err(missing));
    assert_eq!(directory.carry_out(append("f", b"x")), Ok(()));
}
