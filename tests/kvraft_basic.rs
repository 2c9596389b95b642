//! The key/value service and its clerks in a simulated world, without the laboratory around them: what each promises,
//! shown once.

mod world;

use labrpc::sim::{Command as Order, NetWeather, NodeSet, Span};
use labrpc::{Env, Index, NodeId};
use shardlab::kvraft::{self, Bug, Clerk, Config, Expect, Failure, MAX_KEY, MAX_VALUE, Patience, Reads, Reply};
use shardlab::raft::{self, Node};
use shardlab::rsm::{Malformed, Observer};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{Parts, Service, lossy_replies, run};

type Cluster = world::Cluster<Kv>;

struct Kv;

impl Service for Kv {
    type Clerk = Clerk;
    type Bug = Bug;

    async fn boot(env: Env, Parts { raft, options, service, bug }: Parts<Bug>, observer: Observer) -> Node {
        let mut config = Config { raft, options, service };
        config.plant(bug);
        kvraft::Server::boot(env, config, Some(observer)).await.unwrap().node().clone()
    }

    fn clerk(env: Env, servers: Vec<NodeId>, patience: Patience) -> Clerk {
        Clerk::new(env, servers, patience)
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        kvraft::digest_of_snapshot(content)
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn written(version: u64) -> Result<Reply, Failure> {
    Ok(Reply::Written { version })
}

async fn every_operation(mut clerk: Clerk) {
    assert_eq!(clerk.get("a").await, Ok(None));
    assert_eq!(clerk.put("a", "1").await, written(1));
    assert_eq!(clerk.append("a", "2").await, written(2));
    assert_eq!(clerk.get("a").await, Ok(Some("12".into())));
    assert_eq!(clerk.cas("a", Expect::Version(2), "x").await, written(3));
    let failed = Reply::CasFailed { value: Some("x".into()), version: 3 };
    assert_eq!(clerk.cas("a", Expect::Value(Some("12".into())), "y").await, Ok(failed));
    assert_eq!(clerk.cas("b", Expect::Value(None), "new").await, written(1));
    assert_eq!(clerk.put("c", "other").await, written(1));
    assert_eq!(clerk.delete("c").await, Ok(Reply::Deleted { existed: true }));
    assert_eq!(clerk.delete("c").await, Ok(Reply::Deleted { existed: false }));
    assert_eq!(clerk.put("c", "again").await, written(1), "a key that was deleted begins again");
    let scanned = clerk.scan("", 2).await.unwrap();
    assert_eq!(scanned.items, [("a".into(), "x".into()), ("b".into(), "new".into())]);
    assert!(scanned.more && scanned.index >= Index(9));
    assert!(!clerk.scan("c", 2).await.unwrap().more);
}

#[test]
fn every_operation_does_what_it_says_however_reads_are_served() {
    for reads in [Reads::Confirmed, Reads::ThroughLog] {
        run(1, NetWeather::default(), move |lab| async move {
            let mut cluster = Cluster::of(&lab, 3);
            cluster.service.reads = reads;
            cluster.start();
            cluster.client(Patience::default(), every_operation).await;
        });
    }
}

#[test]
fn what_was_acknowledged_survives_the_leader() {
    for seed in 0..20 {
        run(seed, NetWeather::default(), move |lab| async move {
            let cluster = Cluster::of(&lab, 3);
            cluster.start();
            let mut clerk = cluster.client(Patience::default(), |mut clerk| async move {
                assert_eq!(clerk.put("a", "1").await, written(1));
                clerk
            });
            for turn in 0..3u64 {
                let mut kept = clerk.await;
                let leader = cluster.leader().expect("somebody has just acknowledged");
                lab.order(Order::Crash { node: leader, power: true });
                clerk = cluster.again(move |_| async move {
                    assert_eq!(kept.append("a", "+").await, written(turn + 2), "once, whoever does it");
                    assert_eq!(kept.get("a").await.unwrap().unwrap().len() as u64, turn + 2);
                    kept
                });
                lab.sleep(ms(1_500)).await;
                lab.order(Order::Boot { node: leader });
            }
            clerk.await;
        });
    }
}

#[test]
fn a_server_that_restarts_goes_on_from_its_snapshot_and_all_come_to_the_same_state() {
    for seed in 0..10 {
        run(seed, lossy_replies(), move |lab| async move {
            let mut cluster = Cluster::of(&lab, 3);
            cluster.service.snapshot_after = Some(500);
            cluster.start();
            cluster
                .client(Patience::default(), |mut clerk| async move {
                    for number in 0..60u32 {
                        clerk.put(format!("k{}", number % 7), format!("{number}")).await.unwrap();
                    }
                })
                .await;
            for node in 1..=3 {
                lab.order(Order::Crash { node: NodeId(node), power: true });
            }
            for node in 1..=3 {
                lab.order(Order::Boot { node: NodeId(node) });
            }
            lab.sleep(ms(2_000)).await;
            assert!(cluster.seen(|seen| seen.iter().all(|server| server.snapshots > 0 && server.restores > 0)));
            let states = cluster.seen(|seen| seen.iter().map(|one| (one.index, one.digest)).collect::<Vec<_>>());
            assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
            cluster
                .again(|mut clerk| async move {
                    assert_eq!(clerk.get("k3").await, Ok(Some("59".into())));
                })
                .await;
        });
    }
}

#[test]
fn a_command_whose_answer_is_lost_is_executed_once() {
    for seed in 0..20 {
        let appended = appends_under_loss(seed, None);
        assert_eq!(appended, (0..40).map(|number| format!("<{number}>")).collect::<String>());
    }
}

#[test]
#[cfg(feature = "zoo")]
fn the_bugs_of_retries_show_when_answers_are_lost() {
    for bug in [Bug::NoDedup, Bug::RetryNewSeq] {
        let whole = (0..40).map(|number| format!("<{number}>")).collect::<String>();
        assert!((0..5).any(|seed| appends_under_loss(seed, Some(bug)) != whole), "{bug:?}");
    }
}

fn appends_under_loss(seed: u64, bug: Option<Bug>) -> String {
    run(seed, lossy_replies(), move |lab| async move {
        let mut cluster = Cluster::of(&lab, 3);
        cluster.bug = bug;
        cluster.start();
        let patience = Patience { attempt: ms(30), bug, ..Patience::default() };
        cluster
            .client(patience, |mut clerk| async move {
                for number in 0..40 {
                    clerk.append("log", format!("<{number}>")).await.unwrap();
                }
                String::from_utf8(clerk.get("log").await.unwrap().unwrap().to_vec()).unwrap()
            })
            .await
    })
}

#[test]
fn what_is_too_large_is_refused_and_changes_nothing() {
    run(3, NetWeather::default(), |lab| async move {
        let cluster = Cluster::of(&lab, 3);
        cluster.start();
        cluster
            .client(Patience::default(), |mut clerk| async move {
                let refused = |outcome: Result<Reply, Failure>| matches!(outcome, Err(Failure::TooLarge(_)));
                assert!(refused(clerk.put(vec![0; MAX_KEY + 1], "").await));
                assert!(refused(clerk.put("a", vec![0; MAX_VALUE + 1]).await));
                assert_eq!(clerk.put("a", vec![1; MAX_VALUE]).await, written(1));
                assert!(refused(clerk.append("a", "!").await), "together they are too large");
                assert_eq!(clerk.get("a").await.unwrap().unwrap().len(), MAX_VALUE);
                assert_eq!(clerk.append("a", "").await, written(2));
            })
            .await;
    });
}

#[test]
fn a_client_without_a_majority_learns_in_time_what_is_known() {
    run(4, NetWeather::default(), |lab| async move {
        let cluster = Cluster::of(&lab, 3);
        cluster.start();
        let patience = Patience { deadline: ms(1_500), ..Patience::default() };
        let mut kept = cluster
            .client(patience, |mut clerk| async move {
                clerk.put("a", "1").await.unwrap();
                clerk
            })
            .await;
        let leader = cluster.leader().expect("somebody has just acknowledged");
        for node in (1..=3).map(NodeId).filter(|&node| node != leader) {
            lab.order(Order::Crash { node, power: false });
        }
        let began = lab.now();
        let outcome = cluster.again(move |_| async move { kept.put("a", "2").await });
        assert_eq!(outcome.await, Err(Failure::Unknown), "it is in a log, and may be committed yet");
        assert!(lab.now().since(began) < ms(1_600));
        lab.order(Order::Crash { node: leader, power: false });
        let outcome = cluster.again(|mut clerk| async move {
            clerk.set_patience(Patience { deadline: ms(700), ..Patience::default() });
            clerk.put("a", "3").await
        });
        assert_eq!(outcome.await, Err(Failure::Unavailable), "it has not even a session");
    });
}

#[test]
fn a_session_that_was_evicted_executes_nothing() {
    run(5, NetWeather::default(), |lab| async move {
        let mut cluster = Cluster::of(&lab, 3);
        cluster.service.max_sessions = 2;
        cluster.start();
        let mut first = cluster
            .client(Patience::default(), |mut clerk| async move {
                assert_eq!(clerk.put("a", "1").await, written(1));
                clerk
            })
            .await;
        for _ in 0..2 {
            cluster.again(|mut clerk| async move { clerk.put("b", "").await.map(drop) }).await.unwrap();
        }
        cluster
            .again(move |_| async move {
                assert_eq!(first.append("a", "2").await, Err(Failure::Unknown), "its session is gone");
                assert_eq!(first.get("a").await, Ok(Some("1".into())), "and it was not executed");
                assert_eq!(first.append("a", "3").await, written(2), "in a new session");
            })
            .await;
    });
}

#[test]
fn a_lease_answers_without_asking_and_ends_before_another_leader_begins() {
    let drift = raft::Drift { slowest: 1_000_000, fastest: 1_000_000 };
    let gone = reads_beside_a_cut(Some(drift), None);
    assert!(gone.served_alone > 0, "for a while it needs nobody");
    assert_eq!(gone.stale, 0);
    let asked = reads_beside_a_cut(None, None);
    assert_eq!((asked.served_alone, asked.stale), (0, 0));
}

#[test]
#[cfg(feature = "zoo")]
fn a_lease_that_counts_from_the_answer_outlives_its_promise() {
    let drift = raft::Drift { slowest: 1_000_000, fastest: 1_000_000 };
    assert!(reads_beside_a_cut(Some(drift), Some(Bug::LeaseFromReceipt)).stale > 0);
}

#[test]
#[cfg(feature = "zoo")]
fn a_leader_that_does_not_ask_serves_what_is_old() {
    assert!(reads_beside_a_cut(None, Some(Bug::LocalRead)).stale > 0);
}

#[derive(Default)]
struct Beside {
    /// Reads that the old leader answered after it was cut off.
    served_alone: u32,
    /// Those of them that lack a write that was acknowledged before they were asked.
    stale: u32,
}

/// A leader is cut off from the other servers, not from its clients. One reads there; another writes elsewhere. What
/// the followers say to the leader is 280 ms late.
fn reads_beside_a_cut(lease: Option<raft::Drift>, bug: Option<Bug>) -> Beside {
    run(6, NetWeather::default(), move |lab| async move {
        let mut cluster = Cluster::of(&lab, 3);
        (cluster.lease, cluster.bug) = (lease, bug);
        cluster.start();
        let patience = Patience { deadline: ms(400), attempt: ms(20), pause: ms(5), bug };
        cluster.again(|mut clerk| async move { clerk.put("a", "0").await.map(drop) }).await.unwrap();
        lab.sleep(ms(500)).await;
        let leader = cluster.leader().unwrap();
        let others: Vec<NodeId> = (1..=3).map(NodeId).filter(|&node| node != leader).collect();
        for rule in world::late_and_deaf(leader, Span::millis(280)) {
            lab.order(Order::AddRule(rule));
        }
        lab.sleep(ms(700)).await;
        for &other in &others {
            lab.order(Order::Cut { from: leader.into(), to: other.into() });
        }
        let acknowledged = Arc::new(Mutex::new(0));
        let told = acknowledged.clone();
        let writer = cluster.client_of(others.clone(), patience, move |mut clerk| async move {
            for number in 1..60 {
                if clerk.put("a", number.to_string()).await.is_ok() {
                    *told.lock().unwrap() = number;
                }
            }
        });
        let reader = cluster.client_of(vec![leader], patience, move |mut clerk| async move {
            let mut beside = Beside::default();
            loop {
                let floor = *acknowledged.lock().unwrap();
                let Ok(value) = clerk.get("a").await else { return beside };
                let value: i32 = std::str::from_utf8(&value.unwrap()).unwrap().parse().unwrap();
                beside.served_alone += 1;
                beside.stale += u32::from(value < floor);
            }
        });
        let beside = reader.await;
        drop(writer);
        beside
    })
}

/// What clients are told of their writes by a leader that is cut off from the other servers and not from them; and the
/// value when it is back, which others have written meanwhile.
fn acknowledged_alone(bug: Option<Bug>) -> (Vec<Result<Reply, Failure>>, Option<bytes::Bytes>) {
    run(7, NetWeather::default(), move |lab| async move {
        let mut cluster = Cluster::of(&lab, 3);
        cluster.bug = bug;
        cluster.start();
        cluster.again(|mut clerk| async move { clerk.put("a", "old").await.map(drop) }).await.unwrap();
        let leader = cluster.leader().unwrap();
        let others: NodeSet = (1..=3).map(NodeId).filter(|&node| node != leader).collect();
        let patience = Patience { deadline: ms(6_000), attempt: ms(5_000), pause: ms(5), bug };
        let alone: Vec<_> = (0..4)
            .map(|_| {
                let (lab, cut) = (lab.clone(), lab.now() + ms(200));
                cluster.client_of(vec![leader], patience, move |mut clerk| async move {
                    // It has its session before the cut.
                    clerk.put("b", "").await.unwrap();
                    lab.sleep_until(cut + ms(10)).await;
                    clerk.put("a", "lost").await
                })
            })
            .collect();
        lab.sleep(ms(200)).await;
        lab.order(Order::Cut { from: leader.into(), to: others });
        lab.order(Order::Cut { from: others, to: leader.into() });
        lab.sleep(ms(100)).await;
        let elsewhere = cluster.client_of(others.iter().collect(), Patience::default(), |mut clerk| async move {
            for number in 0..6 {
                clerk.put("a", format!("{number}")).await.unwrap();
            }
        });
        elsewhere.await;
        lab.order(Order::Mend { from: leader.into(), to: others });
        lab.order(Order::Mend { from: others, to: leader.into() });
        let outcomes = futures::future::join_all(alone).await;
        (outcomes, cluster.again(|mut clerk| async move { clerk.get("a").await.unwrap() }).await)
    })
}

#[test]
fn a_leader_that_was_cut_off_acknowledges_nothing_that_is_lost() {
    let (outcomes, last) = acknowledged_alone(None);
    assert_eq!((outcomes, &last), (vec![Err(Failure::Unknown); 4], &Some("5".into())));
    for bug in [Bug::AckOnAppend, Bug::ReplyByIndexOnly].into_iter().filter(|_| cfg!(feature = "zoo")) {
        let (outcomes, value) = acknowledged_alone(Some(bug));
        assert!(outcomes.iter().any(Result::is_ok) && value == last, "{bug:?}: {outcomes:?}");
    }
}

/// Appends tokens, and after each looks for all of its own. How many were acknowledged.
async fn tokens(mut clerk: Clerk, client: u32) -> usize {
    let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let token = format!("<{client}.{number}>");
        match clerk.append("x", token.clone()).await {
            Ok(_) => surely.push(token),
            Err(Failure::Unknown) => perhaps.push(token),
            Err(_) => {}
        }
        let Ok(value) = clerk.get("x").await else { continue };
        let value = String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
        let count = |token: &String| value.matches(token.as_str()).count();
        assert!(surely.iter().all(|token| count(token) == 1), "{surely:?} in {value}");
        assert!(perhaps.iter().all(|token| count(token) <= 1), "{perhaps:?} in {value}");
    }
    surely.len()
}

#[test]
fn nothing_is_lost_or_done_twice_while_servers_crash_and_messages_are_lost() {
    for seed in 0..12 {
        run(seed, lossy_replies(), move |lab| async move {
            let mut cluster = Cluster::of(&lab, 3);
            cluster.service.snapshot_after = Some(400);
            cluster.service.max_sessions = 6;
            cluster.lease = (seed % 2 == 0).then_some(raft::Drift { slowest: 1, fastest: 1 });
            if seed % 3 == 0 {
                cluster.service.reads = Reads::ThroughLog;
            }
            cluster.start();
            let patience = Patience { attempt: ms(80), ..Patience::default() };
            let clients: Vec<_> =
                (0..5).map(|client| cluster.client(patience, move |clerk| tokens(clerk, client))).collect();
            let crashes = lab.clone();
            lab.spawn(async move {
                for turn in 0..12 {
                    crashes.sleep(ms(700)).await;
                    let node = NodeId((1 + (seed + turn * 2) % 3) as u32);
                    crashes.order(Order::Crash { node, power: turn % 2 == 0 });
                    crashes.sleep(ms(250)).await;
                    crashes.order(Order::Boot { node });
                }
            });
            let acknowledged: usize = futures::future::join_all(clients).await.into_iter().sum();
            assert!(acknowledged > 150, "{acknowledged} of 200");
        });
    }
}
