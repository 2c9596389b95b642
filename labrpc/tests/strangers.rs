//! Whoever comes to the port of a node: what each is told, what it costs, and that the node goes on serving.

#![cfg(feature = "net")]

mod certificates;
#[path = "../../fuzz/src/gauge.rs"]
mod gauge;
mod logs;
mod machine;

use certificates::{Authority, load};
use futures::future::{Either, select};
use labrpc::net::{Config, Host, Limits};
use labrpc::{Env, NodeId, Time};
use logs::Logs;
use machine::{PING, S1, S2, can_talk, config, handshake_by_hand, introduce, pair, run, soon, until};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the documentation of the module promises for a connection whose ends do not know each other.
const STRANGER: usize = 8 << 10;
/// The same where nodes talk in TLS, if it has begun with that.
const STRANGER_IN_TLS: usize = 80 << 10;
/// A header that announces a gigabyte.
const GIGABYTE: [u8; 12] = *b"SL\x01\x00\x01\x02\x03\x04\x00\x00\x00\x40";

/// A node with another one that talks to it, before and after, over one connection.
struct Served {
    one: Host,
    two: Host,
    env: Env,
    address: SocketAddr,
    logs: Logs,
}

impl Served {
    async fn start(logs: Logs, limits: Limits) -> Served {
        let (one, two) = pair(Config { limits, ..config(S1) }, config(S2));
        assert!(can_talk(&two, &one).await);
        let (env, address) = (one.env(), one.local_addr().unwrap());
        Served { one, two, env, address, logs }
    }

    /// Nothing comes any more from the node over this connection.
    async fn is_closed(&self, mut stream: TcpStream) {
        let heard = soon(&self.env, stream.read(&mut [0; 8])).await;
        assert!(heard.is_err() || heard.is_ok_and(|bytes| bytes == 0), "the node has hung up");
    }

    /// The log says this once, and the node serves as before.
    async fn goes_on(&self, line: &str) {
        until(&self.env, line, || self.logs.has(line)).await;
        self.logs.one(line);
        assert!(can_talk(&self.two, &self.one).await);
        assert_eq!(self.two.counters().peers[&S1].connections, 1, "over the connection that there was");
    }
}

#[test]
fn whoever_speaks_another_protocol_is_named_once_and_told_nothing() {
    let first_words: [(&[u8], &str); 4] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "speaks HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and then randomness", "speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "does not speak the protocol of nodes"),
        (&[0; 100], "does not speak the protocol of nodes"),
    ];
    for (words, told) in first_words {
        run(|logs| async move {
            let served = Served::start(logs, Limits::default()).await;
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let from = stream.local_addr().unwrap();
            stream.write_all(words).await.unwrap();
            served.is_closed(stream).await;
            served.goes_on(&format!("peer {from} {told}")).await;
            assert_eq!(served.one.counters().turned_away, 1);
        });
    }
}

/// Slowly, or not at all: the handshake as a whole has a deadline, and not each byte of it.
#[test]
fn whoever_says_nothing_or_a_byte_at_a_time_has_no_more_time_than_others() {
    for pause in [None, Some(Duration::from_millis(20))] {
        run(|logs| async move {
            let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
            let served = Served::start(logs, limits).await;
            let stream = TcpStream::connect(served.address).await.unwrap();
            let from = stream.local_addr().unwrap();
            let (mut read, mut write) = stream.into_split();
            // Sixty-three times twenty milliseconds would be more than a second.
            let env = served.env.clone();
            let talk = async {
                let Some(pause) = pause else { return std::future::pending().await };
                for byte in b"shardlab\x01\0".iter().chain(&[0; 53]) {
                    if write.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    env.sleep(pause).await;
                }
                std::future::pending::<()>().await;
            };
            let talk = pin!(talk);
            let hang_up = pin!(async { read.read(&mut [0; 8]).await });
            let ended = soon(&served.env, select(talk, hang_up)).await;
            assert!(matches!(ended, Either::Right(_)), "the node has hung up");
            served.goes_on(&format!("peer {from} did not finish the handshake within 200ms")).await;
        });
    }
}

#[test]
fn a_frame_that_announces_a_gigabyte_ends_its_connection_and_costs_nothing() {
    let ((), cost) = gauge::cost_of(|| {
        run(|logs| async move {
            let served = Served::start(logs, Limits::default()).await;
            let mut hostile = handshake_by_hand(served.address).await;
            hostile.write_all(&GIGABYTE).await.unwrap();
            served.is_closed(hostile).await;
            served.goes_on("is cut off: frame of 1073741824 bytes, but at most").await;
        });
    });
    assert!(cost < 1 << 20, "{cost} bytes were held, with all that two nodes need");
}

/// What is within the limit is not refused, and costs no more than what comes of it.
#[test]
fn a_message_that_begins_and_does_not_come_on_ends_its_connection() {
    let ((), cost) = gauge::cost_of(|| {
        run(|logs| async move {
            let limits = Limits { stalled: Duration::from_millis(300), ..Limits::default() };
            let served = Served::start(logs, limits).await;
            let mut hostile = handshake_by_hand(served.address).await;
            let header = [&b"SL\x01\x00\x01\x02\x03\x04"[..], &(60u32 << 20).to_le_bytes()].concat();
            hostile.write_all(&header).await.unwrap();
            let drip = async {
                while hostile.write_all(b".").await.is_ok() {
                    served.env.sleep(Duration::from_millis(20)).await;
                }
            };
            soon(&served.env, drip).await;
            served.goes_on("is cut off: a message has begun, of which less than 64 KiB have come in 300ms").await;
        });
    });
    assert!(cost < 1 << 20, "{cost} bytes were held, with all that two nodes need");
}

/// Slow is not hostile: what comes on may take longer altogether.
#[test]
fn a_large_message_over_a_slow_line_arrives() {
    run(|logs| async move {
        let limits = Limits { stalled: Duration::from_secs(1), ..Limits::default() };
        let served = Served::start(logs, limits).await;
        let mut slow = handshake_by_hand(served.address).await;
        let body = vec![7; 6 * (96 << 10)];
        let mut frame = Vec::new();
        // A one-way message, and so of no call.
        let head = [&[0u8][..], &0u64.to_le_bytes(), &PING.hash().to_le_bytes()].concat();
        labgob::frame::append(&mut frame, &[head, body.clone()].concat());
        for piece in frame.chunks(96 << 10) {
            slow.write_all(piece).await.unwrap();
            served.env.sleep(Duration::from_millis(250)).await;
        }
        assert_eq!(soon(&served.env, served.env.recv()).await.body, body);
        // And between two messages it may be silent.
        served.env.sleep(Duration::from_millis(1_200)).await;
        assert_eq!(served.logs.count("is cut off"), 0);
    });
}

/// How somebody begins with TLS who announces the longest handshake that there is, and says so much of it.
fn endless_handshake(bytes: usize) -> Vec<u8> {
    let mut said = vec![1, 0, 0xff, 0xfb];
    said.resize(bytes, 7);
    let records = said.chunks(16 << 10);
    records.flat_map(|part| [&[0x16, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat()).collect()
}

/// Some say nothing, others as much of TLS as is taken before a node has heard who they are.
#[test]
fn strangers_where_nodes_talk_in_tls_cost_what_is_stated() {
    const SEATS: usize = 60;
    for (said, most) in [(Vec::new(), STRANGER), (endless_handshake(65_000), STRANGER_IN_TLS)] {
        let said_each = said.len();
        run(|logs| async move {
            let authority = Authority::new("the authority");
            let with = |node| Config { tls: load(&authority.of_node(node)), ..config(node) };
            let limits = Limits { connections: SEATS, handshake: Duration::from_secs(600), ..Limits::default() };
            let (one, two) = pair(Config { limits, ..with(S1) }, with(S2));
            assert!(can_talk(&two, &one).await);
            let (address, before) = (one.local_addr().unwrap(), gauge::held());
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let crowd = std::thread::spawn(move || {
                let come = |_| {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    let _ = std::io::Write::write_all(&mut stream, &said);
                    stream
                };
                let all: Vec<_> = (0..SEATS + 20).map(come).collect();
                let _ = wait.recv();
                drop(all);
            });
            until(&one.env(), "those without a seat are sent away", || one.counters().turned_away >= 21).await;
            let cost = || usize::try_from(gauge::held() - before).unwrap_or(0);
            until(&one.env(), "what they have said is held", || cost() >= SEATS * said_each).await;
            let cost = cost();
            assert!(cost > 0 && cost <= SEATS * most, "{cost} bytes for {SEATS} strangers");
            assert!(can_talk(&two, &one).await, "while they are there");
            drop(go);
            crowd.join().unwrap();
            assert_eq!(two.counters().peers[&S1].connections, 1, "{logs:?}");
        });
    }
}

/// A thousand who say nothing. Each is counted, few are named, all together cost what the documentation says, and whoever was there
/// before does not notice; when they are gone there is room again.
#[test]
fn a_thousand_at_once_cost_little_and_disturb_nobody() {
    const SEATS: usize = 300;
    let all = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let more = rustix::process::Rlimit { current: all.maximum, maximum: all.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, more).unwrap();
    run(|logs| async move {
        let limits = Limits { connections: SEATS, handshake: Duration::from_secs(600), ..Limits::default() };
        let served = Served::start(logs, limits).await;
        let (one, address, before) = (&served.one, served.address, gauge::held());
        // In a thread of their own, whose memory is not that of the node.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let crowd = std::thread::spawn(move || {
            let come = |_| std::net::TcpStream::connect(address).unwrap();
            let all: Vec<_> = (0..1_000).map(come).collect();
            let _ = wait.recv();
            drop(all);
        });
        // One seat is the other node's.
        let sent_away = (1_000 - (SEATS - 1)) as u64;
        until(&served.env, "those without a seat are sent away", || one.counters().turned_away >= sent_away).await;
        let cost = usize::try_from(gauge::held() - before).unwrap_or(0);
        assert!(cost > 0 && cost <= SEATS * STRANGER, "{cost} bytes for {SEATS} strangers");
        assert!(can_talk(&served.two, one).await, "while they are there");
        let seconds = served.env.now().since(Time::ZERO).as_secs() as usize;
        let lines = served.logs.count("WARN shardlab::net");
        assert!((16..=17 + seconds).contains(&lines), "{lines} lines in {seconds} s: {:?}", served.logs);
        assert!(served.logs.has("is turned away: 300 connections at a time are the most"), "{:?}", served.logs);
        drop(go);
        crowd.join().unwrap();
        let three = Host::start(config(NodeId(3))).unwrap();
        introduce(&three, one);
        assert!(can_talk(&three, one).await, "there is room again");
        assert!(can_talk(&served.two, one).await);
        assert_eq!(served.two.counters().peers[&S1].connections, 1, "and nothing has disturbed those");
        assert_eq!(one.counters().turned_away, sent_away, "whoever had a seat and went has done nothing wrong");
    });
}
