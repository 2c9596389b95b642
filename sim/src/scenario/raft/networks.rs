//! Networks and clusters that other ports of the labs left out.

use super::{Demand, Draw, Need, Scenario};
use crate::plan::{Act, Client, Fault, Finale, Op, Plan, Selector, Step, What};
use crate::raft::Part;
use labrpc::NodeId;
use labrpc::sim::{NetWeather, Span, Spread, Tail};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::ours("single-server", "A cluster of one serves, crashes, and serves on.", single_server),
    Scenario::ours(
        "even-clusters",
        "Two or four servers are split into halves, of which neither may do anything.",
        even_clusters,
    ),
    Scenario::ours(
        "one-way-partition",
        "One server can send and not hear, or hear and not send; the others must go on.",
        one_way_partition,
    ),
    Scenario::ours("bridge", "Two pairs of servers can only talk to the fifth, which can talk to all.", bridge),
    Scenario::ours(
        "ring-of-majorities",
        "Each of five servers can talk to its two neighbours only: everybody sees a majority, and no two the same.",
        ring,
    ),
    Scenario::ours(
        "rejoin-quietly",
        "A follower that was away for long comes back; with pre-vote nobody notices.",
        rejoin_quietly,
    ),
    Scenario::ours(
        "dead-minority",
        "A minority dies for good, the leader among it; the rest goes on.",
        dead_minority,
    ),
    Scenario::ours(
        "paused-leader",
        "The leader stands still for longer than an election timeout, and goes on as if nothing was.",
        paused_leader,
    ),
    Scenario::ours("crooked-clocks", "Clocks run at half and at double rate, and jump.", crooked_clocks),
    Scenario::ours(
        "leader-transfer",
        "Leadership is handed over under load, also to a server that lags or is away.",
        leader_transfer,
    )
    .needs(&[Need::Transfer]),
    Scenario::ours(
        "duplicated-messages",
        "One in five messages arrives twice, the second time up to seconds later.",
        duplicated_messages,
    ),
    Scenario::ours(
        "heavy-tails",
        "A few messages take longer than a timeout, than an election, than losing and regaining leadership.",
        heavy_tails,
    ),
    Scenario::ours(
        "bouncing-leadership",
        "Leaders are cut off with commands of their own and come back, over a network with long delays.",
        bouncing_leadership,
    ),
    Scenario::ours(
        "stale-reads",
        "Clients read from leaders that were deposed, or restarted, while others write to their successors.",
        stale_reads,
    )
    .needs(&[Need::Reads]),
];

/// Clients that write, and with `reads` read every third time.
pub(super) fn load(draw: &mut Draw, count: u32, ops: u32, talks_to: Selector, reads: bool) -> Vec<Client> {
    clients_of(draw, count, ops, Span::millis(60), talks_to, reads)
}

/// The same with reads, and with pauses of so long at most.
pub(in crate::scenario) fn load_with(
    draw: &mut Draw,
    count: u32,
    ops: u32,
    pause: Span,
    talks_to: Selector,
) -> Vec<Client> {
    clients_of(draw, count, ops, pause, talks_to, true)
}

fn clients_of(draw: &mut Draw, count: u32, ops: u32, pause: Span, talks_to: Selector, reads: bool) -> Vec<Client> {
    let reads = reads && draw.abilities.reads;
    let longest = pause.0.as_micros() as u64;
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut list = Vec::new();
        for n in 0..ops {
            let after = Span::micros(draw.rng.within(1_000..=longest));
            list.push(if reads && n % 3 == 2 { Op::Read { after } } else { Op::Write { after, size: 16 } });
        }
        clients.push(Client { talks_to: talks_to.clone(), from: Span::ZERO, ops: list });
    }
    clients
}

/// The finale in which a majority, drawn by the seed, must do on its own first.
pub(super) fn with_core(plan: &Plan) -> Finale {
    Finale { core: Some(Selector::All.any(plan.majority())), ..Finale::default() }
}

fn single_server(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_snapshots(1);
    plan.agree_on(5, 16, Selector::All);
    for power in [false, true] {
        plan.act(Act::Crash { who: Selector::All, power }).restart(Selector::All).agree_on(5, 16, Selector::All);
    }
    plan
}

fn even_clusters(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[2, 4]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.clients = load(draw, 3, 30, Selector::All, true);
    let half = Selector::bound("half");
    plan.agree(Selector::All).bind("half", Selector::All.any(servers / 2));
    plan.act(Act::Partition(vec![half.clone()])).propose(Selector::Up, 2, "split").sleep(Span::secs(3));
    plan.act(Act::Heal).agree(Selector::All).agree(Selector::All);
    // An even cluster needs one more than half of it.
    plan.bind("away", Selector::All.any(servers / 2)).crash(Selector::bound("away"));
    plan.sleep(Span::secs(1)).propose(Selector::Up, 1, "too-few").sleep(Span::secs(1));
    plan.restart(Selector::All).agree(Selector::All);
    plan
}

fn one_way_partition(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    let victim = Selector::bound("victim");
    let who = if draw.rng.chance(500_000) { Selector::Leader } else { Selector::Followers.any(1) };
    let rest = victim.clone().not();
    plan.agree(Selector::All).wait_leader(Selector::All).bind("victim", who);
    let is_deaf = draw.rng.chance(500_000);
    let (from, to) = if is_deaf { (rest.clone(), victim.clone()) } else { (victim.clone(), rest.clone()) };
    plan.act(Act::Cut { from, to }).propose(Selector::Leader, 3, "during");
    // One that cannot hear goes on sending heartbeats, and one that cannot send goes on as a follower.
    plan.sleep(Span::secs(2));
    let agree = Step::Agree { count: 3, size: 16, via: rest.clone(), on: rest, within: Span::secs(20) };
    plan.demand(Demand::ProgressUnderPartialCuts, agree);
    plan.sleep(Span::secs(1)).act(Act::Heal).agree(Selector::All);
    plan
}

fn bridge(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    let middle = Selector::bound("middle");
    plan.agree(Selector::All).wait_leader(Selector::All);
    plan.bind("middle", Selector::All.any(1)).bind("left", middle.clone().not().any(2));
    let left = Selector::bound("left");
    plan.bind("right", left.clone().or(middle.clone()).not());
    let right = Selector::bound("right");
    plan.act(Act::Cut { from: left.clone(), to: right.clone() }).act(Act::Cut { from: right, to: left });
    // Whoever leads reaches a majority, and the middle is in it.
    let agree = Step::Agree { count: 10, size: 16, via: Selector::All, on: middle, within: Span::secs(20) };
    plan.demand(Demand::ProgressUnderPartialCuts, agree);
    plan.sleep(Span::secs(3)).act(Act::Heal).agree(Selector::All);
    plan
}

fn ring(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    plan.agree(Selector::All).wait_leader(Selector::All);
    for n in 1..=5u32 {
        let opposite = [(n + 1) % 5 + 1, (n + 2) % 5 + 1].map(Selector::s);
        for other in opposite {
            plan.act(Act::Cut { from: Selector::s(n), to: other });
        }
    }
    // The leader reaches its two neighbours, which is enough.
    let agree =
        Step::Agree { count: 10, size: 16, via: Selector::All, on: Selector::Leader, within: Span::secs(20) };
    plan.demand(Demand::ProgressUnderPartialCuts, agree);
    plan.sleep(Span::secs(3)).act(Act::Heal).agree(Selector::All);
    plan
}

fn rejoin_quietly(draw: &mut Draw) -> Plan {
    let mut plan = draw.plan_with_knobs(5);
    let away = Selector::bound("away");
    plan.agree(Selector::All).wait_leader(Selector::All).bind("away", Selector::Followers.any(2));
    plan.disconnect(away.clone()).sleep(Span::secs(5)).agree_among(5, away.clone().not());
    plan.connect(away.clone());
    if plan.knobs.pre_vote {
        // Their terms have not moved, so nobody has a reason to step down.
        plan.then(Step::ExpectStableTerm { span: Span::secs(3) });
    }
    plan.agree(Selector::All);
    plan
}

fn dead_minority(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5, 7]);
    let mut plan = draw.plan_with_knobs(servers);
    let minority = servers - plan.majority();
    plan.clients = load(draw, 3, 60, Selector::All, true);
    plan.agree(Selector::All).wait_leader(Selector::All);
    let first = Selector::bound("first");
    plan.bind("first", Selector::Leader).propose(first.clone(), 2, "last-words");
    plan.bind("dead", first.clone().or(first.not().any(minority - 1)));
    let dead = Selector::bound("dead");
    let power = draw.rng.chance(500_000);
    plan.act(Act::Crash { who: dead.clone(), power }).agree_among(5, dead.clone().not());
    plan.sleep(Span::secs(3)).agree_among(5, dead.not());
    // They stay dead to the end.
    plan.finale = Finale { core: Some(Selector::Up), converge: false, serve: false, ..Finale::default() };
    plan
}

fn paused_leader(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.clients = load(draw, 4, 80, Selector::All, true);
    let leader = Selector::bound("leader");
    plan.agree(Selector::All);
    for _ in 0..4 {
        let pause = Span::millis(draw.rng.within(100..=4_000));
        plan.wait_leader(Selector::All).bind("leader", Selector::Leader).act(Act::Pause(leader.clone()));
        plan.sleep(pause).act(Act::Resume(leader.clone())).sleep(Span::millis(300));
    }
    plan.agree(Selector::All);
    plan
}

fn crooked_clocks(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    // Within a factor of four: the slowest leader's heartbeats still reach the fastest follower in time.
    for node in 1..=servers {
        let ppm = *draw.rng.pick(&[500_000, 800_000, 1_000_000, 1_250_000, 2_000_000]);
        plan.clocks.push((NodeId(node), ppm as u32));
    }
    plan.knobs.heartbeat = Span(plan.knobs.heartbeat.0 / 2);
    plan.clients = load(draw, 4, 80, Selector::All, true);
    plan.agree(Selector::All);
    for _ in 0..5 {
        let by = Span::millis(draw.rng.within(50..=2_000));
        plan.sleep(Span::secs(1)).act(Act::ClockJump { who: Selector::All.any(1), by });
    }
    plan.agree(Selector::All);
    plan
}

fn leader_transfer(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    plan.clients = load(draw, 3, 60, Selector::All, true);
    let away = Selector::bound("away");
    plan.agree(Selector::All).bind("away", Selector::None);
    for round in 0..8 {
        plan.wait_leader(Selector::All);
        if round % 3 == 1 {
            // To one that lags, and to one that is not there at all.
            plan.bind("away", Selector::Followers.any(1)).disconnect(away.clone());
            plan.propose(Selector::Leader, 20, "ahead").sleep(Span::millis(100));
            plan.act(Act::Transfer { to: away.clone() }).sleep(Span::millis(100)).connect(away.clone());
        } else {
            plan.act(Act::Transfer { to: Selector::Followers.any(1) });
        }
        plan.sleep(Span::millis(draw.rng.within(0..=800)));
    }
    plan.agree(Selector::All);
    plan
}

fn duplicated_messages(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_snapshots(servers);
    let late = |ppm, from, to| Tail { ppm, delay: Spread::millis(from, to) };
    plan.net = NetWeather {
        duplicate: 200_000,
        drop: *draw.rng.pick(&[0, 20_000]),
        tails: vec![late(50_000, 50, 300), late(20_000, 300, 1_000), late(5_000, 1_000, 5_000)],
        ..NetWeather::default()
    };
    plan.clients = load(draw, 4, 60, Selector::All, true);
    plan.faults = comings_and_goings(draw, 10, Span::secs(1));
    plan.sleep(Span::secs(10));
    plan.finale = with_core(&plan);
    plan
}

/// A leader is cut off, or crashes, and comes back: again and again.
pub(super) fn comings_and_goings(draw: &mut Draw, rounds: u32, every: Span) -> Vec<Fault> {
    let mut faults = Vec::new();
    let every = every.nanos() / 1_000;
    for round in 0..rounds {
        let at = u64::from(round) * every + draw.rng.below(every);
        let who = draw.rng.pick(&[Selector::Leader, Selector::Followers.any(1), Selector::MostDivergent]).clone();
        let back = at + draw.rng.below(every);
        let (out, again) = match draw.rng.below(3) {
            0 => (Act::Disconnect(who), Act::Heal),
            1 => (Act::Crash { who, power: false }, Act::Restart(Selector::All)),
            _ => (Act::Crash { who, power: true }, Act::Restart(Selector::All)),
        };
        faults.push(Fault { at: Span::micros(at), act: out });
        faults.push(Fault { at: Span::micros(back), act: again });
    }
    faults
}

fn heavy_tails(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    let tail = |ppm, from, to| Tail { ppm, delay: Spread::millis(from, to) };
    plan.net = NetWeather {
        delay: Spread::of(Span::micros(200), Span::millis(*draw.rng.pick(&[2, 20]))),
        drop: *draw.rng.pick(&[0, 10_000, 100_000]),
        tails: vec![tail(10_000, 50, 300), tail(10_000, 300, 1_000), tail(10_000, 1_000, 10_000)],
        ..NetWeather::default()
    };
    plan.clients = load(draw, 4, 80, Selector::All, true);
    plan.faults = comings_and_goings(draw, 12, Span::secs(1));
    plan.sleep(Span::secs(12));
    plan.finale = with_core(&plan);
    plan
}

fn bouncing_leadership(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.net.tails = vec![
        Tail { ppm: 30_000, delay: Spread::millis(300, 1_000) },
        Tail { ppm: 30_000, delay: Spread::millis(1_000, 4_000) },
    ];
    plan.clients = load(draw, 2, 40, Selector::All, true);
    plan.agree(Selector::All).wait_leader(Selector::All);
    let (one, two) = (Selector::bound("one"), Selector::bound("two"));
    for _ in 0..4 {
        // One leads and is cut off with commands of its own; another takes over; the first comes back and, where
        // it can, leads again.
        plan.bind("one", Selector::Leader).propose(one.clone(), 3, "own").disconnect(one.clone());
        plan.propose(one.clone(), 3, "own");
        plan.then(Step::Await {
            event: crate::plan::Moment::LeaderAmong(one.clone().not()),
            within: Span::secs(8),
            or: crate::plan::Otherwise::GoOn,
        });
        plan.bind("two", Selector::Leader)
            .propose(two.clone(), 2, "own")
            .sleep(Span::millis(draw.rng.within(5..=400)));
        plan.connect(one.clone()).disconnect(two.clone()).sleep(Span::millis(draw.rng.within(200..=1_500)));
        plan.connect(two.clone()).sleep(Span::millis(draw.rng.within(100..=1_000)));
    }
    plan.finale = with_core(&plan);
    plan
}

fn stale_reads(draw: &mut Draw) -> Plan {
    let servers = *draw.rng.pick(&[3, 5]);
    let mut plan = draw.plan_with_knobs(servers);
    plan.clients = load(draw, 4, 100, Selector::All, true);
    // Some clients only ever see one server, whichever side it is on.
    for node in 1..=servers.min(3) {
        plan.clients.extend(load(draw, 1, 60, Selector::s(node), true));
    }
    plan.agree(Selector::All);
    let old = Selector::bound("old");
    for _ in 0..5 {
        if draw.rng.chance(500_000) {
            leads_again(draw, &mut plan);
        }
        plan.wait_leader(Selector::All).bind("old", Selector::Leader);
        let cut = if draw.rng.chance(500_000) {
            Act::Disconnect(old.clone())
        } else {
            Act::Cut { from: Selector::All, to: old.clone() }
        };
        plan.act(cut);
        for _ in 0..10 {
            plan.act(Act::Read { from: Selector::All }).sleep(Span::millis(draw.rng.within(10..=150)));
        }
        plan.connect(old.clone()).act(Act::Heal).sleep(Span::millis(draw.rng.within(50..=500)));
        plan.act(Act::Read { from: Selector::All });
    }
    plan
}

/// A leader restarts and leads again, while appends that its first life sent for reads are still on their way.
fn leads_again(draw: &mut Draw, plan: &mut Plan) {
    let again = Selector::bound("again");
    plan.wait_leader(Selector::All).bind("again", Selector::Leader).act(Act::Rule {
        name: "slow".into(),
        from: again.clone(),
        to: Selector::All,
        parts: vec![Part::Append],
        chance: Some(300_000),
        skip: 0,
        take: None,
        what: What::Delay(Spread::millis(200, 1_500)),
    });
    for _ in 0..3 {
        plan.act(Act::Read { from: again.clone() }).sleep(Span::millis(draw.rng.within(1..=30)));
    }
    plan.act(Act::Unrule("slow".into())).crash(again.clone()).restart(again.clone());
    plan.sleep(Span::millis(draw.rng.within(5..=50))).act(Act::ClockJump { who: again, by: Span::secs(3) });
    plan.sleep(Span::millis(draw.rng.within(50..=500)));
}
