//! What will happen: events in the order of their times, ties broken by the order in which they were queued.
//!
//! Times are nanoseconds and are kept as they are. Rounding them to a tick would hide the races of a
//! millisecond and hand a node everything at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events of type `T` by time.
pub(crate) struct Queue<T> {
    /// (time, number, slot): the payload stays where it is while the heap moves three words.
    order: BinaryHeap<Reverse<(u64, u64, u32)>>,
    slots: Vec<Option<Entry<T>>>,
    free: Vec<u32>,
    queued: u64,
}

struct Entry<T> {
    item: T,
    /// Whether a timer was set for it.
    timed: bool,
    number: u64,
}

/// Names a queued event.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub at: u64,
    number: u64,
    slot: u32,
}

impl<T> Queue<T> {
    pub fn new() -> Queue<T> {
        Queue { order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), queued: 0 }
    }

    pub fn push(&mut self, at: u64, item: T) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("the budget of events is far below 2^32")
        });
        self.queued += 1;
        let number = self.queued;
        self.slots[slot as usize] = Some(Entry { item, timed: false, number });
        self.order.push(Reverse((at, number, slot)));
        Ticket { at, number, slot }
    }

    /// Notes that a timer was set for an event.
    pub fn timed(&mut self, ticket: Ticket) {
        if let Some(entry) = &mut self.slots[ticket.slot as usize]
            && entry.number == ticket.number
        {
            entry.timed = true;
        }
    }

    /// Whether the event is still to come.
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.slots[ticket.slot as usize].as_ref().is_some_and(|entry| entry.number == ticket.number)
    }

    /// The time of the next event.
    pub fn next_at(&self) -> Option<u64> {
        self.order.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The next event, if it is due at `now`, and whether a timer was set for it.
    pub fn pop_due(&mut self, now: u64) -> Option<(T, bool)> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse((_, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        let entry = self.slots[slot as usize].take()?;
        Some((entry.item, entry.timed))
    }

    pub fn clear(&mut self) {
        *self = Queue::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_time_order_and_ties_in_the_order_of_queueing() {
        let mut queue = Queue::new();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (3, "b")] {
            queue.push(at, name);
        }
        assert!(queue.pop_due(0).is_none());
        let drained: Vec<_> = std::iter::from_fn(|| queue.pop_due(5)).map(|(name, _)| name).collect();
        assert_eq!(drained, ["a", "b", "c", "d"]);
        assert_eq!(queue.next_at(), None);
    }

    #[test]
    fn a_ticket_names_its_event_and_not_the_next_in_its_place() {
        let mut queue = Queue::new();
        let first = queue.push(1, "a");
        queue.timed(first);
        assert_eq!(queue.pop_due(1), Some(("a", true)));
        queue.push(2, "b");
        queue.timed(first);
        assert!(!queue.waits(first));
        assert_eq!(queue.pop_due(2), Some(("b", false)));
    }
}
