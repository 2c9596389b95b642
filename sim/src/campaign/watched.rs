//! A run in this process, with an eye on the clock.

use crate::lab::{Record, Report, run_plan};
use crate::plan::Plan;
use crate::raft::RaftSystem;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Makes a run. Nothing if it does not end within this much real time: code that loops without ever waiting cannot
/// be stopped from inside its process, so its thread is left behind until the process ends.
pub fn watched(system: &Arc<dyn RaftSystem>, plan: &Plan, record: Record, patience: Duration) -> Option<Report> {
    let (sender, report) = channel();
    let (system, plan) = (system.clone(), plan.clone());
    let run = std::thread::spawn(move || {
        let _ = sender.send(run_plan(&system, &plan, record));
    });
    match report.recv_timeout(patience) {
        Ok(report) => Some(report),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => std::panic::resume_unwind(run.join().expect_err("it sent nothing")),
    }
}
