//! Clocks, tasks, randomness, and what is left of a boot that is over: nothing.

use crate::world::{S1, S2, World, ms, soon, within};
use futures::poll;
use labrpc::{Env, Event, Index, Kind, Time};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const PING: Kind = Kind::new("ping");

pub async fn a_clock_never_goes_back_and_no_sleep_is_early<W: World>(world: W) {
    let env = world.env(S1);
    let mut last = env.now();
    for n in 0..50u64 {
        let until = last + std::time::Duration::from_micros(n * 37);
        env.sleep_until(until).await;
        let now = env.now();
        assert!(now >= until && now >= last, "slept until {until}, woke at {now}, before that it was {last}");
        last = now;
    }
    env.sleep_until(Time::ZERO).await;
    env.sleep_until(last).await;
}

pub async fn a_sleep_can_be_moved_while_it_waits<W: World>(world: W) {
    let env = world.env(S1);
    let start = env.now();
    let mut sleep = env.sleep(ms(200));
    assert!(poll!(&mut sleep).is_pending());
    sleep.reset(start + ms(300));
    assert_eq!(sleep.until(), start + ms(300));
    (&mut sleep).await;
    assert!(env.now() >= start + ms(300), "it was put off");

    for far in [env.now() + ms(3_600_000), Time::NEVER] {
        let start = env.now();
        let mut sleep = env.sleep_until(far);
        assert!(poll!(&mut sleep).is_pending());
        sleep.reset(start + ms(5));
        soon(&env, sleep).await;
        let slept = env.now().since(start);
        assert!(slept >= ms(5) && slept < ms(60_000), "it was brought forward to 5 ms, and took {slept:?}");
    }
}

pub async fn randomness_is_named_by_its_purpose_and_numbers_are_unique<W: World>(world: W) {
    let env = world.env(S1);
    let draw = |env: &Env, purpose: &str| env.rng(purpose).below(u64::MAX);
    assert_eq!(draw(&env, "a"), draw(&env, "a"));
    assert_ne!(draw(&env, "a"), draw(&env, "b"));
    assert_ne!(draw(&env, "a"), draw(&world.env(S2), "a"));
    assert_eq!([env.unique(), env.unique(), env.clone().unique()], [1, 2, 3]);
    let before = draw(&env, "a");
    world.restart(S1).await;
    assert_ne!(draw(&world.env(S1), "a"), before, "each boot draws anew");
}

pub async fn a_task_runs_until_its_boot_ends<W: World>(world: W) {
    let (env, other) = (world.env(S1), world.env(S2));
    let turns = Arc::new(AtomicU32::new(0));
    let (counts, own) = (turns.clone(), env.clone());
    env.spawn(async move {
        loop {
            own.sleep(ms(1)).await;
            counts.fetch_add(1, Ordering::SeqCst);
        }
    });
    soon(&other, async {
        while turns.load(Ordering::SeqCst) < 3 {
            other.sleep(ms(1)).await;
        }
    })
    .await;
    world.restart(S1).await;
    let at_the_end = turns.load(Ordering::SeqCst);
    other.sleep(ms(30)).await;
    assert_eq!(turns.load(Ordering::SeqCst), at_the_end);
    assert_eq!(Arc::strong_count(&turns), 1, "what the task had is let go of");
}

/// Whether it has nothing to say for a while.
async fn is_silent<T>(watch: &Env, future: impl Future<Output = T>) -> bool {
    within(watch, ms(30), future).await.is_none()
}

pub async fn a_boot_that_is_over_has_no_effect_and_nothing_of_it_returns<W: World>(world: W) {
    let (old, peer) = (world.env(S1), world.env(S2));
    old.disk().append("f", &b"before"[..]).await.unwrap();
    let mut recv = pin!(old.recv());
    let mut sleep = old.sleep(ms(20));
    // They know whom to wake, and still they are not to come.
    assert!(poll!(&mut recv).is_pending());
    let _ = poll!(&mut sleep);
    world.restart(S1).await;
    let new = world.env(S1);
    assert_eq!((old.id(), old.boot().0 + 1), (new.id(), new.boot().0));

    old.send(S2, PING, vec![1]);
    old.emit(&Event::Applied { index: Index(1) });
    let own = old.clone();
    old.spawn(async move { own.send(S2, PING, vec![2]) });
    assert!(is_silent(&peer, old.disk().append("f", &b"after"[..])).await);
    assert!(is_silent(&peer, old.disk().read("f")).await);
    assert!(is_silent(&peer, old.call(S2, PING, vec![3], old.now())).await);
    assert!(is_silent(&peer, old.accept()).await);
    assert!(is_silent(&peer, old.sleep(ms(1))).await);
    new.send(S1, PING, vec![4]);
    assert!(is_silent(&peer, recv).await && is_silent(&peer, sleep).await);
    assert!(old.try_recv().is_none());
    assert!(peer.try_recv().is_none(), "nothing was sent in its name");

    new.send(S2, PING, vec![5]);
    assert_eq!(soon(&peer, peer.recv()).await.body[0], 5);
    assert_eq!(new.disk().read("f").await.unwrap(), b"before");
}

pub async fn a_node_that_halts_is_over_and_can_be_started_again<W: World>(world: W) {
    let (env, peer) = (world.env(S1), world.env(S2));
    assert!(is_silent(&peer, env.halt("the test wants it so")).await, "nobody hears back from a halt");
    env.send(S2, PING, vec![1]);
    assert!(is_silent(&peer, peer.recv()).await);
    assert!(is_silent(&peer, env.sleep(ms(1))).await);
    world.restart(S1).await;
    world.env(S1).send(S2, PING, vec![2]);
    assert_eq!(soon(&peer, peer.recv()).await.body[0], 2);
}
