//! The simulated world: a backend of [`crate::Env`] in which time is virtual and everything can fail.
//!
//! ```text
//!   nodes (Env)          the laboratory (Lab, Hook)
//!        \                  /
//!         World: one lock, one queue of events, one digest
//!           |- net: links, rules, weather      (net, rule, weather, fate)
//!           |- disks: pending until synced     (disk, disk_ops)
//!           |- clocks: a rate and offset each  (clock)
//!           `- boots: what dies with a crash   (node, env)
//!        madsim: executor, virtual time, scheduling order, libc's clock and entropy
//! ```
//!
//! What happens is a function of two seeds and of what the laboratory orders. The *fate* seed decides what
//! becomes of each message and disk operation, each on its own (`fate`); the *schedule* seed decides in which
//! order tasks run that are ready at the same time.
//!
//! The network is ours and not madsim's, since that one cannot duplicate messages, hides their sizes and adds
//! a millisecond a hop; the disks are ours, since madsim's cannot lose data.

mod clock;
mod command;
mod digest;
mod disk;
mod disk_ops;
mod env;
mod fate;
mod guard;
mod net;
mod node;
mod observe;
mod pump;
mod queue;
mod rule;
mod span;
mod timer;
mod weather;
mod world;

pub use digest::Digest;
pub use disk::{DiskView, Face};
pub use env::Booter;
pub(crate) use env::{NodeEnv, SimSleep};
pub use observe::{
    Command, CrashPoint, DiskAct, Edge, Effect, Hook, Loss, NoHook, Observed, Packet, Sending, Stamp, Words,
};
pub use rule::{NodeSet, Rule, Verdict};
pub use span::{Span, Spread};
pub use weather::{DiskWeather, NetWeather, Tail};
pub use world::View;

use crate::env::Env;
use crate::id::NodeId;
use crate::time::Time;
use guard::guarded;
use madsim::runtime::{Handle, Runtime};
use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
pub(crate) use world::Who;
use world::{Shared, World};

/// What a run begins with.
pub struct Setup {
    /// Decides the fate of messages and disk operations, and seeds the nodes' own randomness.
    pub seed: u64,
    /// Decides the order in which tasks run that are ready at the same time.
    pub schedule: u64,
    /// The network's weather.
    pub net: NetWeather,
    /// When to give up.
    pub limits: Limits,
    /// Who watches.
    pub hook: Box<dyn Hook>,
}

/// Bounds of a run. They are counted in what the run does, never in wall-clock time: the same seed hits them
/// at the same event on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Virtual time.
    pub time: Span,
    /// Events in all.
    pub events: u64,
    /// Events within one millisecond of virtual time.
    pub events_per_ms: u64,
    /// Bytes sent in all.
    pub bytes: u64,
}

impl Default for Limits {
    /// Far above what a healthy run of the shipped scenarios needs: none has 2,000 events in a millisecond. A task
    /// that goes round and round has 10,000, for the executor lets 50 to 100 ns pass at each poll.
    fn default() -> Limits {
        Limits { time: Span::secs(600), events: 20_000_000, events_per_ms: 5_000, bytes: 4 << 30 }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events shown to the hook.
    pub events: u64,
    /// Messages sent, lost ones included, copies not.
    pub messages_sent: u64,
    /// Messages that reached a queue, copies included.
    pub messages_delivered: u64,
    /// Bytes of bodies sent.
    pub bytes_sent: u64,
    /// Disk operations performed.
    pub disk_ops: u64,
}

/// Why a run ended before its main task did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The hook said so, and knows why.
    Hook,
    /// Code of a node panicked.
    Panic {
        /// Which node's.
        node: NodeId,
        /// The message and the place.
        message: String,
    },
    /// A bound of [`Limits`] was hit; the text says which.
    Budget(String),
}

/// What is left of a run.
pub struct Finished<T> {
    /// What the main task returned, or why it could not.
    pub outcome: Result<T, Ending>,
    /// The hook, with all it has seen.
    pub hook: Box<dyn Hook>,
    /// The digest of every event.
    pub digest: u64,
    /// What was counted.
    pub counters: Counters,
    /// Virtual time that passed.
    pub elapsed: Duration,
}

/// Runs `main` in a new world, to its end or to the end of the run, whichever comes first.
///
/// Call it on a thread that has run nothing else: std draws its hash keys once per thread, so a thread that is
/// used again would give the second run other keys than a first run has.
///
/// # Panics
/// If `main` itself panics: that is a bug of the laboratory and not of a node.
pub fn run<T, F: Future<Output = T>>(setup: Setup, main: impl FnOnce(Lab) -> F) -> Finished<T> {
    let watch = guard::watch_this_thread();
    let runtime = Runtime::with_seed_and_config(setup.schedule, madsim::Config::default());
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(setup, main))));
    drop(watch);
    match outcome {
        Ok(finished) => finished,
        Err(payload) => panic!("the laboratory itself panicked: {}", guard::describe(&*payload)),
    }
}

async fn live<T, F: Future<Output = T>>(setup: Setup, main: impl FnOnce(Lab) -> F) -> Finished<T> {
    let handle = Handle::current();
    let machine = handle.create_node().build();
    let world = World::new(setup.seed, timer::Timer::new(), net::Network::new(setup.net), setup.limits, setup.hook);
    let shared = Shared::new(world);
    let who = {
        let mut world = shared.lock();
        // There is always something to come, so madsim never finds that nothing will ever happen.
        world.schedule(setup.limits.time.nanos(), world::Event::TimeIsUp);
        world.grow(NodeId(0));
        world.nodes[0] = node::Node::new(0);
        world.nodes[0].state = node::State::Up;
        Who { node: NodeId(0), boot: 0 }
    };
    drop(machine.spawn(pump::pump(shared.clone(), handle.clone())));
    let lab = Lab {
        env: Arc::new(NodeEnv { shared: shared.clone(), who, machine: machine.clone(), given: Default::default() }),
    };
    let outcome = {
        let mut main = pin!(main(lab));
        poll_fn(|context| {
            {
                let mut world = shared.lock();
                if let Some(ending) = &world.ended {
                    return Poll::Ready(Err(ending.clone()));
                }
                world.end_waiter = Some(context.waker().clone());
            }
            main.as_mut().poll(context).map(Ok)
        })
        .await
    };
    finish(&shared, &handle, &machine, outcome).await
}

/// Drops everything that runs, so that a campaign of a million runs needs the memory of one.
async fn finish<T>(
    shared: &Arc<Shared>,
    handle: &Handle,
    machine: &madsim::runtime::NodeHandle,
    outcome: Result<T, Ending>,
) -> Finished<T> {
    let (machines, gone) = {
        let mut world = shared.lock();
        world.shut_down()
    };
    drop(gone);
    for machine in machines.iter().chain([machine]) {
        handle.kill(machine.id());
    }
    // madsim drops a killed task when it comes to its turn; each turn of ours lets some have theirs.
    for _ in 0..10_000 {
        if Arc::strong_count(shared) == 1 {
            break;
        }
        madsim::task::yield_now().await;
    }
    let mut world = shared.lock();
    Finished {
        outcome,
        hook: world.take_hook(),
        digest: world.digest(),
        counters: world.counters,
        elapsed: Duration::from_nanos(world.now),
    }
}

/// The laboratory's hands in the world. It has a true clock, and nothing that it does can fail.
#[derive(Clone)]
pub struct Lab {
    env: Arc<NodeEnv>,
}

impl Lab {
    /// Adds a node, which is down. `booter` is what it does at each start.
    pub fn add_node(&self, node: NodeId, disk: DiskWeather, booter: Booter) {
        let mut world = self.env.shared.lock();
        world.grow(node);
        world.nodes[node.slot()].booter = Some(booter);
        world.nodes[node.slot()].disk_weather = disk;
    }

    /// Does something to the world.
    pub fn order(&self, command: Command) {
        let mut world = self.env.shared.lock();
        world.execute(command);
        world.obey();
    }

    /// True time since the start of the run.
    pub fn now(&self) -> Time {
        Time::from_nanos(self.env.shared.lock().now)
    }

    /// Waits for true time to pass.
    pub async fn sleep(&self, span: Duration) {
        self.env.sleep_until(self.now() + span).await;
    }

    /// Waits until a true time.
    pub async fn sleep_until(&self, at: Time) {
        self.env.sleep_until(at).await;
    }

    /// Runs a task of the laboratory beside the main one. A panic in it ends the run, as one of node 0.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.env.machine.spawn(guarded(self.env.shared.clone(), NodeId(0), task)));
    }

    /// Says something into the trace.
    pub fn note(&self, node: Option<NodeId>, text: &str) {
        self.remark(node, xxhash_rust::xxh3::xxh3_64(text.as_bytes()), &text);
    }

    /// The same, put into words only if a trace is written. `hash` is the same for the same words.
    pub fn remark(&self, node: Option<NodeId>, hash: u64, text: &dyn fmt::Display) {
        let mut world = self.env.shared.lock();
        world.see(&Observed::Note { node, text: Words { hash, text } });
        world.obey();
    }

    /// A client reports a step of its own.
    pub fn report(&self, what: &'static str, words: [u64; 4]) {
        let mut world = self.env.shared.lock();
        world.see(&Observed::Service { node: None, what, words });
        world.obey();
    }

    /// The service on a node reports a step of its own. False: that boot is over, and nothing was reported.
    pub fn report_from(&self, env: &Env, what: &'static str, words: [u64; 4]) -> bool {
        let who = env.simulated_boot();
        let mut world = self.env.shared.lock();
        if !world.lives(who) {
            return false;
        }
        world.see(&Observed::Service { node: Some(who.node), what, words });
        world.obey();
        world.lives(who)
    }

    /// Talks to the hook, which must be an `H`, with the world in view. What it orders is done.
    ///
    /// # Panics
    /// If the hook is no `H`.
    pub fn with_hook<H: Hook, T>(&self, talk: impl FnOnce(&mut H) -> T) -> T {
        let mut world = self.env.shared.lock();
        let hook: &mut dyn Any = world.hook_mut();
        talk(hook.downcast_mut().expect("the laboratory knows its own hook"))
    }

    /// Looks at the world.
    pub fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        look(&View(&self.env.shared.lock()))
    }

    /// The digest so far.
    pub fn digest(&self) -> u64 {
        self.env.shared.lock().digest()
    }
}
