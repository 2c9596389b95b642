//! What all that happened to a key says together about each operation, found before a search that is hard.
//!
//! Nothing here guesses: what is ruled out is in no order that agrees with what clients were told, or in none that
//! does without every operation of unknown outcome that it can do without.

use super::content::{ABSENT, Content, UNSEEN};
use super::kv::{KvModel, KvOp, State, Written};
use super::search::Timed;
use super::tree::{CONTRADICTION, IMPOSSIBLE, NOWHERE, Seen, Tree};

/// What an operation must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Find {
    Absent,
    Present,
    Just(Content),
    Anything,
}

impl<'h> KvModel<'h> {
    /// Finds out all that can be known before the search, and makes operations equal that nobody can tell apart.
    pub fn study(&mut self, ops: &mut [Timed<KvOp<'h>>]) {
        if self.appended_only {
            return self.blur(ops);
        }
        match self.tree_of(ops) {
            Some(tree) => self.apply(tree, ops),
            None => self.blur(ops),
        }
    }

    /// What was seen, taken apart.
    fn tree_of(&self, ops: &[Timed<KvOp<'h>>]) -> Option<Tree<'h>> {
        let mut seen: Vec<_> = self.contents.observed().iter().map(|bytes| Seen { bytes, sure: false }).collect();
        let mut writes = Vec::new();
        for (nth, Timed { op, .. }) in (0..).zip(ops) {
            if let Some((value, _)) = op.sees() {
                seen[value as usize].sure = true;
            }
            if let Some(bytes) = op.value().and_then(|value| value.bytes) {
                writes.push((nth, bytes, matches!(op, KvOp::Append { .. })));
            }
        }
        let mut tree = Tree::grow(&writes, &seen)?;
        for (nth, Timed { op, .. }) in (0..).zip(ops) {
            if let Some((value, version)) = op.sees() {
                let content = tree.of_seen(value);
                tree.tell_observer(content, nth);
                if version != 0 {
                    tree.tell_version(content, version);
                }
            }
            if op.told() != 0 && !matches!(op, KvOp::Read { .. }) {
                tree.tell_version(tree.fate(nth), op.told());
            }
        }
        Some(tree)
    }

    /// Writes down at each operation what is known of it.
    fn apply(&mut self, tree: Tree<'h>, ops: &mut [Timed<KvOp<'h>>]) {
        for (nth, Timed { op, .. }) in (0..).zip(&mut *ops) {
            // A content that was there only once had one version then. An operation that was told another one
            // contradicts the others, and what nobody can have put together was never seen.
            let sees = op.sees().map(|(value, _)| tree.of_seen(value));
            let leaves = tree.fate(nth);
            let made = match sees.map_or(0, |content| tree.version(content)) {
                0 => 0,
                seen if matches!(op, KvOp::Read { .. }) => seen,
                seen => seen.saturating_add(1),
            };
            let agree = [made, tree.version(leaves)].into_iter().all(|version| op.agrees_to(version));
            if sees == Some(NOWHERE) || leaves == IMPOSSIBLE || !agree {
                *op = KvOp::Never;
                continue;
            }
            let appends = matches!(op, KvOp::Append { .. });
            let Some(value) = op.value_mut() else { continue };
            value.leaves = leaves;
            // Nobody can tell what it was that is no piece of anything that was seen.
            value.bytes = value.bytes.filter(|bytes| tree.is_piece(bytes, appends));
            if let KvOp::Append { value: value @ Written { bytes: None, .. }, told } = *op {
                // Whatever was there, it is now something that nobody saw, as after a Put.
                *op = KvOp::Put { value, told };
            }
        }
        self.contents.take_apart(tree);
        let is_unsure = |timed: &Timed<_>| matches!(timed.op, KvOp::CasValue { sure: false, .. });
        self.unsure = ops.iter().any(is_unsure);
    }

    /// Whether an operation of unknown outcome that leads to this state can be needed for another that must happen
    /// next, perhaps after more of unknown outcome.
    ///
    /// No order needs one that it can be taken out of. So none of unknown outcome is followed by a Delete that did
    /// not have to find anything: that would remove all trace of it. From here to the operation there are only
    /// writes then, each of which adds one to the version, and all that comes before the last that does not append
    /// is of no use but for the version, and for compare-and-sets by value.
    pub(super) fn leads_on(&mut self, state: State, op: &KvOp<'h>) -> Option<bool> {
        let tree = self.contents.tree()?;
        let (find, version) = Self::finds(tree, op);
        let State { content, version: now } = state;
        Some(match find {
            // Only a Delete leads there, and it needs nothing before it.
            Find::Absent => content == ABSENT,
            Find::Present if version.is_none() => content != ABSENT,
            Find::Present | Find::Anything => match version {
                Some(version) => now <= version,
                None => self.versions || !matches!(op, KvOp::Put { .. } | KvOp::Never),
            },
            Find::Just(goal) => {
                let (few, _) = tree.pieces_of(goal);
                let (on_the_way, rest) = if content == goal {
                    (true, Some(0))
                } else {
                    let (one, other) = (tree.pieces_of(content), tree.pieces_of(goal));
                    let exact = one.0 == one.1 && other.0 == other.1;
                    (tree.is_further(content, goal), exact.then(|| other.0.saturating_sub(one.0)))
                };
                match version {
                    Some(version) => {
                        let goes_on = on_the_way
                            && match rest {
                                Some(rest) => now + rest == version,
                                None => now < version,
                            };
                        goes_on || now.saturating_add(few) <= version
                    }
                    // Whatever else is there may be needed for the version, or because something expects it.
                    None => self.versions || on_the_way || content == ABSENT || (self.unsure && tree.has(content)),
                }
            }
        })
    }

    /// What an operation must find, and at which version, as far as that is known.
    fn finds(tree: &Tree<'h>, op: &KvOp<'h>) -> (Find, Option<u64>) {
        let version = Self::needs(op);
        let find = match *op {
            KvOp::Read { value: None, .. }
            | KvOp::CasValue { expect: None, sure: true, .. }
            | KvOp::CasVersion { expect: 0, sure: true, .. }
            | KvOp::Delete { existed: Some(false) } => Find::Absent,
            KvOp::Read { value: Some(value), .. } | KvOp::CasValue { expect: Some(value), sure: true, .. } => {
                Find::Just(tree.of_seen(value))
            }
            KvOp::CasVersion { sure: true, .. } | KvOp::Delete { existed: Some(true) } => Find::Present,
            KvOp::Append { value, .. } => match tree.before(value.leaves) {
                NOWHERE => Find::Anything,
                ABSENT => Find::Absent,
                before => Find::Just(before),
            },
            _ => Find::Anything,
        };
        (find, version)
    }

    /// Whether the first operation does all that the second does, wherever that does anything.
    pub(super) fn can_do_all(&self, general: &KvOp<'h>, special: &KvOp<'h>) -> bool {
        let KvOp::Put { value, told: 0 } = general else { return false };
        !matches!(special, KvOp::Append { .. }) && special.value() == Some(*value)
    }

    /// Those who must have seen what is there before it becomes something else: it does not come again. No write leaves
    /// it as it is, for only one operation makes it.
    pub(super) fn observers(&self, state: State) -> &[u32] {
        self.contents.tree().map_or(&[], |tree| tree.observers(state.content))
    }

    /// Whether this content can become that one.
    pub(super) fn may_become(&self, before: Content, after: Content) -> bool {
        before <= UNSEEN || self.contents.tree().is_none_or(|tree| tree.may_become(before, after))
    }
}

impl<'h> KvOp<'h> {
    /// The value that it surely saw, and its version, if known.
    fn sees(&self) -> Option<(u32, u64)> {
        match *self {
            KvOp::Read { value: Some(value), told, .. } => Some((value, told)),
            KvOp::CasValue { expect: Some(value), told, sure: true, .. } => Some((value, told.saturating_sub(1))),
            _ => None,
        }
    }

    /// What it writes.
    fn value(&self) -> Option<Written<'h>> {
        match self {
            KvOp::Put { value, .. }
            | KvOp::Append { value, .. }
            | KvOp::CasValue { value, .. }
            | KvOp::CasVersion { value, .. } => Some(*value),
            KvOp::Read { .. } | KvOp::Delete { .. } | KvOp::Never => None,
        }
    }

    pub(super) fn value_mut(&mut self) -> Option<&mut Written<'h>> {
        match self {
            KvOp::Put { value, .. }
            | KvOp::Append { value, .. }
            | KvOp::CasValue { value, .. }
            | KvOp::CasVersion { value, .. } => Some(value),
            KvOp::Read { .. } | KvOp::Delete { .. } | KvOp::Never => None,
        }
    }

    /// Takes it that it told this version, and says whether it told no other. 0 is none.
    fn agrees_to(&mut self, version: u64) -> bool {
        let (KvOp::Read { told, .. }
        | KvOp::Put { told, .. }
        | KvOp::Append { told, .. }
        | KvOp::CasValue { told, .. }
        | KvOp::CasVersion { told, .. }) = self
        else {
            return true;
        };
        if *told == 0 {
            *told = version;
        }
        version == 0 || (*told == version && version != CONTRADICTION)
    }
}
