//! The course's scenarios, parts 3A and 3B.

use super::{Act, Draw, ELECTION, Load, Mix, Plan, Scenario, Selector, Span, unreliable};
use crate::plan::{Client, KvOp, Moment, Op, Otherwise, Step};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::usual("kv-basic", "One client does one thing after the other.", |draw| One::new(1).plan(draw)),
    Scenario::usual(
        "kv-speed",
        "A thousand operations of one client, with no pause: each takes a fraction of a heartbeat.",
        |draw| speed(draw, false),
    ),
    Scenario::usual("kv-concurrent", "Five clients.", |draw| One::new(5).plan(draw)),
    Scenario::usual("kv-unreliable", "Five clients, and a network that loses messages.", |draw| {
        One::new(5).unreliable().plan(draw)
    }),
    Scenario::usual(
        "kv-unreliable-one-key",
        "Five clients that append to one key, and a network that loses messages.",
        |draw| One::new(5).unreliable().one_key().plan(draw),
    ),
    Scenario::usual(
        "kv-one-partition",
        "The majority goes on, the minority does not, and what waited there is done when all is healed.",
        one_partition,
    ),
    Scenario::usual("kv-many-partitions-one-client", "Partitions, one after the other, and one client.", |draw| {
        One::new(1).partitions().plan(draw)
    }),
    Scenario::usual(
        "kv-many-partitions-many-clients",
        "Partitions, one after the other, and five clients.",
        |draw| One::new(5).partitions().plan(draw),
    ),
    Scenario::usual("kv-persist-one-client", "All servers restart, again and again; one client.", |draw| {
        One::new(1).crashes().plan(draw)
    }),
    Scenario::usual("kv-persist-concurrent", "The same with five clients.", |draw| {
        One::new(5).crashes().plan(draw)
    }),
    Scenario::usual("kv-persist-concurrent-unreliable", "The same over a network that loses messages.", |draw| {
        One::new(5).crashes().unreliable().plan(draw)
    }),
    Scenario::usual("kv-persist-partition", "Restarts and partitions; five clients.", |draw| {
        One::new(5).crashes().partitions().plan(draw)
    }),
    Scenario::usual("kv-persist-partition-unreliable", "The same over a network that loses messages.", |draw| {
        One::new(5).crashes().partitions().unreliable().plan(draw)
    }),
    Scenario::usual(
        "kv-persist-partition-unreliable-linearizable",
        "The same with seven servers and fifteen clients.",
        |draw| One::new(15).crashes().partitions().unreliable().servers(7).plan(draw),
    ),
    Scenario::usual(
        "kv-snapshot-rpc",
        "A server that was away gets a snapshot, and is part of the next majority.",
        snapshot_rpc,
    ),
    Scenario::usual("kv-snapshot-size", "Snapshots and logs stay small while values are overwritten.", |draw| {
        size(draw)
    }),
    Scenario::usual("kv-speed-with-snapshots", "A thousand operations of one client, with snapshots.", |draw| {
        speed(draw, true)
    }),
    Scenario::usual("kv-snapshot-recover", "Restarts, from snapshots; one client.", |draw| {
        One::new(1).crashes().snapshots().plan(draw)
    }),
    Scenario::usual("kv-snapshot-recover-many-clients", "The same with twenty clients.", |draw| {
        One::new(20).crashes().snapshots().plan(draw)
    }),
    Scenario::usual("kv-snapshot-unreliable", "Snapshots over a network that loses messages.", |draw| {
        One::new(5).unreliable().snapshots().plan(draw)
    }),
    Scenario::usual("kv-snapshot-unreliable-recover", "The same with restarts.", |draw| {
        One::new(5).unreliable().snapshots().crashes().plan(draw)
    }),
    Scenario::usual("kv-snapshot-unreliable-recover-partition", "The same with partitions.", |draw| {
        One::new(5).unreliable().snapshots().crashes().partitions().plan(draw)
    }),
    Scenario::usual(
        "kv-snapshot-unreliable-recover-partition-linearizable",
        "The same with seven servers and fifteen clients.",
        |draw| One::new(15).unreliable().snapshots().crashes().partitions().servers(7).plan(draw),
    ),
];

/// Bytes of log above which the service takes a snapshot, where it does.
const SNAPSHOT_BYTES: u32 = 1_000;

/// What the course's tests have in common, and how they differ.
#[derive(Clone, Copy)]
struct One {
    clients: u32,
    /// Operations of each, if it is not as usual.
    ops: Option<u32>,
    servers: u32,
    keys: u64,
    unreliable: bool,
    crashes: bool,
    partitions: bool,
    snapshots: bool,
    overwrites: bool,
}

impl One {
    fn new(clients: u32) -> One {
        One {
            clients,
            ops: None,
            servers: 5,
            keys: 3,
            unreliable: false,
            crashes: false,
            partitions: false,
            snapshots: false,
            overwrites: false,
        }
    }

    fn servers(self, servers: u32) -> One {
        One { servers, ..self }
    }

    fn one_key(self) -> One {
        One { keys: 1, ..self }
    }

    fn unreliable(self) -> One {
        One { unreliable: true, ..self }
    }

    fn crashes(self) -> One {
        One { crashes: true, ..self }
    }

    fn partitions(self) -> One {
        One { partitions: true, ..self }
    }

    fn snapshots(self) -> One {
        One { snapshots: true, ..self }
    }

    fn overwrites(self) -> One {
        One { overwrites: true, ..self }
    }

    /// As in the course, many clients get more done than one, and less where messages are lost. Spread over the time that
    /// the faults take.
    fn load(self) -> Load {
        let all = match (self.clients, self.unreliable) {
            (1, _) => 200,
            (_, false) => 1_400,
            (_, true) => 450,
        };
        let mix = if self.overwrites { Mix { append: 0, put: 700, ..Mix::USUAL } } else { Mix::USUAL };
        let load = Load { keys: self.keys, mix, ..Load::of(self.clients, self.ops.unwrap_or(all / self.clients)) };
        match (self.clients, self.crashes || self.partitions) {
            (1, _) => load,
            (_, faults) => Load { wave: 10, pause: Span::millis(if faults { 400 } else { 100 }), ..load },
        }
    }

    fn plan(self, draw: &mut Draw) -> Plan {
        let mut plan = draw.kv_plan(self.servers);
        if self.unreliable {
            plan.net = unreliable();
        }
        plan.knobs.snapshot_bytes = self.snapshots.then_some(SNAPSHOT_BYTES);
        plan.clients = self.load().draw(draw, 1);
        for _ in 0..3 {
            if self.partitions {
                plan.partition_again(draw, 3);
            } else {
                plan.sleep(ELECTION);
            }
            if self.crashes {
                let power = draw.rng.chance(500_000);
                plan.restart_all(power).sleep(ELECTION);
            }
        }
        plan.await_clients();
        plan
    }
}

/// Bytes that a disk may hold in the end, of more than thirty thousand that were written: as in the course eight times the
/// log's threshold, however much of that is dead by then, and what is written until the next snapshot; and a snapshot
/// of a few keys, with another one that is about to replace it.
const DISK: u64 = 10 * SNAPSHOT_BYTES as u64 + 2 * 500;

fn size(draw: &mut Draw) -> Plan {
    let mut plan = One { ops: Some(600), ..One::new(1) }.snapshots().overwrites().plan(draw);
    plan.then(Step::ExpectDisk { on: Selector::All, at_most: DISK, within: Span::secs(2) });
    plan
}

fn speed(draw: &mut Draw, snapshots: bool) -> Plan {
    let mut plan = draw.plan(3);
    plan.knobs.snapshot_bytes = snapshots.then_some(SNAPSHOT_BYTES);
    let key = |nth| format!("k{}", nth % 3);
    let append = |nth: u32| KvOp::Append { key: key(nth), value: format!("{nth};") };
    let op = |nth| if nth % 4 == 3 { KvOp::Get { key: key(nth) } } else { append(nth) };
    let ops = (0..1_000).map(|nth| Op::Kv { after: Span::ZERO, op: op(nth) }).collect();
    plan.clients = vec![Client { talks_to: Selector::All, from: ELECTION, ops }];
    // The course allows a third of a heartbeat for each.
    plan.then(Step::AwaitClients { within: Span::millis(1_000 + 1_000 * 100 / 3) });
    plan
}

pub(super) fn ask(client: u32, op: KvOp) -> Act {
    Act::Ask { client, op }
}

pub(super) fn put(key: &str, value: &str) -> KvOp {
    KvOp::Put { key: key.into(), value: value.into() }
}

pub(super) fn get(key: &str) -> KvOp {
    KvOp::Get { key: key.into() }
}

/// Clients that wait to be asked; each talks to some servers only.
pub(super) fn idle(talks_to: &[Selector]) -> Vec<Client> {
    talks_to.iter().map(|to| Client { talks_to: to.clone(), from: Span::ZERO, ops: Vec::new() }).collect()
}

pub(in crate::scenario) fn answered(plan: &mut Plan, client: u32, count: u32) {
    let event = Moment::Answered { client, count };
    plan.then(Step::Await { event, within: Span::secs(40), or: Otherwise::Violation });
}

fn one_partition(draw: &mut Draw) -> Plan {
    let mut plan = draw.kv_plan(5);
    plan.clients = idle(&[Selector::All, Selector::s(1).or(Selector::s(2)), Selector::s(3)]);
    plan.act(ask(1, put("1", "13")));
    answered(&mut plan, 1, 1);
    plan.act(Act::Partition(vec![Selector::s(1).or(Selector::s(2))]));
    // Those in the minority get nothing done, and do not know it.
    plan.act(ask(2, put("1", "15"))).act(ask(2, get("1")));
    plan.wait_leader(Selector::s(3).or(Selector::s(4)).or(Selector::s(5)));
    plan.act(ask(3, put("1", "14"))).act(ask(3, get("1")));
    answered(&mut plan, 3, 2);
    plan.sleep(ELECTION).act(Act::Heal).act(ask(1, get("1"))).act(ask(1, put("1", "16"))).act(ask(1, get("1")));
    answered(&mut plan, 1, 4);
    answered(&mut plan, 2, 2);
    plan
}

fn snapshot_rpc(draw: &mut Draw) -> Plan {
    let mut plan = draw.kv_plan(3);
    plan.knobs.snapshot_bytes = Some(SNAPSHOT_BYTES);
    plan.clients = idle(&[Selector::All]);
    plan.act(ask(1, put("a", "A"))).wait_leader(Selector::All);
    answered(&mut plan, 1, 1);
    plan.bind("away", Selector::Followers.any(1)).disconnect(Selector::bound("away"));
    for nth in 0..50 {
        plan.act(ask(1, put(&format!("{nth}"), &format!("{nth}"))));
    }
    plan.act(ask(1, put("b", "B")));
    answered(&mut plan, 1, 52);
    // Now the one that was away must be part of the majority.
    plan.connect(Selector::bound("away")).sleep(ELECTION);
    plan.bind("rest", Selector::bound("away").not().any(1)).disconnect(Selector::bound("rest"));
    plan.act(ask(1, put("c", "C")))
        .act(ask(1, get("a")))
        .act(ask(1, get("b")))
        .act(ask(1, get("1")))
        .act(ask(1, get("49")));
    plan.then(Step::Await {
        event: Moment::Answered { client: 1, count: 57 },
        within: Span::secs(60),
        or: Otherwise::Violation,
    });
    plan.connect(Selector::All);
    plan
}
