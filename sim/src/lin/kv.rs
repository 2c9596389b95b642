//! A key of a key/value store: Get, Put, Append, Delete, compare and set, with versions if they are told.

use super::content::{ABSENT, Content, Contents};
use super::search::{Model, Timed};
use super::tree::NOWHERE;

/// How many bytes are looked through at most to find values that nobody saw.
const BLURRED: usize = 64 << 20;

/// A key's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub(super) content: Content,
    /// 0 always if nobody asks for versions, so that more states are equal.
    pub(super) version: u64,
}

/// A value as somebody saw or expects it: its number, or that there is none.
pub type Seen = Option<u32>;

/// A value that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written<'h> {
    /// `None` if nobody ever saw it, nor a longer one that it is a part of.
    pub bytes: Option<&'h [u8]>,
    /// What there must be afterwards, if it is known to have taken effect, and how. Of all operations only this one
    /// writes these bytes then.
    pub(super) leaves: Content,
}

impl<'h> Written<'h> {
    /// Nothing more is known of it.
    pub fn of(bytes: &'h [u8]) -> Written<'h> {
        Written { bytes: Some(bytes), leaves: NOWHERE }
    }
}

/// An operation on one key, with what it returned. A version of 0 that is `told` was not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KvOp<'h> {
    /// A Get, or a compare-and-set that found something else: there was this.
    Read {
        /// What was there.
        value: Seen,
        /// Its length.
        len: usize,
        /// Its version.
        told: u64,
        /// A version that it surely was not, if not 0.
        not: u64,
    },
    /// A Put.
    Put {
        /// What was put there.
        value: Written<'h>,
        /// The version that it made.
        told: u64,
    },
    /// An Append.
    Append {
        /// What was appended.
        value: Written<'h>,
        /// The version that it made.
        told: u64,
    },
    /// A Delete.
    Delete {
        /// Whether something was there, if that is known.
        existed: Option<bool>,
    },
    /// A compare-and-set on the value.
    CasValue {
        /// What it expects.
        expect: Seen,
        /// What it puts there.
        value: Written<'h>,
        /// The version that it made.
        told: u64,
        /// Whether it is known that it found what it expects.
        sure: bool,
    },
    /// A compare-and-set on the version.
    CasVersion {
        /// What it expects.
        expect: u64,
        /// What it puts there.
        value: Written<'h>,
        /// The version that it made.
        told: u64,
        /// Whether it is known that it found what it expects.
        sure: bool,
    },
    /// What no such object ever answers.
    Never,
}

/// What is known of a key before the search begins.
#[derive(Default)]
pub struct KvModel<'h> {
    /// Its values.
    pub contents: Contents<'h>,
    /// Whether anything depends on versions.
    pub(super) versions: bool,
    /// Whether there is only ever more of it.
    pub(super) appended_only: bool,
    /// Whether there may be compare-and-sets by value of unknown outcome.
    pub(super) unsure: bool,
    /// Whether versions never begin anew.
    undeleted: bool,
    /// The versions that writes of known outcome made; only if versions never begin anew. Sorted.
    made: Vec<u64>,
    /// What was read at which version; only if versions never begin anew. Sorted.
    read: Vec<(u64, u32)>,
}

impl<'h> KvModel<'h> {
    /// The key is only appended to, and the longest value that was read is this.
    pub fn follow(&mut self, longest: &'h [u8]) {
        self.appended_only = true;
        self.contents.follow(longest);
    }

    /// Learns what all operations of the key say together.
    pub fn learn(&mut self, ops: &[Timed<KvOp<'h>>]) {
        for Timed { op, .. } in ops {
            self.versions |= match op {
                KvOp::CasVersion { .. } => true,
                KvOp::Read { told, not, .. } => *told != 0 || *not != 0,
                op => op.told() != 0,
            };
        }
        let deletes =
            |timed: &Timed<KvOp<'h>>| matches!(timed.op, KvOp::Delete { existed } if existed != Some(false));
        self.undeleted = !ops.iter().any(deletes);
        if !(self.undeleted && self.versions) {
            return;
        }
        for Timed { op, .. } in ops {
            match op {
                KvOp::Read { value: Some(value), told, .. } if *told != 0 => self.read.push((*told, *value)),
                op if op.told() != 0 => self.made.push(op.told()),
                _ => {}
            }
        }
        self.made.sort_unstable();
        self.read.sort_unstable();
    }

    /// Makes operations and states equal that nobody could tell apart, as far as that does not take too long: it
    /// does not matter which value it was that nobody saw.
    pub fn blur(&self, ops: &mut [Timed<KvOp<'h>>]) {
        let mut left = BLURRED;
        // Those of unknown outcome matter most.
        for Timed { op, .. } in ops.iter_mut().rev() {
            let Some(value) = op.value_mut() else { continue };
            let Some(rest) = left.checked_sub(self.contents.seen_bytes()) else { return };
            left = rest;
            value.bytes = value.bytes.filter(|bytes| self.contents.is_part_of_seen(bytes));
        }
    }

    /// The state after a write, if it can be.
    fn written(&mut self, state: State, content: Content, value: Written<'h>, told: u64) -> Option<State> {
        if (value.leaves != NOWHERE && value.leaves != content) || !self.may_become(state.content, content) {
            return None;
        }
        if !self.versions {
            return Some(State { content, version: 0 });
        }
        let version = state.version + 1;
        if told != 0 && told != version {
            return None;
        }
        if self.undeleted {
            // Somebody else made it, or it was something else: both must still come, and then cannot.
            if told == 0 && self.made.binary_search(&version).is_ok() {
                return None;
            }
            let first = self.read.partition_point(|(read, _)| *read < version);
            if let Some((read, value)) = self.read.get(first)
                && *read == version
                && !self.contents.is(content, *value)
            {
                return None;
            }
        }
        Some(State { content, version })
    }

    fn is(&mut self, state: State, seen: Seen) -> bool {
        match seen {
            Some(value) => self.contents.is(state.content, value),
            None => state.content == ABSENT,
        }
    }

    /// The version at which an operation must find the key, if that is known.
    pub(super) fn needs(op: &KvOp<'_>) -> Option<u64> {
        match op {
            KvOp::Read { value: None, .. } => Some(0),
            KvOp::CasVersion { expect, sure: true, .. } => Some(*expect),
            KvOp::Read { told: 0, .. } => None,
            KvOp::Read { told, .. } => Some(*told),
            op => op.told().checked_sub(1),
        }
    }
}

impl KvOp<'_> {
    /// The version that it told; 0: none.
    pub(super) fn told(&self) -> u64 {
        match self {
            KvOp::Read { told, .. }
            | KvOp::Put { told, .. }
            | KvOp::Append { told, .. }
            | KvOp::CasValue { told, .. }
            | KvOp::CasVersion { told, .. } => *told,
            KvOp::Delete { .. } | KvOp::Never => 0,
        }
    }
}

impl<'h> Model for KvModel<'h> {
    type State = State;
    type Op = KvOp<'h>;

    fn initial(&self) -> State {
        State { content: ABSENT, version: 0 }
    }

    fn step(&mut self, state: State, op: &KvOp<'h>) -> Option<State> {
        let State { content, version } = state;
        match *op {
            KvOp::Read { value, told, not, .. } => {
                let fits = (told == 0 || told == version) && (not == 0 || not != version) && self.is(state, value);
                fits.then_some(state)
            }
            KvOp::Put { value, told } => {
                let content = self.contents.put(value.bytes);
                self.written(state, content, value, told)
            }
            KvOp::Append { value, told } => {
                if told != 0 && told != version + 1 {
                    return None;
                }
                let content = self.contents.append(content, value.bytes)?;
                self.written(state, content, value, told)
            }
            KvOp::Delete { existed } => {
                let exists = content != ABSENT;
                let fits = existed.is_none_or(|existed| existed == exists);
                (fits && (!exists || self.may_become(content, ABSENT))).then(|| self.initial())
            }
            KvOp::CasValue { expect, value, told, sure } => {
                if !self.is(state, expect) {
                    return (!sure).then_some(state);
                }
                let content = self.contents.put(value.bytes);
                self.written(state, content, value, told)
            }
            KvOp::CasVersion { expect, value, told, sure } => {
                if expect != version {
                    return (!sure).then_some(state);
                }
                let content = self.contents.put(value.bytes);
                self.written(state, content, value, told)
            }
            KvOp::Never => None,
        }
    }

    fn only_looks(&self, op: &KvOp<'h>) -> bool {
        matches!(op, KvOp::Read { .. } | KvOp::Delete { existed: Some(false) })
    }

    fn words(&self, state: State) -> [u64; 2] {
        [state.content.into(), state.version]
    }

    fn hopeless(&mut self, state: State, op: &KvOp<'h>) -> bool {
        let past = self.versions && self.undeleted && Self::needs(op).is_some_and(|needs| needs < state.version);
        let grown = || match op {
            KvOp::Read { value: None, .. } => state.content != ABSENT,
            KvOp::Read { len, .. } => self.contents.len(state.content) > *len,
            _ => false,
        };
        matches!(op, KvOp::Never) || past || (self.appended_only && grown())
    }

    fn leads_to(&mut self, state: State, op: &KvOp<'h>) -> bool {
        if let Some(leads) = self.leads_on(state, op) {
            return leads;
        }
        if self.versions {
            // If a Delete came next, what led here would leave no trace; all else only adds to the version.
            return match Self::needs(op) {
                None => true,
                Some(needs) if needs == state.version => self.step(state, op).is_some(),
                Some(needs) => needs > state.version,
            };
        }
        // What was there before a Put leaves no trace.
        !matches!(op, KvOp::Put { .. } | KvOp::Never)
    }

    fn can_do_all(&self, general: &KvOp<'h>, special: &KvOp<'h>) -> bool {
        Self::can_do_all(self, general, special)
    }

    fn must_precede(&self, state: State) -> &[u32] {
        self.observers(state)
    }

    fn bytes(&self) -> usize {
        self.contents.bytes()
    }
}
