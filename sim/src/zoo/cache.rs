//! What has been measured already: lines of JSON, so that a matrix that was interrupted goes on where it was.
//!
//! Every line names the program that it was measured with, by a hash of the executable: what another program did says nothing
//! about this one.

use super::column::Column;
use super::measure::{Cell, Clean};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// See the module.
pub struct Cache {
    build: String,
    folder: PathBuf,
    cells: BTreeMap<(String, String, Column), Cell>,
    clean: BTreeMap<(String, String, u64), Clean>,
    cells_file: File,
    clean_file: File,
}

/// What names this program: a hash of its executable.
///
/// # Errors
/// If that cannot be read.
pub fn build() -> Result<String> {
    // On Linux the one that is running, even if it was built anew in the meantime.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() { running } else { std::env::current_exe()? };
    Ok(format!("{:032x}", xxh3_128(&std::fs::read(program)?)))
}

impl Cache {
    /// Opens the cache in a folder, which is made if there is none.
    ///
    /// # Errors
    /// If its files cannot be read or written.
    pub fn open(folder: &Path, build: String) -> Result<Cache> {
        let named = |error: Error| Error::new(error.kind(), format!("`{}`: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(named)?;
        let (cells_path, clean_path) = (folder.join("cells.jsonl"), folder.join("clean.jsonl"));
        let cells: Vec<Cell> = read(&cells_path).map_err(named)?;
        let clean: Vec<Clean> = read(&clean_path).map_err(named)?;
        let cells = cells.into_iter().filter(|cell| cell.build == build);
        let clean = clean.into_iter().filter(|run| run.build == build);
        Ok(Cache {
            cells: cells.map(|cell| (key(&cell), cell)).collect(),
            clean: clean.map(|run| ((run.suite.clone(), run.scenario.clone(), run.seed), run)).collect(),
            cells_file: append(&cells_path).map_err(named)?,
            clean_file: append(&clean_path).map_err(named)?,
            folder: folder.into(),
            build,
        })
    }

    /// The program that measures now.
    pub fn build(&self) -> &str {
        &self.build
    }

    /// A file for what is not kept. Each process has its own.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(format!("runs-{}.jsonl", std::process::id()))
    }

    /// What came of looking for a bug as this cell is about to, with the same caps.
    pub fn cell(&self, like: &Cell) -> Option<&Cell> {
        let caps = |cell: &Cell| (cell.cap, cell.wanted, cell.sample);
        self.cells.get(&key(like)).filter(|known| caps(known) == caps(like))
    }

    /// What came of a run without a bug.
    pub fn clean(&self, suite: &str, scenario: &str, seed: u64) -> Option<&Clean> {
        self.clean.get(&(suite.into(), scenario.into(), seed))
    }

    /// Keeps a cell.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_cell(&mut self, cell: Cell) -> Result<()> {
        write(&mut self.cells_file, &cell)?;
        self.cells.insert(key(&cell), cell);
        Ok(())
    }

    /// Keeps a run without a bug.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_clean(&mut self, run: Clean) -> Result<()> {
        write(&mut self.clean_file, &run)?;
        self.clean.insert((run.suite.clone(), run.scenario.clone(), run.seed), run);
        Ok(())
    }
}

fn key(cell: &Cell) -> (String, String, Column) {
    (cell.suite.clone(), cell.bug.clone(), cell.column)
}

/// The lines of a file. One that came apart when its writer was ended is as if it had not been written.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = if path.exists() { std::fs::read_to_string(path)? } else { String::new() };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn append(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // A line that came apart ends here.
    if file.metadata()?.len() > 0 {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// In one write, so that lines of two programs do not mix.
fn write(file: &mut File, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::Detection;

    fn cell(bug: &str) -> Cell {
        let seen = Detection { nth: 3, scenario: "s".into(), seed: 1, check: "progress".into(), nanos: 7 };
        Cell {
            build: "one".into(),
            suite: "raft".into(),
            bug: bug.into(),
            column: Column::Whole,
            cap: 20,
            wanted: 1,
            sample: 20,
            runs: 3,
            detections: vec![seen],
            dismissed: 0,
            compared: 3,
            live: 2,
            nanos: 10,
        }
    }

    fn run(seed: u64, check: Option<&str>) -> Clean {
        let (build, suite, scenario) = ("one".into(), "raft".into(), "s".into());
        Clean { build, suite, scenario, seed, digest: "d".into(), check: check.map(String::from) }
    }

    /// A folder of a test's own, which is gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn of(test: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("shardlab-zoo-{}-{test}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Folder(folder)
        }

        fn open(&self, build: &str) -> Cache {
            Cache::open(&self.0, build.into()).expect("the folder can be used")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_measured_is_there_when_the_cache_is_opened_again() {
        let folder = Folder::of("again");
        let mut cache = folder.open("one");
        cache.add_cell(cell("a")).unwrap();
        cache.add_clean(run(4, Some("stuck"))).unwrap();
        let cache = folder.open("one");
        assert_eq!(cache.cell(&Cell { runs: 0, detections: Vec::new(), ..cell("a") }), Some(&cell("a")));
        assert_eq!(cache.clean("raft", "s", 4), Some(&run(4, Some("stuck"))));
        assert_eq!((cache.cell(&cell("b")), cache.clean("raft", "s", 5)), (None, None));
    }

    #[test]
    fn what_was_measured_otherwise_does_not_count() {
        let folder = Folder::of("otherwise");
        folder.open("one").add_cell(cell("a")).unwrap();
        folder.open("one").add_clean(run(4, None)).unwrap();
        let cache = folder.open("one");
        assert_eq!(cache.cell(&Cell { cap: 200, ..cell("a") }), None, "with another cap");
        assert_eq!(cache.cell(&Cell { wanted: 5, ..cell("a") }), None, "with more detections");
        assert_eq!(cache.cell(&Cell { column: Column::Usual, ..cell("a") }), None, "in the other column");
        let other = folder.open("another");
        assert_eq!((other.cell(&cell("a")), other.clean("raft", "s", 4)), (None, None), "with another program");
    }

    #[test]
    fn a_line_that_came_apart_is_made_again_and_spoils_no_other() {
        let folder = Folder::of("apart");
        folder.open("one").add_cell(cell("a")).unwrap();
        let path = folder.0.join("cells.jsonl");
        let whole = std::fs::read_to_string(&path).unwrap();
        let half = serde_json::to_string(&cell("b")).unwrap();
        std::fs::write(&path, format!("{whole}{}", &half[..half.len() / 2])).unwrap();
        let mut cache = folder.open("one");
        assert_eq!((cache.cell(&cell("a")), cache.cell(&cell("b"))), (Some(&cell("a")), None));
        cache.add_cell(cell("b")).unwrap();
        let cache = folder.open("one");
        assert_eq!((cache.cell(&cell("a")), cache.cell(&cell("b"))), (Some(&cell("a")), Some(&cell("b"))));
    }
}
