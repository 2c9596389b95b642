//! The members of a cluster as child processes: started, watched, and gone when whoever has started them is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The processes of one cluster. They are killed when this is dropped.
pub struct Members {
    children: Vec<(String, Child)>,
    logs: PathBuf,
}

impl Members {
    /// None yet. What they will say goes into files in `logs`.
    pub fn new(logs: &Path) -> Members {
        Members { children: Vec::new(), logs: logs.into() }
    }

    /// Starts one.
    pub fn start(
        &mut self,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<(), String> {
        let failed = |why: io::Error| format!("cannot start {}: {why}", program.display());
        let log = File::create(self.log(name)).map_err(failed)?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        self.children.push((name.into(), command.spawn().map_err(failed)?));
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Whether all still run, or which of them does not.
    pub fn check(&mut self) -> Result<(), String> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait().map_err(|why| why.to_string())? {
                let log = self.logs.join(format!("{name}.log"));
                return Err(format!("{name} has ended with {status}: see {}", log.display()));
            }
        }
        Ok(())
    }

    /// The CPU time that they have taken, all together.
    pub fn cpu(&self) -> Duration {
        self.children.iter().map(|(_, child)| cpu_of(&child.id().to_string())).sum()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The CPU time of this process.
pub fn own_cpu() -> Duration {
    cpu_of("self")
}

/// The CPU time of a process, by its number. Nothing of one that has ended.
fn cpu_of(process: &str) -> Duration {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return Duration::ZERO };
    // The name, in parentheses, may have anything in it. User and system time are the 12th and 13th words behind it.
    let words = stat.rsplit_once(')').map_or("", |(_, words)| words);
    let ticks: u64 = words.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
