//! From what happened to a key to what its model understands.

use super::kv::{KvModel, KvOp, Written};
use super::part::{Part, PartOp, What};
use super::register::{RegisterModel, RegisterOp};
use super::search::{Model, Timed};
use crate::history::{Call, Expect, Reply};

/// What the keys of a history are.
pub trait Spec {
    /// How one key behaves.
    type Model<'h>: Model<State = Self::State>;
    /// What a key is like.
    type State: Copy + PartialEq;

    /// The model of one key, and the key's operations, one for each of the part's, in the same order. If the search
    /// turns out to be `hard`, time is well spent on making operations and states equal that nobody can tell apart.
    #[allow(clippy::type_complexity)]
    fn model<'h>(
        &self,
        part: &Part<'h>,
        hard: bool,
    ) -> (Self::Model<'h>, Vec<Timed<<Self::Model<'h> as Model>::Op>>);
}

/// A key/value store with Get, Put, Append, Delete, compare and set, and Scan; with versions where they are told.
#[derive(Clone, Copy, Debug)]
pub struct Kv;

/// Registers that are read, written, and compared and set by value. What is told of versions is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Register;

impl Spec for Kv {
    type Model<'h> = KvModel<'h>;
    type State = super::kv::State;

    fn model<'h>(&self, part: &Part<'h>, hard: bool) -> (KvModel<'h>, Vec<Timed<KvOp<'h>>>) {
        let mut model = KvModel::default();
        if let Some(longest) = longest_if_appended_only(part) {
            model.follow(longest);
        }
        let timed =
            |op: &PartOp<'h>| Timed { op: kv_op(&mut model, op.what), invoked: op.invoked, returned: op.returned };
        let mut ops: Vec<_> = part.ops.iter().map(timed).collect();
        if hard {
            model.study(&mut ops);
        }
        model.learn(&ops);
        (model, ops)
    }
}

/// The longest value that was read of a key that is only ever appended to.
fn longest_if_appended_only<'h>(part: &Part<'h>) -> Option<&'h [u8]> {
    let mut longest: &'h [u8] = &[];
    for op in &part.ops {
        let read = match op.what {
            What::Call(Call::Get { .. }, Some(Reply::Value { value, .. })) => value.as_deref(),
            What::Call(Call::Cas { .. }, Some(Reply::CasFailed { value, .. })) => value.as_deref(),
            What::Call(Call::Delete { .. }, Some(Reply::Deleted { existed: false })) => None,
            What::Call(Call::Append { .. }, _) | What::NotShown | What::Disorder => None,
            What::Shown(value, _) => Some(value),
            _ => return None,
        };
        longest = read.filter(|read| read.len() > longest.len()).unwrap_or(longest);
    }
    Some(longest)
}

fn kv_op<'h>(model: &mut KvModel<'h>, what: What<'h>) -> KvOp<'h> {
    let (call, reply) = match what {
        What::Call(call, reply) => (call, reply),
        What::Shown(value, version) => return read(model, Some(value), version, 0),
        What::NotShown => return read(model, None, 0, 0),
        What::Disorder => return KvOp::Never,
    };
    // What was not answered told nothing, and a version of 0 is none.
    let told = match reply {
        None => Some(0),
        Some(Reply::Written { version }) => Some(*version),
        Some(_) => None,
    };
    match (call, reply, told) {
        (Call::Get { .. }, Some(Reply::Value { value, version }), _) => read(model, value.as_deref(), *version, 0),
        (Call::Put { value, .. }, _, Some(told)) => KvOp::Put { value: Written::of(value), told },
        (Call::Append { value, .. }, _, Some(told)) => KvOp::Append { value: Written::of(value), told },
        (Call::Delete { .. }, None, _) => KvOp::Delete { existed: None },
        (Call::Delete { .. }, Some(Reply::Deleted { existed }), _) => KvOp::Delete { existed: Some(*existed) },
        (Call::Cas { expect, value, .. }, _, Some(told)) => {
            let sure = reply.is_some();
            match expect {
                Expect::Value(expect) => {
                    let expect = expect.as_deref().map(|expect| model.contents.observe(expect));
                    KvOp::CasValue { expect, value: Written::of(value), told, sure }
                }
                Expect::Version(expect) => {
                    KvOp::CasVersion { expect: *expect, value: Written::of(value), told, sure }
                }
            }
        }
        (Call::Cas { expect, .. }, Some(Reply::CasFailed { value, version }), _) => {
            let should_have_written = match expect {
                Expect::Value(expect) => expect == value,
                Expect::Version(0) => value.is_none(),
                Expect::Version(expect) => value.is_some() && expect == version,
            };
            let not = if let Expect::Version(not) = expect { *not } else { 0 };
            if should_have_written { KvOp::Never } else { read(model, value.as_deref(), *version, not) }
        }
        _ => KvOp::Never,
    }
}

fn read<'h>(model: &mut KvModel<'h>, value: Option<&'h [u8]>, version: u64, not: u64) -> KvOp<'h> {
    match value {
        None if version == 0 => KvOp::Read { value: None, len: 0, told: 0, not: 0 },
        // What is not there has no version.
        None => KvOp::Never,
        Some(bytes) => match model.contents.observe(bytes) {
            u32::MAX => KvOp::Never,
            seen => KvOp::Read { value: Some(seen), len: bytes.len(), told: version, not },
        },
    }
}

impl Spec for Register {
    type Model<'h> = RegisterModel;
    type State = u32;

    fn model<'h>(&self, part: &Part<'h>, _hard: bool) -> (RegisterModel, Vec<Timed<RegisterOp>>) {
        let mut values = super::register::Values::default();
        let op = |op: &PartOp<'h>| {
            let What::Call(call, reply) = op.what else { return RegisterOp::Never };
            match (call, reply) {
                (Call::Get { .. }, Some(Reply::Value { value, .. })) => {
                    RegisterOp::Read(values.id(value.as_deref()))
                }
                (Call::Put { value, .. }, None | Some(Reply::Written { .. })) => {
                    RegisterOp::Write(values.id(Some(value)))
                }
                (Call::Cas { expect: Expect::Value(expect), value, .. }, reply) => {
                    let (from, to) = (values.id(expect.as_deref()), values.id(Some(value)));
                    match reply {
                        None => RegisterOp::Cas { from, to, sure: false },
                        Some(Reply::Written { .. }) => RegisterOp::Cas { from, to, sure: true },
                        Some(Reply::CasFailed { value, .. }) => match values.id(value.as_deref()) {
                            there if there == from => RegisterOp::Never,
                            there => RegisterOp::Read(there),
                        },
                        Some(_) => RegisterOp::Never,
                    }
                }
                _ => RegisterOp::Never,
            }
        };
        let mut op = op;
        let timed = |it: &PartOp<'h>| Timed { op: op(it), invoked: it.invoked, returned: it.returned };
        let ops: Vec<_> = part.ops.iter().map(timed).collect();
        (RegisterModel::of(&ops), ops)
    }
}
