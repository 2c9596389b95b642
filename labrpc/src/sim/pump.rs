//! The pump: the one task of the world itself, for what cannot be done under its lock or inside a timer.

use super::env::NodeEnv;
use super::guard::guarded;
use super::world::{Deferred, Shared};
use crate::env::Env;
use crate::id::NodeId;
use madsim::runtime::Handle;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// Runs until it is dropped.
pub(crate) async fn pump(shared: Arc<Shared>, handle: Handle) {
    poll_fn(|context| {
        loop {
            let deferred = {
                let mut world = shared.lock();
                world.timer.set_pump(context.waker());
                world.pump()
            };
            if deferred.is_empty() {
                return Poll::Pending;
            }
            for what in deferred {
                carry_out(what, &shared, &handle);
            }
        }
    })
    .await
}

/// What runs code of nodes, and hence must not hold the lock.
fn carry_out(what: Deferred, shared: &Arc<Shared>, handle: &Handle) {
    match what {
        Deferred::Kill(machine) => handle.kill(machine.id()),
        Deferred::Pause(machine) => handle.pause(machine.id()),
        Deferred::Resume(machine) => handle.resume(machine.id()),
        Deferred::Start(node) => start(node, shared, handle),
    }
}

/// Each boot has a madsim node of its own: restarting one there could run the new boot before the old one is
/// dropped.
fn start(node: NodeId, shared: &Arc<Shared>, handle: &Handle) {
    let booter = {
        let world = shared.lock();
        let entry = &world.nodes[node.slot()];
        (entry.state == super::node::State::Down).then(|| entry.booter.clone()).flatten()
    };
    let Some(booter) = booter else { return };
    let machine = handle.create_node().build();
    let who = shared.lock().boot(node, machine.clone());
    let env = Env::simulated(NodeEnv {
        shared: shared.clone(),
        who,
        machine: machine.clone(),
        given: Default::default(),
    });
    // The booter itself runs on the node too: what it does before its first await may panic like the rest.
    let boot = async move { booter(env).await };
    drop(machine.spawn(guarded(shared.clone(), node, boot)));
}
