//! A bench of a running cluster: many clients at once, what they measure, and a history of what they were told.
//!
//! What is asked for, when, and what becomes of the figures is pure, each in a file of its own; this file carries it out.
//!
//! * `settings`: what is asked for;
//! * `keys`: which keys how often;
//! * `schedule`: when, in an open loop; `arrivals` waits for it;
//! * `tally`: what clients count; `report`: what they have found together;
//! * `record`: the history.
//!
//! In a *closed* loop each client begins its next operation when its last one is over. A server that stalls for a second delays one
//! operation of each client and is then not asked: of all that users would have wanted in that second, nothing is in the percentiles
//! (*coordinated omission*). In an *open* loop operations are due at times that do not depend on answers, and their latency is counted
//! from then on, also if they could not be sent yet.

mod arrivals;
mod keys;
mod record;
mod report;
mod schedule;
mod settings;
mod tally;

pub use keys::Popularity;
pub use report::Report;
pub use schedule::Pace;
pub use settings::{LEAST_VALUE_TOLD, MOST_KEYS_TOLD, Settings, Unfit};
pub use tally::{Count, Tally};

use super::client::{Client, Error};
use arrivals::Arrivals;
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::{Either, join_all, select};
use futures::lock::Mutex as Turns;
use history::{Call, History, Reply};
use keys::Keys;
use labrpc::{Env, Time};
use record::{Known, Recorder};
use schedule::Schedule;
use settings::{Asked, Kind, Mix};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use tally::{Came, Window};

/// What there is when it is over.
pub struct Finished {
    /// What was measured.
    pub report: Report,
    /// What clients were told, if that was asked for.
    pub history: Option<History>,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It makes no sense.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A history must begin with nothing.
    #[error(
        "there are keys that begin with `{0}`, and a history begins with none: take another prefix, or delete them"
    )]
    NotEmpty(String),
    /// It was ended before it had begun to measure.
    #[error("it was ended before it had measured anything")]
    TooEarly,
    /// The keys cannot be written, or it cannot be seen which there are.
    #[error("the keys cannot be made ready: {0}")]
    NotReady(#[from] Error),
}

/// Asks a cluster for what `settings` say until their time is over, or `stop` is ready.
///
/// # Errors
/// [`BenchError`]. Operations that fail are no errors of the bench: they are counted.
pub async fn bench(
    client: Client,
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> Result<Finished, BenchError> {
    settings.check()?;
    // Whoever has had a session goes on with it.
    let client = client.keep_idle(settings.clients as usize);
    let mut stop = pin!(stop);
    match select(pin!(make_ready(&client, &settings)), stop.as_mut()).await {
        Either::Left((ready, _)) => ready?,
        Either::Right(_) => return Err(BenchError::TooEarly),
    }
    let env = client.env();
    let keys = Arc::new(Keys::new(settings.keys, settings.popularity));
    let start = env.now();
    let from = start + settings.warm_up;
    let window = Window { from, to: from + settings.span };
    let stopped = Arc::new(AtomicBool::new(false));
    let mix = Mix::new(&settings, keys.clone(), "all clients");
    let schedule = Schedule::new(settings.pace, settings.seed);
    let arrivals = Arrivals::new(env.clone(), schedule, mix, start, window, stopped.clone());
    let crowd = Arc::new(Crowd {
        tallies: (0..settings.clients).map(|_| Mutex::default()).collect(),
        recorder: Mutex::new(settings.history.then(Recorder::default)),
        arrivals: Turns::new(arrivals),
        client,
        env,
        settings,
        keys,
        start,
        window,
        stopped,
    });
    let work = pin!(crowd.clone().work());
    let ended_early = matches!(select(work, stop).await, Either::Right(_));
    crowd.stopped.store(true, Relaxed);
    crowd.finish(ended_early).await
}

/// Writes each key once. Of a history that begins with nothing: looks whether there is nothing.
async fn make_ready(client: &Client, settings: &Settings) -> Result<(), BenchError> {
    if settings.history {
        let (found, more) = client.scan(settings.prefix.clone(), 1).await?;
        if !found.is_empty() || more {
            return Err(BenchError::NotEmpty(settings.prefix.clone()));
        }
    } else if settings.load {
        let put = |number| client.put(settings.key(number), settings.value(0, number));
        let mut puts =
            futures::stream::iter((0..settings.keys).map(put)).buffer_unordered(settings.clients as usize);
        while let Some(done) = puts.next().await {
            done?;
        }
    }
    Ok(())
}

/// All clients.
struct Crowd {
    client: Client,
    env: Env,
    settings: Settings,
    keys: Arc<Keys>,
    start: Time,
    window: Window,
    /// Whether nothing more is to begin.
    stopped: Arc<AtomicBool>,
    /// One for each client.
    tallies: Vec<Mutex<Tally>>,
    /// None if there is no history, or it was taken.
    recorder: Mutex<Option<Recorder>>,
    /// Whose turn it is waits for the next one: a lock that can be waited for, and is held meanwhile.
    arrivals: Turns<Arrivals>,
}

/// One client.
struct One {
    /// Which, from 0 on.
    number: u32,
    /// Who it is in the history: somebody else after each operation of which it does not know what came.
    process: u32,
    /// How many operations it has begun.
    nth: u64,
}

impl Crowd {
    /// Has all clients ask until time is up, and what they have asked is answered.
    async fn work(self: Arc<Self>) {
        let clients = (0..self.settings.clients).map(|number| {
            let (over, is_over) = oneshot::channel();
            let (crowd, one) = (self.clone(), One { number, process: number, nth: 0 });
            self.env.spawn(async move {
                match crowd.settings.pace {
                    Pace::Closed => crowd.closed(one).await,
                    Pace::Fixed(_) | Pace::Poisson(_) => crowd.open(one).await,
                }
                // Whoever has ended all of it does not wait.
                let _ = over.send(());
            });
            is_over
        });
        let clients: Vec<oneshot::Receiver<()>> = clients.collect();
        join_all(clients).await;
    }

    async fn closed(&self, mut one: One) {
        let mut mix = Mix::new(&self.settings, self.keys.clone(), &format!("client {}", one.number));
        loop {
            let due = self.env.now();
            if due >= self.window.to || self.stopped.load(Relaxed) {
                return;
            }
            self.perform(&mut one, mix.draw(), due).await;
        }
    }

    async fn open(&self, mut one: One) {
        loop {
            let next = self.arrivals.lock().await.next().await;
            let Some((asked, due)) = next else { return };
            self.perform(&mut one, asked, due).await;
        }
    }

    /// One operation that was due at some time, not later than now.
    async fn perform(&self, one: &mut One, asked: Asked, due: Time) {
        one.nth += 1;
        let key = self.settings.key(asked.key);
        let value = self.settings.value(one.number, one.nth);
        self.tally(one).begins(due, self.window);
        let call = match asked.kind {
            Kind::Read => Call::Get { key: key.clone() },
            Kind::Write => Call::Put { key: key.clone(), value: value.clone() },
        };
        let op = self.recorder().as_mut().map(|recorder| recorder.invoke(one.process, call, self.nanos()));
        let (came, known) = self.ask(asked.kind, key, value).await;
        let now = self.env.now();
        if came == Came::Unknown {
            one.process = one.process.wrapping_add(self.settings.clients);
        }
        if let (Some(recorder), Some(op)) = (self.recorder().as_mut(), op) {
            recorder.ret(op, known, self.nanos());
        }
        self.tally(one).ends(asked.kind, came, due, now, self.window);
    }

    async fn ask(&self, kind: Kind, key: Bytes, value: Bytes) -> (Came, Known) {
        match kind {
            Kind::Read => match self.client.read(key).await {
                Ok((value, version)) => (Came::Done, Known::Reply(Reply::Value { value, version })),
                Err(_) => (Came::Unanswered, Known::Nothing),
            },
            Kind::Write => match self.client.put(key, value).await {
                Ok(version) => (Came::Done, Known::Reply(Reply::Written { version })),
                Err(error) if error.may_have_happened() => (Came::Unknown, Known::Unknown),
                Err(_) => (Came::Refused, Known::Nothing),
            },
        }
    }

    /// Puts together what there is. Operations that are under way go on, and nobody counts them.
    async fn finish(&self, ended_early: bool) -> Result<Finished, BenchError> {
        let end = self.env.now().min(self.window.to);
        if end <= self.window.from {
            return Err(BenchError::TooEarly);
        }
        let not_begun = match self.settings.pace {
            Pace::Closed => 0,
            Pace::Fixed(_) | Pace::Poisson(_) => self.arrivals.lock().await.not_begun(end),
        };
        let history = self.recorder().take().map(Recorder::finish);
        let mut tally = Tally::default();
        self.tallies.iter().for_each(|one| tally += &*locked(one));
        let report = Report {
            settings: self.settings.clone(),
            span: end.since(self.window.from),
            tally,
            not_begun,
            ended_early: ended_early && end < self.window.to,
        };
        Ok(Finished { report, history })
    }

    fn tally(&self, one: &One) -> MutexGuard<'_, Tally> {
        locked(&self.tallies[one.number as usize])
    }

    fn recorder(&self) -> MutexGuard<'_, Option<Recorder>> {
        locked(&self.recorder)
    }

    /// The time since all began.
    fn nanos(&self) -> u64 {
        self.env.now().since(self.start).as_nanos() as u64
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}
