//! The service of one server: a list of the commands that it has applied. A snapshot of it is that list as text.

use bytes::Bytes;
use shardlab::raft::{Delivery, Entry, Index, Payload};

/// A service.
#[derive(Default)]
pub struct Service {
    commands: Vec<String>,
    /// The list as it was after each entry, for snapshots of the past: one that was taken a while ago may be
    /// handed to the core late.
    past: Vec<(Index, Bytes)>,
    /// What it was given and has not done.
    pub waiting: Vec<Delivery>,
}

impl Service {
    /// Applies one entry.
    pub fn apply(&mut self, entry: &Entry) {
        if let Payload::Command(command) = &entry.payload {
            self.commands.push(String::from_utf8_lossy(command).into_owned());
        }
        self.past.push((entry.id.index, self.text().into()));
    }

    /// Becomes what a snapshot says.
    pub fn restore(&mut self, index: Index, content: &Bytes) {
        let text = String::from_utf8_lossy(content);
        self.commands = text.split_whitespace().map(str::to_string).collect();
        self.past = vec![(index, content.clone())];
    }

    /// The list as text.
    pub fn text(&self) -> String {
        self.commands.join(" ")
    }

    /// The snapshot that it had at `index`.
    pub fn at(&self, index: Index) -> Option<Bytes> {
        self.past.iter().find(|(at, _)| *at == index).map(|(_, text)| text.clone())
    }
}
