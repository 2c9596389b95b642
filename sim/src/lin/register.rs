//! A register that is read, written, and compared and set.

use super::search::{Model, NEVER, Timed};
use super::table::{Table, of_bytes};

/// An operation on a register, with what it returned. Values are numbers; 0 is that there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterOp {
    /// It was this.
    Read(u32),
    /// It became this.
    Write(u32),
    /// It became `to` if it was `from`.
    Cas {
        /// What is expected.
        from: u32,
        /// What it becomes.
        to: u32,
        /// Whether it is known that it was as expected.
        sure: bool,
    },
    /// What no register ever answers.
    Never,
}

/// A register.
#[derive(Clone, Copy, Debug)]
pub struct RegisterModel {
    /// Whether there are compare-and-sets of unknown outcome.
    unknown_cas: bool,
}

impl RegisterModel {
    /// The model for these operations.
    pub fn of(ops: &[Timed<RegisterOp>]) -> RegisterModel {
        let unknown_cas = |timed: &Timed<_>| timed.returned == NEVER && matches!(timed.op, RegisterOp::Cas { .. });
        RegisterModel { unknown_cas: ops.iter().any(unknown_cas) }
    }
}

impl Model for RegisterModel {
    type State = u32;
    type Op = RegisterOp;

    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: u32, op: &RegisterOp) -> Option<u32> {
        match *op {
            RegisterOp::Read(value) => (value == state).then_some(state),
            RegisterOp::Write(value) => Some(value),
            RegisterOp::Cas { from, to, .. } if from == state => Some(to),
            RegisterOp::Cas { sure, .. } => (!sure).then_some(state),
            RegisterOp::Never => None,
        }
    }

    fn only_looks(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Read(_))
    }

    fn words(&self, state: u32) -> [u64; 2] {
        [state.into(), 0]
    }

    fn hopeless(&mut self, _: u32, op: &RegisterOp) -> bool {
        *op == RegisterOp::Never
    }

    fn leads_to(&mut self, state: u32, op: &RegisterOp) -> bool {
        match *op {
            // What was there before it was written leaves no trace.
            RegisterOp::Write(_) | RegisterOp::Never => false,
            // One write is enough to come to any state, if no compare-and-set builds on it.
            RegisterOp::Read(value) | RegisterOp::Cas { from: value, .. } => self.unknown_cas || value == state,
        }
    }
}

/// Numbers for values.
#[derive(Default)]
pub struct Values<'h> {
    known: Vec<&'h [u8]>,
    table: Table,
}

impl<'h> Values<'h> {
    /// The number of a value.
    pub fn id(&mut self, value: Option<&'h [u8]>) -> u32 {
        let Some(value) = value else { return 0 };
        let hash = of_bytes(value);
        let known = self.table.find(hash, |id| self.known[id as usize - 1] == value);
        known.unwrap_or_else(|| {
            self.known.push(value);
            let id = self.known.len() as u32;
            self.table.insert(hash, id);
            id
        })
    }
}
