//! Marks: rare situations, counted, so that a green campaign means that something has happened.
//!
//! A bug whose situation was never reached was not tested. Each mark names one such situation; reports say how
//! often it was reached in how many runs.

use super::{Fact, Known};
use crate::raft::{DiskFact, WireFacts};
use labrpc::{Content, Event, Index, Members, NodeId, Refusal, Role, Term};
use std::collections::BTreeMap;

macro_rules! marks {
    ($($name:ident = $label:literal,)+) => {
        /// A rare situation.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // the label says it
        pub enum Mark { $($name,)+ }

        /// The labels of all marks, in order.
        pub const MARKS: &[&str] = &[$($label,)+];
    };
}

marks! {
    Elected = "a leader was elected",
    TwoCandidates = "two candidates in one term",
    VoteRefusedByLog = "a vote was refused because the candidate's log is behind",
    VoteRefusedVoted = "a vote was refused because it was given to another",
    PreVoteRefused = "a pre-vote was refused because a leader was heard",
    RequestIgnored = "a request for a vote was dropped unread because a leader was heard",
    LeaderDeposed = "a leader stepped down",
    LeaderStayed = "a leader was deposed and elected again later",
    ConflictTruncated = "a conflicting suffix was cut",
    ManyTermsTruncated = "a suffix of three or more terms was cut",
    OldTermOnMajority = "an entry of an older term was on a majority and not committed",
    CommittedOldWithNew = "entries of an older term were committed by one of the current term",
    RefusedAppend = "an append was refused",
    SteppedBackATerm = "a leader stepped back over several entries at once",
    SnapshotSent = "a snapshot was sent",
    InstallRefused = "a snapshot was refused as older than what is there",
    InstallOverConflict = "a snapshot replaced a conflicting log",
    InstallKeptSuffix = "a snapshot was installed and entries behind it kept",
    AppendBelowBase = "an append began in front of the follower's snapshot",
    CopyDelivered = "a duplicate was delivered",
    LateDelivery = "a message arrived more than a second after it was sent",
    CrashWithUnsynced = "a server crashed with something pending on its disk",
    TornTail = "a server started from a disk on which not everything pending had survived",
    CrashAfterPersist = "a server crashed between making something durable and sending it",
    RestartedFast = "a server was back within 20 ms",
    TermSkipped = "a server's term rose by more than one at once",
    CommittedAlone = "a commit with the smallest possible majority of disks",
    ReadConfirmed = "a read was confirmed without the log",
    Transferred = "leadership was handed over",
    AppliedAtOnce = "a server applied a hundred entries or more in an instant",
    LearnerPromoted = "a learner became a voter",
    LeaderTookItselfOut = "a leader took itself out",
    ChangeCutOff = "a change of the membership was cut off",
    LeavingServerElected = "a server that is being taken out was elected",
    OperationAgain = "an operation that was executed was in the log again",
    OutcomeUnknown = "a client never learned what became of its operation",
    ShardCameBack = "a shard came back to a group that still kept a copy of it",
    ShardWentOn = "a shard was given away while an older copy of it was kept elsewhere",
    ShardOfNobody = "a shard was given away to nobody yet",
    GroupFarBehind = "a group took on a configuration when two newer ones were there",
    LeaderWhileMoving = "a leader was elected in a group that a shard was on its way to or from",
    SnapshotWhileMoving = "a snapshot was sent in a group that a shard was on its way to or from",
}

/// Entries of one instant that are many.
const AT_ONCE: u32 = 100;

/// Counts of marks, and what is needed to see them.
#[derive(Debug)]
pub struct Marks {
    counts: [u32; MARKS.len()],
    candidates: BTreeMap<Term, NodeId>,
    servers: Vec<Traces>,
}

/// What is remembered of one server.
#[derive(Clone, Debug, Default)]
struct Traces {
    /// How often it was elected.
    led: u32,
    /// True time of its last crash, in nanoseconds.
    crashed_at: Option<u64>,
    /// The last thing that it did was to make something durable.
    stored: bool,
    /// True time at which it applied its last entry, in nanoseconds, and how many at that instant.
    applied: (u64, u32),
}

impl Marks {
    /// For a group among servers 1 to `servers`.
    pub fn new(servers: u32) -> Marks {
        let servers = vec![Traces::default(); servers as usize + 1];
        Marks { counts: [0; MARKS.len()], candidates: BTreeMap::new(), servers }
    }

    fn server(&mut self, node: NodeId) -> Option<&mut Traces> {
        self.servers.get_mut(node.slot())
    }

    /// How often each mark was reached, in the order of [`MARKS`].
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    fn hit(&mut self, mark: Mark) {
        self.counts[mark as usize] += 1;
    }

    /// Looks at a fact, given what was known before it.
    pub fn before(&mut self, known: &Known, fact: &Fact<'_>) {
        match fact {
            Fact::Emitted { node, event } => self.event(known, *node, event),
            Fact::Delivered { packet, wire } => self.delivered(known, packet, *wire),
            Fact::Durable { node, fact } => {
                self.server(*node).into_iter().for_each(|server| server.stored = true);
                if let DiskFact::Hard { term, .. } = fact
                    && term.0 > known.server(*node).durable.term.0 + 1
                {
                    self.hit(Mark::TermSkipped);
                }
            }
            Fact::Sent { packet, wire } => {
                self.server(packet.from).into_iter().for_each(|server| server.stored = false);
                if let Some(WireFacts::AppendReply { matched: None, .. }) = wire {
                    self.hit(Mark::RefusedAppend);
                }
            }
            Fact::Crashed { node } => {
                let now = known.stamp.at.nanos();
                let Some(server) = self.server(*node) else { return };
                server.crashed_at = Some(now);
                if server.stored {
                    self.hit(Mark::CrashAfterPersist);
                }
            }
            Fact::Booting { node, was_pending, expected } => {
                let crashed_at = self.server(*node).and_then(|server| server.crashed_at);
                if crashed_at.is_some_and(|at| known.stamp.at.nanos() - at <= 20_000_000) {
                    self.hit(Mark::RestartedFast);
                }
                if *was_pending {
                    self.hit(Mark::CrashWithUnsynced);
                    let durable = known.server(*node).durable.log.last();
                    if expected.as_ref().is_ok_and(|found| found.last.0 == durable) {
                        self.hit(Mark::TornTail);
                    }
                }
            }
            Fact::Read { .. } => self.hit(Mark::ReadConfirmed),
            Fact::Applied { node, .. } => {
                let now = known.stamp.at.nanos();
                let Some(Traces { applied: (last, count), .. }) = self.server(*node) else { return };
                *count = if *last == now { *count + 1 } else { 1 };
                *last = now;
                if *count == AT_ONCE {
                    self.hit(Mark::AppliedAtOnce);
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, known: &Known, node: NodeId, event: &Event) {
        match event {
            Event::Role { role: Role::Leader, .. } => {
                self.hit(Mark::Elected);
                let Some(server) = self.server(node) else { return };
                server.led += 1;
                if server.led > 1 {
                    self.hit(Mark::LeaderStayed);
                }
                self.old_term_on_majority(known, node);
                let electorate = known.electorate_of(node);
                if !electorate.voters.is_empty() && !electorate.voters.contains(node) {
                    self.hit(Mark::LeavingServerElected);
                }
            }
            Event::Appended { content: Content::Membership(members), .. } => self.changed(known, node, members),
            Event::Role { role: Role::Candidate, term } => {
                let first = *self.candidates.entry(*term).or_insert(node);
                if first != node {
                    self.hit(Mark::TwoCandidates);
                }
            }
            Event::Role { role: Role::Follower, .. }
                if known.memory(node).is_some_and(|memory| memory.role == Role::Leader) =>
            {
                self.hit(Mark::LeaderDeposed)
            }
            Event::VoteRefused { why: Refusal::LogBehind, .. } => self.hit(Mark::VoteRefusedByLog),
            Event::VoteRefused { why: Refusal::AlreadyVoted, .. } => self.hit(Mark::VoteRefusedVoted),
            Event::VoteRefused { why: Refusal::LeaderHeard, .. } => self.hit(Mark::PreVoteRefused),
            Event::Ignored { .. } => self.hit(Mark::RequestIgnored),
            Event::Truncated { from } => self.truncated(known, node, *from),
            Event::SnapshotSent { .. } => self.hit(Mark::SnapshotSent),
            Event::InstallRefused { .. } => self.hit(Mark::InstallRefused),
            Event::Installed { kept_suffix: true, .. } => self.hit(Mark::InstallKeptSuffix),
            Event::Installed { index, .. }
                if known.memory(node).is_some_and(|memory| memory.log.last() >= *index) =>
            {
                self.hit(Mark::InstallOverConflict)
            }
            Event::Progress { peer, next, .. } => {
                let before = known.memory(node).and_then(|memory| memory.progress.get(peer)).map(|(_, next)| *next);
                if before.is_some_and(|before| before.0 > next.0 + 1) {
                    self.hit(Mark::SteppedBackATerm);
                }
            }
            Event::Committed { index } => self.committed(known, node, *index),
            Event::Transfer { .. } => self.hit(Mark::Transferred),
            _ => {}
        }
    }

    /// A leader changes the membership.
    fn changed(&mut self, known: &Known, node: NodeId, members: &Members) {
        if known.memory(node).is_none_or(|memory| memory.role != Role::Leader) {
            return;
        }
        let before = known.electorate_of(node);
        if members.voters.iter().any(|voter| !before.voters.contains(*voter)) {
            self.hit(Mark::LearnerPromoted);
        }
        if before.voters.contains(node) && !members.voters.contains(&node) {
            self.hit(Mark::LeaderTookItselfOut);
        }
    }

    fn truncated(&mut self, known: &Known, node: NodeId, from: Index) {
        self.hit(Mark::ConflictTruncated);
        let Some(memory) = known.memory(node) else { return };
        if memory.log.memberships().last().is_some_and(|(at, _)| *at >= from) {
            self.hit(Mark::ChangeCutOff);
        }
        let mut terms: Vec<Term> =
            memory.log.iter().filter(|(index, _)| *index >= from).map(|(_, item)| item.term).collect();
        terms.dedup();
        if terms.len() >= 3 {
            self.hit(Mark::ManyTermsTruncated);
        }
    }

    fn old_term_on_majority(&mut self, known: &Known, leader: NodeId) {
        let Some(memory) = known.memory(leader) else { return };
        let next = known.commit().next();
        if let Some(item) = memory.log.get(next)
            && known.electorate_of(leader).decides(known.durable_copies(next, item.term, item.hash))
        {
            self.hit(Mark::OldTermOnMajority);
        }
    }

    fn committed(&mut self, known: &Known, node: NodeId, index: Index) {
        let Some(memory) = known.memory(node).filter(|memory| memory.role == Role::Leader) else { return };
        let first = memory.log.term_at(memory.commit.next());
        if first.is_some_and(|term| term < memory.term) {
            self.hit(Mark::CommittedOldWithNew);
        }
        if let Some(item) = memory.log.get(index)
            && known.electorate_of(node).count(known.durable_copies(index, item.term, item.hash))
                == known.electorate_of(node).majority()
        {
            self.hit(Mark::CommittedAlone);
        }
    }

    fn delivered(&mut self, known: &Known, packet: &labrpc::sim::Packet, wire: Option<&WireFacts>) {
        if packet.copy {
            self.hit(Mark::CopyDelivered);
        }
        if known.stamp.at.since(packet.sent) > std::time::Duration::from_secs(1) {
            self.hit(Mark::LateDelivery);
        }
        if let Some(WireFacts::Append { prev, entries, .. }) = wire
            && *entries > 0
            && known.memory(packet.to).is_some_and(|memory| prev.0 < memory.log.base)
        {
            self.hit(Mark::AppendBelowBase);
        }
    }
}
