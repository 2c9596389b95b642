//! The disk that both clusters write to: that it is one, and how long it takes to confirm a write.

use hdrhistogram::Histogram;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// What is appended before each sync.
pub const APPENDED: usize = 512;

/// File systems that live in memory, by the number that the machine calls them by.
const IN_MEMORY: [(u32, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// Refuses a directory that is not on a disk: there a sync costs nothing, and no figure would mean anything.
pub fn check(dir: &Path) -> Result<(), String> {
    let found = rustix::fs::statfs(dir).map_err(|why| format!("cannot look at {}: {why}", dir.display()))?;
    match IN_MEMORY.iter().find(|(number, _)| *number == found.f_type as u32) {
        Some((_, name)) => Err(format!("{} is on {name}, which is no disk: take another --dir", dir.display())),
        None => Ok(()),
    }
}

/// Appends and syncs, so often, and notes how long each sync took, in microseconds.
pub fn sync_times(dir: &Path, times: u32, into: &mut Histogram<u64>) -> io::Result<()> {
    let path = dir.join("syncs");
    let mut file = File::create(&path)?;
    for _ in 0..times {
        file.write_all(&[b'.'; APPENDED])?;
        let begun = Instant::now();
        file.sync_data()?;
        into.saturating_record(begun.elapsed().as_micros() as u64);
    }
    drop(file);
    fs::remove_file(path)
}
