//! Hosts in one process, and somebody who speaks to them byte by byte.

use crate::logs::Logs;
use futures::future::{Either, select};
use labrpc::net::{Config, Host};
use labrpc::{Env, Kind, NodeId};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PING: Kind = Kind::new("ping");
pub const S1: NodeId = NodeId(1);
pub const S2: NodeId = NodeId(2);

/// Runs a test on one thread, which keeps its log.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce(Logs) -> F) {
    let logs = Logs::default();
    let _kept = logs.keep();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(logs.clone()));
}

pub fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn config(id: NodeId) -> Config {
    Config { listen: Some(localhost()), ..Config::new(id, 7) }
}

/// Two hosts that know where the other is.
pub fn pair(one: Config, two: Config) -> (Host, Host) {
    let (one, two) = (Host::start(one).unwrap(), Host::start(two).unwrap());
    introduce(&one, &two);
    introduce(&two, &one);
    (one, two)
}

pub fn introduce(host: &Host, other: &Host) {
    host.set_peer(other.env().id(), other.local_addr().unwrap().to_string());
}

/// Waits for something to become so: within a minute, or it never will: the machine may be busy.
pub async fn until(env: &Env, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = env.now() + Duration::from_secs(60);
    while !is_so() {
        assert!(env.now() < end, "it did not come about that {what}");
        env.sleep(Duration::from_millis(2)).await;
    }
}

pub async fn soon<T>(env: &Env, future: impl Future<Output = T>) -> T {
    match select(pin!(future), env.sleep(Duration::from_secs(60))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => panic!("it does not happen"),
    }
}

/// Whether the first gets an answer from the second within so long.
pub async fn answers_within(span: Duration, one: &Host, two: &Host) -> bool {
    let (one, two) = (one.env(), two.env());
    let ask = one.call(two.id(), PING, &b"hi"[..], one.now() + span);
    let serve = async {
        let request = two.accept().await;
        two.reply(&request, &b"yes"[..]);
        std::future::pending::<()>().await;
    };
    match select(pin!(ask), pin!(serve)).await {
        Either::Left((outcome, _)) => outcome.is_ok_and(|answer| answer == "yes"),
        Either::Right(_) => false,
    }
}

pub async fn can_talk(one: &Host, two: &Host) -> bool {
    answers_within(Duration::from_secs(10), one, two).await
}

/// A handshake as another program would make it: what is on the wire, byte for byte.
pub async fn handshake_by_hand(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (cluster, node, whom, boot) = (7u64.to_le_bytes(), [9u8, 0, 0, 0], [1u8, 0, 0, 0], [1u8, 0, 0, 0]);
    let hello = [&b"shardlab"[..], &[1, 0], &[0], &cluster, &node, &whom, &boot, &[5; 32]].concat();
    stream.write_all(&hello).await.unwrap();
    let mut answer = [0; 63 + 1];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer[..10], answer[63]), (&b"shardlab\x01\0"[..], 0), "a hello of the same form, and a welcome");
    stream
}
