//! The simulated network, from a node's point of view.

mod world;

use labrpc::sim::{Command, NetWeather, NodeSet, Rule, Span, Spread, Tail, Verdict};
use labrpc::{CallError, Env, Kind, NodeId, Time};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{S1, S2, booter, start, world};

const PING: Kind = Kind::new("ping");
const PONG: Kind = Kind::new("pong");

/// S1 sends `n` pings, one a millisecond; returns what S2 received, with its time.
fn pings(seed: u64, n: u8, net: NetWeather, before: Vec<Command>, after: Vec<Command>) -> Vec<(u8, Time)> {
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = received.clone();
    world(seed, net, move |lab| async move {
        let listen = booter(move |env| {
            let sink = sink.clone();
            async move {
                loop {
                    let message = env.recv().await;
                    sink.lock().unwrap().push((message.body[0], env.now()));
                }
            }
        });
        let send = booter(move |env| async move {
            for n in 0..n {
                env.send(S2, PING, vec![n]);
                env.sleep(Duration::from_millis(1)).await;
            }
        });
        start(&lab, S2, listen);
        lab.sleep(Duration::from_millis(1)).await;
        before.into_iter().for_each(|command| lab.order(command));
        start(&lab, S1, send);
        lab.sleep(Duration::from_secs(20)).await;
        after.into_iter().for_each(|command| lab.order(command));
        lab.sleep(Duration::from_secs(1)).await;
    });
    let mut received = received.lock().unwrap();
    std::mem::take(&mut received)
}

fn numbers(received: &[(u8, Time)]) -> Vec<u8> {
    received.iter().map(|(n, _)| *n).collect()
}

fn constant() -> NetWeather {
    NetWeather { delay: Spread::exactly(Span::millis(5)), ..NetWeather::default() }
}

#[test]
fn in_calm_weather_everything_arrives_in_order() {
    let received = pings(1, 50, constant(), vec![], vec![]);
    assert_eq!(numbers(&received), (0..50).collect::<Vec<_>>());
}

#[test]
fn jitter_reorders_and_rates_are_what_they_say() {
    let jitter = NetWeather { delay: Spread::millis(1, 20), ..NetWeather::default() };
    let received = numbers(&pings(1, 100, jitter, vec![], vec![]));
    assert_eq!(received.len(), 100);
    assert!(!received.is_sorted(), "20 ms of jitter and a message each millisecond must reorder");

    let lossy = NetWeather { drop: 300_000, ..constant() };
    let arrived: usize = (0..10).map(|seed| pings(seed, 100, lossy.clone(), vec![], vec![]).len()).sum();
    assert!((600..800).contains(&arrived), "{arrived} of 1000 at 30 % loss");

    let doubled = NetWeather { duplicate: 200_000, ..constant() };
    let arrived: usize = (0..10).map(|seed| pings(seed, 100, doubled.clone(), vec![], vec![]).len()).sum();
    assert!((1_130..1_270).contains(&arrived), "{arrived} of 1000 with 20 % copies");
}

#[test]
fn a_tail_delays_a_few_by_much() {
    let tail = Tail { ppm: 100_000, delay: Spread::millis(1_000, 2_000) };
    let received = pings(2, 100, NetWeather { tails: vec![tail], ..constant() }, vec![], vec![]);
    let first = received[0].1;
    let late = received.iter().filter(|(_, at)| at.since(first) > Duration::from_millis(500)).count();
    assert_eq!(received.len(), 100);
    assert!((3..25).contains(&late), "{late} of 100 fell into a tail of 10 %");
}

#[test]
fn a_cut_is_one_way_and_mends() {
    let (one, two) = (NodeSet::from(S1), NodeSet::from(S2));
    let cut = Command::Cut { from: one, to: two };
    assert!(pings(1, 5, constant(), vec![cut.clone()], vec![]).is_empty());
    let other_way = Command::Cut { from: two, to: one };
    assert_eq!(pings(1, 5, constant(), vec![other_way], vec![]).len(), 5);
    let mend = Command::Mend { from: NodeSet::ALL, to: NodeSet::ALL };
    assert_eq!(pings(1, 5, constant(), vec![cut, mend], vec![]).len(), 5);
}

#[test]
fn a_rule_holds_messages_until_it_is_released() {
    let hold = Rule { skip: 1, take: Some(2), ..Rule::new("hold", Verdict::Hold) };
    let release = Command::Release { rule: "hold".into(), deliver: true };
    let received = pings(1, 5, constant(), vec![Command::AddRule(hold.clone())], vec![release]);
    assert_eq!(numbers(&received), [0, 3, 4, 1, 2]);
    let lose = Command::Release { rule: "hold".into(), deliver: false };
    let received = pings(1, 5, constant(), vec![Command::AddRule(hold)], vec![lose]);
    assert_eq!(numbers(&received), [0, 3, 4]);
}

#[test]
fn taking_a_fault_away_leaves_the_fate_of_the_rest() {
    let weather = NetWeather { drop: 300_000, delay: Spread::millis(1, 20), ..NetWeather::default() };
    let all = pings(3, 100, weather.clone(), vec![], vec![]);
    let dropped = Rule { take: Some(10), ..Rule::new("first ten", Verdict::Drop) };
    let rest = pings(3, 100, weather, vec![Command::AddRule(dropped)], vec![]);
    let all: Vec<u8> = numbers(&all).into_iter().filter(|&n| n >= 10).collect();
    assert_eq!(numbers(&rest), all);
}

#[test]
fn bandwidth_makes_large_messages_slow() {
    let narrow = NetWeather { bandwidth: Some(1_000), ..constant() };
    let received = pings(1, 10, narrow, vec![], vec![]);
    let spread = received[9].1.since(received[0].1);
    assert!(spread >= Duration::from_millis(9), "1 byte each at 1,000 bytes a second: {spread:?}");
}

#[test]
fn a_node_with_a_service_time_takes_one_message_after_the_other() {
    let gaps = |kinds| {
        let busy = Command::Service { node: S2, span: Span::millis(10), kinds };
        let received = pings(1, 10, constant(), vec![busy], vec![]);
        received.windows(2).map(|pair| pair[1].1.since(pair[0].1)).collect::<Vec<_>>()
    };
    for kinds in [vec![], vec![PING.name().to_string()]] {
        let gaps = gaps(kinds);
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_micros(9_990)), "{gaps:?}");
    }
    let others = gaps(vec!["another kind".into()]);
    assert!(others.iter().all(|gap| *gap < Duration::from_millis(9)), "{others:?}");
}

/// S1 calls S2 once, S2 answers each request; returns the outcome and how many requests S2 saw.
fn call(net: NetWeather, rules: Vec<Rule>) -> (Result<Vec<u8>, CallError>, u32) {
    let outcome = Arc::new(Mutex::new((None, 0)));
    let shared = outcome.clone();
    world(1, net, move |lab| async move {
        let served = shared.clone();
        let serve = booter(move |env| {
            let served = served.clone();
            async move {
                loop {
                    let request = env.accept().await;
                    served.lock().unwrap().1 += 1;
                    env.reply(&request, [&request.body[..], b"!"].concat());
                }
            }
        });
        let call = booter(move |env| {
            let shared = shared.clone();
            async move {
                let deadline = env.now() + Duration::from_millis(100);
                let answer = env.call(S2, PING, &b"hi"[..], deadline).await;
                shared.lock().unwrap().0 = Some(answer.map(|bytes| bytes.to_vec()));
            }
        });
        rules.into_iter().for_each(|rule| lab.order(Command::AddRule(rule)));
        start(&lab, S2, serve);
        lab.sleep(Duration::from_millis(1)).await;
        start(&lab, S1, call);
        lab.sleep(Duration::from_secs(20)).await;
    });
    let (answer, served) = outcome.lock().unwrap().clone();
    (answer.expect("the call returned"), served)
}

#[test]
fn a_lost_request_and_a_lost_reply_look_alike_to_the_caller_only() {
    let lost_request = NetWeather { drop: 1_000_000, ..constant() };
    assert_eq!(call(lost_request, vec![]), (Err(CallError::Deadline), 0));
    let lost_reply = NetWeather { drop_reply: 1_000_000, ..constant() };
    assert_eq!(call(lost_reply, vec![]), (Err(CallError::Deadline), 1));
}

#[test]
fn a_late_reply_and_a_duplicate_change_nothing() {
    let late = Rule {
        directions: vec![labrpc::Direction::Reply],
        ..Rule::new("late", Verdict::Delay(Spread::millis(500, 500)))
    };
    assert_eq!(call(constant(), vec![late]), (Err(CallError::Deadline), 1));
    let twice = NetWeather { duplicate: 1_000_000, ..constant() };
    assert_eq!(call(twice, vec![]), (Ok(b"hi!".to_vec()), 2));
}

#[test]
fn a_message_to_nobody_is_lost_without_a_word() {
    let (_, log, _) = world(1, constant(), |lab| async move {
        start(&lab, S1, booter(|env| async move { env.send(NodeId(9), PONG, vec![1]) }));
        lab.sleep(Duration::from_millis(50)).await;
    });
    assert!(log.iter().any(|line| line.contains("Sent") && line.contains("Lost(Down)")), "{log:#?}");
}

/// When the pings arrive that a rule delays, with so many other messages on another link before each.
fn delayed(others: u32) -> Vec<(u8, Time)> {
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = received.clone();
    world(5, constant(), move |lab| async move {
        let listen = booter(move |env: Env| {
            let sink = sink.clone();
            async move {
                loop {
                    let message = env.recv().await;
                    sink.lock().unwrap().push((message.body[0], env.now()));
                }
            }
        });
        let send = booter(move |env: Env| async move {
            for n in 0..20 {
                (0..others).for_each(|_| env.send(NodeId(3), PING, vec![n]));
                env.send(S2, PING, vec![n]);
                env.sleep(Duration::from_millis(1)).await;
            }
        });
        start(&lab, S2, listen);
        start(&lab, NodeId(3), booter(|env: Env| async move { while !env.recv().await.body.is_empty() {} }));
        lab.order(Command::AddRule(Rule::new("slow", Verdict::Delay(Spread::millis(1, 500)))));
        start(&lab, S1, send);
        lab.sleep(Duration::from_secs(2)).await;
    });
    let mut received = received.lock().unwrap();
    std::mem::take(&mut received)
}

#[test]
fn what_is_sent_on_another_link_does_not_change_how_long_a_rule_delays() {
    let alone = delayed(0);
    assert_eq!(alone.len(), 20);
    assert_ne!(numbers(&alone), (0..20).collect::<Vec<u8>>(), "the delays differ");
    assert_eq!(delayed(3), alone);
}
