//! For each planted bug of sessions and answers, the shortest schedule in which a client sees it.
//!
//! Nothing happens by itself: who leads is told to, and clients do what they are asked for.

use super::super::raft::directed::{MOMENT, s, servers, stage};
use super::load::Load;
use super::usual::{answered, ask, get, idle, put};
use super::{Act, Draw, Plan, Scenario, Selector, Span};
use crate::plan::{KvOp, ReadMode, Step, What};
use crate::raft::Part;
use labrpc::sim::Spread;

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "kv-answer-that-is-lost",
        "The answer to an append is lost, and its client asks again.",
        lost_answer,
    ),
    Scenario::directed(
        "kv-answer-that-is-late",
        "An append is slow to be committed, and its client asks the next leader again meanwhile.",
        late_answer,
    ),
    Scenario::directed(
        "kv-answer-lost-while-others-write",
        "The answer to an append is lost, and others write a lot before its client asks again.",
        others_meanwhile,
    ),
    Scenario::directed("kv-many-small-snapshots", "A snapshot is taken every few writes.", many_snapshots),
    Scenario::directed(
        "kv-writes-at-a-deposed-leader",
        "Several clients write to a leader that nobody follows any more; another leader fills its log.",
        deposed_writes,
    ),
    Scenario::directed(
        "kv-write-at-an-isolated-leader",
        "A client writes to a leader that reaches nobody, and another is elected.",
        isolated_write,
    ),
    Scenario::directed(
        "kv-retries-at-a-slow-leader",
        "Clients ask again sooner than a slow cluster can answer.",
        impatient_clients,
    ),
    Scenario::directed(
        "kv-read-at-a-deposed-leader",
        "A client reads from a leader that was deposed without knowing it.",
        deposed_read,
    ),
    Scenario::directed(
        "kv-read-at-a-leader-that-does-not-know",
        "A new leader has an entry that was acknowledged, does not know that it is committed, and is read from.",
        ignorant_read,
    ),
    Scenario::directed(
        "kv-read-under-a-late-lease",
        "The answers to a leader's heartbeats are late, and another is elected before they come.",
        late_lease,
    ),
];

fn append(key: &str, value: &str) -> KvOp {
    KvOp::Append { key: key.into(), value: value.into() }
}

/// Three servers of which the first leads, and these clients, the first of which has its session.
fn cluster(draw: &mut Draw, clients: &[Selector]) -> Plan {
    let mut plan = stage(draw, 3);
    plan.clients = idle(clients);
    plan.lead(1).act(ask(1, put("k", "0;")));
    answered(&mut plan, 1, 1);
    plan
}

/// The next answer to a client is lost.
fn lose_an_answer(plan: &mut Plan) {
    let (name, parts) = ("lost answer".into(), vec![Part::ClientReply]);
    let (from, to) = (s(1), Selector::All);
    plan.act(Act::Rule { name, from, to, parts, chance: None, skip: 0, take: Some(1), what: What::Drop });
}

fn lost_answer(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[Selector::All]);
    lose_an_answer(&mut plan);
    plan.act(ask(1, append("k", "1;"))).act(ask(1, get("k")));
    answered(&mut plan, 1, 3);
    plan
}

fn late_answer(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[Selector::All]);
    // It is in all logs, and nobody can tell that it is committed.
    plan.hold("late", Part::AppendReply, servers([2, 3]), s(1)).act(ask(1, append("k", "1;"))).sleep(MOMENT);
    plan.disconnect(s(1)).hold("news", Part::Append, s(2), s(3)).lead(2);
    // By then it has asked again, and so stands in the log of the second leader once more.
    plan.sleep(Span::millis(1_500)).release("news").act(ask(1, get("k"))).sleep(Span::secs(1)).act(Act::Heal);
    answered(&mut plan, 1, 3);
    plan
}

fn others_meanwhile(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[Selector::All, Selector::All]);
    plan.act(ask(2, put("other", "0")));
    answered(&mut plan, 2, 1);
    lose_an_answer(&mut plan);
    plan.act(ask(1, append("k", "1;"))).sleep(MOMENT);
    for nth in 1..=15 {
        plan.act(ask(2, put("other", &nth.to_string())));
    }
    plan.act(ask(1, get("k")));
    answered(&mut plan, 1, 3);
    plan
}

fn many_snapshots(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[Selector::All]);
    plan.knobs.snapshot_bytes = Some(100);
    for nth in 0..20 {
        plan.act(ask(1, append("k", &format!("{nth};"))));
    }
    answered(&mut plan, 1, 21);
    plan
}

fn deposed_writes(draw: &mut Draw) -> Plan {
    let rest = servers([2, 3]);
    let mut clients = vec![Selector::All];
    clients.extend([(); 7].map(|()| s(1)));
    clients.extend([rest.clone(), rest]);
    let (of_the_old, of_the_new) = (2..=8, 9..=10);
    let mut plan = cluster(draw, &clients);
    // They wait for their answers until all is over.
    (plan.knobs.client_timeout, plan.knobs.client_patience) = (Span::secs(8), Span::secs(60));
    for client in of_the_old.clone() {
        plan.act(ask(client, put("mine", "0")));
        answered(&mut plan, client, 1);
    }
    plan.sleep(Span::secs(1)).disconnect(s(1));
    for client in of_the_old {
        plan.act(ask(client, append("k", &format!("{client};"))));
    }
    plan.sleep(Span::millis(20)).lead(2);
    for client in of_the_new.clone() {
        plan.act(ask(client, put("other", "1"))).act(ask(client, put("other", "2")));
    }
    for client in of_the_new {
        answered(&mut plan, client, 2);
    }
    plan.connect(s(1)).sleep(Span::secs(40)).act(ask(1, get("k")));
    answered(&mut plan, 1, 2);
    plan
}

fn isolated_write(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[s(1), servers([2, 3])]);
    plan.disconnect(s(1)).act(ask(1, append("k", "1;"))).sleep(MOMENT).lead(2);
    plan.act(ask(2, get("k")));
    answered(&mut plan, 2, 1);
    plan.connect(s(1)).sleep(Span::secs(12)).act(ask(2, get("k")));
    answered(&mut plan, 2, 2);
    plan
}

/// The log takes an entry in about twenty milliseconds, and each client asks again after fifty. Five seconds are enough.
fn impatient_clients(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    (plan.knobs.max_entries, plan.knobs.max_inflight) = (Some(1), 1);
    (plan.knobs.client_timeout, plan.knobs.client_patience) = (Span::millis(200), Span::secs(60));
    plan.net.delay = Spread::millis(8, 12);
    plan.clients = Load { pause: Span::ZERO, ..Load::of(12, 20) }.draw(draw, 1);
    plan.lead(1).then(Step::AwaitClients { within: Span::secs(20) });
    plan
}

fn deposed_read(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[s(1), servers([2, 3])]);
    plan.disconnect(s(1)).lead(2).act(ask(2, put("k", "new;")));
    answered(&mut plan, 2, 1);
    plan.act(ask(1, get("k"))).sleep(Span::secs(1)).connect(s(1));
    answered(&mut plan, 1, 2);
    plan
}

fn ignorant_read(draw: &mut Draw) -> Plan {
    let mut plan = cluster(draw, &[s(1), s(2)]);
    plan.knobs.empty_heartbeats = true;
    plan.sleep(Span::secs(1)).hold("acknowledgements", Part::AppendReply, servers([2, 3]), s(1));
    plan.act(ask(1, append("k", "1;"))).sleep(MOMENT);
    // The first leader will know that it is committed, and tell its client, and nobody else.
    plan.act(Act::Cut { from: s(1), to: servers([2, 3]) }).release("acknowledgements");
    answered(&mut plan, 1, 2);
    // What the second one puts into its log does not come across, and its heartbeats are refused for the lack of it: so it
    // is confirmed as the leader before anything of its own is committed.
    let (name, parts) = ("first append".into(), vec![Part::Append]);
    plan.act(Act::Rule {
        name,
        from: s(2),
        to: s(3),
        parts,
        chance: None,
        skip: 0,
        take: Some(1),
        what: What::Drop,
    });
    plan.act(Act::ClockJump { who: s(2), by: Span::secs(30) }).wait_leader(s(2)).act(ask(2, get("k")));
    answered(&mut plan, 2, 1);
    plan.act(Act::Heal);
    plan
}

/// Who answers the heartbeats takes part in no election for ten seconds after the last one that it has heard, and by
/// then the lease is over. From when the answers come it would last longer than that. The one whose clock is put
/// forward does not answer heartbeats any more; if it did, that alone would break the lease, as jumps of clocks do.
fn late_lease(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.reads = ReadMode::Lease;
    plan.clients = idle(&[s(1), servers([2, 3])]);
    // Nobody votes before that either: a server may have heard a leader just before it restarted.
    plan.sleep(Span::secs(10)).lead(1).act(ask(1, put("k", "old;")));
    answered(&mut plan, 1, 1);
    plan.split(s(1), s(2)).hold("answers", Part::AppendReply, s(3), s(1)).sleep(Span::secs(1));
    plan.act(Act::Cut { from: s(1), to: s(3) }).sleep(Span::secs(5));
    plan.release("answers").act(Act::Cut { from: s(3), to: s(1) }).sleep(Span::millis(4_300));
    plan.act(Act::ClockJump { who: s(2), by: Span::secs(30) });
    // Rarely the other one's own timeout has just passed too, and the votes are split until the next.
    plan.then(Step::WaitLeader { of: servers([2, 3]), within: Span::secs(60) });
    plan.act(ask(2, put("k", "new;")));
    answered(&mut plan, 2, 1);
    plan.act(ask(1, get("k"))).sleep(Span::secs(2)).act(Act::Heal);
    answered(&mut plan, 1, 2);
    plan
}
