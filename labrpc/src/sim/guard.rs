//! Panics of nodes are findings with a story, not the end of the laboratory.
//!
//! A panic that reached madsim would unwind the whole run. So each task of a node is polled inside a guard
//! that ends the run with the node's name and the panic's message and place.

use super::Ending;
use super::world::Shared;
use crate::id::NodeId;
use futures::FutureExt;
use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once};

// tidy: allow(pure): a panic hook sees only its thread, and each run has a thread of its own.
thread_local! {
    /// On a thread that runs a simulation: where the last panic happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static WATCHED: RefCell<bool> = const { RefCell::new(false) };
}

/// While this lives, a panic on this thread is noted and not printed.
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.with(|watched| *watched.borrow_mut() = false);
    }
}

/// Begins to note panics on this thread.
pub(crate) fn watch_this_thread() -> Watch {
    // tidy: allow(pure): a process has one panic hook; what it notes stays on the thread of the run.
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if WATCHED.try_with(|watched| *watched.borrow()).unwrap_or(false) {
                let place = info.location().map(ToString::to_string);
                PLACE.with(|slot| *slot.borrow_mut() = place);
            } else {
                previous(info);
            }
        }));
    });
    WATCHED.with(|watched| *watched.borrow_mut() = true);
    Watch
}

/// The message of a caught panic, with its place.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> String {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into());
    match PLACE.with(|slot| slot.borrow_mut().take()) {
        Some(place) => format!("{message} (at {place})"),
        None => message,
    }
}

/// The task, with its panics turned into the end of the run.
pub(crate) async fn guarded(shared: Arc<Shared>, node: NodeId, task: impl Future<Output = ()>) {
    if let Err(payload) = AssertUnwindSafe(task).catch_unwind().await {
        let message = describe(&*payload);
        shared.lock().end(Ending::Panic { node, message });
    }
}
