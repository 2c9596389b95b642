//! One-way messages and calls.

use crate::world::{S1, S2, S3, World, ms, soon, within};
use bytes::Bytes;
use futures::poll;
use labrpc::{CallError, Env, Kind, NodeId};
use std::pin::pin;
use std::task::Poll;

const PING: Kind = Kind::new("ping");
const PONG: Kind = Kind::new("pong");

/// Answers every request with its body and one sign more.
fn serve(env: &Env) {
    let own = env.clone();
    env.spawn(async move {
        loop {
            let request = own.accept().await;
            own.reply(&request, [&request.body[..], b"!"].concat());
        }
    });
}

async fn call(env: &Env, to: NodeId, body: &'static [u8]) -> Result<Bytes, CallError> {
    env.call(to, PING, body, env.now() + ms(5_000)).await
}

pub async fn a_message_arrives_as_it_was_sent<W: World>(world: W) {
    let (one, two) = (world.env(S1), world.env(S2));
    assert!(two.try_recv().is_none());
    let large: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    for (kind, body) in [(PING, b"hello".to_vec()), (PONG, vec![]), (PING, large)] {
        one.send(S2, kind, body.clone());
        let message = soon(&two, two.recv()).await;
        assert_eq!((message.from, message.kind), (S1, kind));
        assert!(message.body == body, "a body of {} bytes came as {}", body.len(), message.body.len());
    }
    assert_ne!(PING, PONG);
}

pub async fn messages_arrive_in_order_also_ones_to_oneself<W: World>(world: W) {
    let one = world.env(S1);
    for to in [S2, S1] {
        let receiver = world.env(to);
        (0..200).for_each(|n| one.send(to, PING, vec![n]));
        for n in 0..200 {
            let message = soon(&receiver, receiver.recv()).await;
            assert_eq!((message.from, message.body[0]), (S1, n));
        }
    }
}

pub async fn a_call_is_answered_by_whom_it_asks<W: World>(world: W) {
    let (one, two, three) = (world.env(S1), world.env(S2), world.env(S3));
    let own = two.clone();
    two.spawn(async move {
        let mut waiting = Vec::new();
        while waiting.len() < 4 {
            waiting.push(own.accept().await);
        }
        // The last is answered first: an answer goes by its call and not by its place.
        for request in waiting.iter().rev() {
            assert_eq!(request.kind, PING);
            own.reply(request, format!("{}{}", request.from, String::from_utf8_lossy(&request.body)));
        }
    });
    let calls = [call(&one, S2, b"a"), call(&three, S2, b"b"), call(&one, S2, b"c"), call(&three, S2, b"d")];
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers, [Ok("S1a".into()), Ok("S3b".into()), Ok("S1c".into()), Ok("S3d".into())]);
}

pub async fn a_node_can_call_itself<W: World>(world: W) {
    let one = world.env(S1);
    serve(&one);
    assert_eq!(call(&one, S1, b"me").await.unwrap(), "me!");
}

pub async fn a_call_that_nobody_answers_ends_at_its_deadline<W: World>(world: W) {
    let one = world.env(S1);
    // One node that does not answer, and one that there is not.
    for to in [S2, NodeId(9)] {
        let deadline = one.now() + ms(40);
        let outcome = soon(&one, one.call(to, PING, vec![1], deadline)).await;
        assert_eq!(outcome, Err(CallError::Deadline));
        assert!(one.now() >= deadline, "it gave up {:?} early", deadline.since(one.now()));
    }
}

pub async fn a_late_answer_is_dropped<W: World>(world: W) {
    let (one, two) = (world.env(S1), world.env(S2));
    let first = one.call(S2, PING, &b"first"[..], one.now() + ms(40)).await;
    assert_eq!(first, Err(CallError::Deadline));
    let late = soon(&two, two.accept()).await;
    two.reply(&late, &b"late"[..]);
    let mut second = pin!(call(&one, S2, b"second"));
    assert!(poll!(&mut second).is_pending());
    let request = soon(&two, two.accept()).await;
    assert_eq!(request.body, "second");
    assert!(within(&one, ms(20), &mut second).await.is_none(), "the answer to the first is none to the second");
    two.reply(&request, &b"in time"[..]);
    assert_eq!(second.await.unwrap(), "in time");
}

pub async fn dropping_a_recv_loses_nothing<W: World>(world: W) {
    let (one, two) = (world.env(S1), world.env(S2));
    let (sends, mut seen, mut given_up) = (one.clone(), Vec::new(), 0);
    one.spawn(async move {
        for n in 0..60 {
            sends.send(S2, PING, vec![n]);
            sends.sleep(ms(2)).await;
        }
    });
    while seen.len() < 60 {
        // Asked and dropped, over and over, while messages come.
        match within(&two, std::time::Duration::from_micros(700), two.recv()).await {
            Some(message) => seen.push(message.body[0]),
            None => given_up += 1,
        }
        assert!(given_up < 100_000, "messages are missing: {seen:?}");
    }
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    assert!(given_up > 10, "the test was not empty: {given_up} receives were dropped");
}

pub async fn dropping_a_call_harms_no_other<W: World>(world: W) {
    let (one, two) = (world.env(S1), world.env(S2));
    serve(&two);
    let mut waited = 0;
    for _ in 0..20 {
        // An answer may be there before anybody has looked.
        let mut dropped = Box::pin(call(&one, S2, b"dropped"));
        waited += u32::from(poll!(&mut dropped).is_pending());
        let mut kept = Box::pin(call(&one, S2, b"kept"));
        let early = poll!(&mut kept);
        drop(dropped);
        let answer = match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => kept.await,
        };
        assert_eq!(answer.unwrap(), "kept!");
    }
    assert!(waited > 0, "the test was empty: no call was dropped while it waited");
}

pub async fn sending_never_waits<W: World>(world: W) {
    let (one, two) = (world.env(S1), world.env(S2));
    // Nothing is awaited, so nothing can make room meanwhile but what runs beside.
    (0..W::BURST).for_each(|n| one.send(S2, PING, n.to_le_bytes().to_vec()));
    let (mut next, mut received) = (0, 0);
    while let Some(message) = within(&two, ms(200), two.recv()).await {
        let n = u32::from_le_bytes(message.body[..].try_into().unwrap());
        assert!(n >= next, "{n} came behind {next}");
        next = n + 1;
        received += 1;
    }
    assert!((1_000..=W::BURST).contains(&received), "{received} of {} arrived", W::BURST);
    two.send(S1, PONG, vec![1]);
    assert_eq!(soon(&one, one.recv()).await.kind, PONG);
}

pub async fn a_node_that_was_restarted_is_reached_again<W: World>(world: W) {
    let one = world.env(S1);
    for round in 0..3u8 {
        let two = world.env(S2);
        serve(&two);
        assert_eq!(call(&one, S2, b"hi").await.unwrap(), "hi!");
        two.send(S1, PONG, vec![round]);
        assert_eq!(soon(&one, one.recv()).await.body[0], round);
        world.restart(S2).await;
    }
}
