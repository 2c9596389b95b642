//! The durability matrix of the simulated disk: for each way to change it, what is left after which failure.

use super::*;

/// A power failure with one outcome for everything that is pending.
fn fail(disk: &mut SimDisk, keep: u32, tear: u32) {
    let mut n = 0;
    disk.fail_power(keep, tear, || {
        n += 1;
        Fate::of(5, [0, 0, n])
    });
}

fn sync(disk: &mut SimDisk, file: &str) {
    let point = disk.sync_point(file).unwrap();
    disk.sync(point, true);
}

fn read(disk: &SimDisk, file: &str) -> Option<Vec<u8>> {
    disk.view(Face::Current).read(file).map(Cow::into_owned)
}

/// A disk with a durable file "f" that holds "old".
fn with_old() -> SimDisk {
    let mut disk = SimDisk::default();
    disk.append("f", Bytes::from_static(b"old"));
    sync(&mut disk, "f");
    disk.sync_dir();
    disk
}

#[test]
fn what_is_synced_survives_and_what_is_not_is_lost() {
    let mut disk = with_old();
    disk.append("f", Bytes::from_static(b"+new"));
    assert_eq!(read(&disk, "f").unwrap(), b"old+new", "a read sees what is pending");
    assert_eq!(disk.view(Face::Durable).read("f").unwrap().as_ref(), b"old");
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
}

#[test]
fn what_is_pending_may_survive_all_the_same() {
    let mut disk = with_old();
    disk.append("f", Bytes::from_static(b"+new"));
    fail(&mut disk, 1_000_000, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old+new");
}

#[test]
fn a_synced_file_without_a_durable_name_is_gone() {
    let mut disk = SimDisk::default();
    disk.append("f", Bytes::from_static(b"data"));
    sync(&mut disk, "f");
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f"), None);
}

#[test]
fn a_durable_name_without_synced_content_is_an_empty_file() {
    let mut disk = SimDisk::default();
    disk.append("f", Bytes::from_static(b"data"));
    disk.sync_dir();
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"");
}

#[test]
fn a_rename_that_is_not_synced_leaves_the_old_file_in_place() {
    let mut disk = with_old();
    disk.append("f.tmp", Bytes::from_static(b"new"));
    sync(&mut disk, "f.tmp");
    disk.rename("f.tmp", "f").unwrap();
    assert_eq!(read(&disk, "f").unwrap(), b"new");
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
    assert_eq!(read(&disk, "f.tmp"), None);
}

#[test]
fn a_rename_that_survives_without_its_content_shows_the_classic_empty_file() {
    let mut disk = with_old();
    disk.append("f.tmp", Bytes::from_static(b"new"));
    disk.rename("f.tmp", "f").unwrap();
    disk.sync_dir();
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"", "rename without sync: the name is new, the content lost");
}

#[test]
fn a_removal_that_is_not_synced_may_come_back() {
    let mut disk = with_old();
    disk.remove("f").unwrap();
    assert_eq!(read(&disk, "f"), None);
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
}

#[test]
fn a_sync_covers_what_was_written_before_it_was_asked_for() {
    let mut disk = with_old();
    disk.append("f", Bytes::from_static(b"1"));
    let point = disk.sync_point("f").unwrap();
    disk.append("f", Bytes::from_static(b"2"));
    disk.sync(point, true);
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old1");
}

#[test]
fn a_failed_sync_loses_what_was_pending_and_the_next_one_succeeds_without_it() {
    let mut disk = with_old();
    disk.append("f", Bytes::from_static(b"1"));
    let point = disk.sync_point("f").unwrap();
    disk.sync(point, false);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
    sync(&mut disk, "f");
    fail(&mut disk, 1_000_000, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
}

#[test]
fn a_torn_write_leaves_some_of_its_sectors_and_no_other_bytes() {
    let (mut whole, mut partial) = (0, 0);
    for seed in 0..200 {
        let mut disk = with_old();
        disk.append("f", Bytes::from(vec![7u8; 3_000]));
        disk.fail_power(0, 1_000_000, || Fate::of(seed, [0, 0, 0]));
        let content = read(&disk, "f").unwrap();
        assert!(content.starts_with(b"old"), "what was durable is untouched");
        assert!(content[3..].iter().all(|&byte| byte == 7 || byte == 0));
        let kept = content[3..].iter().filter(|&&byte| byte == 7).count();
        if kept == 3_000 { whole += 1 } else { partial += 1 }
    }
    assert!(partial > 150, "torn writes are partial: {partial} partial, {whole} whole");
}

#[test]
fn a_truncation_is_pending_too_and_separate_from_a_later_write() {
    let mut disk = with_old();
    disk.truncate("f", 0).unwrap();
    disk.append("f", Bytes::from_static(b"new"));
    assert_eq!(read(&disk, "f").unwrap(), b"new");
    fail(&mut disk, 0, 0);
    assert_eq!(read(&disk, "f").unwrap(), b"old");
}

#[test]
fn chances_of_keeping_and_tearing_add_up() {
    assert_eq!(share_of_rest(300_000, 400_000), 500_000);
    assert_eq!(share_of_rest(1_000_000, 0), 1_000_000);
    assert_eq!(share_of_rest(300_000, 1_000_000), 1_000_000, "nothing is left to tear; the share is capped");
}
