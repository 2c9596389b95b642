//! A folder of plans that are worth changing.

use crate::plan::Plan;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// See the module. A plan's file is named after its suite and its content, so that folders are merged by copying.
pub struct Corpus {
    dir: PathBuf,
}

impl Corpus {
    /// Takes up a folder, or begins one.
    ///
    /// # Errors
    /// If it is not there and cannot be made.
    pub fn open(dir: &Path) -> Result<Corpus> {
        std::fs::create_dir_all(dir).map_err(|error| named("make the folder", dir, &error))?;
        Ok(Corpus { dir: dir.into() })
    }

    /// The plans in it, in the order of their names.
    ///
    /// # Errors
    /// If a file cannot be read, or is no plan.
    pub fn plans(&self) -> Result<Vec<Plan>> {
        let unread = |error| named("read the folder", &self.dir, &error);
        let files = std::fs::read_dir(&self.dir).map_err(unread)?;
        let mut paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>().map_err(unread)?;
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// Keeps a plan, without the bug that was planted when it was found.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, plan: &Plan) -> Result<()> {
        let plan = Plan { bug: None, mute: Vec::new(), ..plan.clone() };
        let path = self.dir.join(format!("{}-{}.json", plan.suite, name_of(&plan)));
        // Whoever copies the folder meanwhile finds whole plans only.
        let half = path.with_extension("half");
        let write = || {
            std::fs::write(&half, plan.to_json())?;
            std::fs::rename(&half, &path)
        };
        write().map_err(|error| named("write", &path, &error))
    }

    /// Where a plan that fails is written to: under the name that its runs have. It is none of the corpus.
    pub fn failed(&self, plan: &Plan) -> PathBuf {
        self.dir.join("failed").join(format!("{}-{}.json", plan.suite, plan.scenario))
    }
}

/// What tells a plan from others.
pub(super) fn name_of(plan: &Plan) -> String {
    format!("{:016x}", xxh3_64(plan.to_json().as_bytes()))
}

fn read(path: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(path).map_err(|error| named("read", path, &error))?;
    Plan::from_json(&text).map_err(|error| {
        Error::other(format!("`{}` is no plan of this version: {error}; take it out of the folder", path.display()))
    })
}

fn named(what: &str, path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("cannot {what} `{}`: {error}", path.display()))
}
