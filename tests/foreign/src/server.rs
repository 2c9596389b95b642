//! The tasks of a server: the only part that waits, and it holds no lock while it does.

use crate::message::{APPEND, VOTE};
use crate::replicate::Ask;
use crate::state::{Bell, Config, Peer, Persistent, State};
use bytes::Bytes;
use futures::channel::mpsc;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use labrpc::persister::{Saved, Saver};
use labrpc::{Env, NodeId, Request};
use serde::Serialize;
use sim::raft::ApplyMsg;
use std::sync::{Arc, Mutex};

/// A server that runs.
pub struct Server {
    env: Env,
    state: Mutex<State>,
}

/// Whose disk it is.
pub fn identity(node: NodeId) -> String {
    format!("foreign raft {node}")
}

/// What was saved, decoded.
pub fn decode(saved: Saved) -> Result<(Persistent, Bytes), String> {
    if saved.state.is_empty() {
        return Ok(Default::default());
    }
    let persistent = labgob::decode(&saved.state).map_err(|error| format!("the saved state: {error}"))?;
    Ok((persistent, saved.snapshot.into()))
}

impl Server {
    /// Reads the disk and starts the tasks. Also returns what the service is to do, of which at most so much waits.
    pub async fn boot(
        env: Env,
        config: Config,
        servers: &[NodeId],
        waiting: usize,
    ) -> Result<(Arc<Server>, mpsc::Receiver<ApplyMsg>), String> {
        let opened = Saver::open(env.disk(), &identity(config.me), None).await;
        let (saver, saved) = opened.map_err(|refused| refused.to_string())?;
        let disk = decode(saved)?;
        let (save_bell, must_save) = Bell::new();
        let (apply_bell, must_apply) = Bell::new();
        let (applies, delivered) = mpsc::channel(waiting);
        let others = servers.iter().copied().filter(|server| *server != config.me);
        let (mut peers, mut must_ask) = (std::collections::BTreeMap::new(), Vec::new());
        for node in others {
            let (bell, rung) = Bell::new();
            peers.insert(node, Peer::new(bell));
            must_ask.push((node, rung));
        }
        let chance = (env.rng("election"), env.now());
        let state = Mutex::new(State::new(config, disk, chance, peers, (save_bell, apply_bell)));
        let server = Arc::new(Server { env: env.clone(), state });
        env.spawn(server.clone().tick());
        env.spawn(server.clone().receive());
        env.spawn(server.clone().save(saver, must_save));
        env.spawn(server.clone().apply(applies, must_apply));
        for (node, rung) in must_ask {
            env.spawn(server.clone().talk_to(node, rung));
        }
        Ok((server, delivered))
    }

    /// The one place that locks, for as long as `look` takes.
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("nobody panics with the lock and goes on"))
    }

    /// Begins elections.
    async fn tick(self: Arc<Self>) {
        loop {
            self.env.sleep_until(self.with(|state| state.deadline())).await;
            let now = self.env.now();
            self.with(|state| state.tick(now));
        }
    }

    /// Asks another server whatever this one, as candidate or leader, has to ask of it. Several requests may be on
    /// their way: a heartbeat does not wait for an answer that is late or lost.
    async fn talk_to(self: Arc<Self>, node: NodeId, mut rung: mpsc::Receiver<()>) {
        let mut calls = FuturesUnordered::new();
        loop {
            let now = self.env.now();
            let look_again = match self.with(|state| state.ask(node, now)) {
                Ok(ask) => {
                    calls.push(self.clone().call(node, ask));
                    continue;
                }
                Err(look_again) => look_again,
            };
            // Biased: an unbiased select would draw from entropy that no seed decides.
            futures::select_biased! {
                (ask, answer) = calls.select_next_some() => if let Some(answer) = answer {
                    let heard = self.with(|state| state.hear(node, &ask, &answer));
                    heard.expect("servers of one version understand each other");
                },
                () = rung.select_next_some() => {}
                () = self.env.sleep_until(look_again).fuse() => {}
            }
        }
    }

    /// One request and its answer, if it comes.
    async fn call(self: Arc<Self>, node: NodeId, ask: Ask) -> (Ask, Option<Bytes>) {
        let deadline = self.env.now() + self.with(|state| state.patience());
        let answer = self.env.call(node, ask.kind(), ask.encode(), deadline).await;
        (ask, answer.ok())
    }

    /// Answers requests. What an answer promises may have to reach the disk first; then the saver sends it.
    async fn receive(self: Arc<Self>) {
        loop {
            let request = self.env.accept().await;
            let answer = self.answer(&request).expect("servers of one version understand each other");
            if let Some((request, body)) = self.with(|state| state.promise(request, answer)) {
                self.env.reply(&request, body);
            }
        }
    }

    fn answer(&self, request: &Request) -> Result<Bytes, labgob::Error> {
        let (now, body) = (self.env.now(), &request.body);
        if request.kind == VOTE {
            let args = labgob::decode(body)?;
            encode(&self.with(|state| state.request_vote(&args, now)))
        } else if request.kind == APPEND {
            let args = labgob::decode(body)?;
            encode(&self.with(|state| state.append_entries(&args, now)))
        } else {
            let args = labgob::decode(body)?;
            encode(&self.with(|state| state.install_snapshot(&args, now)))
        }
    }

    /// Puts on the disk whatever has changed since the last time, and sends the answers that waited for it. A disk
    /// that failed once cannot be trusted with a promise again, so it stops the server.
    async fn save(self: Arc<Self>, mut saver: Saver, mut rung: mpsc::Receiver<()>) {
        loop {
            rung.select_next_some().await;
            while let Some(save) = self.with(|state| state.begin_save()) {
                if let Err(error) = saver.save(&save.state, save.snapshot.as_deref()).await {
                    self.env.halt(&error.to_string()).await;
                }
                for (request, body) in self.with(|state| state.end_save(&save)) {
                    self.env.reply(&request, body);
                }
            }
        }
    }

    /// Hands over to the service what is committed. This waits for the service, and nothing else waits for it.
    async fn apply(self: Arc<Self>, mut applies: mpsc::Sender<ApplyMsg>, mut rung: mpsc::Receiver<()>) {
        loop {
            rung.select_next_some().await;
            while let Some(message) = self.with(|state| state.deliver()) {
                if applies.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn encode(reply: &impl Serialize) -> Result<Bytes, labgob::Error> {
    labgob::encode(reply).map(Bytes::from)
}
