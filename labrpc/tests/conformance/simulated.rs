//! The simulator as a world.

use crate::world::{S1, S2, S3, World};
use labrpc::sim::{Command, DiskWeather, Lab, NetWeather, Span, Spread};
use labrpc::{Env, NodeId};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[path = "../world/mod.rs"]
mod world;

type Envs = Arc<Mutex<BTreeMap<NodeId, Env>>>;

#[derive(Clone)]
pub struct Simulated {
    lab: Lab,
    envs: Envs,
}

impl World for Simulated {
    const BURST: u32 = 1_500;

    fn run<F: Future<Output = ()>>(body: impl FnOnce(Self) -> F + Send + 'static) {
        // Messages of a link keep their order, as over one connection.
        let calm = NetWeather { delay: Spread::exactly(Span::millis(1)), ..NetWeather::default() };
        world::world(1, calm, move |lab| async move {
            let world = Simulated { lab, envs: Envs::default() };
            let envs = world.envs.clone();
            for node in [S1, S2, S3] {
                let envs = world.envs.clone();
                let booter = world::booter(move |env: Env| {
                    envs.lock().unwrap().insert(env.id(), env);
                    std::future::pending()
                });
                world.lab.add_node(node, DiskWeather::default(), booter);
                world.boot(node).await;
            }
            body(world).await;
            envs.lock().unwrap().clear();
        });
    }

    fn env(&self, node: NodeId) -> Env {
        self.envs.lock().unwrap()[&node].clone()
    }

    async fn restart(&self, node: NodeId) {
        self.lab.order(Command::Crash { node, power: false });
        self.boot(node).await;
    }
}

impl Simulated {
    async fn boot(&self, node: NodeId) {
        self.envs.lock().unwrap().remove(&node);
        self.lab.order(Command::Boot { node });
        while !self.envs.lock().unwrap().contains_key(&node) {
            self.lab.sleep(Duration::from_micros(100)).await;
        }
    }
}
