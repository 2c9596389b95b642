//! Bugs of elections.

use super::{
    Act, Edge, Effect, Finale, MOMENT, Otherwise, Part, Plan, Scenario, Selector, Span, Spread, Step, What,
};
use super::{Draw, Moment, Need, s, servers, stage};

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "vote-lost-with-the-power",
        "A voter loses power right after its vote left, comes back, and is asked by the other candidate.",
        vote_lost,
    ),
    Scenario::directed(
        "candidacy-lost-with-the-power",
        "A candidate loses power before its own vote is on its disk, comes back, and is asked by the other one.",
        candidacy_lost,
    ),
    Scenario::directed(
        "candidate-without-the-last-commit",
        "A server that was away while something was committed asks for votes.",
        short_log,
    ),
    Scenario::directed(
        "long-log-of-an-old-term",
        "A deposed leader with many entries of its own asks for votes against a short log of a later term.",
        long_old_log,
    ),
    Scenario::directed(
        "longer-log-against-later-term",
        "Two servers are left: one has the longer log, the other the later term.",
        crossed_logs,
    ),
    Scenario::directed(
        "vote-that-comes-a-term-late",
        "A vote of the last term reaches a candidate whose voter leads the next one.",
        late_vote,
    )
    .needs(&[Need::Kinds, Need::Replies]),
    Scenario::directed(
        "vote-that-comes-twice",
        "In the smaller part of a split cluster a candidate hears the same vote twice.",
        double_vote,
    )
    .needs(&[Need::Kinds, Need::Replies]),
    Scenario::directed(
        "second-candidate-of-a-term",
        "A follower of the first candidate, which leads by now, is asked by the second one of the same term.",
        second_candidate,
    ),
    Scenario::directed(
        "halves-of-an-even-cluster",
        "Four servers are split into halves, and in each half somebody campaigns.",
        halves,
    ),
    Scenario::directed(
        "deaf-deposed-leader",
        "A deposed leader that can send and not hear goes on with its heartbeats, and its successor dies.",
        deaf_leader,
    ),
];

fn vote_lost(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.split(s(1), s(2)).hold("late", Part::VoteRequest, s(2), s(3));
    // Nobody else has a reason to speak to S3 yet, so the first thing that it sends is its vote.
    plan.power_off_at(3, Effect::Send, "", Edge::After);
    plan.campaign(s(2)).campaign(s(1));
    plan.release("late");
    plan
}

fn candidacy_lost(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.hold("late", Part::VoteRequest, s(3), s(1));
    // Neither that S1 asks nor that it leads must reach S3.
    plan.act(Act::Cut { from: s(1), to: s(3) });
    plan.lose("not to the voter", Part::VoteRequest, s(3), s(2));
    plan.act(Act::StallDisk { who: s(1), span: Span::millis(300) });
    plan.campaign(s(1)).campaign(s(3));
    plan.power_off(s(1)).back(s(1)).sleep(Span::millis(300));
    plan.act(Act::Mend { from: s(1), to: s(3) }).release("late");
    plan
}

fn short_log(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(3)).agree_among(1, servers([1, 2]));
    plan.crash(s(1)).connect(s(3)).campaign(s(3)).campaign(s(3));
    plan
}

fn long_old_log(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 8, "own").stored("own", s(1));
    plan.lead(2).agree_among(2, servers([2, 3]));
    plan.crash(s(2)).connect(s(1)).sleep(MOMENT);
    // The first time it learns of the later term, the second time it asks in one of its own.
    plan.campaign(s(1)).campaign(s(1)).campaign(s(1));
    plan
}

fn crossed_logs(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.noop = false;
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).propose(s(1), 2, "longer").stored("longer", s(1));
    plan.lose("unreplicated", Part::Append, s(3), s(2));
    plan.lead(3).propose(s(3), 1, "later").stored("later", s(3));
    plan.crash(servers([2, 3])).back(s(3)).connect(s(1));
    // S2 is gone for good. The two that are left are a majority.
    let within = Span::secs(120);
    plan.then(Step::Agree { count: 1, size: 16, via: Selector::All, on: servers([1, 3]), within });
    plan.finale = Finale { core: Some(servers([1, 3])), converge: false, serve: false, within };
    plan
}

fn late_vote(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.knobs.retransmit_votes = false;
    plan.split(s(1), s(3));
    plan.hold("late", Part::VoteReply, s(2), s(1));
    plan.campaign(s(1));
    plan.lose("no news of the candidate", Part::VoteRequest, s(2), s(1));
    plan.lose("no news of the leader", Part::Append, s(2), s(1));
    plan.lead(2).campaign(s(1));
    plan.release("late");
    plan
}

fn double_vote(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 5);
    plan.split(servers([1, 2]), servers([3, 4, 5]));
    let soon = Spread::of(Span::ZERO, Span::millis(5));
    plan.rule("twice", Part::VoteReply, s(2), s(1), What::Duplicate(soon));
    plan.campaign(s(3)).campaign(s(1));
    plan
}

fn second_candidate(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 3);
    plan.split(s(1), s(2)).hold("late", Part::VoteRequest, s(2), s(3));
    plan.campaign(s(2)).lead(1).stored_somewhere(servers([1, 3]));
    plan.release("late");
    plan
}

fn halves(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 4);
    plan.split(servers([1, 2]), servers([3, 4]));
    plan.campaign(s(1)).campaign(s(3));
    plan
}

fn deaf_leader(draw: &mut Draw) -> Plan {
    let mut plan = stage(draw, 5);
    // As short as it takes for heartbeats to come in time, so that a cluster without a leader elects one.
    plan.knobs.election = Spread::millis(600, 1_200);
    plan.lead(1).agree(Selector::All);
    plan.act(Act::Cut { from: Selector::All, to: s(1) });
    plan.lead(2).crash(s(2));
    let event = Moment::LeaderAmong(servers([3, 4, 5]));
    plan.then(Step::Await { event, within: Span::secs(30), or: Otherwise::Violation });
    plan
}

impl Plan {
    /// Whoever leads has told these that it does: their logs hold what is committed.
    fn stored_somewhere(&mut self, on: Selector) -> &mut Plan {
        let event = Moment::CaughtUp(on);
        self.then(Step::Await { event, within: Span::secs(5), or: Otherwise::GoOn }).sleep(MOMENT)
    }
}
