//! A system of independent groups, for tests: each is a cluster of its own and knows nothing of the others. What is
//! wrong, if anything, is wrong in one of them.

use futures::future::BoxFuture;
use futures::stream::pending;
use labrpc::persister::Directory;
use labrpc::sim::{Span, Spread};
use labrpc::{Direction, Env, Kind, NodeId};
use sim::kv::KvSystem;
use sim::raft::{Abilities, Booted, BugCard, Follow, Part, PeerSetup, RaftSystem, Recovered, WireFacts};
use std::sync::Arc;
use std::time::Duration;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug)]
pub enum Flaw {
    None,
    /// A group has this bug.
    Bug(u32, &'static str),
    /// In a group nobody ever stands for election.
    NobodyCampaigns(u32),
    /// The service of a server never applies anything.
    NeverApplies(NodeId),
    /// Each server of a group sends every server of the others a message in each millisecond.
    Storm(u32),
    /// A server believes that it belongs to the first group.
    Strays(NodeId),
}

/// See the module.
pub struct Groups<S> {
    inner: Arc<S>,
    flaw: Flaw,
}

impl<S: RaftSystem> Groups<S> {
    pub fn of(inner: S, flaw: Flaw) -> Arc<dyn RaftSystem> {
        Arc::new(Groups { inner: Arc::new(inner), flaw })
    }
}

impl<S: RaftSystem> RaftSystem for Groups<S> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn boot(&self, env: Env, mut setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>> {
        let own = &setup.groups[setup.group as usize - 1];
        assert!(own.contains(&setup.me) && own == &setup.servers, "{setup:?}");
        let (me, group, mut applies) = (setup.me, setup.group, true);
        match self.flaw {
            Flaw::Bug(of, name) if of == group => setup.bug = Some(name.into()),
            Flaw::NobodyCampaigns(of) if of == group => {
                setup.knobs.election = Spread::of(Span::secs(3_000), Span::secs(3_001));
            }
            Flaw::NeverApplies(node) if node == me => applies = false,
            Flaw::Storm(of) if of == group => storm(&env, &setup),
            Flaw::Strays(node) if node == me => {
                setup.servers = setup.groups[0].clone();
                setup.servers.push(me);
                setup.voters = setup.servers.clone();
            }
            _ => {}
        }
        let booting = self.inner.boot(env, setup);
        Box::pin(async move {
            let booted = booting.await?;
            Ok(if applies { booted } else { Booted { applies: Box::pin(pending()), ..booted } })
        })
    }

    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String> {
        self.inner.recover(node, disk)
    }

    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        self.inner.clone().follow(node)
    }

    fn explains(&self) -> bool {
        self.inner.explains()
    }

    fn inspect(&self, kind: Kind, direction: Direction, body: &[u8]) -> Option<WireFacts> {
        self.inner.inspect(kind, direction, body)
    }

    fn kinds(&self, part: Part) -> &'static [Kind] {
        self.inner.kinds(part)
    }

    fn abilities(&self) -> Abilities {
        Abilities { groups: true, ..self.inner.abilities() }
    }

    fn kv(&self) -> Option<&dyn KvSystem> {
        self.inner.kv()
    }

    fn bugs(&self) -> Vec<BugCard> {
        self.inner.bugs()
    }
}

fn storm(env: &Env, setup: &PeerSetup) {
    let others = setup.groups.iter().filter(|group| !group.contains(&setup.me)).flatten();
    let others: Vec<NodeId> = others.copied().collect();
    let sender = env.clone();
    env.spawn(async move {
        loop {
            for &other in &others {
                sender.send(other, Kind::new("storm"), Vec::new());
            }
            sender.sleep(Duration::from_millis(1)).await;
        }
    });
}
