//! How a service and the driver of its Raft reach each other: queues, and answers that are on their way.

use super::ready::Unavailable;
use futures::channel::oneshot;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An answer that is on its way.
pub struct Asked<T>(pub(super) oneshot::Receiver<Result<T, Unavailable>>);

impl<T> Future for Asked<T> {
    type Output = Result<T, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Unavailable>> {
        // The driver answers all; one that is gone leads nothing.
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(Unavailable::NotLeader(None))))
    }
}

/// A queue with one reader.
pub struct Mailbox<T> {
    pub items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Mailbox<T> {
    pub fn new() -> Mutex<Mailbox<T>> {
        Mutex::new(Mailbox { items: VecDeque::new(), reader: None })
    }

    pub fn push(&mut self, item: T) {
        self.items.push_back(item);
        self.wake();
    }

    pub fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub fn poll(&mut self, context: &Context<'_>) -> Poll<T> {
        match self.items.pop_front() {
            Some(item) => Poll::Ready(item),
            None => {
                self.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
