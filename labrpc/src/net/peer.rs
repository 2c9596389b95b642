//! The connection that this node opens to a peer: one, when there is something to send, and again when it broke.

use super::env::NetEnv;
use super::handshake::{self, HandshakeError, Remote};
use super::link::{self, Side};
use super::ration::Ration;
use super::router::Outbox;
use super::tls::{self, Stream};
use super::{Limits, entropy};
use crate::id::NodeId;
use crate::rng::Rng;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What was counted of a peer, whatever its address was meanwhile.
#[derive(Default)]
pub(crate) struct Counts {
    pub sent: AtomicU64,
    pub bytes: AtomicU64,
    pub overflowed: AtomicU64,
    pub unreachable: AtomicU64,
    pub connections: AtomicU64,
    /// Why it cannot be reached; empty as soon as it can.
    pub trouble: Mutex<String>,
}

/// A peer at an address.
pub(crate) struct Peer {
    pub outbox: Arc<Outbox>,
    pub counts: Arc<Counts>,
    /// Set when the address is not that any more.
    moved: CancellationToken,
}

impl Peer {
    pub fn new(limits: &Limits, counts: Arc<Counts>) -> Peer {
        Peer { outbox: Arc::new(Outbox::new(limits.queue)), counts, moved: CancellationToken::new() }
    }

    /// Gives up the address, and what waits to be sent there.
    pub fn forget(&self) {
        self.outbox.close();
        self.moved.cancel();
    }

    /// What keeps the connection, until the peer moves.
    pub fn keeper(&self, env: Arc<NetEnv>, id: NodeId, address: String) -> impl Future<Output = ()> + use<> {
        let (outbox, counts, moved) = (self.outbox.clone(), self.counts.clone(), self.moved.clone());
        async move {
            let _ = moved.run_until_cancelled(keep_connected(&env, id, &address, &outbox, &counts)).await;
        }
    }
}

async fn keep_connected(env: &NetEnv, id: NodeId, address: &str, outbox: &Arc<Outbox>, counts: &Counts) {
    let mut pause = Pause::new(&env.limits, env.rng(&format!("connections with {id}")));
    // A peer that accepts and hangs up is dialled again soon.
    let lines = Ration::default();
    loop {
        poll_fn(|context| outbox.poll_filled(context)).await;
        match connect(env, id, address).await {
            Ok((stream, remote)) => {
                counts.connections.fetch_add(1, Ordering::Relaxed);
                if let Some(left_out) = lines.line(env.now()) {
                    let boot = remote.boot;
                    tracing::info!(target: "shardlab::net", node = %env.id, "connected to {id} at {address}, boot {boot}{left_out}");
                }
                counts.trouble.lock().expect("nobody panics while holding it").clear();
                pause.reset();
                let why = link::run(stream, env, id, Side::Dialled, outbox).await;
                if let Some(left_out) = lines.line(env.now()) {
                    tracing::info!(target: "shardlab::net", node = %env.id, "the connection to {id} at {address} has ended: {why}{left_out}");
                }
            }
            Err(why) => {
                // What is not wanted any more when the peer is back must not be the first that it hears.
                counts.unreachable.fetch_add(outbox.clear() as u64, Ordering::Relaxed);
                let words = format!("peer {id} at {address} {why}");
                let mut said = counts.trouble.lock().expect("nobody panics while holding it");
                // A peer that is away is said to be so once and not at each attempt.
                if words != *said {
                    tracing::warn!(target: "shardlab::net", node = %env.id, "{words}");
                    *said = words;
                }
            }
        }
        tokio::time::sleep(pause.next()).await;
    }
}

async fn connect(env: &NetEnv, id: NodeId, address: &str) -> Result<(Stream, Remote), HandshakeError> {
    let patience = env.limits.handshake;
    let dialled = async {
        let stream = TcpStream::connect(address).await.map_err(HandshakeError::Unreachable)?;
        link::tune(&stream, env.limits.unanswered)?;
        let (mut stream, shown) = tls::dialled(env.tls.as_ref(), stream).await?;
        let remote = handshake::dial(&mut stream, &env.identity, id, shown.as_ref(), entropy()).await?;
        Ok((stream, remote))
    };
    tokio::time::timeout(patience, dialled).await.unwrap_or(Err(HandshakeError::Deadline(patience)))
}

/// How long to wait before the next attempt: twice as long each time, and by chance up to half of that less, so that
/// those who lost the same peer do not come back all at once.
struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
    rng: Rng,
}

impl Pause {
    fn new(limits: &Limits, rng: Rng) -> Pause {
        let (first, longest) = limits.redial;
        Pause { first, longest: longest.max(first), next: first, rng }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    fn next(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(self.longest);
        self.rng.between(longest / 2, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_begin_again() {
        let mut pause = Pause::new(&Limits::default(), Rng::new(1, "pauses"));
        let mut bound = Duration::from_millis(10);
        for _ in 0..12 {
            let drawn = pause.next();
            assert!((bound / 2..=bound).contains(&drawn), "{drawn:?} for {bound:?}");
            bound = (bound * 2).min(Duration::from_secs(1));
        }
        assert_eq!(bound, Duration::from_secs(1));
        pause.reset();
        assert!(pause.next() <= Duration::from_millis(10));
    }
}
