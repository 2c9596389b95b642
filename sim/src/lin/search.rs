//! The search: is there an order of these operations, one at a time, that agrees with what each of them returned and
//! with which of them was over before another one began?
//!
//! It is the search of Wing and Gong (*Testing and Verifying Concurrent Objects*, 1993), with the memory of Lowe
//! (*Testing for Linearizability*, 2017): carry out one operation that may be next, go on, and take it back if that
//! leads nowhere; never search twice from the same place. What makes it fast:
//!
//! * An operation that may be next, fits, and only looks is carried out at once and never taken back alone: if
//!   there is an order at all, there is one with it here.
//! * States are small and equal if and only if their words are; taking back is forgetting the last one.
//! * Operations of unknown outcome come last, one of several equal ones only, and only where a model thinks that they
//!   could lead to something that must happen.
//! * One of unknown outcome is not carried out just before what would come to the same without it, and not in the place
//!   of one that can do less. A model may say what must be over before a state is left for good.
//! * When an operation can never happen any more, all choices are taken back that made it so, at once.
//! * A place is written down only where there was a choice, and now and then.
//! * Once all that was open at some time is done, nothing from before is part of a place: a history falls apart where
//!   nothing spans by itself.

//!
//! All that is left out, is left out for one reason: it leads nowhere, or only to orders that have better ones. Of all
//! orders those are the best that have the fewest operations of unknown outcome, and of these the one that, from its
//! beginning on, always takes what must happen, then what can do less, then what came first. The rules ask for nothing
//! but the place and how the order goes on, except for the one about what would come to the same without: that one
//! leaves out orders with more operations of unknown outcome than are needed. So the places of a best order are never
//! left out: one that was searched before in its stead had no more of them spent, hence just as many, and from there
//! the rest of the best order is as good.

use super::memo::Memo;

/// When an operation returned that never did.
pub const NEVER: u64 = u64::MAX;

/// How many steps without a choice are made before the place is written down all the same.
const STRIDE: usize = 64;

/// How an object behaves when operations come one at a time.
pub trait Model {
    /// What it is like. Small: it is copied at each step.
    type State: Copy + PartialEq;
    /// An operation, with what it returned. Two that are equal do the same in all states.
    type Op: PartialEq;

    /// How it begins.
    fn initial(&self) -> Self::State;

    /// What it is like after the operation; `None` if it would have returned something else.
    fn step(&mut self, state: Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether the operation changes nothing in any state in which it can happen.
    fn only_looks(&self, op: &Self::Op) -> bool;

    /// The state in words, which are equal if and only if the states are.
    fn words(&self, state: Self::State) -> [u64; 2];

    /// Whether the operation cannot happen in this state, nor in any that can come after it. May say `false` if it
    /// does not know.
    fn hopeless(&mut self, _state: Self::State, _op: &Self::Op) -> bool {
        false
    }

    /// Whether it can be of use to have come to this state by operations of unknown outcome, if this operation is
    /// the next one that must happen, perhaps after more of unknown outcome. May say `true` if it does not know.
    fn leads_to(&mut self, _state: Self::State, _op: &Self::Op) -> bool {
        true
    }

    /// Whether the first operation, of unknown outcome, could do in the place of the second all that this does,
    /// whatever the state. May say `false` if it does not know.
    fn can_do_all(&self, _general: &Self::Op, _special: &Self::Op) -> bool {
        false
    }

    /// Operations, by their positions, that must have been carried out before this state becomes another one, or by
    /// becoming so, since they cannot be afterwards. All of them must happen.
    fn must_precede(&self, _state: Self::State) -> &[u32] {
        &[]
    }

    /// How many bytes the model has come to hold.
    fn bytes(&self) -> usize {
        0
    }
}

/// An operation and its interval.
#[derive(Clone, Debug)]
pub struct Timed<O> {
    /// The operation.
    pub op: O,
    /// The number of the event at which it was invoked.
    pub invoked: u64,
    /// The number of the event at which it returned, or [`NEVER`].
    pub returned: u64,
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Searched {
    /// There is such an order: these operations, by their positions. Those of unknown outcome that are missing need
    /// not have happened.
    Order(Vec<usize>),
    /// There is none.
    None,
    /// It would take more memory than there may be.
    TooLarge,
}

/// Where the search stands: behind what is in `order` up to `start`, and all that it implied.
struct Frame<S> {
    state: S,
    /// How long the order was when the search came here.
    start: usize,
    /// What may be next: this part of the choices, and how many of them were tried.
    choices: usize,
    tried: usize,
}

/// What can be done at some place.
enum Next {
    /// Everything is done.
    Done,
    /// Nothing. If it is the fault of one operation that can never happen any more: which.
    Dead(Option<u32>),
    /// One of the choices from here on.
    Choices,
}

/// A search, and room that is used again by the next one.
pub struct Search<S> {
    /// The operations that are left, as two rings: those that must happen, then those of unknown outcome, each by
    /// invocation. Behind the operations are the two heads.
    next: Vec<u32>,
    prev: Vec<u32>,
    /// Which are done, as bits.
    done: Vec<u64>,
    order: Vec<u32>,
    frames: Vec<Frame<S>>,
    choices: Vec<(u32, S)>,
    /// Those that must happen, and may be next, and do not fit.
    waiting: Vec<u32>,
    place: Vec<u64>,
    memo: Memo,
    since_memo: usize,
    /// How many more places may be looked at.
    places: u64,
}

impl<S: Copy + PartialEq> Default for Search<S> {
    fn default() -> Search<S> {
        Search {
            next: Vec::new(),
            prev: Vec::new(),
            done: Vec::new(),
            order: Vec::new(),
            frames: Vec::new(),
            choices: Vec::new(),
            waiting: Vec::new(),
            place: Vec::new(),
            memo: Memo::default(),
            since_memo: 0,
            places: u64::MAX,
        }
    }
}

impl<S: Copy + PartialEq> Search<S> {
    /// Searches, and holds no more than about so many bytes.
    ///
    /// The operations must stand as [`sort`] puts them.
    pub fn run<M: Model<State = S>>(&mut self, model: &mut M, ops: &[Timed<M::Op>], memory: usize) -> Searched {
        let required = self.begin(ops);
        let mut state = model.initial();
        let mut start = 0;
        loop {
            let choices = self.choices.len();
            match self.places.checked_sub(1) {
                Some(places) => self.places = places,
                None => return Searched::TooLarge,
            }
            match self.expand(model, ops, required, state, start) {
                Next::Done => return Searched::Order(self.order.iter().map(|op| *op as usize).collect()),
                Next::Choices if !self.was_here(model, required, state, choices) => {
                    self.frames.push(Frame { state, start, choices, tried: 0 });
                    if self.bytes() + model.bytes() > memory {
                        return Searched::TooLarge;
                    }
                    (state, start) = self.another(None, model, ops, required).expect("a new place has a choice");
                }
                end => {
                    let hopeless = if let Next::Dead(hopeless) = end { hopeless } else { None };
                    self.take_back(start, required);
                    self.choices.truncate(choices);
                    match self.another(hopeless, model, ops, required) {
                        Some(next) => (state, start) = next,
                        None => return Searched::None,
                    }
                }
            }
        }
    }

    /// How many places all searches from now on may look at together. Without a bound unless said.
    pub(super) fn look_at(&mut self, places: u64) {
        self.places = places;
    }

    /// All is left to do. How many operations must happen.
    fn begin<O>(&mut self, ops: &[Timed<O>]) -> usize {
        let required = ops.partition_point(|op| op.returned != NEVER);
        let count = ops.len();
        self.next.clear();
        self.prev.clear();
        self.next.extend((0..count as u32 + 2).map(|op| op + 1));
        self.prev.extend((0..count as u32 + 2).map(|op| op.wrapping_sub(1)));
        for (head, first, end) in [(count, 0, required), (count + 1, required, count)] {
            let last = if first == end { head } else { end - 1 };
            self.prev[head] = last as u32;
            self.next[last] = head as u32;
            let first = if first == end { head } else { first };
            self.next[head] = first as u32;
            self.prev[first] = head as u32;
        }
        self.done.clear();
        // Those of unknown outcome begin with a word of their own.
        self.done.resize(required.div_ceil(64) + (count - required).div_ceil(64), 0);
        self.order.clear();
        self.frames.clear();
        self.choices.clear();
        self.memo.clear();
        self.since_memo = 0;
        required
    }

    /// Does what may be done without a choice, and finds what may be chosen.
    fn expand<M: Model<State = S>>(
        &mut self,
        model: &mut M,
        ops: &[Timed<M::Op>],
        required: usize,
        state: S,
        start: usize,
    ) -> Next {
        let head = ops.len() as u32;
        let from = self.choices.len();
        let mut first_return = NEVER;
        self.waiting.clear();
        let mut at = self.next[head as usize];
        while at != head {
            let Timed { op, invoked, returned } = &ops[at as usize];
            if *invoked > first_return {
                break;
            }
            match model.step(state, op) {
                Some(_) if model.only_looks(op) => self.carry_out(at, required),
                after => {
                    first_return = first_return.min(*returned);
                    self.waiting.push(at);
                    match after {
                        Some(after) => self.choose(model, from, at, after, ops),
                        None if model.hopeless(state, op) => return Next::Dead(Some(at)),
                        None => {}
                    }
                }
            }
            at = self.next[at as usize];
        }
        if self.next[head as usize] == head {
            return Next::Done;
        }
        self.choose_unknown(model, ops, state, first_return, from);
        self.leave_out(model, ops, required, (state, start), from);
        if self.choices.len() == from { Next::Dead(None) } else { Next::Choices }
    }

    /// One more choice, unless another is as good.
    ///
    /// Of two equal operations the one goes first that returned first. Of two that lead to the same state the one
    /// goes that can do less, if the other is of unknown outcome: in any order in which the other goes here, they can
    /// change places, and if the one that can do less is in none, it can stand here instead.
    fn choose<M: Model<State = S>>(&mut self, model: &M, from: usize, at: u32, after: S, ops: &[Timed<M::Op>]) {
        let new = &ops[at as usize];
        for (other, to) in &mut self.choices[from..] {
            let old = &ops[*other as usize];
            if *to != after {
                continue;
            }
            if old.op == new.op {
                if new.returned < old.returned {
                    *other = at;
                }
                return;
            }
            if new.returned == NEVER && model.can_do_all(&new.op, &old.op) {
                return;
            }
            if old.returned == NEVER && model.can_do_all(&old.op, &new.op) {
                *other = at;
                return;
            }
        }
        self.choices.push((at, after));
    }

    /// Leaves out choices that are in vain: those that something must precede, and where the search came here by an
    /// operation of unknown outcome, those that would lead to the same state without it. Any order that goes on so is
    /// one without that operation too.
    fn leave_out<M: Model<State = S>>(
        &mut self,
        model: &mut M,
        ops: &[Timed<M::Op>],
        required: usize,
        (state, start): (S, usize),
        from: usize,
    ) {
        // It was of use if something needed it that only looks.
        let of_use = self.order.len() != start + 1 || (self.order[start] as usize) < required;
        let before = self.frames.last().map(|frame| frame.state).filter(|_| !of_use);
        let is_left = |op: &&u32| self.done[**op as usize / 64] & 1 << (**op % 64) == 0;
        let mut left = model.must_precede(state).iter().rev().filter(is_left).copied();
        let (one, more) = (left.next(), left.next().is_some());
        if before.is_none() && one.is_none() {
            return;
        }
        let mut kept = from;
        for choice in from..self.choices.len() {
            let (op, after) = self.choices[choice];
            let in_time = after == state || one.is_none_or(|one| one == op && !more);
            if in_time && before.is_none_or(|before| model.step(before, &ops[op as usize].op) != Some(after)) {
                self.choices[kept] = (op, after);
                kept += 1;
            }
        }
        self.choices.truncate(kept);
    }

    /// The choices of unknown outcome. They come last.
    fn choose_unknown<M: Model<State = S>>(
        &mut self,
        model: &mut M,
        ops: &[Timed<M::Op>],
        state: S,
        first_return: u64,
        from: usize,
    ) {
        let head = ops.len() as u32 + 1;
        let mut at = self.next[head as usize];
        while at != head && ops[at as usize].invoked <= first_return {
            let op = &ops[at as usize].op;
            if let Some(after) = model.step(state, op)
                && after != state
                && self.waiting.iter().any(|waiting| model.leads_to(after, &ops[*waiting as usize].op))
            {
                // Of equal ones the first invoked can do all that the others can; one that must happen, even more.
                self.choose(model, from, at, after, ops);
            }
            at = self.next[at as usize];
        }
    }

    /// Whether the search need not go on here, since it was here before.
    fn was_here<M: Model<State = S>>(&mut self, model: &M, required: usize, state: S, choices: usize) -> bool {
        self.since_memo += 1;
        if self.choices.len() - choices < 2 && self.since_memo < STRIDE {
            return false;
        }
        self.since_memo = 0;
        // What is done lies before the last that waits, or is followed by it: all that follow cannot have begun.
        let head = self.next.len() - 2;
        let base = self.next[head] as usize;
        let last = *self.waiting.last().expect("there is something that waits") as usize;
        let end = self.next[last] as usize;
        let end = if end == head { required } else { end };
        self.place.clear();
        self.place.push(base as u64);
        self.place.extend(model.words(state));
        self.place.extend_from_slice(&self.done[base / 64..end.div_ceil(64)]);
        self.memo.seen(&self.place, &self.done[required.div_ceil(64)..])
    }

    /// Goes back to the last place where something is left to try, and tries it. Where `hopeless` was so already,
    /// nothing is.
    fn another<M: Model<State = S>>(
        &mut self,
        mut hopeless: Option<u32>,
        model: &mut M,
        ops: &[Timed<M::Op>],
        required: usize,
    ) -> Option<(S, usize)> {
        loop {
            let frame = self.frames.last_mut()?;
            let in_vain = hopeless.is_some_and(|op| model.hopeless(frame.state, &ops[op as usize].op));
            let choice = frame.choices + frame.tried;
            if !in_vain && choice < self.choices.len() {
                frame.tried += 1;
                let (op, after) = self.choices[choice];
                let start = self.order.len();
                self.carry_out(op, required);
                return Some((after, start));
            }
            if !in_vain {
                hopeless = None;
            }
            let Frame { start, choices, .. } = *frame;
            self.frames.pop();
            self.choices.truncate(choices);
            self.take_back(start, required);
        }
    }

    fn bytes(&self) -> usize {
        let stacks = self.frames.len() * size_of::<Frame<S>>() + self.choices.len() * size_of::<(u32, S)>();
        self.memo.bytes() + stacks
    }

    fn carry_out(&mut self, op: u32, required: usize) {
        let (prev, next) = (self.prev[op as usize], self.next[op as usize]);
        self.next[prev as usize] = next;
        self.prev[next as usize] = prev;
        self.flip(op as usize, required);
        self.order.push(op);
    }

    fn take_back(&mut self, to: usize, required: usize) {
        while self.order.len() > to {
            let op = self.order.pop().expect("the order is longer");
            let (prev, next) = (self.prev[op as usize], self.next[op as usize]);
            self.next[prev as usize] = op;
            self.prev[next as usize] = op;
            self.flip(op as usize, required);
        }
    }

    fn flip(&mut self, op: usize, required: usize) {
        let bit = if op < required { op } else { op - required + required.div_ceil(64) * 64 };
        self.done[bit / 64] ^= 1 << (bit % 64);
    }
}

/// Puts operations in the order that a search needs: those that returned before those that did not, each by
/// invocation.
pub fn sort<O>(ops: &mut [Timed<O>]) {
    let place = |op: &Timed<O>| (op.returned == NEVER, op.invoked);
    if !ops.is_sorted_by_key(place) {
        ops.sort_by_key(place);
    }
}
