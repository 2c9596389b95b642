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

/// Kills a node at once, whatever it is doing. False: it does not run.
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

/// Ports that machines do not give to whoever dials: one of those might be somebody's when the node that has it is restarted.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// So many ports of this machine on which nobody listens. Somebody may, before they are used.
///
/// # Errors
/// What the machine says.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let mut seed = [0; 2];
    getrandom::fill(&mut seed).map_err(|why| io::Error::other(why.to_string()))?;
    let span = PORTS.end - PORTS.start;
    let first = u16::from_le_bytes(seed) % span;
    let candidates = (0..span).map(|nth| PORTS.start + (first + nth) % span);
    let free = candidates.filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let ports: Vec<u16> = free.take(count).collect();
    if ports.len() < count { Err(io::Error::other("there are not enough free ports")) } else { Ok(ports) }
}
