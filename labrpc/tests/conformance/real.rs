//! The machine as a world: three hosts in one process, with directories of their own, on localhost.

use crate::certificates::{Authority, load};
use crate::world::{S1, S2, S3, World};
use labrpc::net::{Config, Host};
use labrpc::{Env, NodeId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use tempfile::TempDir;

pub struct Real {
    hosts: RefCell<BTreeMap<NodeId, Host>>,
    home: TempDir,
    /// Who signs certificates, if they talk in TLS.
    authority: Option<Authority>,
}

/// The same, in TLS.
pub struct Sealed(Real);

impl World for Real {
    // More than queues hold.
    const BURST: u32 = 40_000;

    fn run<F: Future<Output = ()>>(body: impl FnOnce(Self) -> F + Send + 'static) {
        run(None, body);
    }

    fn env(&self, node: NodeId) -> Env {
        self.hosts.borrow()[&node].env()
    }

    async fn restart(&self, node: NodeId) {
        let host = self.hosts.borrow_mut().remove(&node).expect("the node is there");
        host.stop().await;
        drop(host);
        self.start(node);
    }
}

impl World for Sealed {
    const BURST: u32 = Real::BURST;

    fn run<F: Future<Output = ()>>(body: impl FnOnce(Self) -> F + Send + 'static) {
        run(Some(Authority::new("the authority")), |world| body(Sealed(world)));
    }

    fn env(&self, node: NodeId) -> Env {
        self.0.env(node)
    }

    async fn restart(&self, node: NodeId) {
        self.0.restart(node).await;
    }
}

fn run<F: Future<Output = ()>>(authority: Option<Authority>, body: impl FnOnce(Real) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        let world = Real { hosts: RefCell::default(), home, authority };
        [S1, S2, S3].into_iter().for_each(|node| world.start(node));
        body(world).await;
    });
}

impl Real {
    /// Starts a node wherever there is a free port, and tells all where that is.
    fn start(&self, node: NodeId) {
        let config = Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls: self.authority.as_ref().and_then(|authority| load(&authority.of_node(node))),
            dir: Some(self.home.path().join(node.to_string())),
            ..Config::new(node, 7)
        };
        let host = Host::start(config).unwrap();
        let mut hosts = self.hosts.borrow_mut();
        let address = |host: &Host| host.local_addr().unwrap().to_string();
        for (id, other) in hosts.iter() {
            other.set_peer(node, address(&host));
            host.set_peer(*id, address(other));
        }
        hosts.insert(node, host);
    }
}
