//! Nodes as processes of this machine, found by their directories: whoever wants to stop one need not have started it.

use super::home;
use super::layout::Member;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a process is looked for that was told to end.
const LOOK: Duration = Duration::from_millis(10);

/// The process that runs a node, if one does.
///
/// # Errors
/// What the machine says.
pub fn running(member: &Member) -> io::Result<Option<i32>> {
    home::running(&member.dir)
}

/// Starts a node of the layout in that file in the background: it outlives this process, is not stopped with it by the keyboard,
/// and writes its log into its directory.
///
/// # Errors
/// What the machine says.
pub fn start(program: &Path, layout: &Path, member: &Member) -> io::Result<Child> {
    fs::create_dir_all(&member.dir)?;
    let log = OpenOptions::new().create(true).append(true).open(member.dir.join("log"))?;
    Command::new(program)
        .args(["node", "start", "--name", &member.name, "--config"])
        .arg(layout)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

/// Tells a node to stop in good order. False: it does not run.
///
/// # Errors
/// What the machine says.
pub fn terminate(member: &Member) -> io::Result<bool> {
    signal(member, Signal::TERM)
}

/// Kills a node, as a power failure would. False: it does not run.
///
/// # Errors
/// What the machine says.
pub fn kill(member: &Member) -> io::Result<bool> {
    signal(member, Signal::KILL)
}

fn signal(member: &Member, signal: Signal) -> io::Result<bool> {
    let Some(pid) = running(member)?.and_then(Pid::from_raw) else { return Ok(false) };
    match kill_process(pid, signal) {
        Ok(()) => Ok(true),
        // It has just ended.
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Waits until a node does not run any more. False: it still does.
///
/// # Errors
/// What the machine says.
pub fn await_end(member: &Member, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    while running(member)?.is_some() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

/// So many ports of this machine on which nobody listens. Somebody may, before they are used.
///
/// # Errors
/// What the machine says.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    // All at once, or the same might be found twice.
    let listeners: io::Result<Vec<TcpListener>> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    listeners?.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
