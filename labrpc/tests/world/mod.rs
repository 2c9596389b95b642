//! A small world for tests: nodes that do what a closure says, and a hook that writes everything down.

#![allow(dead_code)] // each test file uses its part

use labrpc::sim::{
    Booter, Command, DiskWeather, Finished, Hook, Lab, Limits, NetWeather, Observed, Setup, Stamp, View, run,
};
use labrpc::{Env, NodeId};
use std::future::Future;
use std::sync::Arc;

pub const S1: NodeId = NodeId(1);
pub const S2: NodeId = NodeId(2);

/// Writes every event down.
#[derive(Default)]
pub struct Log(pub Vec<String>);

impl Hook for Log {
    fn observe(&mut self, stamp: Stamp, seen: &Observed<'_>, _: &View<'_>, _: &mut Vec<Command>) {
        self.0.push(format!("{} {seen:?}", stamp.at));
    }
}

/// A run whose hook is a [`Log`], on a thread of its own.
pub fn world<T, F>(
    seed: u64,
    net: NetWeather,
    main: impl FnOnce(Lab) -> F + Send + 'static,
) -> (T, Vec<String>, u64)
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    std::thread::spawn(move || {
        let setup = Setup { seed, schedule: seed, net, limits: Limits::default(), hook: Box::new(Log::default()) };
        let Finished { outcome, hook, digest, .. } = run(setup, main);
        let hook: Box<dyn std::any::Any> = hook;
        (outcome.unwrap_or_else(|ending| panic!("{ending:?}")), hook.downcast::<Log>().unwrap().0, digest)
    })
    .join()
    .unwrap()
}

/// What a node does at each boot.
pub fn booter<F: Future<Output = ()> + Send + 'static>(boot: impl Fn(Env) -> F + Send + Sync + 'static) -> Booter {
    Arc::new(move |env| Box::pin(boot(env)))
}

/// Adds a node with a calm disk and boots it.
pub fn start(lab: &Lab, node: NodeId, booter: Booter) {
    lab.add_node(node, DiskWeather::default(), booter);
    lab.order(Command::Boot { node });
}
