//! Where messages that have arrived wait for the node: three ways in, for the three ways that a message goes.

use super::frame::{Message, WireError};
use super::queue::Queue;
use super::{Limits, QueueLimit, link};
use crate::id::NodeId;
use crate::message::{Direction, Incoming, Kind, Request};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Waker};

/// Messages to be written to one connection, or to the connections with one peer one after the other.
pub(crate) type Outbox = Queue<Message>;

/// Which way the answer to a request goes.
#[derive(Clone)]
pub(crate) enum Back {
    /// The node asked itself.
    Own,
    /// Over the connection on which the request came: who asks need not have an address.
    Over(Arc<Outbox>),
}

impl fmt::Debug for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Back::Own => "Own",
            Back::Over(_) => "Over(a connection)",
        })
    }
}

/// What has arrived.
pub(crate) struct Router {
    pub inbox: Queue<Incoming>,
    pub requests: Queue<Request>,
    /// Requests that are not for the node but for whoever runs it, by the hash of their kind.
    desks: RwLock<BTreeMap<u64, Arc<Queue<Request>>>>,
    inbox_limit: QueueLimit,
    pub calls: Calls,
    pub received: AtomicU64,
    pub overflowed: AtomicU64,
    pub late: AtomicU64,
}

impl Router {
    pub fn new(limits: &Limits) -> Router {
        Router {
            inbox: Queue::new(limits.inbox),
            requests: Queue::new(limits.inbox),
            desks: RwLock::default(),
            inbox_limit: limits.inbox,
            calls: Calls::default(),
            received: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    /// A message has come over a connection, which ends if it is none that comes this way.
    pub fn deliver(
        &self,
        from: NodeId,
        side: link::Side,
        outbox: &Arc<Outbox>,
        message: Message,
    ) -> Result<(), WireError> {
        let Message { direction, call, kind, body } = message;
        self.received.fetch_add(1, Ordering::Relaxed);
        match (side, direction) {
            (link::Side::Accepted, Direction::OneWay) => self.one_way(from, kind, body),
            (link::Side::Accepted, Direction::Request) => {
                self.request(from, kind, body, call, Back::Over(outbox.clone()));
            }
            (link::Side::Dialled, Direction::Reply) => self.reply(from, call, body),
            (_, other) => return Err(WireError::Unexpected(other)),
        }
        Ok(())
    }

    pub fn one_way(&self, from: NodeId, kind: Kind, body: Bytes) {
        let size = body.len();
        self.count(self.inbox.push(Incoming { from, kind, body }, size));
    }

    pub fn request(&self, from: NodeId, kind: Kind, body: Bytes, call: u64, back: Back) {
        let size = body.len();
        let request = Request { from, kind, body, call, back: Some(back) };
        let desks = self.desks.read().expect("nobody panics while holding it");
        self.count(match desks.get(&kind.hash()) {
            Some(desk) => desk.push(request, size),
            None => self.requests.push(request, size),
        });
    }

    /// From now on requests of this kind go here.
    pub fn desk(&self, kind: Kind) -> Arc<Queue<Request>> {
        let queue = Arc::new(Queue::new(self.inbox_limit));
        self.desks.write().expect("nobody panics while holding it").insert(kind.hash(), queue.clone());
        queue
    }

    pub fn reply(&self, from: NodeId, call: u64, body: Bytes) {
        if !self.calls.answer(from, call, body) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self, was_room: bool) {
        self.overflowed.fetch_add(u64::from(!was_room), Ordering::Relaxed);
    }

    /// The node is gone: nothing waits for it any more.
    pub fn close(&self) {
        self.inbox.close();
        self.requests.close();
        self.desks.read().expect("nobody panics while holding it").values().for_each(|desk| desk.close());
    }
}

/// Calls that wait for their answers.
#[derive(Default)]
pub(crate) struct Calls {
    last: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Call>>,
}

struct Call {
    /// Nobody else may answer it.
    to: NodeId,
    answer: Option<Bytes>,
    caller: Option<Waker>,
}

impl Calls {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Call>> {
        self.waiting.lock().expect("nobody panics while holding it")
    }

    /// A number for a new call: one that no other call of this process has.
    pub fn open(&self, to: NodeId) -> u64 {
        let call = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(call, Call { to, answer: None, caller: None });
        call
    }

    /// The answer has arrived. False: nobody waits for it.
    fn answer(&self, from: NodeId, number: u64, body: Bytes) -> bool {
        let mut waiting = self.lock();
        let Some(call) = waiting.get_mut(&number).filter(|call| call.to == from) else { return false };
        call.answer.get_or_insert(body);
        let caller = call.caller.take();
        drop(waiting);
        if let Some(caller) = caller {
            caller.wake();
        }
        true
    }

    pub fn take(&self, number: u64, context: &Context<'_>) -> Option<Bytes> {
        let mut waiting = self.lock();
        let call = waiting.get_mut(&number)?;
        let answer = call.answer.take();
        if answer.is_none() {
            match &call.caller {
                Some(caller) if caller.will_wake(context.waker()) => {}
                _ => call.caller = Some(context.waker().clone()),
            }
        }
        answer
    }

    pub fn close(&self, number: u64) {
        self.lock().remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Limits;

    const KIND: Kind = Kind::new("test");

    fn message(direction: Direction, call: u64) -> Message {
        Message { direction, call, kind: KIND, body: Bytes::from_static(b"body") }
    }

    #[test]
    fn an_answer_counts_only_from_whom_was_asked_and_only_while_somebody_waits() {
        let limits = Limits::default();
        let router = Router::new(&limits);
        let outbox = Arc::new(Outbox::new(limits.queue));
        let call = router.calls.open(NodeId(2));
        let context = Context::from_waker(Waker::noop());
        let deliver = |from| {
            router.deliver(NodeId(from), link::Side::Dialled, &outbox, message(Direction::Reply, call)).unwrap();
        };
        deliver(3);
        assert_eq!((router.calls.take(call, &context), router.late.load(Ordering::Relaxed)), (None, 1));
        deliver(2);
        assert_eq!(router.calls.take(call, &context).unwrap(), "body");
        router.calls.close(call);
        deliver(2);
        assert_eq!(router.late.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_desk_gets_the_requests_of_its_kind_and_the_node_all_others() {
        let router = Router::new(&Limits::default());
        let desk = router.desk(Kind::new("for the desk"));
        for kind in [KIND, Kind::new("for the desk")] {
            router.request(NodeId(2), kind, Bytes::new(), 1, Back::Own);
        }
        assert_eq!(router.requests.pop().map(|request| request.kind), Some(KIND));
        assert_eq!(desk.pop().map(|request| request.kind), Some(Kind::new("for the desk")));
        assert!(router.requests.pop().is_none() && desk.pop().is_none());
        router.close();
        router.request(NodeId(2), Kind::new("for the desk"), Bytes::new(), 2, Back::Own);
        assert!(desk.pop().is_none(), "the boot is over");
    }

    #[test]
    fn nothing_comes_the_wrong_way() {
        let limits = Limits::default();
        let router = Router::new(&limits);
        let outbox = Arc::new(Outbox::new(limits.queue));
        let wrong = [
            (link::Side::Accepted, Direction::Reply),
            (link::Side::Dialled, Direction::Request),
            (link::Side::Dialled, Direction::OneWay),
        ];
        for (side, direction) in wrong {
            let outcome = router.deliver(NodeId(2), side, &outbox, message(direction, 1));
            assert!(matches!(outcome, Err(WireError::Unexpected(_))), "{side:?} {direction:?}");
        }
        assert!(router.inbox.pop().is_none() && router.requests.pop().is_none());
    }
}
