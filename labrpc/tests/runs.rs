//! Runs as a whole: the same seed is the same run, clocks are crooked as ordered, panics and endless runs are
//! findings, and nothing is left behind.

mod world;

use labrpc::sim::{Command, Ending, Lab, Limits, NetWeather, NoHook, Setup, Span, run};
use labrpc::{Env, Event, Index, Kind, NodeId};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{S1, S2, booter, start, world};

const PING: Kind = Kind::new("ping");

/// Five nodes that chatter at random over a rough network, and crash.
async fn chatter(lab: Lab) {
    for node in (1..=5).map(NodeId) {
        start(
            &lab,
            node,
            booter(|env: Env| async move {
                let mut rng = env.rng("chatter");
                let listen = env.clone();
                env.spawn(async move {
                    loop {
                        let message = listen.recv().await;
                        if message.body.len() < 4 {
                            listen.send(message.from, PING, [&message.body[..], b"x"].concat());
                        }
                    }
                });
                loop {
                    env.sleep(rng.between(Duration::from_millis(1), Duration::from_millis(30))).await;
                    env.send(NodeId(rng.within(1..=5) as u32), PING, vec![rng.below(256) as u8]);
                    let file = format!("f{}", rng.below(2));
                    env.disk().append(&file, vec![1, 2, 3]).await.unwrap();
                    env.disk().sync(&file).await.unwrap();
                }
            }),
        );
    }
    for n in 0..20 {
        lab.sleep(Duration::from_millis(50)).await;
        let node = NodeId(n % 5 + 1);
        lab.order(Command::Crash { node, power: n % 2 == 0 });
        lab.order(Command::After(Span::millis(7), Box::new(Command::Boot { node })));
    }
}

fn rough() -> NetWeather {
    NetWeather { drop: 50_000, duplicate: 50_000, ..NetWeather::default() }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_another() {
    let (_, first, digest) = world(7, rough(), chatter);
    for _ in 0..3 {
        let (_, again, same) = world(7, rough(), chatter);
        assert_eq!((same, &again), (digest, &first));
    }
    let (_, _, other) = world(8, rough(), chatter);
    assert_ne!(other, digest);
    assert!(first.len() > 1_000, "the runs above were not empty");
}

/// The digest of this run is the same in every build and on every machine. When it changes, stored seeds and
/// digests of earlier builds mean something else; that is fine between releases, and must be on purpose.
#[test]
fn the_digest_of_a_run_is_pinned() {
    let (_, _, digest) = world(7, rough(), chatter);
    insta::assert_snapshot!(format!("{digest:016x}"));
}

#[test]
fn clocks_run_at_their_own_rates() {
    let (ticks, _, _) = world(1, NetWeather::default(), |lab| async move {
        let ticks = Arc::new(Mutex::new([0u32; 3]));
        for node in [S1, S2] {
            let ticks = ticks.clone();
            start(
                &lab,
                node,
                booter(move |env| {
                    let ticks = ticks.clone();
                    async move {
                        loop {
                            env.sleep(Duration::from_millis(10)).await;
                            ticks.lock().unwrap()[env.id().slot()] += 1;
                        }
                    }
                }),
            );
        }
        lab.order(Command::ClockRate { node: S1, ppm: 500_000 });
        lab.order(Command::ClockRate { node: S2, ppm: 2_000_000 });
        lab.sleep(Duration::from_secs(1)).await;
        lab.order(Command::ClockJump { node: S1, by: Span::millis(5) });
        *ticks.lock().unwrap()
    });
    assert!((49..=50).contains(&ticks[1]) && (198..=200).contains(&ticks[2]), "{ticks:?}");
}

#[test]
fn a_jump_of_the_clock_rings_every_timer_that_it_passes() {
    let (woken, _, _) = world(1, NetWeather::default(), |lab| async move {
        let woken = Arc::new(Mutex::new(None));
        let out = woken.clone();
        start(
            &lab,
            S1,
            booter(move |env| {
                let out = out.clone();
                async move {
                    let slept = env.now();
                    env.sleep(Duration::from_secs(60)).await;
                    *out.lock().unwrap() = Some(env.now().since(slept));
                }
            }),
        );
        lab.sleep(Duration::from_secs(1)).await;
        lab.order(Command::ClockJump { node: S1, by: Span::secs(100) });
        lab.sleep(Duration::from_millis(1)).await;
        *woken.lock().unwrap()
    });
    assert!(woken.unwrap() >= Duration::from_millis(100_900), "{woken:?}");
}

/// How a run ends that is left to itself.
fn ending(
    limits: Limits,
    boot: impl Fn(Env) -> futures::future::BoxFuture<'static, ()> + Send + Sync + 'static,
) -> Ending {
    std::thread::spawn(move || {
        let setup = Setup { seed: 1, schedule: 1, net: NetWeather::default(), limits, hook: Box::new(NoHook) };
        run(setup, |lab| async move {
            start(&lab, S1, booter(boot));
            std::future::pending::<()>().await
        })
        .outcome
        .unwrap_err()
    })
    .join()
    .unwrap()
}

#[test]
fn a_panic_of_a_node_is_an_ending_with_its_message_and_place() {
    let ending = ending(Limits::default(), |env| {
        Box::pin(async move {
            env.sleep(Duration::from_millis(5)).await;
            panic!("the log has a hole");
        })
    });
    let Ending::Panic { node, message } = ending else { panic!("{ending:?}") };
    assert_eq!(node, S1);
    assert!(message.contains("the log has a hole") && message.contains("runs.rs"), "{message}");
}

#[test]
fn runs_without_end_hit_a_bound_of_virtual_things() {
    let idle = ending(Limits { time: Span::secs(10), ..Limits::default() }, |_| Box::pin(std::future::pending()));
    assert_eq!(idle, Ending::Budget("more than 10s of virtual time".into()));
    let storm = |env: Env| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                env.send(S1, PING, vec![0; 100]);
                env.recv().await;
                env.send(S1, PING, vec![0; 100]);
            }
        })
    };
    let events = ending(Limits { events: 5_000, ..Limits::default() }, storm);
    assert_eq!(events, Ending::Budget("more than 5000 events".into()));
    let bytes = ending(Limits { bytes: 5_000, ..Limits::default() }, storm);
    assert_eq!(bytes, Ending::Budget("more than 5000 bytes sent".into()));
    let burst = |env: Env| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                env.send(S2, PING, vec![0]);
                if env.now().nanos() == 0 {
                    env.recv().await;
                }
                env.sleep(Duration::from_nanos(50)).await;
            }
        })
    };
    let instant = ending(Limits { events_per_ms: 1_000, ..Limits::default() }, burst);
    assert_eq!(instant, Ending::Budget("more than 1000 events within one millisecond".into()));
}

/// After a restart a server applies its whole log at once. That is no loop, however long the log.
#[test]
fn a_long_log_may_be_applied_in_an_instant() {
    let says = |event: fn(u64) -> Event| {
        ending(Limits { events_per_ms: 1_000, time: Span::secs(1), ..Limits::default() }, move |env| {
            Box::pin(async move {
                (1..=2_000).for_each(|index| env.emit(&event(index)));
                std::future::pending().await
            })
        })
    };
    let applies = says(|index| Event::Applied { index: Index(index) });
    assert_eq!(applies, Ending::Budget("more than 1s of virtual time".into()));
    let commits = says(|index| Event::Committed { index: Index(index) });
    assert_eq!(commits, Ending::Budget("more than 1000 events within one millisecond".into()));
}

/// Dropped with the world that it lives in.
struct Witness(Arc<()>);

#[test]
fn nothing_is_left_of_a_run() {
    let alive = Arc::new(());
    let witness = alive.clone();
    world(3, rough(), move |lab| async move {
        for node in [S1, S2] {
            let witness = witness.clone();
            start(
                &lab,
                node,
                booter(move |env| {
                    let witness = Witness(witness.clone());
                    async move {
                        let held = Witness(witness.0.clone());
                        let (own, again) = (env.clone(), env.clone());
                        env.spawn(async move {
                            own.recv().await;
                            drop(held)
                        });
                        env.spawn(async move {
                            again.accept().await;
                        });
                        env.sleep(Duration::from_secs(3_600)).await;
                        drop(witness);
                    }
                }),
            );
        }
        lab.sleep(Duration::from_secs(1)).await;
        lab.order(Command::Pause { node: S2 });
    });
    assert_eq!(Arc::strong_count(&alive), 1, "tasks of the run are still alive");
}
