//! The swarm: each seed draws which faults, nemeses, knobs, sizes and loads there are at all.
//!
//! A run that has everything hides much: where every message is late nobody notices one that is, and where leaders die all the
//! time no log grows long. So each family is there or not, and what is there may go to its limits (Groce and others, *Swarm
//! Testing*). The limits are stated here: within them a run that makes no progress in its finale is a bug and not bad luck.
//! `Plan::drawn` says in words what a seed has drawn.

use super::kv::load::{Load, Mix};
use super::nemesis::{self, Nemesis, On};
use super::raft::{Draw, chaos, membership};
use super::shard::idle;
use super::{Group, Scenario, Suite};
use crate::plan::{Act, Fault, KvOp, Plan, ReadMode, Selector};
use labrpc::sim::{DiskWeather, NetWeather, Span, Spread};

/// Of a Raft.
pub const RAFT: &[Scenario] =
    &[Scenario::swarm("swarm", "What the seed draws, of everything that there is.", raft)];
/// Of a key/value service.
pub const KV: &[Scenario] = &[Scenario::swarm("kv-swarm", "What the seed draws, of everything that there is.", kv)];
/// Of a shard controller.
pub const MASTER: &[Scenario] =
    &[Scenario::swarm("master-swarm", "What the seed draws, of everything that there is.", master)];
/// Of a sharded store.
pub const SHARDS: &[Scenario] =
    &[Scenario::swarm("shard-swarm", "What the seed draws, of everything that there is.", shards)];

/// How long the faults last.
pub(crate) const LASTS: Span = Span::secs(20);
/// Operations of each client, and the longest pause in front of a wave: so that they have something to do all the time.
const OPS: u32 = 100;
const PAUSE: Span = Span::millis(360);

fn raft(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[5, 5, 5, 5, 5, 7, 4, 3]);
    let mut plan = draw.plan_with_drawn_knobs(servers);
    if draw.abilities.snapshots && draw.rng.chance(600_000) {
        plan.knobs = plan.knobs.draw_snapshots(&mut draw.rng);
    }
    let clients = draw.rng.within(5..=6) as u32;
    plan.clients = chaos::load(draw, clients, OPS, PAUSE, Selector::All);
    plan.clients.extend(chaos::load(draw, 1, OPS, PAUSE, Selector::s(1)));
    let clients = plan.clients.len();
    say(&mut plan, format!("{servers} servers, {clients} clients"));
    let mut plan = faults(draw, plan, &[On::Raft]);
    if draw.abilities.membership && draw.rng.chance(200_000) {
        membership::with_wishes(draw, &mut plan, LASTS);
        plan.finale.core = plan.core_of_each();
        let voters = plan.voters.unwrap_or_default();
        say(&mut plan, format!("membership: {voters} of them at first, then whoever is wanted"));
    }
    plan
}

fn kv(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[5, 5, 5, 5, 5, 7, 4, 3]);
    let mut plan = service(draw, servers);
    plan.knobs.reads = *draw.rng.pick(&[ReadMode::Index, ReadMode::Index, ReadMode::Log]);
    work(draw, &mut plan, 0);
    faults(draw, plan, &[On::Raft, On::Service])
}

fn shards(draw: &mut Draw) -> Plan {
    let mut plan = service(draw, 3);
    plan.groups = *draw.rng.pick(&[3, 3, 3, 4]);
    plan.knobs.shards = *draw.rng.pick(&[10, 10, 4, 16]);
    plan.knobs.piece = *draw.rng.pick(&[200, 200, 50, 2_000]);
    plan.clients = vec![idle(Selector::All)];
    let groups: Vec<u32> = (2..=plan.groups).collect();
    let (first, rest) = groups.split_at(draw.rng.within(1..=groups.len() as u64) as usize);
    plan.ask_at(Span::ZERO, KvOp::Join { groups: first.to_vec() });
    if !rest.is_empty() {
        let at = Span::micros(draw.rng.below(10_000_000));
        plan.ask_at(at, KvOp::Join { groups: rest.to_vec() });
    }
    let drawn = format!("{} groups behind the controller, {} shards", plan.groups - 1, plan.knobs.shards);
    say(&mut plan, drawn);
    work(draw, &mut plan, 1);
    faults(draw, plan, &[On::Raft, On::Service, On::Shards])
}

fn master(draw: &mut Draw) -> Plan {
    let mut plan = service(draw, 5);
    plan.clients = super::shard::controller_clients(draw, 5, OPS, PAUSE);
    let clients = plan.clients.len();
    say(&mut plan, format!("5 servers, {clients} clients"));
    faults(draw, plan, &[On::Raft])
}

/// A service with a state of its own.
fn service(draw: &mut Draw, servers: u32) -> Plan {
    let mut plan = draw.plan_with_drawn_knobs(servers);
    plan.knobs.snapshot_every = None;
    plan.knobs.snapshot_bytes = *draw.rng.pick(&[None, Some(200), Some(1_000), Some(4_000)]);
    plan.knobs.client_patience = *draw.rng.pick(&[Span::secs(8), Span::secs(8), Span::secs(1)]);
    plan
}

/// Clients of a store, behind so many that are there already.
fn work(draw: &mut Draw, plan: &mut Plan, before: usize) {
    let mix = *draw.rng.pick(&[Mix::USUAL, Mix::ALL, Mix::ALL, Mix::READS]);
    let keys = if plan.groups > 1 { 20 } else { *draw.rng.pick(&[1, 3, 3, 6]) };
    let wave = *draw.rng.pick(&[1, 1, 5, 20]);
    let pause = Span(PAUSE.0 * wave);
    let clients = draw.rng.within(5..=6) as u32;
    let load = Load { keys, mix, pause, wave, ..Load::of(clients, OPS) };
    plan.clients.extend(load.draw(draw, before + 1));
    let mut pinned = 0;
    if plan.groups == 1 {
        // Whichever side of a partition it is on.
        pinned = draw.rng.below(3) as u32;
        for node in 1..=pinned.min(plan.servers) {
            let own = Load { clients: 1, talks_to: Selector::s(node), ..load.clone() };
            let first = plan.clients.len() + 1;
            plan.clients.extend(own.draw(draw, first));
        }
    }
    let servers = plan.servers;
    say(
        plan,
        format!(
            "{servers} servers each, {clients} clients and {pinned} that know one server, {keys} keys, waves of {wave}"
        ),
    );
}

fn say(plan: &mut Plan, what: String) {
    plan.drawn.push(what);
}

/// Weather, families of faults and nemeses, as the seed has them.
fn faults(draw: &mut Draw, mut plan: Plan, on: &[On]) -> Plan {
    if draw.rng.chance(600_000) {
        plan.net = chaos::net(draw);
        let NetWeather { delay, drop, duplicate, ref tails, bandwidth, .. } = plan.net;
        let tails = if tails.is_empty() { "no" } else { "some" };
        let band = bandwidth.map_or("unlimited".into(), |rate| format!("{rate} bytes/s"));
        let lost = format!("{} % lost, {} % twice", drop / 10_000, duplicate / 10_000);
        say(&mut plan, format!("network: {} to {}, {lost}, {tails} long delays, {band}", delay.min, delay.max));
    }
    if draw.rng.chance(600_000) {
        plan.disk = chaos::disk(draw);
        let DiskWeather { write, sync, tear, .. } = plan.disk;
        say(&mut plan, format!("disk: writes to {}, syncs to {}, {} % torn", write.max, sync.max, tear / 10_000));
    }
    if draw.rng.chance(300_000) {
        for node in plan.all_servers() {
            plan.clocks.push((node, draw.rng.within(700_000..=1_500_000) as u32));
        }
        say(&mut plan, "clocks: at 0.7 to 1.5 of the true rate".into());
    }
    let usable: Vec<&Nemesis> = nemesis::ALL.iter().filter(|one| on.contains(&one.on)).collect();
    let usable: Vec<&Nemesis> = usable.into_iter().filter(|one| !one.aims || draw.knows_requests()).collect();
    let mut drawn: Vec<&Nemesis> = usable.iter().copied().filter(|_| draw.rng.chance(180_000)).collect();
    if drawn.is_empty() && draw.rng.chance(700_000) {
        drawn.push(*draw.rng.pick(&usable));
    }
    for one in &drawn {
        (one.set)(draw, &mut plan, LASTS);
        say(&mut plan, format!("nemesis {}: {}", one.name, one.about));
    }
    // Leases are safe where clocks are as far apart as they allow for, and never jump.
    let leases = plan.knobs.reads == ReadMode::Lease;
    for (name, family) in chaos::FAMILIES {
        let jumps = *name == "clock jumps";
        if draw.rng.chance(250_000) && !(leases && jumps) {
            chaos::set(draw, &mut plan, *family, LASTS);
            say(&mut plan, format!("faults: {name}"));
        }
    }
    if draw.rng.chance(200_000) {
        failing_disks(draw, &mut plan);
        say(&mut plan, "faults: disks that fail".into());
    }
    if draw.rng.chance(150_000) {
        busy_servers(draw, &mut plan);
        say(&mut plan, "faults: servers that take their time".into());
    }
    // What keeps a state of its own applies entries as it pleases.
    if !draw.abilities.own_state && draw.rng.chance(300_000) {
        slow_services(draw, &mut plan);
        say(&mut plan, "faults: services that are slow".into());
    }
    plan.sleep(LASTS);
    plan.finale.core = plan.core_of_each();
    plan
}

/// Now and then a service takes longer to apply entries than they take to come, and snapshots overtake it.
fn slow_services(draw: &mut Draw, plan: &mut Plan) {
    let mut at = draw.rng.within(100_000..=3_000_000);
    while at < LASTS.0.as_micros() as u64 {
        let who = draw.rng.pick(&[Selector::Followers.any(1), Selector::All.any(1), Selector::Leader]).clone();
        let lag = Spread::of(Span::millis(10), Span::millis(draw.rng.within(20..=200)));
        let mut fast = at + draw.rng.within(500_000..=4_000_000);
        let name = format!("slow {}", plan.faults.len());
        let slow = Selector::bound(&name);
        plan.faults.push(Fault { at: Span::micros(at), act: Act::Bind { name, who } });
        plan.faults.push(Fault { at: Span::micros(at), act: Act::SlowService { who: slow.clone(), lag } });
        if draw.rng.chance(500_000) {
            // It has some to apply when it is cut off, and still when it is back and is sent a snapshot.
            let leaves = at + draw.rng.within(100_000..=1_000_000);
            let back = leaves + draw.rng.within(300_000..=1_500_000);
            plan.faults.push(Fault { at: Span::micros(leaves), act: Act::Disconnect(slow.clone()) });
            plan.faults.push(Fault { at: Span::micros(back), act: Act::Connect(slow) });
            fast = fast.max(back + 500_000);
        }
        let act = Act::SlowService { who: Selector::All, lag: plan.knobs.apply_lag };
        plan.faults.push(Fault { at: Span::micros(fast), act });
        at = fast + draw.rng.within(100_000..=2_000_000);
    }
}

/// Now and then a disk fails or is full. Its server stops, and starts again when the disk is well.
fn failing_disks(draw: &mut Draw, plan: &mut Plan) {
    let mut at = draw.rng.within(500_000..=4_000_000);
    while at < LASTS.0.as_micros() as u64 {
        let weather = match draw.rng.below(3) {
            0 => DiskWeather { write_error: 300_000, ..plan.disk.clone() },
            1 => DiskWeather { sync_error: 300_000, ..plan.disk.clone() },
            _ => DiskWeather { capacity: Some(draw.rng.within(100..=20_000)), ..plan.disk.clone() },
        };
        let who = draw.rng.pick(&[Selector::Leader, Selector::All.any(1)]).clone();
        let well = at + draw.rng.within(100_000..=3_000_000);
        let acts = [
            (at, Act::Disk { who, weather }),
            (well, Act::Disk { who: Selector::All, weather: plan.disk.clone() }),
            (well + 10_000, Act::Restart(Selector::All)),
        ];
        plan.faults.extend(acts.map(|(at, act)| Fault { at: Span::micros(at), act }));
        at = well + draw.rng.within(500_000..=5_000_000);
    }
}

/// Servers take one message after the other, and some time for each: all of them, or one.
fn busy_servers(draw: &mut Draw, plan: &mut Plan) {
    let who = draw.rng.pick(&[Selector::All, Selector::All.any(1), Selector::s(1)]).clone();
    let each = Span::micros(draw.rng.within(50..=1_000));
    plan.faults.push(Fault { at: Span::micros(1), act: Act::Busy { who, each, parts: Vec::new() } });
}

/// After a change: takes out again what would break the limits, and makes the demands that fit the knobs.
pub(crate) fn keep_fair(plan: &mut Plan) {
    if plan.knobs.reads == ReadMode::Lease {
        plan.faults.retain(|fault| !matches!(fault.act, Act::ClockJump { .. }));
    }
    match plan.voters {
        None => plan.faults.retain(|fault| !matches!(fault.act, Act::Reconfigure { .. })),
        Some(_) => membership::keep_fair(plan),
    }
    plan.finale.core = plan.core_of_each();
    plan.finale.converge = true;
    plan.waived.clear();
    super::raft::waive(plan);
}

/// A plan with one nemesis and nothing else, in calm weather; for those who want to see what it alone can do. None: there is no
/// nemesis of that name, or it is none for such a suite.
pub fn alone(suite: &Suite, nemesis: &str, seed: u64) -> Option<Plan> {
    let swarm = suite.scenarios.iter().find(|scenario| scenario.group == Group::Swarm)?;
    let nemesis = nemesis::ALL.iter().find(|one| one.name == nemesis)?;
    let mut plan = suite.plan(swarm, seed, None);
    let fits = match nemesis.on {
        On::Raft => true,
        On::Service => suite.system.kv().is_some() && plan.groups == 1,
        On::Shards => plan.groups > 1,
    };
    if !fits {
        return None;
    }
    let calm = Plan::default();
    plan.voters = None;
    (plan.net, plan.disk, plan.clocks, plan.triggers) = (calm.net, calm.disk, calm.clocks, calm.triggers);
    // What the controller is asked for at first is no fault.
    plan.faults.retain(|fault| matches!(&fault.act, Act::Ask { op: KvOp::Join { .. }, .. }) && plan.groups > 1);
    plan.drawn = vec![format!("nemesis {}: {}", nemesis.name, nemesis.about)];
    let mut draw = Draw::new(swarm.name, seed, &*suite.system);
    (nemesis.set)(&mut draw, &mut plan, LASTS);
    Some(plan)
}

/// The names of all nemeses, and what each does.
pub fn nemeses() -> impl Iterator<Item = (&'static str, &'static str)> {
    nemesis::ALL.iter().map(|one| (one.name, one.about))
}
