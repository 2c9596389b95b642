//! A queue with one reader, bounded in messages and in bytes, that never makes a writer wait.

use super::QueueLimit;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// Things on their way to one reader. What does not fit is dropped by whoever brings it.
pub(crate) struct Queue<T> {
    limit: QueueLimit,
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    reader: Option<Waker>,
    is_closed: bool,
}

impl<T> Queue<T> {
    pub fn new(limit: QueueLimit) -> Queue<T> {
        let state = State { items: VecDeque::new(), bytes: 0, reader: None, is_closed: false };
        Queue { limit, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Puts it in, and wakes the reader. False: there is no room, and it is gone. An empty queue has room for
    /// anything, or a message above the bound in bytes could never be sent.
    pub fn push(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        let is_full =
            state.items.len() >= self.limit.messages || state.bytes.saturating_add(bytes) > self.limit.bytes;
        if state.is_closed || (is_full && !state.items.is_empty()) {
            return false;
        }
        state.bytes += bytes;
        state.items.push_back((item, bytes));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    pub fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        let (item, bytes) = state.items.pop_front()?;
        state.bytes -= bytes;
        Some(item)
    }

    /// The next one; if there is none, whoever asks is woken when one comes.
    pub fn poll_pop(&self, context: &Context<'_>) -> Poll<T> {
        let mut state = self.lock();
        match state.items.pop_front() {
            Some((item, bytes)) => {
                state.bytes -= bytes;
                Poll::Ready(item)
            }
            None => state.wait(context),
        }
    }

    /// Whether something is there; it stays.
    pub fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.items.is_empty() { state.wait(context) } else { Poll::Ready(()) }
    }

    /// Drops all that waits. Tells how many those were.
    pub fn clear(&self) -> usize {
        let items = {
            let mut state = self.lock();
            state.bytes = 0;
            std::mem::take(&mut state.items)
        };
        items.len()
    }

    /// Drops all that waits, and all that will come.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.clear();
    }
}

impl<T> State<T> {
    /// Keeps the waker of whoever asks, without cloning one that is there already.
    fn wait<R>(&mut self, context: &Context<'_>) -> Poll<R> {
        match &self.reader {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => self.reader = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_messages_and_in_bytes_and_the_newest_is_dropped() {
        let queue = Queue::new(QueueLimit { messages: 3, bytes: 100 });
        assert!(queue.push('a', 60));
        assert!(!queue.push('b', 41), "61 to 100 bytes are left");
        assert!(queue.push('c', 40) && queue.push('d', 0));
        assert!(!queue.push('e', 0), "three are the most");
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<String>(), "acd");
        assert!(queue.push('f', 1_000), "an empty queue takes anything");
        assert!(!queue.push('g', 0), "and nothing beside that");
        assert_eq!(queue.clear(), 1);
        assert!(queue.push('h', 100), "what was cleared counts no more");
        queue.close();
        assert!(queue.pop().is_none() && !queue.push('i', 1));
    }
}
