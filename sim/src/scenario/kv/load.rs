//! What clients do: few keys that all of them share, unique values, and pauses that leave room for others.

use super::Draw;
use crate::plan::{Client, KvOp, Op, Selector};
use labrpc::sim::Span;

/// Of a thousand operations, how many are of each sort; the rest are reads.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub append: u64,
    pub put: u64,
    pub cas: u64,
    pub delete: u64,
    pub scan: u64,
}

impl Mix {
    /// As in the course: appends and reads.
    pub const USUAL: Mix = Mix { append: 500, put: 20, cas: 0, delete: 0, scan: 0 };
    /// All sorts.
    pub const ALL: Mix = Mix { append: 300, put: 60, cas: 150, delete: 60, scan: 30 };
    /// Mostly reads, that chase a few writes.
    pub const READS: Mix = Mix { append: 150, put: 50, cas: 0, delete: 0, scan: 20 };
}

/// Clients that do the same sort of thing.
#[derive(Clone, Debug)]
pub struct Load {
    pub clients: u32,
    /// Operations of each.
    pub ops: u32,
    /// Keys that all share.
    pub keys: u64,
    pub mix: Mix,
    /// The longest pause before a wave.
    pub pause: Span,
    /// Operations in a wave, which follow each other without a pause. If it is more than one, all clients pause for the
    /// same time before the same wave, so that they work at once: what happens to a cluster finds it under load or quiet.
    pub wave: u32,
    pub talks_to: Selector,
}

impl Load {
    /// Some clients, with what they usually do.
    pub fn of(clients: u32, ops: u32) -> Load {
        let pause = Span::millis(40);
        Load { clients, ops, keys: 3, mix: Mix::USUAL, pause, wave: 1, talks_to: Selector::All }
    }

    /// Draws it. `first` is the number of the first of these clients: their values begin with it.
    pub fn draw(&self, draw: &mut Draw, first: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        let waves = if self.wave > 1 { self.ops.div_ceil(self.wave) } else { 0 };
        let pauses: Vec<Span> = (0..waves).map(|_| self.pause(draw)).collect();
        for client in first..first + self.clients as usize {
            let after = |draw: &mut Draw, nth: u32| match pauses.get((nth / self.wave) as usize) {
                None => self.pause(draw),
                Some(pause) if nth.is_multiple_of(self.wave) => *pause,
                Some(_) => Span::ZERO,
            };
            let op = |nth| Op::Kv { after: after(draw, nth), op: self.op(draw, client, nth) };
            let ops = (0..self.ops).map(op).collect();
            clients.push(Client { talks_to: self.talks_to.clone(), from: Span::ZERO, ops });
        }
        clients
    }

    fn pause(&self, draw: &mut Draw) -> Span {
        Span::micros(draw.rng.below(self.pause.0.as_micros() as u64 + 1))
    }

    fn op(&self, draw: &mut Draw, client: usize, nth: u32) -> KvOp {
        let key = format!("k{}", draw.rng.below(self.keys));
        let value = format!("{client}.{nth};");
        let Mix { append, put, cas, delete, scan } = self.mix;
        let dice = draw.rng.below(1_000);
        match dice {
            _ if dice < append => KvOp::Append { key, value },
            _ if dice < append + put => KvOp::Put { key, value },
            _ if dice < append + put + cas => KvOp::Cas { key, by_version: dice.is_multiple_of(2), value },
            _ if dice < append + put + cas + delete => KvOp::Delete { key },
            _ if dice < append + put + cas + delete + scan => KvOp::Scan { prefix: "k".into(), limit: 100 },
            _ => KvOp::Get { key },
        }
    }
}
