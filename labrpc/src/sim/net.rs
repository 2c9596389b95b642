//! The simulated network: what becomes of a message between being sent and being read.

use super::fate::Fate;
use super::node::State;
use super::observe::{Loss, Observed, Packet, Sending};
use super::rule::{NodeSet, Rules, Verdict};
use super::weather::NetWeather;
use super::world::{Event, World};
use crate::id::NodeId;
use crate::message::{Direction, Incoming, Kind, Request};
use crate::time::Time;
use bytes::Bytes;

/// The state of all links.
pub(crate) struct Network {
    pub weather: NetWeather,
    pub rules: Rules,
    /// By sender: to whom its link is cut.
    cut: Vec<NodeSet>,
    /// Packets that rules hold back, with the rule's name.
    held: Vec<(String, Packet)>,
    links: Vec<Vec<Link>>,
    sent: u64,
}

/// One direction between two nodes.
#[derive(Clone, Default)]
struct Link {
    /// How many messages of each kind were sent on it.
    counts: Vec<(u64, u64)>,
    /// When the last byte so far will have left, if bandwidth is limited.
    busy_until: u64,
}

impl Link {
    fn count(&mut self, kind: u64) -> u64 {
        match self.counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, n)) => {
                *n += 1;
                *n
            }
            None => {
                self.counts.push((kind, 1));
                1
            }
        }
    }
}

impl Network {
    pub fn new(weather: NetWeather) -> Network {
        Network { weather, rules: Rules::default(), cut: Vec::new(), held: Vec::new(), links: Vec::new(), sent: 0 }
    }

    pub fn grow(&mut self, nodes: usize) {
        self.cut.resize(nodes, NodeSet::NONE);
        self.links.resize(nodes, Vec::new());
        self.links.iter_mut().for_each(|row| row.resize(nodes, Link::default()));
    }

    pub fn cut(&mut self, from: NodeSet, to: NodeSet) {
        for (slot, cut) in self.cut.iter_mut().enumerate() {
            let sender = NodeId(slot as u32);
            if from.contains(sender) {
                *cut = cut.or(to.minus(sender.into()));
            }
        }
    }

    pub fn mend(&mut self, from: NodeSet, to: NodeSet) {
        for (slot, cut) in self.cut.iter_mut().enumerate() {
            if from.contains(NodeId(slot as u32)) {
                *cut = cut.minus(to);
            }
        }
    }

    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.get(from.slot()).is_some_and(|cut| cut.contains(to))
    }

    pub fn held(&self, rule: &str) -> usize {
        self.held.iter().filter(|(name, _)| name == rule).count()
    }

    pub fn take_held(&mut self, rule: &str) -> Vec<Packet> {
        let (taken, kept) = std::mem::take(&mut self.held).into_iter().partition(|(name, _)| name == rule);
        self.held = kept;
        taken.into_iter().map(|(_, packet): (String, Packet)| packet).collect()
    }

    /// What the fate of a packet hangs on: its link, its kind, and how many of that kind came before it there.
    fn count(&mut self, packet: &Packet) -> [u64; 3] {
        let (from, to) = (packet.from, packet.to);
        let kind = packet.kind.hash() ^ packet.direction as u64;
        let nth = self.links[from.slot()][to.slot()].count(kind);
        [u64::from(from.0) << 32 | u64::from(to.0), kind, nth]
    }

    /// When a packet that is sent `now` arrives, weather permitting, and when its copy does.
    fn weather_of(&mut self, mut fate: Fate, packet: &Packet, now: u64) -> (Option<u64>, Option<u64>) {
        let link = &mut self.links[packet.from.slot()][packet.to.slot()];
        let weather = &self.weather;
        let start = match weather.bandwidth {
            Some(rate) => {
                let transfer = (packet.body.len() as u64).saturating_mul(1_000_000_000) / rate.max(1);
                link.busy_until = link.busy_until.max(now) + transfer;
                link.busy_until
            }
            None => now,
        };
        let drop = if packet.direction == Direction::Reply { weather.drop_reply } else { weather.drop };
        let lost = fate.chance(drop);
        let arrives = start + travel(weather, packet.direction, &mut fate);
        let copy = fate.chance(weather.duplicate).then(|| start + travel(weather, packet.direction, &mut fate));
        ((!lost).then_some(arrives), copy)
    }

    /// Decides what becomes of a packet.
    fn send(&mut self, seed: u64, packet: &Packet, now: u64) -> Sending {
        // The count on the link goes on whatever happens, so that a cut does not shift later fates.
        let words = self.count(packet);
        let (arrives, copy) = self.weather_of(Fate::of(seed, words), packet, now);
        if self.is_cut(packet.from, packet.to) {
            return Sending::Lost(Loss::Cut);
        }
        let on_its_way = |arrives: u64, copy: Option<u64>| Sending::OnItsWay {
            arrives: Time::from_nanos(arrives),
            copy: copy.map(Time::from_nanos),
        };
        let base = self.weather.delay;
        // Of other numbers than the weather's, and counted like it: by link, so that taking one fault out of a
        // plan leaves the delays on other links as they were.
        let later = |spread, of: u64| {
            let mut fate = Fate::of(seed ^ (0x11 << 8) ^ of, words);
            fate.spread(base) + fate.spread(spread)
        };
        match self.rules.judge(packet.from, packet.to, packet.kind, packet.direction, seed) {
            Some((_, Verdict::Drop)) => Sending::Lost(Loss::Rule),
            Some((name, Verdict::Hold)) => {
                let name = name.to_string();
                self.held.push((name, packet.clone()));
                Sending::Held
            }
            Some((_, Verdict::Delay(spread))) => on_its_way(now + later(*spread, 1), None),
            Some((_, Verdict::Duplicate(spread))) => {
                let second = now + later(*spread, 2);
                match arrives {
                    Some(first) => on_its_way(first, Some(second)),
                    None => on_its_way(second, None),
                }
            }
            Some((_, Verdict::Pass)) | None => match (arrives, copy) {
                (Some(first), copy) => on_its_way(first, copy),
                (None, Some(copy)) => on_its_way(copy, None),
                (None, None) => Sending::Lost(Loss::Weather),
            },
        }
    }
}

/// Time on the way.
fn travel(weather: &NetWeather, direction: Direction, fate: &mut Fate) -> u64 {
    let base = fate.spread(weather.delay);
    let tails = weather.tails.iter();
    let tails = tails.chain(weather.reply_tails.iter().filter(|_| direction == Direction::Reply));
    let mut extra = 0;
    for tail in tails {
        // Every tail is asked, so that each draws the same numbers whether or not an earlier one struck.
        let (strikes, delay) = (fate.chance(tail.ppm), fate.spread(tail.delay));
        if strikes && extra == 0 {
            extra = delay;
        }
    }
    base + extra
}

impl World {
    /// Puts a message on its way.
    pub fn transmit(&mut self, from: NodeId, to: NodeId, kind: Kind, direction: Direction, call: u64, body: Bytes) {
        self.net.sent += 1;
        let hash = xxhash_rust::xxh3::xxh3_64(&body);
        let number = self.net.sent;
        let sent = Time::from_nanos(self.now);
        let packet = Packet { number, from, to, kind, direction, call, body, hash, sent, copy: false };
        self.counters.messages_sent += 1;
        self.counters.bytes_sent += packet.body.len() as u64;
        let sending = if to.slot() < self.nodes.len() {
            self.net.send(self.seed, &packet, self.now)
        } else {
            Sending::Lost(Loss::Down)
        };
        self.see(&Observed::Sent { packet: &packet, sending });
        if let Sending::OnItsWay { arrives, copy } = sending {
            if let Some(copy) = copy {
                self.schedule(copy.nanos(), Event::Arrival(Packet { copy: true, ..packet.clone() }));
            }
            self.schedule(arrives.nanos(), Event::Arrival(packet));
        }
    }

    /// A message reaches its receiver's machine. If that serves one message after the other, it queues.
    pub fn arrive(&mut self, packet: Packet) {
        let node = &mut self.nodes[packet.to.slot()];
        if node.service.each == 0 || node.service.of(packet.kind) == 0 || node.state == State::Down {
            return self.deliver(packet);
        }
        node.busy_until = node.busy_until.max(self.now) + node.service.each;
        let at = node.busy_until;
        self.schedule(at, Event::Delivery(packet));
    }

    /// A message reaches the queue of the program that reads it.
    pub fn deliver(&mut self, packet: Packet) {
        if self.net.is_cut(packet.from, packet.to) {
            return self.lose(&packet, Loss::Cut);
        }
        let node = &mut self.nodes[packet.to.slot()];
        if node.state == State::Down {
            return self.lose(&packet, Loss::Down);
        }
        let refused = match packet.direction {
            Direction::OneWay => node.inbox.is_full().then_some(Loss::Overflow),
            Direction::Request => node.requests.is_full().then_some(Loss::Overflow),
            Direction::Reply => (!node.calls.waits(packet.call)).then_some(Loss::Late),
        };
        if let Some(why) = refused {
            return self.lose(&packet, why);
        }
        self.counters.messages_delivered += 1;
        self.see(&Observed::Delivered { packet: &packet });
        let Packet { from, to, kind, call, body, direction, .. } = packet;
        let node = &mut self.nodes[to.slot()];
        match direction {
            Direction::OneWay => node.inbox.push(Incoming { from, kind, body }),
            Direction::Request => node.requests.push(Request::simulated(from, kind, body, call)),
            Direction::Reply => node.calls.answer(call, body),
        }
    }

    fn lose(&mut self, packet: &Packet, why: Loss) {
        self.see(&Observed::Lost { packet, why });
    }
}
