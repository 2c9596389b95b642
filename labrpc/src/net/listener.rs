//! Those who come to this node: shaken hands with, and heard until they go.

use super::entropy;
use super::env::NetEnv;
use super::frame::WireError;
use super::handshake::{self, HandshakeError, Remote};
use super::link::{self, Side};
use super::router::Outbox;
use super::tls::{self, Stream};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long nobody is accepted after that failed: mostly there are no file descriptors left, and trying again at once
/// would only burn the processor.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts connections for ever.
pub(crate) async fn accept_all(env: Arc<NetEnv>, listener: TcpListener) {
    let seats = Arc::new(Semaphore::new(env.limits.connections));
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(why) => {
                if let Some(left_out) = env.lines.refusals.line(env.now()) {
                    tracing::error!(target: "shardlab::net", node = %env.id, "nobody can be accepted: {why}{left_out}");
                }
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Ok(seat) = seats.clone().try_acquire_owned() else {
            let most = env.limits.connections;
            refuse(&env, address, format_args!("is turned away: {most} connections at a time are the most"));
            continue;
        };
        let host = env.clone();
        env.keep(async move {
            serve(&host, stream, address).await;
            drop(seat);
        });
    }
}

async fn serve(env: &Arc<NetEnv>, stream: TcpStream, address: SocketAddr) {
    let (stream, remote) = match welcome(env, stream).await {
        Ok(welcomed) => welcomed,
        Err(HandshakeError::Inquiry) => {
            tracing::debug!(target: "shardlab::net", node = %env.id, "peer {address} asked who is here");
            return;
        }
        // A look whether the port is open, as balancers and operators take.
        Err(HandshakeError::Io(why)) if why.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(target: "shardlab::net", node = %env.id, "peer {address} came and went");
            return;
        }
        Err(why) => return refuse(env, address, format_args!("{why}")),
    };
    let outbox = Arc::new(Outbox::new(env.limits.queue));
    let why = link::run(stream, env, remote.node, Side::Accepted, &outbox).await;
    // Requests of it may still be under way; their answers go nowhere.
    outbox.close();
    let Some(left_out) = env.lines.departures.line(env.now()) else { return };
    let node = remote.node;
    match why {
        WireError::Io(why) => {
            tracing::info!(target: "shardlab::net", node = %env.id, "{node} at {address} has gone: {why}{left_out}");
        }
        // It belongs here, and talks nonsense.
        why => {
            tracing::warn!(target: "shardlab::net", node = %env.id, "{node} at {address} is cut off: {why}{left_out}")
        }
    }
}

/// Says why somebody is sent away, and counts it.
fn refuse(env: &NetEnv, address: SocketAddr, why: fmt::Arguments<'_>) {
    env.turned_away.fetch_add(1, Ordering::Relaxed);
    if let Some(left_out) = env.lines.refusals.line(env.now()) {
        tracing::warn!(target: "shardlab::net", node = %env.id, "peer {address} {why}{left_out}");
    }
}

async fn welcome(env: &NetEnv, stream: TcpStream) -> Result<(Stream, Remote), HandshakeError> {
    link::tune(&stream, env.limits.unanswered)?;
    let patience = env.limits.handshake;
    let answered = async {
        let (mut stream, shown) = tls::accepted(env.tls.as_ref(), stream).await?;
        let remote = handshake::answer(&mut stream, &env.identity, shown.as_ref(), entropy()).await?;
        Ok((stream, remote))
    };
    tokio::time::timeout(patience, answered).await.unwrap_or(Err(HandshakeError::Deadline(patience)))
}
