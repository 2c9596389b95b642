//! Hosts on sockets and files of this machine: what the simulator has no counterpart for.

#![cfg(feature = "net")]

mod certificates;
mod logs;
mod machine;
mod tls;

use labrpc::net::{Config, Host, Limits, QueueLimit, Resident, Secret, StartError, who_is};
use labrpc::persister::{Persister, Refused};
use labrpc::{CallError, DiskError, Event, Index, Kind, NodeId, Role, Term};
use machine::{
    PING, S1, S2, answers_within, can_talk, config, handshake_by_hand, introduce, localhost, pair, run, soon, until,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for many attempts, since those fail at once.
async fn cannot_talk(one: &Host, two: &Host) -> bool {
    !answers_within(Duration::from_millis(300), one, two).await
}

#[test]
fn a_client_needs_no_address_to_be_answered() {
    run(|_| async {
        let server = Host::start(config(S1)).unwrap();
        let client = Host::start(Config::new(NodeId(100), 7)).unwrap();
        introduce(&client, &server);
        assert!(can_talk(&client, &server).await);
        assert_eq!(client.local_addr(), None);
        assert_eq!(client.env().disk().read("f").await.err(), {
            Some(DiskError::Failed("f: this node was started without a directory".into()))
        });
        assert_eq!(client.counters().peers[&S1].connections, 1, "one connection carries both ways");
        server.env().send(NodeId(100), PING, vec![1]);
        assert_eq!(server.counters().without_address, 1);
    });
}

#[test]
fn nodes_of_two_clusters_do_not_talk_and_both_say_why() {
    run(|logs| async move {
        let (one, two) = pair(config(S1), Config { cluster: 9, ..config(S2) });
        assert!(cannot_talk(&one, &two).await);
        let address = two.local_addr().unwrap();
        logs.one(&format!("peer S2 at {address} is of cluster 9, this node of cluster 7: check"));
        assert!(logs.count("is of cluster 7, this node of cluster 9: check") >= 1, "{logs:?}");
        let counters = one.counters().peers[&S2];
        assert!(counters.connections == 0 && counters.unreachable >= 1, "{counters:?}");
        assert!(two.counters().turned_away >= 1);
    });
}

#[test]
fn nodes_with_the_same_secret_talk_and_others_do_not() {
    run(|logs| async move {
        let with = |id, secret: &str| Config { secret: Some(Secret::new(secret)), ..config(id) };
        let (one, two) = pair(with(S1, "sixteen bytes or more"), with(S2, "sixteen bytes or more"));
        assert!(can_talk(&one, &two).await && can_talk(&two, &one).await);
        let (one, two) = pair(with(S1, "sixteen bytes or more"), with(S2, "and these are others"));
        assert!(cannot_talk(&one, &two).await);
        let other = "has another shared secret than this node";
        logs.one(&format!("peer S2 at {} {other}", two.local_addr().unwrap()));
        assert!(logs.count(other) >= 2, "both sides say it: {logs:?}");
        let (one, two) = pair(config(S1), with(S2, "sixteen bytes or more"));
        assert!(cannot_talk(&one, &two).await);
        assert!(logs.count("has a shared secret, and this node has none") >= 1, "{logs:?}");
        let short = Host::start(with(S1, "short")).err().unwrap().to_string();
        assert!(
            short.starts_with("the shared secret has 5 bytes") && short.contains("16 bytes or more"),
            "{short}"
        );
        assert!(!logs.has("sixteen"), "a secret is in the log");
    });
}

#[test]
fn whoever_speaks_http_is_sent_away_with_one_line() {
    run(|logs| async move {
        let (one, two) = pair(config(S1), config(S2));
        let mut browser = TcpStream::connect(one.local_addr().unwrap()).await.unwrap();
        browser.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let env = one.env();
        // Closed, or reset since part of the request was not read.
        let _ = soon(&env, browser.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
        until(&env, "it is counted", || one.counters().turned_away == 1).await;
        let line = logs.one(&format!("peer {} speaks HTTP", browser.local_addr().unwrap()));
        assert!(line.contains("use a client of the cluster"), "{line}");
        assert!(can_talk(&two, &one).await, "and nobody else has noticed");
    });
}

#[test]
fn whoever_says_nothing_or_comes_too_many_is_sent_away() {
    run(|logs| async move {
        let limits = Limits { connections: 1, handshake: Duration::from_millis(100), ..Limits::default() };
        let one = Host::start(Config { limits, ..config(S1) }).unwrap();
        let (env, address) = (one.env(), one.local_addr().unwrap());
        let mut mute = TcpStream::connect(address).await.unwrap();
        assert_eq!(soon(&env, mute.read(&mut [0; 8])).await.unwrap(), 0, "the connection is closed");
        logs.one(&format!("peer {} did not finish the handshake within 100ms", mute.local_addr().unwrap()));

        let _first = handshake_by_hand(address).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(soon(&env, second.read(&mut [0; 8])).await.unwrap(), 0);
        logs.one(&format!("peer {} is turned away: 1 connections at a time", second.local_addr().unwrap()));
        assert_eq!(one.counters().turned_away, 2);
    });
}

/// Whoever was not asked answers nothing, whatever number it guesses.
#[test]
fn nobody_answers_over_a_connection_of_its_own() {
    run(|logs| async move {
        let one = Host::start(config(S1)).unwrap();
        let mut hostile = handshake_by_hand(one.local_addr().unwrap()).await;
        let mut frame = Vec::new();
        labgob::frame::append(&mut frame, &[&[2u8][..], &1u64.to_le_bytes(), &PING.hash().to_le_bytes()].concat());
        hostile.write_all(&frame).await.unwrap();
        assert_eq!(soon(&one.env(), hostile.read(&mut [0; 8])).await.unwrap(), 0);
        until(&one.env(), "the log says it", || logs.has("Reply, which does not come this way")).await;
    });
}

#[test]
fn a_port_that_is_in_use_is_named_with_what_to_do() {
    run(|_| async {
        let home = tempfile::tempdir().unwrap();
        let one = Host::start(config(S1)).unwrap();
        let address = one.local_addr().unwrap();
        let again =
            || Host::start(Config { listen: Some(address), dir: Some(home.path().join("d")), ..config(S1) });
        let error = again().err().expect("the port is taken");
        assert!(matches!(&error, StartError::Listen { address: named, .. } if *named == address));
        let said = error.to_string();
        assert!(
            said.contains(&address.to_string()) && said.contains("Another process listens there: stop it"),
            "{said}"
        );
        assert!(!home.path().join("d").exists(), "whoever cannot start leaves no trace");
        one.stop().await;
        assert_eq!(again().unwrap().local_addr(), Some(address), "it is free again");
    });
    let error = Host::start(Config::new(S1, 7)).err().unwrap();
    assert!(matches!(error, StartError::NoRuntime), "{error}");
}

#[test]
fn a_peer_that_is_away_costs_what_was_sent_meanwhile_and_comes_back_by_itself() {
    run(|logs| async move {
        let (one, two) = pair(config(S1), config(S2));
        assert!(can_talk(&one, &two).await);
        let address = two.local_addr().unwrap();
        two.stop().await;
        drop(two);
        let env = one.env();
        until(&env, "the peer is known to be away", || {
            env.send(S2, PING, vec![1]);
            one.counters().peers[&S2].unreachable > 10
        })
        .await;
        let away = one.counters().peers[&S2];
        assert_eq!(away.connections, 1, "{away:?}");
        assert_eq!(logs.count(&format!("peer S2 at {address} cannot be reached")), 1, "it is said once: {logs:?}");
        let two = Host::start(Config { listen: Some(address), ..config(S2) }).unwrap();
        let back = two.env();
        env.spawn({
            let env = env.clone();
            async move {
                loop {
                    env.send(S2, PING, vec![200]);
                    env.sleep(Duration::from_millis(5)).await;
                }
            }
        });
        soon(&env, async { while back.recv().await.body[0] != 200 {} }).await;
        assert_eq!(one.counters().peers[&S2].connections, 2);
    });
}

#[test]
fn a_full_queue_drops_the_newest_and_counts() {
    run(|_| async {
        // Somebody who accepts and says nothing: nothing can leave, and nothing is known to be lost.
        let mute = TcpListener::bind(localhost()).await.unwrap();
        let limits = Limits { queue: QueueLimit { messages: 10, bytes: 1_000 }, ..Limits::default() };
        let one = Host::start(Config { limits, ..config(S1) }).unwrap();
        one.set_peer(S2, mute.local_addr().unwrap().to_string());
        let env = one.env();
        (0..25).for_each(|n| env.send(S2, PING, vec![n]));
        let counters = one.counters().peers[&S2];
        assert_eq!((counters.sent, counters.overflowed, counters.bytes), (10, 15, 10));

        // Its place is taken by somebody who listens; what waited was for the other address.
        let two = Host::start(config(S2)).unwrap();
        introduce(&one, &two);
        env.send(S2, PING, vec![100]);
        assert_eq!(soon(&env, two.env().recv()).await.body[0], 100);
        env.send(S2, PING, vec![0; Limits::default().frame + 1]);
        assert_eq!(one.counters().peers[&S2].overflowed, 16, "what is too large for anybody is not sent");
    });
}

#[test]
fn a_node_that_does_not_read_loses_what_is_too_much_and_counts() {
    run(|_| async {
        let limits = Limits { inbox: QueueLimit { messages: 10, bytes: 1_000 }, ..Limits::default() };
        let (one, two) = pair(config(S1), Config { limits, ..config(S2) });
        let (env, slow) = (one.env(), two.env());
        (0..25).for_each(|n| env.send(S2, PING, vec![n]));
        until(&env, "all have arrived", || two.counters().received == 25).await;
        assert_eq!(two.counters().overflowed, 15);
        let kept: Vec<u8> = std::iter::from_fn(|| slow.try_recv()).map(|message| message.body[0]).collect();
        assert_eq!(kept, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn a_late_reply_is_counted() {
    run(|_| async {
        let (one, two) = pair(config(S1), config(S2));
        let (env, server) = (one.env(), two.env());
        let outcome = env.call(S2, PING, vec![1], env.now() + Duration::from_millis(50)).await;
        assert_eq!(outcome, Err(CallError::Deadline));
        let request = soon(&env, server.accept()).await;
        server.reply(&request, vec![2]);
        until(&env, "it has come", || one.counters().late_replies == 1).await;
    });
}

#[test]
fn a_directory_belongs_to_one_process_and_counts_its_boots() {
    run(|_| async {
        let home = tempfile::tempdir().unwrap();
        let start = || Host::start(Config { dir: Some(home.path().into()), ..config(S1) }).unwrap();
        let one = start();
        let opened = Persister::open(one.env().disk(), "S1", None).await;
        assert!(opened.is_ok());
        let two = start();
        assert_eq!((one.env().boot().0, two.env().boot().0), (1, 2));
        let refused = Persister::open(two.env().disk(), "S1", None).await.err();
        assert_eq!(refused, Some(Refused::Disk(DiskError::Locked)));
        one.stop().await;
        assert_eq!(two.env().disk().lock().await, Ok(()));
    });
    run(|_| async {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Host::start(Config { dir: Some(file.path().into()), ..config(S1) }).err().unwrap();
        let said = error.to_string();
        assert!(matches!(error, StartError::Directory { .. }), "{said}");
        assert!(said.contains(&file.path().display().to_string()), "{said}");
    });
}

#[test]
fn operations_of_the_disk_are_counted() {
    run(|_| async {
        let home = tempfile::tempdir().unwrap();
        let host = Host::start(Config { dir: Some(home.path().into()), ..config(S1) }).unwrap();
        let disk = host.env().disk();
        disk.append("f", vec![0; 100]).await.unwrap();
        // All ask before the disk can have done any, so some go together.
        let syncs = futures::future::join_all((0..20).map(|_| disk.sync("f"))).await;
        assert!(syncs.iter().all(Result::is_ok));
        disk.sync_dir().await.unwrap();
        let before = host.counters().disk;
        assert_eq!((before.writes, before.bytes, before.dir_syncs, before.reads), (1, 100, 1, 0));
        assert!((1..=20).contains(&before.syncs));
        disk.read("f").await.unwrap();
        let after = host.counters().disk;
        assert_eq!(after.reads, 1);
        assert_eq!((after.writes, after.syncs), (before.writes, before.syncs), "a read writes nothing");
    });
}

#[test]
fn events_are_logged_in_the_words_of_the_traces_and_counted() {
    run(|logs| async move {
        let host = Host::start(config(S1)).unwrap();
        let env = host.env();
        env.emit(&Event::Role { role: Role::Leader, term: Term(3) });
        env.emit_all(&[Event::Applied { index: Index(8) }, Event::Applied { index: Index(9) }]);
        assert!(logs.one("LEADER of T3").starts_with("INFO shardlab::event"), "{logs:?}");
        assert!(logs.one("service is at #9").starts_with("DEBUG shardlab::event"), "{logs:?}");
        let events = host.counters().events;
        assert_eq!((events["role"], events["applied"]), (1, 2));
    });
}

#[test]
fn whoever_runs_the_process_hears_that_a_node_has_halted() {
    run(|logs| async move {
        let host = Host::start(config(S1)).unwrap();
        let env = host.env();
        env.spawn({
            let env = env.clone();
            async move {
                env.halt("the disk failed: replace it").await;
            }
        });
        let watch = Host::start(Config::new(S2, 7)).unwrap();
        assert_eq!(soon(&watch.env(), host.halted()).await, "the disk failed: replace it");
        assert!(logs.one("STOPS: the disk failed: replace it").starts_with("ERROR shardlab::event"), "{logs:?}");

        let host = Host::start(config(S1)).unwrap();
        host.env().spawn(async { panic!("on purpose") });
        let why = soon(&watch.env(), host.halted()).await;
        assert_eq!(why, "a task of the node panicked: on purpose");
    });
}

#[test]
fn whoever_has_an_address_and_nothing_else_may_ask_who_is_there() {
    run(|logs| async move {
        let secret = Some(Secret::new("sixteen bytes and more"));
        let host = Host::start(Config { secret, ..config(S1) }).unwrap();
        let address = host.local_addr().unwrap().to_string();
        let resident = who_is(&address, None, Duration::from_secs(10)).await.unwrap();
        assert_eq!(resident, Resident { cluster: 7, node: S1, boot: 1, has_secret: true });
        until(&host.env(), "the host knows that it was only a question", || logs.has("asked who is here")).await;
        assert_eq!((host.counters().turned_away, logs.count("WARN")), (0, 0), "nobody did anything wrong");
        let nobody = TcpListener::bind(localhost()).await.unwrap();
        let address = nobody.local_addr().unwrap().to_string();
        let why = who_is(&address, None, Duration::from_millis(50)).await.unwrap_err().to_string();
        assert_eq!(why, format!("{address} did not finish the handshake within 50ms"));
        drop(nobody);
        let why = who_is(&address, None, Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(why.starts_with(&format!("{address} cannot be reached")), "{why}");
    });
}

#[test]
fn why_a_peer_cannot_be_reached_is_known_until_it_can() {
    run(|_| async {
        let secret = |words: &str| Some(Secret::new(words));
        let one = Host::start(Config { secret: secret("sixteen bytes and more"), ..config(S1) }).unwrap();
        let two = Host::start(Config { secret: secret("sixteen bytes or more"), ..config(S2) }).unwrap();
        introduce(&one, &two);
        let env = one.env();
        assert_eq!(one.trouble(S2), None, "it was not tried");
        env.send(S2, PING, vec![1]);
        until(&env, "it is known", || one.trouble(S2).is_some()).await;
        assert!(one.trouble(S2).unwrap().contains("has another shared secret"), "{:?}", one.trouble(S2));
        two.stop().await;
        let two = Host::start(Config { secret: secret("sixteen bytes and more"), ..config(S2) }).unwrap();
        introduce(&one, &two);
        until(&env, "it is reached", || {
            env.send(S2, PING, vec![1]);
            one.trouble(S2).is_none()
        })
        .await;
    });
}

#[test]
fn what_is_for_the_desk_does_not_reach_the_node() {
    const DESK: Kind = Kind::new("desk");
    run(|_| async {
        let (one, two) = pair(config(S1), config(S2));
        let (env, node) = (one.env(), two.env());
        let desk = two.desk(DESK);
        let asked = env.call(S2, DESK, vec![1], env.now() + Duration::from_secs(10));
        let answered = async {
            let request = desk.accept().await;
            node.reply(&request, vec![2]);
        };
        let (answer, ()) = soon(&env, futures::future::join(asked, answered)).await;
        assert_eq!(answer.unwrap(), vec![2]);
        assert!(can_talk(&one, &two).await, "and the node has not seen it");
    });
}
