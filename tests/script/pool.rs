//! Messages under way. The network of a script delivers, loses, delays and duplicates what it is told to.

use super::command::{Selection, Which};
use labrpc::NodeId;
use shardlab::raft::message::Message;
use std::collections::BTreeMap;

/// A message on its way.
#[derive(Clone)]
pub struct Flight {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// What it says.
    pub message: Message,
}

/// All of them, in the order in which they were sent.
#[derive(Default)]
pub struct Pool {
    flights: Vec<Flight>,
    sent: u64,
    aside: BTreeMap<String, Vec<Flight>>,
}

impl Pool {
    /// A message was sent, and perhaps lost at once.
    pub fn send(&mut self, flight: Flight, lost: bool) {
        self.sent += 1;
        if !lost {
            self.flights.push(flight);
        }
    }

    /// How many were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Takes out what is selected. It is an error if that is nothing.
    pub fn take(&mut self, selection: &Selection) -> Result<Vec<Flight>, String> {
        if let Selection::Named(name) = selection {
            return self.aside.remove(name).ok_or_else(|| format!("nothing was put aside as {name}"));
        }
        let places = self.places(selection)?;
        let mut taken = Vec::new();
        let mut left = Vec::new();
        for (place, flight) in std::mem::take(&mut self.flights).into_iter().enumerate() {
            if places.contains(&place) { taken.push(flight) } else { left.push(flight) }
        }
        self.flights = left;
        Ok(taken)
    }

    /// Copies what is selected.
    pub fn copy(&self, selection: &Selection) -> Result<Vec<Flight>, String> {
        Ok(self.places(selection)?.into_iter().map(|place| self.flights[place].clone()).collect())
    }

    /// Puts messages aside, where `stabilize` does not find them.
    pub fn put_aside(&mut self, name: &str, flights: Vec<Flight>) -> Result<(), String> {
        match self.aside.insert(name.to_string(), flights) {
            None => Ok(()),
            Some(_) => Err(format!("something was put aside as {name} already")),
        }
    }

    /// The oldest message between any of these servers.
    pub fn take_oldest(&mut self, among: &[NodeId]) -> Option<Flight> {
        let among = |flight: &Flight| among.contains(&flight.from) && among.contains(&flight.to);
        let place = self.flights.iter().position(among)?;
        Some(self.flights.remove(place))
    }

    /// Loses everything to and from a server.
    pub fn lose(&mut self, node: NodeId) {
        self.flights.retain(|flight| flight.from != node && flight.to != node);
    }

    fn places(&self, selection: &Selection) -> Result<Vec<usize>, String> {
        let Selection::Way { from, to, kind, which } = selection else {
            return Err("only what is under way can be put aside".to_string());
        };
        let fits = |flight: &Flight| {
            let of_kind = kind.as_ref().is_none_or(|kind| flight.message.kind().name() == kind);
            from.has(flight.from) && to.has(flight.to) && of_kind
        };
        let all: Vec<usize> = (0..self.flights.len()).filter(|&place| fits(&self.flights[place])).collect();
        let chosen = match which {
            Which::All => all,
            Which::Nth(nth) => nth.checked_sub(1).and_then(|at| all.get(at).copied()).into_iter().collect(),
            Which::Last => all.last().copied().into_iter().collect(),
        };
        if chosen.is_empty() { Err("no such message is under way".to_string()) } else { Ok(chosen) }
    }
}
