//! What is refused, and with which words.

use crate::plan::{Act, Client, Fault, Moment, Op, Otherwise, Plan, Selector, Step, What};
use labrpc::NodeId;
use labrpc::sim::{DiskWeather, Edge, Effect, NetWeather, Span, Spread, Tail};

fn refused(change: impl Fn(&mut Plan)) -> String {
    let mut plan = Plan::default();
    change(&mut plan);
    Plan::from_json(&plan.to_json()).expect_err("it is impossible").to_string()
}

#[test]
fn a_plan_is_json_and_comes_back() {
    let mut plan = Plan::new("x", 7, 5);
    plan.wait_leader(Selector::All).bind("old", Selector::Leader).disconnect(Selector::bound("old"));
    plan.agree_on(2, 100, Selector::bound("old").not());
    assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
}

#[test]
fn what_is_impossible_is_refused_with_its_place() {
    let cases: [(&str, String); 7] = [
        ("script[0]: no rule `x` was put up", refused(|plan| _ = plan.act(Act::Release("x".into())))),
        ("script[0]: `S9` asks for more servers", refused(|plan| _ = plan.disconnect(Selector::s(9)))),
        ("script[0]: `any(4, all)` asks for more", refused(|plan| _ = plan.crash(Selector::All.any(4)))),
        ("script[0]: `$old` is not bound", refused(|plan| _ = plan.crash(Selector::bound("old")))),
        ("servers: 0 servers", refused(|plan| plan.servers = 0)),
        ("mute: there is no check `x`", refused(|plan| plan.mute.push("x".into()))),
        ("format: this is a plan of format 9", refused(|plan| plan.format = 9)),
    ];
    for (expected, found) in cases {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn groups_are_counted_and_named_as_they_are() {
    let several = |groups, change: fn(&mut Plan)| {
        refused(|plan| {
            plan.groups = groups;
            change(plan);
        })
    };
    let client = || Client { talks_to: Selector::All, from: Span::ZERO, ops: Vec::new() };
    let cases: [(&str, String); 9] = [
        ("groups: 0 groups of 3 servers", several(0, |_| {})),
        ("groups: 22 groups of 3 servers", several(22, |_| {})),
        ("groups: 4294967295 groups of 64 servers", several(u32::MAX, |plan| plan.servers = 64)),
        (
            "script[0]: `S10` asks for more servers than there are (9)",
            several(3, |plan| _ = plan.crash(Selector::s(10))),
        ),
        ("script[0]: `group(4)`: there is no group 4", several(3, |plan| _ = plan.crash(Selector::Group(4)))),
        (
            "script[0]: `not(group(0))`: there is no group 0",
            several(3, |plan| _ = plan.crash(Selector::Group(0).not())),
        ),
        (
            "script[0]: there are only 3 servers in a group",
            several(3, |plan| _ = plan.act(Act::KeepUp { at_least: 4 })),
        ),
        ("finale.core: `or(group(1), S4)` are 1 of 3 servers of group 2; a majority is 2", {
            several(3, |plan| plan.finale.core = Some(Selector::Group(1).or(Selector::s(4))))
        }),
        ("finale.core: `none` is nobody", several(3, |plan| plan.finale.core = Some(Selector::None))),
    ];
    for (expected, found) in cases {
        assert!(found.starts_with(expected), "{found}");
    }
    let mut plan = Plan { groups: 21, ..Plan::default() };
    assert_eq!(plan.check(), Ok(()));
    plan.clients = vec![client(); 64];
    assert_eq!(plan.check(), Ok(()));
    plan.clients.push(client());
    assert!(plan.check().unwrap_err().to_string().starts_with("clients: 128 servers and clients in all"));
}

#[test]
fn a_plan_of_several_groups_says_who_is_where() {
    let mut plan = Plan { groups: 3, ..Plan::new("x", 1, 3) };
    let ids = |range: std::ops::RangeInclusive<u32>| range.map(NodeId).collect::<Vec<_>>();
    assert_eq!((plan.all_servers(), plan.group_ids(2), plan.majority()), (ids(1..=9), ids(4..=6), 2));
    let of = [0, 1, 3, 4, 9, 10].map(|n| plan.group_of(NodeId(n)));
    assert_eq!(of, [None, Some(1), Some(1), Some(2), Some(3), None]);
    plan.finale.core = Some(plan.majority_of_each());
    plan.clocks.push((NodeId(9), 1_000_000));
    assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan.clone()));
    // A group may be left to itself.
    plan.finale.core = Some(Selector::Group(2).any(2));
    assert_eq!(plan.check(), Ok(()));
    // Plans of one group are written as they always were.
    assert!(plan.to_json().contains("\"groups\": 3") && !Plan::default().to_json().contains("groups"));
    assert_eq!(Plan::default().majority_of_each(), Selector::All.any(2));
}

#[test]
fn what_does_not_parse_is_refused_with_line_and_field() {
    let plan = Plan::default().to_json().replace("\"300ms\"", "\"soon\"");
    let error = Plan::from_json(&plan).unwrap_err().to_string();
    assert!(error.contains("field `knobs.election.min`") && error.starts_with("line "), "{error}");
    assert!(error.contains("`soon` is not a duration"), "{error}");
}

/// Upside down.
const REVERSED: Spread = Spread { min: Span::millis(2), max: Span::millis(1) };
/// Longer than any run.
const AGES: Span = Span::secs(18_446_744_073);

/// Refused as it stands and not only when it is read, in one line that begins with the place.
fn refuses(place: &str, change: impl Fn(&mut Plan)) {
    let mut plan = Plan::default();
    change(&mut plan);
    let why = plan.check().expect_err(place).to_string();
    assert!(why.starts_with(&format!("{place}: ")) && why.lines().count() == 1, "{place}: {why}");
}

fn fault(plan: &mut Plan, act: Act) {
    plan.faults.push(Fault { at: Span::ZERO, act });
}

#[test]
fn limits_have_limits() {
    refuses("limits.time", |plan| plan.limits.time = Span::ZERO);
    refuses("limits.time", |plan| plan.limits.time = AGES);
    refuses("limits.events", |plan| plan.limits.events = u64::MAX);
    refuses("limits.events", |plan| plan.limits.events = 0);
    refuses("limits.events_per_ms", |plan| plan.limits.events_per_ms = u64::MAX);
    refuses("limits.bytes", |plan| plan.limits.bytes = u64::MAX);
}

#[test]
fn knobs_are_within_bounds() {
    refuses("knobs.election", |plan| plan.knobs.election = REVERSED);
    refuses("knobs.election", |plan| plan.knobs.election = Spread::ZERO);
    refuses("knobs.heartbeat", |plan| plan.knobs.heartbeat = Span::ZERO);
    refuses("knobs.heartbeat", |plan| plan.knobs.heartbeat = Span::secs(1));
    refuses("knobs.max_entries", |plan| plan.knobs.max_entries = Some(0));
    refuses("knobs.inputs_per_ready", |plan| plan.knobs.inputs_per_ready = Some(0));
    refuses("knobs.snapshot_every", |plan| plan.knobs.snapshot_every = Some(0));
    refuses("knobs.max_inflight", |plan| plan.knobs.max_inflight = 0);
    refuses("knobs.max_unapplied", |plan| plan.knobs.max_unapplied = 0);
    refuses("knobs.chunk", |plan| plan.knobs.chunk = 0);
    refuses("knobs.chunk", |plan| plan.knobs.chunk = u32::MAX);
    refuses("knobs.snapshot_ballast", |plan| plan.knobs.snapshot_ballast = u32::MAX);
    refuses("knobs.snapshot_ballast", |plan| (plan.knobs.snapshot_ballast, plan.knobs.chunk) = (1 << 20, 1));
    refuses("knobs.apply_lag", |plan| plan.knobs.apply_lag = REVERSED);
    refuses("knobs.apply_lag", |plan| plan.knobs.apply_lag = Spread::millis(0, 1_001));
    refuses("knobs.client_timeout", |plan| plan.knobs.client_timeout = Span::ZERO);
    refuses("knobs.client_timeout", |plan| plan.knobs.client_timeout = AGES);
    refuses("knobs.client_patience", |plan| plan.knobs.client_patience = Span::ZERO);
    refuses("script[0].hush", |plan| _ = plan.act(Act::Hush(AGES)));
}

#[test]
fn weather_is_within_bounds() {
    let tail = |ppm, delay| vec![Tail { ppm, delay }];
    refuses("net.delay", |plan| plan.net.delay = REVERSED);
    refuses("net.delay", |plan| plan.net.delay = Spread::exactly(AGES));
    refuses("net.drop", |plan| plan.net.drop = 1_000_001);
    refuses("net.drop_reply", |plan| plan.net.drop_reply = u32::MAX);
    refuses("net.duplicate", |plan| plan.net.duplicate = u32::MAX);
    refuses("net.tails[0].ppm", |plan| plan.net.tails = tail(u32::MAX, Spread::ZERO));
    refuses("net.reply_tails[0].delay", |plan| plan.net.reply_tails = tail(1, REVERSED));
    refuses("net.bandwidth", |plan| plan.net.bandwidth = Some(0));
    refuses("disk.write", |plan| plan.disk.write = REVERSED);
    refuses("disk.sync", |plan| plan.disk.sync = Spread::exactly(AGES));
    refuses("disk.tails[0].delay", |plan| plan.disk.tails = tail(1, Spread::exactly(AGES)));
    refuses("disk.keep", |plan| plan.disk.keep = u32::MAX);
    refuses("disk.tear", |plan| plan.disk.tear = u32::MAX);
    refuses("disk.write_error", |plan| plan.disk.write_error = u32::MAX);
    refuses("disk.sync_error", |plan| plan.disk.sync_error = u32::MAX);
}

#[test]
fn clocks_run_at_a_rate_that_can_be_borne() {
    refuses("clocks[0]", |plan| plan.clocks.push((NodeId(1), 0)));
    refuses("clocks[0]", |plan| plan.clocks.push((NodeId(1), u32::MAX)));
    refuses("clocks[0]", |plan| plan.clocks.push((NodeId(4), 1_000_000)));
    refuses("script[0].clock-rate.ppm", |plan| _ = plan.act(Act::ClockRate { who: Selector::All, ppm: 0 }));
    refuses("script[0].clock-jump.by", |plan| _ = plan.act(Act::ClockJump { who: Selector::All, by: AGES }));
}

#[test]
fn faults_are_within_bounds() {
    let who = || Selector::s(1);
    refuses("faults[0].at", |plan| plan.faults.push(Fault { at: AGES, act: Act::Heal }));
    refuses("faults[0].stall-disk.span", |plan| fault(plan, Act::StallDisk { who: who(), span: AGES }));
    refuses("faults[0].slow-service.lag", |plan| fault(plan, Act::SlowService { who: who(), lag: REVERSED }));
    let weather = || NetWeather { drop: u32::MAX, ..NetWeather::default() };
    refuses("faults[0].net.drop", |plan| fault(plan, Act::Net(weather())));
    let weather = || DiskWeather { sync: REVERSED, ..DiskWeather::default() };
    refuses("faults[0].disk.weather.sync", |plan| fault(plan, Act::Disk { who: who(), weather: weather() }));
    let crash = |nth, back_after| Act::CrashAt {
        who: Selector::s(1),
        effect: Effect::Send,
        on: String::new(),
        nth,
        edge: Edge::Before,
        power: false,
        back_after,
    };
    refuses("faults[0].crash-at.nth", |plan| fault(plan, crash(0, None)));
    refuses("faults[0].crash-at.back_after", |plan| fault(plan, crash(1, Some(AGES))));
    let rule = |chance, take, what| Act::Rule {
        name: "x".into(),
        from: Selector::All,
        to: Selector::All,
        parts: Vec::new(),
        chance,
        skip: 0,
        take,
        what,
    };
    refuses("faults[0].rule.chance", |plan| fault(plan, rule(Some(1_000_001), None, What::Drop)));
    refuses("faults[0].rule.take", |plan| fault(plan, rule(None, Some(0), What::Drop)));
    refuses("faults[0].rule.what", |plan| fault(plan, rule(None, None, What::Delay(REVERSED))));
}

#[test]
fn clients_are_within_bounds() {
    let client = |from, after, size| Client { talks_to: Selector::All, from, ops: vec![Op::Write { after, size }] };
    refuses("clients[0].from", |plan| plan.clients.push(client(AGES, Span::ZERO, 16)));
    refuses("clients[0].ops[0]", |plan| plan.clients.push(client(Span::ZERO, AGES, 16)));
    refuses("clients[0].ops[0]", |plan| plan.clients.push(client(Span::ZERO, Span::ZERO, u32::MAX)));
    refuses("clients[0].talks_to", |plan| {
        plan.clients.push(Client { talks_to: Selector::None, ..client(Span::ZERO, Span::ZERO, 16) });
    });
}

#[test]
fn steps_are_within_bounds() {
    let agree = |count, size, via| Step::Agree { count, size, via, on: Selector::All, within: Span::secs(1) };
    refuses("script[0]", |plan| _ = plan.sleep(AGES));
    refuses("script[0].count", |plan| _ = plan.then(agree(0, 16, Selector::All)));
    refuses("script[0].size", |plan| _ = plan.then(agree(1, u32::MAX, Selector::All)));
    refuses("script[0].via", |plan| _ = plan.then(agree(1, 16, Selector::None)));
    refuses("script[0].propose.count", |plan| _ = plan.propose(Selector::All, 0, "x"));
    let await_clients = |within| Step::AwaitClients { within };
    refuses("script[0].within", |plan| _ = plan.then(await_clients(Span::ZERO)));
    refuses("script[0].within", |plan| _ = plan.then(await_clients(AGES)));
    let event = || Moment::LeaderAmong(Selector::None);
    refuses("script[0]", |plan| {
        _ = plan.then(Step::Await { event: event(), within: Span::secs(1), or: Otherwise::GoOn });
    });
    refuses("script[0].times", |plan| _ = plan.then(Step::Repeat { times: 0, steps: Vec::new() }));
}

#[test]
fn what_is_repeated_is_counted_as_often() {
    let again = |times, steps| Step::Repeat { times, steps };
    refuses("script", |plan| _ = plan.then(again(u32::MAX, Vec::new())));
    let inner = again(1_001, vec![Step::Sleep(Span::ZERO)]);
    refuses("script", |plan| _ = plan.then(again(1_000, vec![inner.clone()])));
    refuses("script", |plan| _ = plan.agree_on(u32::MAX, 16, Selector::All));
    refuses("script", |plan| _ = plan.propose(Selector::All, 1_000_001, "x"));
    refuses("script", |plan| _ = plan.agree_on(33, 1 << 20, Selector::All));
    let mut plan = Plan::default();
    plan.agree_on(32, 1 << 20, Selector::All).then(again(1_000, vec![Step::Sleep(Span::ZERO)]));
    assert_eq!(plan.check(), Ok(()));
}

#[test]
fn a_finale_asks_for_what_can_be() {
    refuses("finale.within", |plan| plan.finale.within = Span::ZERO);
    refuses("finale.within", |plan| plan.finale.within = Span::secs(1));
    refuses("finale.core", |plan| plan.finale.core = Some(Selector::None));
    refuses("finale.core", |plan| plan.finale.core = Some(Selector::Leader));
    refuses("finale.core", |plan| plan.finale.core = Some(Selector::All.any(1)));
    let mut plan = Plan::default();
    plan.finale.core = Some(Selector::All.any(2));
    assert_eq!(plan.check(), Ok(()));
}

#[test]
fn what_ends_the_run_cannot_be_muted() {
    refuses("mute", |plan| plan.mute.push("panic".into()));
    refuses("mute", |plan| plan.mute.push("stuck".into()));
}

/// Refused while it is read: what recurses into it later is as deep as it is.
#[test]
fn a_selector_is_not_nested_without_end() {
    let nested = |depth: usize| format!("{}all{}", "not(".repeat(depth), ")".repeat(depth));
    assert!(nested(64).parse::<Selector>().is_ok());
    for depth in [65, 100_000] {
        let why = nested(depth).parse::<Selector>().expect_err("it is too deep");
        assert!(why.contains("nested more than 64 deep") && why.len() < 200, "{why}");
    }
    let json =
        Plan::default().to_json().replacen("\"core\": null", &format!("\"core\": \"{}\"", nested(100_000)), 1);
    assert!(Plan::from_json(&json).is_err_and(|why| why.to_string().contains("nested more than")));
}
