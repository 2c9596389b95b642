//! One server of a script: a core, and what carries out what the core asks for. It does what the driver does, at
//! once and in the same order, except for what the script holds back: the disk and the service may be slow.

use super::disk::Disk;
use super::say;
use super::service::Service;
use bytes::Bytes;
use labrpc::{NodeId, Rng, Time};
use shardlab::raft::message::{Install, Message};
use shardlab::raft::{
    Apply, Config, Content, Delivery, Entry, EntryId, Index, Input, Outgoing, Piece, Raft, Ready, Saved,
    SnapshotMeta, SnapshotWrite, Term, View, Write,
};
use std::collections::BTreeMap;

/// What came of an input, in order.
pub enum Effect {
    /// A line about this server.
    Said(String),
    /// It sent a message.
    Sent(NodeId, Message),
    /// Its service applied an entry, or restored a snapshot that ends with it.
    Applied(EntryId),
    /// It answered a read with the state at this index.
    Answered(u64, Index),
}

/// A server, running or not.
pub struct Server {
    config: Config,
    core: Option<Raft>,
    disk: Disk,
    service: Service,
    /// Writes wait for the script.
    pub slow_disk: bool,
    /// What is to be applied waits for the script.
    pub slow_service: bool,
    boots: u32,
    /// Bytes of snapshots that the core may still ask for.
    contents: BTreeMap<EntryId, Bytes>,
    offered: BTreeMap<Index, Bytes>,
    staged: Vec<u8>,
    received: BTreeMap<EntryId, Bytes>,
    effects: Vec<Effect>,
}

impl Server {
    /// A server that finds `saved` on its disk and is not running yet.
    pub fn new(config: Config, saved: &Saved) -> Server {
        Server {
            config,
            core: None,
            disk: Disk::holding(saved),
            service: Service::default(),
            slow_disk: false,
            slow_service: false,
            boots: 0,
            contents: BTreeMap::new(),
            offered: BTreeMap::new(),
            staged: Vec::new(),
            received: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// What an observer may know of it, if it runs.
    pub fn view(&self) -> Option<View> {
        self.core.as_ref().map(Raft::view)
    }

    /// When it wants to be woken, if it runs.
    pub fn deadline(&self) -> Option<Time> {
        self.core.as_ref().map(Raft::deadline)
    }

    /// Its state, in a line.
    pub fn state(&self) -> String {
        let me = self.config.me;
        match &self.core {
            Some(core) => say::state(me, &core.view(), &core.image()),
            None => format!("{me}  {:<13}  on its disk: {}", "down", say::saved(&self.disk.saved())),
        }
    }

    // --- life and death

    /// Starts it with what is on its disk.
    pub fn start(&mut self, now: Time) -> Vec<Effect> {
        let saved = self.disk.saved();
        self.boots += 1;
        self.service = Service::default();
        self.contents = saved.snapshot.iter().map(|meta| (meta.last, self.disk.snapshot(meta.last))).collect();
        let rng = Rng::of_node(0, self.config.me, self.boots, "script");
        if self.boots > 1 {
            self.say(format!("starts: {}", say::saved(&saved)));
        }
        self.core = Some(Raft::new(self.config.clone(), saved, now, rng));
        self.settle(now);
        std::mem::take(&mut self.effects)
    }

    /// Its process ends, and what it wrote stays with the operating system; or its power fails, and what was not
    /// synced is lost.
    pub fn stop(&mut self, power_failed: bool) -> Vec<Effect> {
        self.core = None;
        self.offered.clear();
        self.staged.clear();
        self.received.clear();
        match power_failed {
            true => {
                let lost = self.disk.lose().map(|lost| format!(" and loses {lost}")).unwrap_or_default();
                self.say(format!("stops{lost}"));
            }
            false => {
                self.disk.sync();
                self.say("stops".to_string());
            }
        }
        std::mem::take(&mut self.effects)
    }

    // --- what happens to it

    /// Something happens to it. Nothing, if it is down.
    pub fn input(&mut self, now: Time, input: Input) -> Vec<Effect> {
        if let Some(core) = &mut self.core {
            core.step(now, input);
            self.settle(now);
        }
        std::mem::take(&mut self.effects)
    }

    /// Its pending write becomes durable. False if it has none.
    pub fn sync(&mut self, now: Time) -> Option<Vec<Effect>> {
        let seq = self.disk.sync()?;
        Some(self.input(now, Input::Durable { seq }))
    }

    /// Its service does all that it was given.
    pub fn apply(&mut self, now: Time) -> Vec<Effect> {
        let waiting = std::mem::take(&mut self.service.waiting);
        self.apply_all(now, waiting);
        self.settle(now);
        std::mem::take(&mut self.effects)
    }

    /// Its service hands over the snapshot that it had at `index`. `None` if it never had one.
    pub fn snapshot(&mut self, now: Time, index: Index) -> Option<Vec<Effect>> {
        let content = self.service.at(index)?;
        self.offered.insert(index, content);
        Some(self.input(now, Input::Compact { index }))
    }

    // --- carrying out

    fn say(&mut self, text: String) {
        self.effects.push(Effect::Said(text));
    }

    /// Does what the core asks for until it asks for nothing more.
    fn settle(&mut self, now: Time) {
        while let Some(core) = &mut self.core {
            let ready = core.ready();
            let idle = ready.events.is_empty()
                && ready.write.is_none()
                && ready.send.is_empty()
                && ready.apply.is_empty()
                && ready.reads.is_empty()
                && ready.proposals.is_empty()
                && ready.pieces.is_empty();
            if idle {
                return;
            }
            self.carry_out(now, *ready);
        }
    }

    fn carry_out(&mut self, now: Time, ready: Ready) {
        for line in say::events(&ready.events) {
            self.say(line);
        }
        for piece in ready.pieces {
            self.stage(piece);
        }
        for outgoing in ready.send {
            self.send(outgoing);
        }
        for (id, answer) in ready.proposals {
            // A proposal that was taken shows as an entry that is appended.
            if let Err(why) = answer {
                self.say(format!("refuses proposal p{id}: {}", say::unavailable(why)));
            }
        }
        for (id, answer) in ready.reads {
            match answer {
                Ok(index) => {
                    self.say(format!("answers read r{id}, at {}", index.0));
                    self.effects.push(Effect::Answered(id, index));
                }
                Err(why) => self.say(format!("refuses read r{id}: {}", say::unavailable(why))),
            }
        }
        if let Some(write) = ready.write {
            self.write(now, &write);
        }
        let deliveries: Vec<Delivery> = ready.apply.into_iter().map(|item| self.delivery(item)).collect();
        if !self.slow_service {
            self.apply_all(now, deliveries);
        } else if !deliveries.is_empty() {
            self.say(format!("leaves to its service {}", say::deliveries(&deliveries)));
            self.service.waiting.extend(deliveries);
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let (to, message) = match outgoing {
            Outgoing::Message { to, message } => (to, message),
            Outgoing::Piece { to, term, snapshot, offset, length } => {
                (to, self.piece(term, snapshot, offset, length))
            }
        };
        self.effects.push(Effect::Sent(to, message));
    }

    fn piece(&self, term: Term, snapshot: SnapshotMeta, offset: u64, length: u64) -> Message {
        let content = self.contents.get(&snapshot.last).expect("a snapshot that is being sent is kept");
        let size = content.len() as u64;
        let (from, until) = (offset.min(size), offset.saturating_add(length).min(size));
        let data = content.slice(from as usize..until as usize);
        Message::Install(Install { term, snapshot, offset, done: until == size, data })
    }

    fn stage(&mut self, piece: Piece) {
        self.staged.truncate(piece.offset as usize);
        self.staged.extend_from_slice(&piece.data);
        if piece.done {
            self.received.insert(piece.snapshot, std::mem::take(&mut self.staged).into());
        }
    }

    fn write(&mut self, now: Time, write: &Write) {
        let snapshot = write.snapshot.as_ref().map(|snapshot| (snapshot.meta.last, self.content_of(snapshot)));
        self.disk.begin(write, snapshot);
        if self.slow_disk {
            return self.say(format!("writes {}", say::write(write)));
        }
        if let (Some(seq), Some(core)) = (self.disk.sync(), &mut self.core) {
            core.step(now, Input::Durable { seq });
        }
    }

    /// The bytes of a snapshot that is to be written. From now on only those are kept that the core may still
    /// ask for.
    fn content_of(&mut self, write: &SnapshotWrite) -> Bytes {
        let content = match write.content {
            Content::FromService(index) => self.offered.remove(&index),
            Content::Received(last) => self.received.remove(&last),
        };
        let content = content.expect("the core names a snapshot that it was given");
        self.offered.retain(|index, _| *index > write.meta.last.index);
        self.received.clear();
        self.contents.insert(write.meta.last, content.clone());
        let pinned: Vec<EntryId> = self.core.iter().flat_map(Raft::pinned).collect();
        self.contents.retain(|id, _| pinned.contains(id));
        content
    }

    /// What the service needs to do it; the core may ask for another snapshot by then.
    fn delivery(&self, item: Apply) -> Delivery {
        match item {
            Apply::Entry(entry) => Delivery::Entry(entry),
            Apply::Snapshot(meta) => {
                let content = self.contents.get(&meta.last).cloned().expect("a durable snapshot's bytes are kept");
                Delivery::Snapshot { meta, content }
            }
        }
    }

    fn apply_all(&mut self, now: Time, deliveries: Vec<Delivery>) {
        let mut row: Vec<Entry> = Vec::new();
        let mut last = None;
        for delivery in deliveries {
            match delivery {
                Delivery::Entry(entry) => {
                    last = Some(entry.id.index);
                    self.service.apply(&entry);
                    row.push(entry);
                }
                Delivery::Snapshot { meta, content } => {
                    last = Some(meta.last.index);
                    self.service.restore(meta.last.index, &content);
                    self.say(format!("restores snapshot {}: {}", say::id(meta.last), self.service.text()));
                    self.effects.push(Effect::Applied(meta.last));
                }
            }
        }
        if !row.is_empty() {
            self.say(say::applied(&row));
            self.effects.extend(row.iter().map(|entry| Effect::Applied(entry.id)));
        }
        if let (Some(index), Some(core)) = (last, &mut self.core) {
            core.step(now, Input::Applied { index });
        }
    }
}
