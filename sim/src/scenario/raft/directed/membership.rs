//! Bugs of changes of the membership.

use super::{Act, MOMENT, Moment, Otherwise, Part, Plan, Scenario, Selector, Span, Step};
use super::{Draw, Need, s, servers, stage};

const NEEDS: &[Need] = &[Need::Kinds, Need::Membership];

/// The scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::directed(
        "change-that-nobody-saw",
        "One leader takes a server out and is heard by nobody; the next one, which has committed nothing yet, is to take out the first.",
        unseen_change,
    )
    .needs(NEEDS),
    Scenario::directed(
        "two-changes-at-once",
        "A leader that is cut off is asked to take out both of the others, one after the other.",
        two_changes,
    )
    .needs(NEEDS),
    Scenario::directed(
        "learner-in-place-of-a-voter",
        "A leader is left alone with a learner, and takes commands.",
        learner_for_voter,
    )
    .needs(NEEDS),
    Scenario::directed(
        "leader-taken-out-alone",
        "A leader takes itself out and reaches one of the two others.",
        leader_alone,
    )
    .needs(NEEDS),
    Scenario::directed(
        "leader-needed-until-it-is-gone",
        "A leader of two takes itself out, crashes before the other one hears of it, and comes back with the longer log.",
        needed_leader,
    )
    .needs(NEEDS),
    Scenario::directed(
        "change-that-is-cut-off",
        "A leader that is cut off takes out one of four; that is overwritten, and it campaigns with one other server.",
        cut_change,
    )
    .needs(NEEDS),
    Scenario::directed(
        "snapshot-behind-a-change",
        "A cluster of one grows to three and takes snapshots; the first server crashes, is cut off, and campaigns.",
        snapshot_of_change,
    )
    .needs(&[Need::Kinds, Need::Membership, Need::Snapshots]),
];

impl Plan {
    /// These are wanted as voters.
    pub(in crate::scenario) fn want(&mut self, voters: Selector) -> &mut Plan {
        self.act(Act::Reconfigure { voters })
    }

    /// They start anew, and so have heard of no leader when they are asked for votes.
    fn forget(&mut self, who: Selector) -> &mut Plan {
        self.crash(who.clone()).back(who)
    }

    /// They are.
    pub(in crate::scenario) fn reconfigured(&mut self) -> &mut Plan {
        let event = Moment::Reconfigured;
        self.then(Step::Await { event, within: Span::secs(20), or: Otherwise::Violation })
    }
}

/// Long enough for the administrator to ask several times.
const ASKS: Span = Span::millis(400);

/// A stage with spares: so many voters, and so many servers in all.
fn with_spares(draw: &mut Draw, voters: u32, servers: u32) -> Plan {
    let mut plan = stage(draw, servers);
    plan.voters = Some(voters);
    plan.knobs.pre_vote = false;
    plan.knobs.check_quorum = true;
    plan
}

/// What the correction is about, with two removals: S1 takes out S4 and is heard by nobody; S2 knows nothing of that and takes out
/// S1. {S1, S3} are a majority to the one, {S2, S4} to the other.
fn unseen_change(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 4, 4);
    plan.lead(1).agree(Selector::All);
    plan.split(s(1), servers([2, 3, 4])).want(servers([1, 2, 3])).sleep(ASKS).want(Selector::None);
    // S2 is elected, and what it appends reaches nobody at first.
    plan.forget(servers([3, 4])).lose("nothing", Part::Append, s(2), Selector::All);
    plan.lead(2).want(servers([2, 3, 4])).sleep(ASKS).want(Selector::None);
    plan.split(s(2), s(3)).unrule("nothing").propose(s(2), 1, "to S4").sleep(ASKS);
    plan.split(s(3), s(4)).mend(s(1), s(3)).forget(servers([1, 3]));
    plan.campaign(s(1)).campaign(s(1)).propose(s(1), 1, "to S3").sleep(ASKS);
    plan.act(Act::Heal).want(servers([1, 2, 3])).reconfigured();
    plan
}

fn two_changes(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 3, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).want(s(1)).sleep(ASKS);
    // Alone with itself it would commit what the others know nothing of.
    plan.propose(s(1), 1, "alone").want(servers([1, 2, 3])).forget(s(3)).lead(2).agree_among(1, servers([2, 3]));
    plan.connect(s(1));
    plan
}

fn learner_for_voter(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 3, 4);
    plan.lead(1).agree(servers([1, 2, 3]));
    // Without it, it stays a learner.
    plan.crash(s(4)).want(Selector::All).sleep(ASKS).want(Selector::None);
    plan.split(servers([1, 4]), servers([2, 3])).back(s(4)).propose(s(1), 1, "with a learner").sleep(ASKS);
    plan.crash(servers([1, 4])).forget(s(3)).lead(2).agree_among(1, servers([2, 3])).back(servers([1, 4]));
    plan.act(Act::Heal).want(Selector::All).reconfigured().agree(Selector::All);
    plan
}

/// What is committed too early here is still on a majority of those from before. The harm is that the others wait for a server
/// that was told that it may go.
fn leader_alone(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 3, 3);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(3)).want(servers([2, 3])).sleep(ASKS);
    plan.connect(s(3)).reconfigured().agree(servers([2, 3]));
    plan
}

fn needed_leader(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 2, 2);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(2)).want(s(2)).sleep(ASKS).crash(Selector::All).connect(s(2)).back(Selector::All);
    plan.then(Step::WaitLeader { of: Selector::All, within: Span::secs(60) }).reconfigured().agree(s(2));
    plan
}

fn cut_change(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 4, 4);
    plan.lead(1).agree(Selector::All);
    plan.disconnect(s(1)).want(servers([1, 2, 3])).sleep(ASKS).want(Selector::All);
    plan.forget(servers([3, 4])).lead(2).agree_among(2, servers([2, 3, 4]));
    plan.connect(s(1)).agree(Selector::All);
    plan.split(servers([1, 2]), servers([3, 4])).forget(s(2)).campaign(s(1));
    plan
}

fn snapshot_of_change(draw: &mut Draw) -> Plan {
    let mut plan = with_spares(draw, 1, 3);
    plan.knobs.snapshot_every = Some(10);
    plan.lead(1).want(Selector::All).reconfigured().agree_on(20, 16, Selector::All);
    let event = Moment::Snapshot(s(1));
    plan.then(Step::Await { event, within: Span::secs(5), or: Otherwise::Violation });
    plan.crash(s(1)).disconnect(s(1)).back(s(1)).campaign(s(1)).propose(s(1), 1, "alone").sleep(MOMENT);
    plan.connect(s(1));
    plan
}
