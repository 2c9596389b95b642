//! Carrying out one plan: a cluster in a simulated world, a script, clients, faults, and the oracle that watches.
//!
//! A run has phases. In the first the script is carried out, with faults and under load. Then a *finale* asks
//! what every scenario asks: heal a majority only and demand progress; heal all, stay quiet, and demand that all
//! come to the same state without a client's help; serve again; and account for everything that was ever
//! acknowledged.

mod acts;
mod administrator;
mod client;
mod control;
mod controller_watch;
mod disk_troubles;
mod finale;
mod kv_client;
mod render;
mod report;
mod script;
mod service;
mod triggers;
mod watcher;
mod what;
mod words;

pub use render::{Detail, Line};
pub use report::{Outcome, Report, Summary};

use crate::history::History;
use crate::lin;
use crate::oracle::{Violation, violated};
use crate::plan::Plan;
use crate::raft::RaftSystem;
use control::Control;
use labrpc::Time;
use labrpc::sim::{Ending, Finished, Setup, Stamp, run};
use std::sync::Arc;
use watcher::Watcher;

/// What to keep of a run besides its verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Nothing: green runs keep only their digest.
    Nothing,
    /// Every event. It does not change the run.
    Everything,
}

/// Runs a plan on this thread, which must be one that has run nothing else: see [`labrpc::sim::run`].
pub fn run_here(system: &Arc<dyn RaftSystem>, plan: &Plan, record: Record) -> Report {
    let plan = Arc::new(plan.clone());
    let watcher = Watcher::new(system.clone(), &plan, record);
    let setup = Setup {
        seed: plan.seed,
        schedule: plan.schedule,
        net: plan.net.clone(),
        limits: plan.limits,
        hook: Box::new(watcher),
    };
    let (system, shared) = (system.clone(), plan.clone());
    let finished = run(setup, move |lab| async move {
        let mut control = Control::new(lab, system, shared);
        control.run().await;
        control.into_notes()
    });
    report(&plan, finished)
}

/// Runs a plan on a thread of its own.
///
/// # Panics
/// If the laboratory itself does.
pub fn run_plan(system: &Arc<dyn RaftSystem>, plan: &Plan, record: Record) -> Report {
    // tidy: allow(pure): this is where a run begins: a fresh thread, around the simulation and not in it.
    std::thread::scope(|scope| {
        // tidy: allow(pure): the same.
        let run = std::thread::Builder::new()
            .name(format!("{} {}", plan.scenario, plan.seed))
            .spawn_scoped(scope, || run_here(system, plan, record))
            .expect("a thread can be started");
        run.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

/// What is wrong with what the clients of a key/value service were told, if anything is.
fn judged(plan: &Plan, history: &History, stamp: Stamp) -> Option<Violation> {
    let muted = |check| plan.mute.iter().any(|mute| mute == check);
    if muted("linearizability") && muted("undecided") {
        return None;
    }
    let (check, detail, stamp) = match lin::check(history, &lin::Kv, lin::Limits::default()) {
        lin::Verdict::Ok => return None,
        lin::Verdict::Violated(window) => {
            let seen = Stamp { at: Time::from_nanos(window.to.nanos), nth: window.to.nth };
            ("linearizability", words::of_window(history, &window), seen)
        }
        lin::Verdict::Unknown(why) => ("undecided", why, stamp),
    };
    (!muted(check)).then(|| violated(check, detail, stamp))
}

fn report(plan: &Plan, finished: Finished<control::Notes>) -> Report {
    let Finished { outcome, hook, digest, counters, elapsed } = finished;
    let hook: Box<dyn std::any::Any> = hook;
    let mut watcher: Box<Watcher> = hook.downcast().expect("the hook is the watcher that was put in");
    let stamp =
        Stamp { at: Time::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)), nth: counters.events };
    let mut notes = control::Notes::default();
    let violation = match outcome {
        Ok(from_control) => {
            notes = from_control;
            let at_end = |watcher: &mut Watcher| watcher.oracles.at_end(stamp, counters.messages_sent);
            let violation = watcher.violation.take().or_else(|| at_end(&mut watcher));
            violation.or_else(|| judged(plan, &watcher.history, stamp))
        }
        Err(Ending::Hook) => watcher.violation.take(),
        Err(Ending::Panic { node, message }) => {
            let who = if node.0 == 0 { "the laboratory".into() } else { node.to_string() };
            Some(violated("panic", format!("{who} panicked: {message}"), stamp))
        }
        Err(Ending::Budget(what)) => Some(violated("stuck", format!("the run has had {what}"), stamp)),
    };
    Report {
        suite: plan.suite.clone(),
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        schedule: plan.schedule,
        bug: plan.bug.clone(),
        drawn: plan.drawn.clone(),
        outcome: violation.map_or(Outcome::Ok, |violation| Outcome::Violated(Box::new(violation))),
        skipped: notes.skipped,
        unmet: notes.unmet,
        digest,
        events: counters.events,
        messages: counters.messages_delivered,
        bytes: counters.bytes_sent,
        virtual_nanos: stamp.at.nanos(),
        commits: watcher.oracles.commits(),
        marks: watcher.marks(),
        waived: plan.waived.clone(),
        mute: plan.mute.clone(),
        not_checked: watcher.oracles.not_checked(watcher.explains),
        servers: plan.server_count(),
        shards: std::mem::take(&mut watcher.shard_news),
        trace: watcher.take_lines(),
        history: watcher.history,
    }
}
