//! The shard controller as a service of the world, and where tests put it: on servers 1 to 3, with groups behind it.

use super::{Parts, Service};
use labrpc::{Env, NodeId};
use shardlab::raft::Node;
use shardlab::rsm::{Malformed, Observer, Patience};
use shardlab::shardmaster::{self, Bug, Clerk, Config, Settings};

/// It was made for so many shards.
pub struct Master<const SHARDS: u32>;

impl<const SHARDS: u32> Service for Master<SHARDS> {
    type Clerk = Clerk;
    type Bug = Bug;

    async fn boot(env: Env, Parts { raft, options, service, bug }: Parts<Bug>, observer: Observer) -> Node {
        let settings = Settings { shards: SHARDS, ..Settings::default() };
        let mut config = Config { raft, options, service, settings };
        config.plant(bug);
        shardmaster::Server::boot(env, config, Some(observer)).await.unwrap().node().clone()
    }

    fn clerk(env: Env, servers: Vec<NodeId>, patience: Patience) -> Clerk {
        Clerk::new(env, servers, patience)
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        shardmaster::digest_of_snapshot(content)
    }
}

/// The controller's servers.
pub fn masters() -> Vec<NodeId> {
    (1..=3).map(NodeId).collect()
}

/// Those of a group: of the first 11 to 13, of the second from 21 on, and so on.
pub fn servers_of(group: u64) -> Vec<NodeId> {
    (1..=3).map(|server| NodeId(group as u32 * 10 + server)).collect()
}
