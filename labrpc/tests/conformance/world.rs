//! What a body of tests needs of a backend.

use futures::future::{Either, select};
use labrpc::{Env, NodeId};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

pub const S1: NodeId = NodeId(1);
pub const S2: NodeId = NodeId(2);
pub const S3: NodeId = NodeId(3);

/// Three nodes that can talk to each other and have a disk each.
pub trait World: Sized + 'static {
    /// How many messages may be sent without waiting. The simulator takes a node that does too much at once for one that
    /// hangs.
    const BURST: u32;

    /// Makes a world, and runs the body in it to its end.
    fn run<F: Future<Output = ()>>(body: impl FnOnce(Self) -> F + Send + 'static);

    /// The environment of the boot that a node is in.
    fn env(&self, node: NodeId) -> Env;

    /// Ends a node's boot, as the end of a process does, and starts the next one.
    fn restart(&self, node: NodeId) -> impl Future<Output = ()>;
}

/// What comes of the future within so long on the node's clock.
pub async fn within<T>(env: &Env, span: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), env.sleep(span)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// The same, where it must come: five seconds are more than a busy machine takes for anything here.
pub async fn soon<T>(env: &Env, future: impl Future<Output = T>) -> T {
    within(env, Duration::from_secs(5), future).await.expect("it happens within five seconds")
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
