//! Where a history goes wrong: the shortest window of it that cannot be linearized, and who contradicts whom in it.
//!
//! What the window says is true without knowing anything else: all that returned before it is taken as of unknown
//! outcome, and there is still no order. In the window, operations that the contradiction does not need are left out
//! in the same way.

use super::part::{Part, PartOp};
use super::search::{NEVER, Search, Searched};
use super::spec::Spec;
use crate::history::{At, History, Key, OpId};
use bytes::Bytes;

/// How much memory each of many searches may take, and how many places all of them may look at. Where that is not
/// enough, the window may be longer than it could be.
const MEMORY: usize = 16 << 20;
const PLACES: u64 = 100_000;
/// And so many more for each operation.
const PLACES_EACH: u64 = 50;
/// In how large a window it is asked of each operation whether the contradiction needs it.
const ASKED: usize = 400;

/// A part of a history that cannot be linearized.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The key.
    pub key: Key,
    /// Where it begins: the first invocation of the operations that contradict one another.
    pub from: At,
    /// Where it ends: with the return that makes it impossible.
    pub to: At,
    /// The operation that returned there.
    pub breaks: OpId,
    /// Operations that contradict one another: without what any one of them returned there is an order.
    pub conflict: Vec<OpId>,
    /// All operations on the key that returned in the window, in the order of their invocation.
    pub operations: Vec<OpId>,
    /// An order of what happened to the key before that return.
    pub prefix: Vec<OpId>,
}

/// The window of a part that is not linearizable, and that was `hard` to search or not.
pub(super) fn window<'h, S: Spec>(
    history: &History,
    spec: &S,
    part: &Part<'h>,
    search: &mut Search<S::State>,
    hard: bool,
) -> Window {
    let places = PLACES + PLACES_EACH * part.ops.len() as u64;
    search.look_at(places);
    let mut run = |part: &Part<'h>| {
        let (mut model, ops) = spec.model(part, hard);
        search.run(&mut model, &ops, MEMORY)
    };
    let mut is_violated = |part: &Part<'h>| run(part) == Searched::None;

    // The first return that makes it impossible.
    let mut returns: Vec<u64> = part.ops.iter().map(|op| op.returned).filter(|at| *at != NEVER).collect();
    returns.sort_unstable();
    let first = first_that(returns.len() - 1, |nth| is_violated(&part.until(returns[nth])));
    let until = part.until(returns[first]);

    // The last beginning from which it is.
    let after = |from: u64| until.without(|op| op.returned <= from);
    let forgotten = first_that(first, |nth| !is_violated(&after(returns[nth])));
    let mut core = if forgotten == 0 { until.clone() } else { after(returns[forgotten - 1]) };

    let mut asked: Vec<OpId> = returned(&core).map(|op| op.id).collect();
    if asked.len() > ASKED {
        asked.clear();
    }
    for id in asked {
        let without = core.without(|op| op.id == id);
        if is_violated(&without) {
            core = without;
        }
    }
    search.look_at(places);
    let run = |part: &Part<'h>| {
        let (mut model, ops) = spec.model(part, hard);
        search.run(&mut model, &ops, MEMORY)
    };
    describe(history, &until, &core, returns[first], run)
}

fn describe<'h>(
    history: &History,
    until: &Part<'h>,
    core: &Part<'h>,
    to: u64,
    run: impl FnOnce(&Part<'h>) -> Searched,
) -> Window {
    let breaks = core.ops.iter().find(|op| op.returned == to).expect("something returned there").id;
    let from = returned(core).map(|op| op.invoked).min().expect("something contradicts");
    let mut operations: Vec<&PartOp<'h>> = returned(until).filter(|op| op.returned >= from).collect();
    operations.sort_by_key(|op| op.invoked);
    let before = until.without(|op| op.returned == to);
    let prefix = match run(&before) {
        Searched::Order(order) => order.into_iter().map(|nth| before.ops[nth].id).collect(),
        Searched::None | Searched::TooLarge => Vec::new(),
    };
    let invoked = |id: OpId| history.operations[id.0].invoked;
    let conflict: Vec<OpId> = returned(core).map(|op| op.id).collect();
    Window {
        key: Bytes::copy_from_slice(core.key),
        from: conflict.iter().map(|id| invoked(*id)).min().expect("something contradicts"),
        to: history.operations[breaks.0].returned().expect("it returned there"),
        breaks,
        conflict,
        operations: operations.into_iter().map(|op| op.id).collect(),
        prefix,
    }
}

fn returned<'a, 'h>(part: &'a Part<'h>) -> impl Iterator<Item = &'a PartOp<'h>> {
    part.ops.iter().filter(|op| op.returned != NEVER)
}

/// The first number that fits, where `last` does and all above one that does, do.
fn first_that(last: usize, mut fits: impl FnMut(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, last);
    while from < to {
        let middle = from + (to - from) / 2;
        if fits(middle) { to = middle } else { from = middle + 1 }
    }
    from
}
