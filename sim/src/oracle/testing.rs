//! For the unit tests of invariants: a short way to tell a story and see who objects.

use super::{Fact, Invariant, Known, Verdict};
use crate::raft::{DiskFact, Recovered, WireFacts};
use bytes::Bytes;
use labrpc::sim::{Packet, Stamp};
use labrpc::{Content, Direction, Event, Index, Kind, NodeId, Role, Term, Time};

pub fn node(n: u32) -> NodeId {
    NodeId(n)
}

/// A cluster and one invariant that watches it.
pub struct Story<I> {
    pub known: Known,
    /// When it happens.
    pub now: Time,
    invariant: I,
}

impl<I: Invariant> Story<I> {
    /// Servers 1 to `n` have started with empty disks.
    pub fn new(n: u32, invariant: I) -> Story<I> {
        let mut story = Story { known: Known::new(n), now: Time::ZERO, invariant };
        for server in 1..=n {
            story.boots(server);
        }
        story
    }

    pub fn boots(&mut self, n: u32) {
        let empty = Ok(Recovered::default().summary());
        self.tell(&Fact::Booting { node: node(n), expected: &empty, was_pending: false }).unwrap();
        let nothing = (Index(0), Term(0));
        let recovered = Event::Recovered { term: Term(0), vote: None, snapshot: nothing, last: nothing };
        self.says(n, recovered).unwrap();
    }

    pub fn tell(&mut self, fact: &Fact<'_>) -> Verdict {
        self.known.stamp = Stamp { at: self.now, nth: self.known.stamp.nth + 1 };
        let watched = self.invariant.card().watches.contains(&fact.sort());
        if watched {
            self.invariant.before(&self.known, fact)?;
        }
        self.known.learn(fact);
        if watched { self.invariant.after(&self.known, fact) } else { Ok(()) }
    }

    pub fn says(&mut self, n: u32, event: Event) -> Verdict {
        self.tell(&Fact::Emitted { node: node(n), event: &event })
    }

    pub fn stores(&mut self, n: u32, fact: DiskFact) -> Verdict {
        self.tell(&Fact::Durable { node: node(n), fact: &fact })
    }

    pub fn sends(&mut self, from: u32, to: u32, wire: &WireFacts) -> Verdict {
        let packet = packet(from, to);
        self.tell(&Fact::Sent { packet: &packet, wire: Some(wire) })
    }

    pub fn applies(&mut self, n: u32, index: u64, command: &str) -> Verdict {
        let hash = super::hash_of(&content(command));
        self.tell(&Fact::Applied { node: node(n), index: Index(index), term: None, hash })
    }

    // Whole chapters, for what is not at stake in a test.

    pub fn enters(&mut self, n: u32, term: u64, vote: Option<u32>) {
        let vote = vote.map(NodeId);
        self.says(n, Event::Term { term: Term(term), vote }).unwrap();
        self.stores(n, DiskFact::Hard { term: Term(term), vote }).unwrap();
    }

    pub fn leads(&mut self, n: u32, term: u64) -> Verdict {
        self.says(n, Event::Role { role: Role::Leader, term: Term(term) })
    }

    /// An entry is put at the end of a log, in memory and on the disk.
    pub fn holds(&mut self, n: u32, index: u64, term: u64, command: &str) {
        self.says(n, appended(index, term, command)).unwrap();
        self.stores(n, entry(index, term, command)).unwrap();
    }
}

pub fn content(command: &str) -> Content {
    Content::Command(Bytes::copy_from_slice(command.as_bytes()))
}

pub fn appended(index: u64, term: u64, command: &str) -> Event {
    Event::Appended { index: Index(index), term: Term(term), content: content(command) }
}

pub fn entry(index: u64, term: u64, command: &str) -> DiskFact {
    DiskFact::Entry { index: Index(index), term: Term(term), content: content(command) }
}

pub fn packet(from: u32, to: u32) -> Packet {
    let body = Bytes::from_static(b"body");
    Packet {
        number: 1,
        from: node(from),
        to: node(to),
        kind: Kind::new("test"),
        direction: Direction::OneWay,
        call: 0,
        hash: xxhash_rust::xxh3::xxh3_64(&body),
        body,
        sent: Time::ZERO,
        copy: false,
    }
}
