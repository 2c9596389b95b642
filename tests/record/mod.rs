//! What clients of real servers ask for and what they are told, put on record as a history that the laboratory can decide.

#![allow(dead_code, reason = "each test program uses a part of it")]

use shardlab::kvraft;
use shardlab::rsm::Failure;
use sim::history::{At, Call, Expect, History, OpId, Outcome, Reply, describe};
use sim::lin::{self, Verdict};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What is known of an operation that brought no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// It was not executed and never will be.
    Surely,
    /// It may have been, or may be yet.
    Perhaps,
}

/// Whoever executes the operations of a key/value store.
pub trait Store: Send {
    /// Executes one.
    fn call(&mut self, call: &Call) -> impl Future<Output = Result<Reply, Lost>> + Send;
}

/// A history in the making. Clones are the same one.
#[derive(Clone)]
pub struct Record(Arc<Mutex<Inner>>);

struct Inner {
    history: History,
    begun: Instant,
    events: u64,
    processes: u32,
}

impl Inner {
    /// The number of this event. Whoever holds the lock is between those before it and those after it.
    fn now(&mut self) -> At {
        self.events += 1;
        At { nth: self.events - 1, nanos: self.begun.elapsed().as_nanos() as u64 }
    }
}

impl Record {
    pub fn begin() -> Record {
        let inner = Inner { history: History::new(), begun: Instant::now(), events: 0, processes: 0 };
        Record(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// The number of a process that nobody else has.
    fn process(&self) -> u32 {
        let mut inner = self.lock();
        inner.processes += 1;
        inner.processes - 1
    }

    fn invoke(&self, process: u32, call: Call) -> OpId {
        let mut inner = self.lock();
        let at = inner.now();
        inner.history.invoke(process, call, at)
    }

    fn returned(&self, op: OpId, told: &Result<Reply, Lost>) {
        let mut inner = self.lock();
        let at = inner.now();
        inner.history.ret(
            op,
            match told {
                Ok(reply) => Outcome::Ok { reply: reply.clone(), at },
                Err(Lost::Surely) => Outcome::Fail { at },
                Err(Lost::Perhaps) => Outcome::Unknown,
            },
        );
    }

    /// A fault, for those who look at the history.
    pub fn note(&self, what: &str, detail: &str) {
        let mut inner = self.lock();
        let at = inner.now();
        inner.history.annotate(at, what, detail);
    }

    /// How long it goes on.
    pub fn elapsed(&self) -> Duration {
        self.lock().begun.elapsed()
    }

    /// What there is so far. Operations that are under way are in it, with nothing known of them.
    pub fn history(&self) -> History {
        self.lock().history.clone()
    }
}

/// A client whose operations are recorded.
pub struct Client<S> {
    store: S,
    record: Record,
    process: u32,
}

impl<S: Store> Client<S> {
    pub fn new(store: S, record: &Record) -> Client<S> {
        Client { store, process: record.process(), record: record.clone() }
    }

    pub async fn call(&mut self, call: Call) -> Result<Reply, Lost> {
        let op = self.record.invoke(self.process, call.clone());
        let told = self.store.call(&call).await;
        self.record.returned(op, &told);
        if told == Err(Lost::Perhaps) {
            // What it has asked for may happen yet, and a process has one operation at a time.
            self.process = self.record.process();
        }
        told
    }

    /// The store, when there is nothing more to record.
    pub fn into_store(self) -> S {
        self.store
    }
}

/// What is wrong with a history; none: it is linearizable. That nobody knows is wrong.
pub fn verdict(history: &History) -> Option<String> {
    match lin::check(history, &lin::Kv, lin::Limits::default()) {
        Verdict::Ok => None,
        unknown @ Verdict::Unknown(_) => Some(unknown.to_string()),
        violated => {
            let Verdict::Violated(window) = &violated else { unreachable!("these are all") };
            let lines = window.conflict.iter().map(|op| format!("\n  {}", describe(&history.operations[op.0])));
            Some(format!("{violated}; these contradict one another:{}", lines.collect::<String>()))
        }
    }
}

/// What kvraft executes; none: the call is a read.
pub fn command(call: &Call) -> Option<kvraft::Command> {
    Some(match call.clone() {
        Call::Put { key, value } => kvraft::Command::Put { key, value },
        Call::Append { key, value } => kvraft::Command::Append { key, value },
        Call::Delete { key } => kvraft::Command::Delete { key },
        Call::Cas { key, expect, value } => kvraft::Command::Cas { key, expect: expected(expect), value },
        Call::Get { .. } | Call::Scan { .. } => return None,
    })
}

/// What a client of this repository demands of a compare-and-set.
pub fn expected(expect: Expect) -> kvraft::Expect {
    match expect {
        Expect::Value(value) => kvraft::Expect::Value(value),
        Expect::Version(version) => kvraft::Expect::Version(version),
    }
}

/// What came of a command.
pub fn written(reply: kvraft::Reply) -> Result<Reply, Lost> {
    match reply {
        kvraft::Reply::Written { version } => Ok(Reply::Written { version }),
        kvraft::Reply::Deleted { existed } => Ok(Reply::Deleted { existed }),
        kvraft::Reply::CasFailed { value, version } => Ok(Reply::CasFailed { value, version }),
        kvraft::Reply::TooLarge(_) => Err(Lost::Surely),
    }
}

/// What a clerk says of an operation that brought no answer.
pub fn lost(failure: Failure) -> Lost {
    if failure.may_have_happened() { Lost::Perhaps } else { Lost::Surely }
}
