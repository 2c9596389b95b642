//! What a message costs in the simulated network, beside madsim's own network doing the same work.
//!
//! `cargo bench -p labrpc --bench network`
//!
//! Each case simulates `CALLS` calls (or one-way messages) between two nodes, on a thread of its own, in both
//! networks with the same payload. Ours encodes and decodes every body with labgob, digests every event and
//! keeps message counts; madsim's passes a `Box<dyn Any>`.

use divan::Bencher;
use labrpc::sim::{Booter, Command, DiskWeather, Lab, Limits, NetWeather, NoHook, Setup, Span, Spread, run};
use labrpc::{Env, Kind, NodeId};
use madsim::net::Endpoint;
use madsim::net::rpc::Request;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const CALLS: u64 = 20_000;
const PING: Kind = Kind::new("ping");
const CLIENT: NodeId = NodeId(1);
const SERVER: NodeId = NodeId(2);

#[derive(Serialize, Deserialize)]
struct Ping {
    number: u64,
    text: String,
}

impl Ping {
    fn new(number: u64) -> Ping {
        Ping { number, text: "twenty-four bytes of it".into() }
    }
}

impl Request for Ping {
    const ID: u64 = 1;
    type Response = u64;
}

fn main() {
    divan::main();
}

/// Simulates on a fresh thread, as the laboratory does.
fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work).join().expect("the simulation ran to its end");
}

fn booter<F: Future<Output = ()> + Send + 'static>(boot: impl Fn(Env) -> F + Send + Sync + 'static) -> Booter {
    Arc::new(move |env| Box::pin(boot(env)))
}

/// Two nodes on our network; ends when the client does.
fn ours<F: Future<Output = ()> + Send + 'static>(
    server: Booter,
    client: impl Fn(Env) -> F + Send + Sync + 'static,
) {
    let net = NetWeather { delay: Spread::of(Span::millis(1), Span::millis(10)), ..NetWeather::default() };
    let limits = Limits { time: Span::secs(100_000), ..Limits::default() };
    let setup = Setup { seed: 1, schedule: 1, net, limits, hook: Box::new(NoHook) };
    let finished = run(setup, |lab: Lab| async move {
        let (done, wait) = futures::channel::oneshot::channel();
        let done = Arc::new(std::sync::Mutex::new(Some(done)));
        let client = Arc::new(client);
        lab.add_node(SERVER, DiskWeather::default(), server);
        let boot = booter(move |env| {
            let (done, client) = (done.clone(), client.clone());
            async move {
                client(env).await;
                let _ = done.lock().unwrap().take().expect("booted once").send(());
            }
        });
        lab.add_node(CLIENT, DiskWeather::default(), boot);
        lab.order(Command::Boot { node: SERVER });
        lab.order(Command::Boot { node: CLIENT });
        wait.await.expect("the client ends");
    });
    assert!(finished.outcome.is_ok());
}

fn our_calls(in_flight: u64) {
    let server = booter(|env| async move {
        loop {
            let request = env.accept().await;
            let ping: Ping = labgob::decode(&request.body).expect("ours");
            env.reply(&request, labgob::encode(&(ping.number + ping.text.len() as u64)).expect("small"));
        }
    });
    ours(server, move |env| async move {
        let caller = env.clone();
        let one = move |number: u64| {
            let env = caller.clone();
            async move {
                let body = labgob::encode(&Ping::new(number)).expect("small");
                let deadline = env.now() + Duration::from_secs(1);
                let answer = env.call(SERVER, PING, body, deadline).await.expect("calm weather");
                let sum: u64 = labgob::decode(&answer).expect("ours");
                assert_eq!(sum, number + 23);
            }
        };
        many(in_flight, |done| env.spawn(done), one).await;
    });
}

fn their_calls(in_flight: u64) {
    let runtime = madsim::runtime::Runtime::with_seed_and_config(1, madsim::Config::default());
    let server: SocketAddr = "10.0.0.2:1".parse().expect("an address");
    let client: SocketAddr = "10.0.0.1:1".parse().expect("an address");
    runtime.create_node().ip(server.ip()).build().spawn(async move {
        let net = Endpoint::bind(server).await.expect("free");
        net.add_rpc_handler(|ping: Ping| async move { ping.number + ping.text.len() as u64 });
        std::future::pending::<()>().await;
    });
    let done = runtime.create_node().ip(client.ip()).build().spawn(async move {
        let net = Endpoint::bind(client).await.expect("free");
        madsim::time::sleep(Duration::from_millis(100)).await;
        let one = move |number: u64| {
            let net = net.clone();
            async move {
                // Without a deadline: under a timeout madsim's endpoint loses answers when many are in flight.
                assert_eq!(net.call(server, Ping::new(number)).await.expect("calm weather"), number + 23);
            }
        };
        many(in_flight, |done| drop(madsim::task::spawn(done)), one).await;
    });
    runtime.block_on(done).expect("the client ends");
}

/// `CALLS` calls by `in_flight` tasks.
async fn many<F: Future<Output = ()> + Send + 'static>(
    in_flight: u64,
    spawn: impl Fn(futures::future::BoxFuture<'static, ()>),
    one: impl Fn(u64) -> F + Clone + Send + 'static,
) {
    let mut ends = Vec::new();
    for _ in 0..in_flight {
        let (send, end) = futures::channel::oneshot::channel::<()>();
        let one = one.clone();
        ends.push(end);
        spawn(Box::pin(async move {
            for number in 0..CALLS / in_flight {
                one(number).await;
            }
            let _ = send.send(());
        }));
    }
    for end in ends {
        end.await.expect("each caller ends");
    }
}

#[divan::bench(args = [1, 64], sample_count = 10)]
fn call_ours(bencher: Bencher<'_, '_>, in_flight: u64) {
    bencher
        .counter(divan::counter::ItemsCount::new(CALLS))
        .bench_local(|| on_a_thread(move || our_calls(in_flight)));
}

#[divan::bench(args = [1, 64], sample_count = 10)]
fn call_madsim(bencher: Bencher<'_, '_>, in_flight: u64) {
    bencher
        .counter(divan::counter::ItemsCount::new(CALLS))
        .bench_local(|| on_a_thread(move || their_calls(in_flight)));
}

/// One-way messages, one at a time, to a node that waits: what every protocol message costs at least.
#[divan::bench(sample_count = 10)]
fn one_way_sparse(bencher: Bencher<'_, '_>) {
    bencher.counter(divan::counter::ItemsCount::new(CALLS)).bench_local(|| {
        on_a_thread(|| {
            let echo = booter(|env| async move {
                loop {
                    let message = env.recv().await;
                    env.send(message.from, PING, message.body);
                }
            });
            ours(echo, |env| async move {
                for _ in 0..CALLS / 2 {
                    env.send(SERVER, PING, &b"a body of some thirty-two bytes"[..]);
                    env.recv().await;
                }
            });
        });
    });
}
