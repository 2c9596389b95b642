//! Several groups in one world: each is judged by itself, none is mistaken for another, and what is wrong in one of them
//! is seen and said to be there.

mod groups {
    pub mod system;
}

use groups::system::{Flaw, Groups};
use labrpc::sim::{NetWeather, Span};
use labrpc::{NodeId, Rng};
use shardlab::kvraft::lab::ShardlabKv;
use shardlab::raft::lab::ShardlabRaft;
use shardlab::rsm::lab::Lab;
use sim::lab::{Record, Report};
use sim::oracle::{MARKS, Mark};
use sim::plan::{Act, Client, Fault, Finale, Knobs, KvOp, Moment, Op, Otherwise, Plan, Selector, Step};
use sim::testing::run_watched;

const GROUPS: u32 = 3;
const SERVERS: u32 = 3;

fn plan(name: &str, seed: u64) -> Plan {
    Plan { groups: GROUPS, ..Plan::new(name, seed, SERVERS) }
}

fn run(plan: &Plan, flaw: Flaw) -> Report {
    assert_eq!(plan.check(), Ok(()));
    run_watched(&Groups::of(ShardlabRaft, flaw), plan, Record::Nothing)
}

/// The plan is green, and everything in it comes about.
fn passes(plan: &Plan) -> Report {
    let report = run(plan, Flaw::None);
    if let Some(violation) = report.violation() {
        panic!("{} {}: {} {}", plan.scenario, plan.seed, violation.check, violation.detail);
    }
    assert_eq!((&report.unmet[..], &report.not_checked[..]), (&[][..], &[][..]), "{} {}", plan.scenario, plan.seed);
    report
}

/// By which check the flaw is seen, and in which words.
fn seen(plan: &Plan, flaw: Flaw) -> (String, String) {
    let report = run(plan, flaw);
    let violation = report.violation().unwrap_or_else(|| panic!("{flaw:?} is not seen"));
    (violation.check.clone(), violation.detail.clone())
}

fn everybody() -> Selector {
    Selector::All
}

fn leader_of(group: u32) -> Selector {
    Selector::Group(group).and(Selector::Leader)
}

fn client(rng: &mut Rng, talks_to: Selector) -> Client {
    let mut op = || {
        let after = Span::millis(rng.within(20..=200));
        if rng.chance(200_000) { Op::Read { after } } else { Op::Write { after, size: 40 } }
    };
    Client { talks_to, from: Span::ZERO, ops: (0..60).map(|_| op()).collect() }
}

/// How long the faults last.
const DURATION: u64 = 8_000;

/// A fault and what undoes it, in a group or in whatever group it strikes.
fn fault(rng: &mut Rng) -> (Act, Option<Act>) {
    let group = Selector::Group(rng.within(1..=u64::from(GROUPS)) as u32);
    let leader = group.clone().and(Selector::Leader);
    let one = group.clone().any(1);
    match rng.below(8) {
        0 => (Act::Crash { who: leader, power: true }, Some(Act::Restart(everybody()))),
        1 => (Act::Crash { who: group, power: true }, Some(Act::KeepUp { at_least: SERVERS })),
        2 => (Act::Crash { who: everybody().any(4), power: false }, Some(Act::Restart(everybody()))),
        3 => (Act::Disconnect(leader), Some(Act::KeepConnected { at_least: SERVERS })),
        4 => (Act::Partition(vec![one.or(Selector::Leader)]), Some(Act::Heal)),
        5 => (Act::Disconnect(Selector::MostDivergent), Some(Act::Connect(everybody()))),
        6 => (Act::Transfer { to: Selector::Followers }, None),
        _ => (Act::Pause(Selector::Behind), Some(Act::Resume(everybody()))),
    }
}

/// Crashes, partitions and clients in all groups.
fn chaos(seed: u64) -> Plan {
    let mut plan = plan("chaos-of-groups", seed);
    let mut rng = Plan::rng(&plan.scenario, seed);
    plan.knobs = Knobs { check_quorum: rng.chance(500_000), ..Knobs::default() };
    if rng.chance(500_000) {
        plan.knobs = plan.knobs.draw_snapshots(&mut rng);
    }
    plan.net = NetWeather { drop: 20_000, duplicate: 20_000, ..NetWeather::default() };
    plan.clients = (1..=GROUPS).map(|group| client(&mut rng, Selector::Group(group))).collect();
    plan.clients.push(client(&mut rng, everybody()));
    let mut at = 500;
    while at < DURATION {
        let (act, undo) = fault(&mut rng);
        plan.faults.push(Fault { at: Span::millis(at), act });
        plan.faults.extend(undo.map(|act| Fault { at: Span::millis(at + rng.within(100..=1_500)), act }));
        at += rng.within(200..=1_000);
    }
    plan.sleep(Span::millis(DURATION));
    plan.finale = Finale { core: Some(plan.majority_of_each()), ..Finale::default() };
    plan
}

#[test]
fn groups_bear_crashes_and_partitions_side_by_side() {
    let mut marks = vec![0; MARKS.len()];
    for seed in 0..20 {
        let report = passes(&chaos(seed));
        // A command a client and operation, in three groups, and what is demanded in the end.
        assert!(report.commits > 60, "seed {seed}: {} entries", report.commits);
        marks.iter_mut().zip(&report.marks).for_each(|(sum, count)| *sum += count);
    }
    for mark in [Mark::LeaderDeposed, Mark::ConflictTruncated, Mark::SnapshotSent, Mark::ReadConfirmed] {
        assert!(marks[mark as usize] > 0, "{mark:?} is not reached");
    }
    assert!(marks[Mark::Elected as usize] >= 20 * GROUPS);
}

#[test]
fn a_run_of_several_groups_is_the_same_when_it_is_written_down() {
    let plan = chaos(1);
    let recorded = run_watched(&Groups::of(ShardlabRaft, Flaw::None), &plan, Record::Everything);
    assert_eq!(recorded.digest, run(&plan, Flaw::None).digest);
    assert_eq!(recorded.servers, GROUPS * SERVERS);
    for group in 1..=GROUPS {
        let of_group = |node: Option<NodeId>| node.is_some_and(|node| plan.group_of(node) == Some(group));
        let leads = |line: &&sim::lab::Line| of_group(line.node) && line.text.starts_with("LEADER of");
        assert!(recorded.trace.iter().filter(leads).count() > 0, "group {group} has a leader");
    }
}

/// Steps and selectors mean each group.
#[test]
fn a_script_speaks_of_groups() {
    let mut plan = plan("script-of-groups", 1);
    plan.wait_leader(everybody()).agree(everybody());
    // One leader of three is cut off: its group elects another, and the others need not.
    plan.bind("old", leader_of(2)).disconnect(Selector::bound("old")).propose(Selector::bound("old"), 2, "lost");
    plan.then(Step::Await {
        event: Moment::Stored { tag: "lost".into(), on: Selector::bound("old") },
        within: Span::secs(2),
        or: Otherwise::Violation,
    });
    plan.wait_leader(Selector::bound("old").not()).agree(Selector::bound("old").not());
    // Its log leads away from what its own group has committed, and it is the only one in its group.
    plan.bind("divergent", Selector::Group(2).and(Selector::MostDivergent));
    plan.act(Act::Connect(Selector::bound("divergent"))).agree(everybody());
    plan.then(Step::ExpectNone { tag: "lost".into() });
    // In a group that is cut in pieces nobody leads after a while; in the others they do.
    plan.disconnect(Selector::Group(3)).propose(Selector::Group(1), 1, "kept");
    plan.then(Step::ExpectCommitted { tag: "kept".into(), on: everybody(), within: Span::secs(2) });
    plan.knobs.check_quorum = true;
    plan.then(Step::ExpectNoLeader { of: Selector::Group(3), after: Span::secs(3) });
    plan.wait_leader(Selector::Group(1).or(Selector::Group(2)));
    plan.act(Act::KeepConnected { at_least: 2 }).sleep(Span::secs(2));
    plan.act(Act::Heal).wait_leader(everybody());
    // Two of each group run again.
    plan.crash(everybody()).act(Act::KeepUp { at_least: 2 }).wait_leader(Selector::Up).agree(Selector::Up);
    plan.restart(everybody()).agree(everybody()).then(Step::ExpectStableTerm { span: Span::secs(1) });
    passes(&plan);
    let recorded = run_watched(&Groups::of(ShardlabRaft, Flaw::None), &plan, Record::Everything);
    let again = recorded.trace.iter().filter(|line| line.text == "BOOT no. 2").filter_map(|line| line.node);
    let groups: Vec<u32> = again.filter_map(|node| plan.group_of(node)).collect();
    let count = |of: &[u32]| [1, 2, 3].map(|group| of.iter().filter(|it| **it == group).count());
    assert_eq!((count(&groups[..6]), count(&groups[6..])), ([2; 3], [1; 3]), "two of each, and then the third");
}

/// Leadership is handed over in the group of whoever is to have it.
#[test]
fn leadership_is_handed_over_within_a_group() {
    let mut plan = plan("transfer-in-groups", 1);
    plan.wait_leader(everybody()).agree(everybody());
    plan.bind("heirs", Selector::Group(1).or(Selector::Group(3)).and(Selector::Followers));
    plan.bind("old", Selector::Leader);
    plan.act(Act::Transfer { to: Selector::bound("heirs") }).sleep(Span::millis(200));
    let heirs_of = |group| Selector::Group(group).and(Selector::bound("heirs"));
    let old_of = |group| Selector::Group(group).and(Selector::bound("old"));
    plan.wait_leader(heirs_of(1).or(heirs_of(3)).or(old_of(2)));
    let report = passes(&plan);
    assert_eq!(report.marks[Mark::Transferred as usize], 2);
}

/// A group may stay dead while the others go on.
#[test]
fn a_core_may_leave_a_group_out() {
    let mut plan = plan("core-without-a-group", 1);
    plan.wait_leader(everybody()).crash(Selector::Group(2));
    plan.finale.core = Some(Selector::Group(1).any(2).or(Selector::Group(3).any(2)));
    passes(&plan);
    // Drawn from all, it may come to too few of some group: of these nothing can be demanded, and that is said.
    plan.finale.core = Some(everybody().any(3));
    let unmet: Vec<String> =
        (0..5).flat_map(|seed| run(&Plan { seed, ..plan.clone() }, Flaw::None).unmet).collect();
    let told = |what: &String| what.starts_with("core: ") && what.ends_with("are no majority");
    assert!(!unmet.is_empty() && unmet.iter().all(told), "{unmet:?}");
}

#[test]
fn a_bug_in_one_group_is_seen_there() {
    if !cfg!(feature = "zoo") {
        return;
    }
    for group in 1..=GROUPS {
        let mut plan = plan("bug-in-a-group", 1);
        plan.wait_leader(everybody()).agree_on(3, 16, everybody());
        plan.crash(Selector::Leader).wait_leader(Selector::Up);
        for (bug, by) in [("vote-not-durable", "persist-before-send"), ("no-fsync", "persist-before-send")] {
            let (check, detail) = seen(&plan, Flaw::Bug(group, bug));
            assert!(check == by && detail.starts_with(&format!("group {group}: ")), "{bug}: {check}: {detail}");
        }
    }
}

/// Two groups that are well do not make up for one that is not.
#[test]
fn a_group_that_never_elects_is_seen() {
    let mut plan = plan("no-leader-in-a-group", 1);
    plan.finale.core = Some(plan.majority_of_each());
    for group in 1..=GROUPS {
        let (check, detail) = seen(&plan, Flaw::NobodyCampaigns(group));
        let among = |node: &NodeId| detail.contains(&node.to_string());
        let named = plan.all_servers().into_iter().filter(among).all(|node| plan.group_of(node) == Some(group));
        assert!(check == "progress" && detail.contains("no leader among") && named, "{check}: {detail}");
    }
    plan.finale.core = None;
    let (check, detail) = seen(&plan, Flaw::NobodyCampaigns(2));
    assert!(check == "convergence" && detail.contains("in group 2 there is no leader"), "{check}: {detail}");
    plan.wait_leader(everybody());
    let (check, detail) = seen(&plan, Flaw::NobodyCampaigns(3));
    assert!(check == "progress" && detail.contains("no leader among {S7 S8 S9}"), "{check}: {detail}");
}

#[test]
fn a_group_that_does_not_converge_is_seen() {
    let mut plan = plan("apart-in-a-group", 1);
    for (node, group) in [(NodeId(2), 1), (NodeId(5), 2), (NodeId(9), 3)] {
        let (check, detail) = seen(&plan, Flaw::NeverApplies(node));
        let why = format!("in group {group} {node} has applied #0");
        assert!(check == "convergence" && detail.contains(&why), "{check}: {detail}");
    }
    // And so does service in the end.
    plan.finale.converge = false;
    let (check, detail) = seen(&plan, Flaw::NeverApplies(NodeId(5)));
    assert!(check == "progress" && detail.contains("with all healed"), "{check}: {detail}");
}

/// Votes of another group's servers are none.
#[test]
fn a_server_that_takes_itself_for_one_of_another_group_is_seen() {
    let (check, detail) = seen(&chaos(3), Flaw::Strays(NodeId(4)));
    assert!(detail.contains("S4"), "{check}: {detail}");
}

#[test]
fn a_group_that_floods_the_others_is_seen() {
    let mut plan = plan("flood", 1);
    plan.sleep(Span::secs(10));
    passes(&plan);
    let (check, detail) = seen(&plan, Flaw::Storm(2));
    let told = detail.starts_with("group 2: ") && detail.contains("messages to other groups");
    assert!(check == "resources" && told, "{check}: {detail}");
}

/// Clients of a key/value service, with keys of their own in each of two groups.
fn of_kv(seed: u64) -> Plan {
    let mut plan = Plan { suite: "kvraft".into(), groups: 2, ..Plan::new("kv-in-groups", seed, SERVERS) };
    let mut rng = Plan::rng(&plan.scenario, seed);
    for number in 0..4 {
        let group = number % 2 + 1;
        let key = format!("key of {group}");
        let op = |rng: &mut Rng, nth| {
            let op = match rng.below(2) {
                0 => KvOp::Get { key: key.clone() },
                _ => KvOp::Append { key: key.clone(), value: format!("{number}.{nth} ") },
            };
            Op::Kv { after: Span::millis(rng.within(10..=100)), op }
        };
        let ops = (0..40).map(|nth| op(&mut rng, nth)).collect();
        plan.clients.push(Client { talks_to: Selector::Group(group), from: Span::ZERO, ops });
    }
    for at in [1_000, 2_000, 3_000] {
        let cut = Act::Partition(vec![Selector::Leader]);
        plan.faults.push(Fault { at: Span::millis(at), act: cut });
        plan.faults.push(Fault { at: Span::millis(at + 700), act: Act::Heal });
    }
    plan.net = NetWeather { drop_reply: 100_000, ..NetWeather::default() };
    plan.then(Step::AwaitClients { within: Span::secs(60) });
    plan
}

/// Each is a store by itself, and its clients' answers are held against its log.
#[test]
fn key_value_stores_run_as_groups() {
    for seed in 0..5 {
        let plan = of_kv(seed);
        assert_eq!(plan.check(), Ok(()));
        let report = run_watched(&Groups::of(Lab(ShardlabKv), Flaw::None), &plan, Record::Nothing);
        assert_eq!(report.violation(), None, "seed {seed}");
        assert!(report.not_checked.is_empty(), "seed {seed}");
        assert_eq!(report.history.operations.len(), 160, "seed {seed}");
    }
}

#[test]
fn a_store_that_lies_in_one_group_is_seen() {
    if !cfg!(feature = "zoo") {
        return;
    }
    let lies = |seed, mute: &[&str]| {
        let plan = Plan { mute: mute.iter().copied().map(String::from).collect(), ..of_kv(seed) };
        let report = run_watched(&Groups::of(Lab(ShardlabKv), Flaw::Bug(2, "no-dedup")), &plan, Record::Nothing);
        let violation = report.violation().cloned();
        violation.map(|violation| (violation.check, violation.detail))
    };
    for (mute, by, word) in
        [(&[][..], "ack-honest", "of group 2"), (&["ack-honest"][..], "linearizability", "key of 2")]
    {
        let found: Vec<(String, String)> = (0..5).filter_map(|seed| lies(seed, mute)).collect();
        assert!(!found.is_empty(), "no-dedup is not seen by {by}");
        for (check, detail) in found {
            assert!(check == by && detail.contains(word), "{check}: {detail}");
        }
    }
}
