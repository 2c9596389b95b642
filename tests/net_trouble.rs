//! Nodes on machines in trouble: a disk that is full, a log that is damaged, a process that stands still, and few file descriptors. Each is said in one
//! line, and nothing that was confirmed is lost.

mod net;

use net::{Place, until};
use shardlab::cluster::{Layout, Member, processes};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A cluster of a controller and one group, of so many servers each.
fn cluster(test: &str, replicas: &str) -> (Place, Layout) {
    let mut place = Place::new(test);
    place.up(&["cluster", "up", "--groups", "1", "--replicas", replicas, "--dir", "data"], "up");
    let layout = Layout::load(&place.root.join("data/cluster.toml")).unwrap();
    (place, layout)
}

/// Starts the server of the group in the foreground.
fn start() -> [&'static str; 6] {
    ["node", "start", "--config", "data/cluster.toml", "--name", "g1-1"]
}

fn stop(place: &Place) {
    place.ok(&["cluster", "stop", "g1-1", "--dir", "data"]);
}

/// A value that tells its key, long enough that a dozen fill what there is.
fn value(nth: usize) -> String {
    format!("{nth} ").repeat(16 << 10)
}

/// Writes a value, and says whether that was confirmed.
fn put(place: &Place, nth: usize, timeout: &str) -> bool {
    let args = ["kv", "put", &format!("k{nth}"), &value(nth), "--timeout", timeout, "--dir", "data"];
    place.run(&args).status.success()
}

fn has(place: &Place, nth: usize) {
    let found = place.ok(&["kv", "get", &format!("k{nth}"), "--timeout", "60s", "--dir", "data"]);
    assert!(found.trim_end() == value(nth).trim_end(), "k{nth} has {} bytes: {found:.40}", found.len());
}

/// The lines of a log that have this in them.
fn lines<'a>(log: &'a str, needle: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(needle)).collect()
}

/// A file may not grow beyond a megabyte or less, as if the disk were full.
#[test]
fn a_node_without_room_stops_with_one_line_and_goes_on_when_there_is_room() {
    let (mut place, _) = cluster("full", "1");
    stop(&place);
    let node = place.begin_under("trap '' XFSZ; ulimit -f 1024", &start(), "limited.log");
    let mut confirmed = Vec::new();
    for nth in 0..60 {
        if put(&place, nth, "10s") {
            confirmed.push(nth);
        } else if place.has_ended(node) {
            break;
        }
    }
    assert!((1..60).contains(&confirmed.len()), "{confirmed:?} went into it: {}", place.file("limited.log"));
    assert_eq!(place.wait(node).code(), Some(1));
    let log = place.file("limited.log");
    assert_eq!(lines(&log, "shardlab::disk").len(), 1, "{log}");
    assert_eq!(lines(&log, "STOPS: ").len(), 1, "{log}");
    assert_eq!(lines(&log, "error: the node has stopped itself").len(), 1, "{log}");
    place.ok(&["cluster", "restart", "g1-1", "--dir", "data"]);
    confirmed.into_iter().for_each(|nth| has(&place, nth));
    assert!(put(&place, 99, "60s"), "there is room again");
}

/// The log of a server, as a file.
fn log_of(member: &Member) -> PathBuf {
    let files = fs::read_dir(member.dir.join("disk")).unwrap();
    let logs = files.map(|file| file.unwrap().path());
    let is_log = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("log-");
    logs.filter(is_log).max().expect("a server has a log")
}

#[test]
fn damage_is_refused_and_left_as_it_is_and_a_torn_end_is_not_damage() {
    let (mut place, layout) = cluster("damage", "1");
    (0..3).for_each(|nth| assert!(put(&place, nth, "60s")));
    stop(&place);
    let file = log_of(layout.named("g1-1").unwrap());
    let sound = fs::read(&file).unwrap();
    let mut damaged = sound.clone();
    // In the middle of the first value, which was durable before the others were written.
    let at = sound.windows(64).position(|bytes| bytes == "0 ".repeat(32).as_bytes()).expect("k0 is in the log");
    damaged[at] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let (code, why) = place.fails(&start());
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(code == 1 && why.contains(&format!("`{name}` is damaged at offset ")), "{code} {why}");
    assert!(why.contains("Restore the file from a copy"), "{why}");
    assert_eq!(fs::read(&file).unwrap(), damaged, "whoever wants to save something from it still can");
    // With the copy it goes on; and what a crash has half written behind it was promised to nobody.
    fs::write(&file, [&sound[..], b"SL\x01\x00 half of a frame"].concat()).unwrap();
    let node = place.begin(&start(), "restored.log");
    (0..3).for_each(|nth| has(&place, nth));
    assert!(put(&place, 3, "60s"));
    assert!(place.end(node, "-TERM").success());
}

fn signal(pid: i32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// To a process that is stopped and goes on, all clocks jump.
#[test]
fn a_leader_that_stood_still_says_so_and_takes_nothing_back() {
    let (place, layout) = cluster("still", "3");
    assert!(put(&place, 0, "60s"));
    let leader = || {
        let rows = place.rows("data");
        rows.into_iter().find(|row| row[1] == "group 1" && row[3] == "leader").map(|row| row[0].clone())
    };
    let before = until("somebody leads", leader);
    let pid = processes::running(layout.named(&before).unwrap()).unwrap().expect("it leads");
    signal(pid, "-STOP");
    until("another one leads", || leader().filter(|now| *now != before));
    assert!(put(&place, 1, "60s"), "without it");
    // So long at least that it is worth a line.
    std::thread::sleep(Duration::from_secs(4));
    signal(pid, "-CONT");
    let log = || place.file(&format!("data/{before}/log"));
    until("it has noticed", || log().contains("this process did not run for").then_some(()));
    let said = log();
    let line = lines(&said, "this process did not run for");
    assert!(line.len() == 1 && line[0].contains("Its peers may have gone on without it"), "{line:?}");
    (0..2).for_each(|nth| has(&place, nth));
    assert!(put(&place, 2, "60s"));
}

/// Strangers take connections, and not what the node needs for its files.
#[test]
fn a_crowd_takes_no_descriptors_that_files_need() {
    let (mut place, layout) = cluster("crowd", "1");
    stop(&place);
    let node = place.begin_under("ulimit -n 64", &start(), "limited.log");
    until("it leads", || place.file("limited.log").contains("LEADER").then_some(()));
    let address = &layout.named("g1-1").unwrap().address;
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    // Those who have a seat lose it when they say nothing for long enough.
    assert!(put(&place, 0, "90s"), "{}", place.file("limited.log"));
    crowd.iter_mut().for_each(|stream| _ = stream.write_all(b"."));
    has(&place, 0);
    let log = place.file("limited.log");
    assert!(log.contains("is turned away: 32 connections at a time are the most"), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
    assert!(lines(&log, "shardlab::net").len() < 100, "{log}");
    assert!(place.end(node, "-TERM").success(), "{log}");
}
