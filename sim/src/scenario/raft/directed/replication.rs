//! Bugs of replication.

use super::{Act, Draw, MOMENT, Need, Part, Plan, Scenario, Selector, Span, Spread, s, servers, stage};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "figure-8-step-by-step",
        "An entry of an old term reaches a majority, and a server without it can still win.",
        figure_8,
    ),
    Scenario::directed(
        "append-that-comes-twice",
        "The copy of an append arrives when later entries are there and committed.",
        late_append,
    ),
    Scenario::directed(
        "leader-again-with-entries-of-its-own",
        "A leader that kept entries to itself is elected again, and its followers still lack them.",
        leader_again,
    ),
    Scenario::directed(
        "acknowledgement-while-the-log-grows",
        "A follower's answer arrives when the leader has more entries than the answer is for.",
        late_acknowledgement,
    )
    .needs(&[Need::Kinds, Need::Replies]),
    Scenario::directed(
        "heartbeat-over-a-stale-suffix",
        "A heartbeat tells a deposed leader that more is committed than it has been sent.",
        stale_suffix,
    ),
    Scenario::directed(
        "heartbeat-beyond-a-stale-suffix",
        "A heartbeat speaks of an entry that is not the one that a deposed leader has there.",
        unchecked_heartbeat,
    ),
    Scenario::directed(
        "append-of-a-deposed-leader",
        "An append of the last term arrives at a follower that holds entries of the next.",
        deposed_append,
    ),
    Scenario::directed(
        "acknowledgement-of-an-earlier-leadership",
        "An answer to a leader arrives when it leads again, and the entries that it is for are gone.",
        old_acknowledgement,
    )
    .needs(&[Need::Kinds, Need::Replies]),
    Scenario::directed(
        "one-follower-of-four",
        "A leader of five reaches one follower only, and then both die.",
        one_follower,
    ),
    Scenario::directed(
        "follower-with-a-longer-stale-log",
        "A deposed leader's log is longer than its successor's, and nothing of the difference is committed.",
        longer_stale_log,
    ),
    Scenario::directed(
        "refusal-of-an-append-from-before-a-restart",
        "A leader restarts, leads again, and gets the refusal of an append that its first life sent for a read.",
        refused_round,
    )
    .needs(&[Need::Kinds, Need::Reads]),
    Scenario::directed(
        "read-from-a-slow-service",
        "A client reads from a leader that has committed a command which its service has not come to yet.",
        slow_read,
    )
    .needs(&[Need::Reads]),
    Scenario::directed(
        "leader-again-after-an-overwrite",
        "A leader's follower is overwritten by another leader, and then the first one leads again.",
        overwritten,
    ),
];

fn figure_8(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 5);
    plan.knobs.noop = false;
    // (a) S1 leads and replicates an entry to S2 only.
    plan.lose("only to S2", Part::Append, s(1), servers([3, 4, 5]));
    plan.lead(1).propose(s(1), 1, "old").stored("old", servers([1, 2]));
    // (b) S1 crashes. S5 leads with the votes of S3 and S4, and keeps an entry to itself.
    plan.crash(s(1)).lose("to nobody", Part::Append, s(5), Selector::All);
    plan.lead(5).propose(s(5), 1, "other").stored("other", s(5));
    // (c) S5 crashes. S1 leads again and goes on with its old entry: now it is on a majority.
    plan.crash(s(5)).unrule("only to S2").back(s(1)).lose("not to S4", Part::Append, s(1), s(4));
    plan.campaign(s(1)).campaign(s(1)).wait_leader(s(1)).stored("old", servers([1, 2, 3])).sleep(Span::millis(500));
    // (d) S1 crashes. S5 has the later term, and overwrites it.
    plan.crash(s(1)).unrule("to nobody").back(s(5));
    plan.campaign(s(5)).campaign(s(5)).campaign(s(5));
    plan
}

fn late_append(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.noop = false;
    plan.knobs.heartbeat = Span::secs(3);
    plan.lead(1).agree(Selector::All).disconnect(s(3));
    plan.twice(Part::Append, s(1), s(2), Span::millis(500)).propose(s(1), 2, "first").committed("first", s(1));
    plan.propose(s(1), 2, "then").committed("then", s(1)).sleep(Span::millis(600));
    // S2 was half of the majority.
    plan.crash(s(1)).connect(s(3)).campaign(s(3)).campaign(s(3));
    plan
}

fn leader_again(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 5);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 3, "own").stored("own", s(1)).crash(s(1)).back(s(1));
    plan.lose("only votes", Part::Append, s(1), Selector::All).connect(s(1)).lead(1);
    plan.unrule("only votes").sleep(Span::secs(1)).agree(Selector::All);
    plan
}

fn late_acknowledgement(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All).disconnect(s(3));
    plan.hold("late", Part::AppendReply, s(2), s(1)).propose(s(1), 1, "sent").stored("sent", s(2));
    plan.lose("kept back", Part::Append, s(1), s(2)).propose(s(1), 2, "unsent").stored("unsent", s(1));
    plan.release("late").sleep(MOMENT);
    plan.crash(s(1)).connect(s(3)).campaign(s(2)).campaign(s(2));
    plan
}

fn stale_suffix(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 2, "own").stored("own", s(1));
    plan.lead(2).agree_among(3, servers([2, 3]));
    // All that was sent to S1 meanwhile is lost: what reaches it first is a heartbeat.
    plan.sleep(Span::millis(500)).connect(s(1)).sleep(Span::secs(1));
    plan
}

fn unchecked_heartbeat(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 4, "own").stored("own", s(1));
    plan.lead(2).agree_among(3, servers([2, 3]));
    // The next leader begins behind all that, with a heartbeat.
    plan.lead(3).agree_among(1, servers([2, 3])).sleep(Span::millis(500)).connect(s(1)).sleep(Span::secs(1));
    plan
}

fn deposed_append(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All).split(s(1), s(3));
    plan.hold("late", Part::Append, s(1), s(2)).propose(s(1), 1, "late").stored("late", s(1)).sleep(MOMENT);
    plan.split(s(1), servers([2, 3])).lead(3).agree_among(1, servers([2, 3]));
    plan.mend(s(1), s(2)).release("late");
    plan
}

/// S1 has an entry that only S2 has too, and S3 overwrites it on S2 with one that nobody else has. S1
/// can win again with S4 and S5, which know of neither.
fn overwritten_follower(draw: &mut Draw, hold: bool) -> Plan {
    let mut plan = stage(draw, 5);
    plan.knobs.noop = false;
    plan.lead(1).agree(Selector::All).split(servers([1, 2]), servers([3, 4, 5]));
    if hold {
        plan.hold("late", Part::AppendReply, s(2), s(1));
    }
    plan.propose(s(1), 1, "own").stored("own", servers([1, 2])).sleep(MOMENT);
    plan.split(s(1), s(2)).mend(s(2), servers([3, 4, 5]));
    plan.lose("only to S2", Part::Append, s(3), servers([4, 5]));
    plan.lead(3).propose(s(3), 1, "other").stored("other", s(2)).crash(s(3));
    plan.lose("learns only", Part::Append, s(1), servers([2, 4])).mend(s(1), Selector::All);
    // It still believes that it leads; a new leadership begins when it has learned better.
    plan.sleep(Span::millis(500)).unrule("learns only");
    plan
}

fn old_acknowledgement(draw: &mut Draw) -> Plan {
    let mut plan = overwritten_follower(draw, true);
    plan.lose("not to the voters", Part::Append, s(1), servers([2, 4, 5]));
    plan.campaign(s(1)).campaign(s(1)).wait_leader(s(1));
    plan.release("late");
    plan
}

fn overwritten(draw: &mut Draw) -> Plan {
    let mut plan = overwritten_follower(draw, false);
    plan.campaign(s(1)).campaign(s(1)).wait_leader(s(1)).agree(servers([1, 2, 4, 5]));
    plan
}

fn one_follower(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 5);
    plan.lead(1).agree(Selector::All);
    plan.lose("only to S2", Part::Append, s(1), servers([3, 4, 5]));
    plan.propose(s(1), 1, "few").stored("few", servers([1, 2])).sleep(MOMENT);
    plan.crash(servers([1, 2])).campaign(s(3)).campaign(s(3));
    plan
}

fn longer_stale_log(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 20, "own").stored("own", s(1));
    plan.lead(2).agree_among(3, servers([2, 3]));
    // The next leader begins behind entries that S1 has others for.
    plan.lead(3).connect(s(1)).agree(Selector::All);
    plan
}

fn refused_round(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.hold("late", Part::Append, s(1), s(2)).act(Act::Read { from: s(1) }).sleep(MOMENT).unrule("late");
    plan.crash(s(1)).back(s(1)).lead(1).agree(Selector::All).release("late");
    // Another one leads where S1 does not see it. What S1 knows to be committed is not all that is.
    plan.disconnect(s(1)).lead(2).agree_among(2, servers([2, 3]));
    plan.act(Act::Read { from: s(1) }).sleep(MOMENT).connect(s(1)).agree(Selector::All);
    plan
}

fn slow_read(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.act(Act::SlowService { who: s(1), lag: Spread::millis(200, 300) }).propose(s(1), 1, "slow");
    plan.stored("slow", Selector::All).sleep(MOMENT).act(Act::Read { from: s(1) }).committed("slow", Selector::All);
    plan
}
