//! Where the runs of a campaign come from.

use super::Job;

/// What there is to do next.
pub enum Next {
    /// A run.
    Job(Job),
    /// That hangs on what comes of runs that are under way.
    Later,
    /// Nothing more.
    End,
}

/// Gives out runs, and may learn from what comes of them.
pub trait Source {
    /// The next run. They are numbered from 1 in this order.
    fn next(&mut self) -> Next;

    /// A run is over. `marks`: how often each mark was reached, if nothing was wrong with it.
    fn done(&mut self, nth: u64, marks: Option<&[u32]>);

    /// How many a worker may be given at a time.
    fn in_hand(&self) -> usize;
}

/// Runs that are known from the beginning. A worker has so many in hand that it need not wait for its parent.
pub struct Listed<J>(pub J);

impl<J: Iterator<Item = Job>> Source for Listed<J> {
    fn next(&mut self) -> Next {
        self.0.next().map_or(Next::End, Next::Job)
    }

    fn done(&mut self, _: u64, _: Option<&[u32]>) {}

    fn in_hand(&self) -> usize {
        16
    }
}
