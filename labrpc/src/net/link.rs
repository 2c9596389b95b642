//! One connection whose ends know each other: what waits is written, what comes is delivered, until either end is gone.

use super::env::NetEnv;
use super::frame::{Frames, Message, WireError};
use super::router::Outbox;
use crate::id::NodeId;
use futures::future::{Either, select};
use futures::{SinkExt, StreamExt};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::codec::{FramedRead, FramedWrite};

/// What is read at once.
const READ: usize = 16 << 10;
/// What is put into one write before the socket has to take it.
const WRITE: usize = 256 << 10;

/// So much of a message that has begun has to come within [`Limits::stalled`](super::Limits::stalled), or the rest of it.
const PACE: usize = 64 << 10;

/// Which end of a connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// It sends one-way messages and requests, and gets replies.
    Dialled,
    /// The other way round.
    Accepted,
}

/// Carries messages until the connection ends, and says why it has.
pub(crate) async fn run<S: AsyncRead + AsyncWrite>(
    stream: S,
    env: &NetEnv,
    remote: NodeId,
    side: Side,
    outbox: &Arc<Outbox>,
) -> WireError {
    let (read, write) = tokio::io::split(stream);
    let frames = Frames::new(env.limits.frame);
    let mut incoming = FramedRead::with_capacity(read, frames, READ);
    let mut pace = Pace::new(env.limits.stalled);
    let reading = pin!(async {
        loop {
            let delivered = match poll_fn(|context| pace.poll_next(&mut incoming, context)).await {
                Some(message) => message.and_then(|message| env.router.deliver(remote, side, outbox, message)),
                None => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
            };
            match delivered {
                Ok(()) => {}
                // What TLS has to say of that is not for operators.
                Err(WireError::Io(why)) if why.kind() == io::ErrorKind::UnexpectedEof => {
                    return io::Error::from(why.kind()).into();
                }
                Err(why) => return why,
            }
        }
    });
    let mut outgoing = FramedWrite::new(write, frames);
    outgoing.set_backpressure_boundary(WRITE);
    let writing = pin!(async {
        loop {
            let written = write_all_that_waits(&mut outgoing, outbox).await;
            if let Err(why) = written {
                return why;
            }
        }
    });
    match select(reading, writing).await {
        Either::Left((why, _)) | Either::Right((why, _)) => why,
    }
}

/// Holds a message that has begun to coming on. Between two messages a peer may be silent for as long as it likes.
struct Pace {
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// How much had come of the message when the timer was set. None: none has begun.
    had: Option<usize>,
}

impl Pace {
    fn new(patience: Duration) -> Pace {
        Pace { patience, timer: None, had: None }
    }

    fn poll_next<R: AsyncRead + Unpin>(
        &mut self,
        incoming: &mut FramedRead<R, Frames>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, WireError>>> {
        if let Poll::Ready(next) = incoming.poll_next_unpin(context) {
            self.had = None;
            return Poll::Ready(next);
        }
        let has = incoming.read_buffer().len();
        if has == 0 {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        if self.had.is_none_or(|had| has >= had + PACE) {
            self.had = Some(has);
            timer.as_mut().reset(Instant::now() + self.patience);
        }
        let stalled = WireError::Stalled { least: PACE, patience: self.patience };
        timer.as_mut().poll(context).map(|()| Some(Err(stalled)))
    }
}

/// Waits for a message, and then puts everything that is there into as few writes as there can be.
async fn write_all_that_waits<W: AsyncWrite + Unpin>(
    outgoing: &mut FramedWrite<W, Frames>,
    outbox: &Outbox,
) -> Result<(), WireError> {
    let first = poll_fn(|context| outbox.poll_pop(context)).await;
    outgoing.feed(first).await?;
    while let Some(message) = outbox.pop() {
        outgoing.feed(message).await?;
    }
    outgoing.flush().await
}

/// Sets up a socket: what is written leaves at once, since batching is done above; and a peer that answers nothing, its
/// machine being off or cut off, is given up after `patience`. By itself TCP would try for a quarter of an hour, ever
/// more seldom, and a peer that has come back would not be heard of for minutes.
pub(crate) fn tune(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, patience.max(Duration::from_secs(1)))?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}
