//! One server to try the rules on: S1 of a cluster whose other members are played by the test. Its disk is quick
//! unless the test says otherwise, and its service applies what it is given at once.

use bytes::Bytes;
use labrpc::{NodeId, Rng, Time};
use shardlab::raft::message::{
    Append, AppendReply, Install, InstallReply, Message, Outcome, RequestVote, VoteReply,
};
use shardlab::raft::{
    Apply, Bug, Change, Config, Content, Drift, Entry, EntryId, HardState, Index, Input, Membership, Outgoing,
    Payload, Raft, Ready, Saved, SnapshotMeta, Term, Unavailable, View, storage,
};
use std::time::Duration;

/// The one under test.
pub const ME: u32 = 1;

/// Every election timeout, so that a test can tell when one was begun anew.
pub const TIMEOUT: Duration = Duration::from_millis(300);

/// An entry as the paper's figures have it: its index and its term.
pub type Id = (u64, u64);

/// What was sent, and to whom.
pub type Sent = Vec<(u32, Message)>;

/// How a server begins. The plain Raft of Figure 2: nothing that goes beyond it is switched on.
pub struct Setup {
    config: Config,
    saved: Saved,
}

/// S1 in a cluster of so many, with an empty log, in term 0.
pub fn one_of(servers: u32) -> Setup {
    let config = Config {
        election_timeout: (TIMEOUT, TIMEOUT),
        noop_on_election: false,
        pre_vote: false,
        check_quorum: false,
        retransmit_votes: false,
        ..Config::new(NodeId(ME), (1..=servers).map(NodeId))
    };
    Setup { config, saved: Saved::default() }
}

impl Setup {
    /// With other settings.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Setup {
        change(&mut self.config);
        self
    }

    /// With entries of these terms in its log. Its own term is that of the last.
    pub fn log(mut self, terms: &[u64]) -> Setup {
        self.saved.entries = entries(0, terms);
        self.saved.hard.term = Term(terms.last().copied().unwrap_or(0));
        self
    }

    /// In this term, without a vote.
    pub fn term(mut self, term: u64) -> Setup {
        self.saved.hard = HardState { term: Term(term), vote: None };
        self
    }

    /// With leases, and clocks of one rate.
    pub fn leases(mut self) -> Setup {
        self.config.lease = Some(Drift { slowest: 1_000_000, fastest: 1_000_000 });
        self
    }

    /// It starts, with this bug planted or none.
    pub fn start(self, bug: Option<Bug>) -> Server {
        let disk = storage::records_of(&self.saved).iter().map(<[u8]>::to_vec).collect();
        let config = Config { bug, ..self.config };
        let core = Raft::new(config.clone(), self.saved, Time::ZERO, rng());
        Server {
            config,
            core,
            now: Time::ZERO,
            slow_disk: false,
            slow_service: false,
            unapplied: None,
            unsynced: None,
            disk,
            sent: Vec::new(),
            given: Vec::new(),
            snapshots: Vec::new(),
            reads: Vec::new(),
            proposals: Vec::new(),
        }
    }
}

fn rng() -> Rng {
    Rng::of_node(0, NodeId(ME), 1, "paper")
}

/// The server.
pub struct Server {
    config: Config,
    core: Raft,
    now: Time,
    /// Writes wait for [`Server::sync`].
    pub slow_disk: bool,
    /// What its service is given waits for [`Server::apply`].
    pub slow_service: bool,
    unapplied: Option<Index>,
    unsynced: Option<(u64, Vec<Vec<u8>>)>,
    disk: Vec<Vec<u8>>,
    sent: Sent,
    /// What its service was given.
    given: Vec<Apply>,
    snapshots: Vec<Content>,
    /// What became of its reads: the index, or none if it was refused.
    reads: Vec<Option<u64>>,
    /// What became of its proposals: the index, or why not.
    proposals: Vec<Result<u64, Unavailable>>,
}

impl Server {
    /// Something happens. Returns what it sends.
    pub fn step(&mut self, input: Input) -> Sent {
        self.core.step(self.now, input);
        self.settle();
        std::mem::take(&mut self.sent)
    }

    /// It hears a message from another server.
    pub fn hear(&mut self, from: u32, message: Message) -> Sent {
        self.step(Input::Message { from: NodeId(from), message })
    }

    /// Time goes on. It is woken if it asked for that.
    pub fn wait(&mut self, time: Duration) -> Sent {
        self.now += time;
        self.step(Input::Alarm)
    }

    /// An election timeout goes by.
    pub fn time_out(&mut self) -> Sent {
        self.wait(TIMEOUT)
    }

    /// It is elected by everybody. Returns what it sends as a leader.
    pub fn lead(&mut self) -> Sent {
        self.time_out();
        let term = self.view().term.0;
        let voters = self.config.membership.voters.clone();
        voters.iter().filter(|node| node.0 != ME).flat_map(|node| self.hear(node.0, vote_reply(term))).collect()
    }

    /// Its service hands it a command.
    pub fn propose(&mut self) -> Sent {
        self.propose_this(Bytes::from_static(b"x"))
    }

    /// Its service hands it this command.
    pub fn propose_this(&mut self, command: Bytes) -> Sent {
        self.step(Input::Propose { id: 0, command })
    }

    /// Somebody wants another membership.
    pub fn change(&mut self, change: Change) -> Sent {
        self.step(Input::Change { id: 0, change })
    }

    /// The voters and the learners that it has in force.
    pub fn members(&self) -> (Vec<u32>, Vec<u32>) {
        let Membership { voters, learners } = self.core.membership();
        let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
        (numbers(voters), numbers(learners))
    }

    /// What has become of its proposals: where each stands, or why it was refused.
    pub fn proposals(&self) -> &[Result<u64, Unavailable>] {
        &self.proposals
    }

    /// Its service wants to read.
    pub fn read(&mut self) -> Sent {
        self.step(Input::Read { id: 0 })
    }

    /// What has become of its reads: at which index each was answered, or none if it was refused.
    pub fn answers(&self) -> &[Option<u64>] {
        &self.reads
    }

    /// What it has written becomes durable.
    pub fn sync(&mut self) -> Sent {
        let (seq, records) = self.unsynced.take().expect("there is a write that waits");
        self.disk.extend(records);
        self.step(Input::Durable { seq })
    }

    /// Its service has done all that it was given.
    pub fn apply(&mut self) -> Sent {
        let index = self.unapplied.take().expect("there is something that waits");
        self.step(Input::Applied { index })
    }

    /// It stops, loses what was not durable, and starts again.
    pub fn restart(&mut self) {
        let saved = Saved::recover(self.disk.iter().map(Vec::as_slice)).expect("the log has no hole");
        self.unsynced = None;
        self.given.clear();
        self.core = Raft::new(self.config.clone(), saved, self.now, rng());
        self.settle();
    }

    /// What anybody may see of it.
    pub fn view(&self) -> View {
        self.core.view()
    }

    /// Its commit index.
    pub fn commit(&self) -> u64 {
        self.view().commit.0
    }

    /// The terms of its log, behind its snapshot.
    pub fn log(&self) -> Vec<u64> {
        self.core.image().entries.iter().map(|entry| entry.id.term.0).collect()
    }

    /// When its next timer is due.
    pub fn deadline(&self) -> Time {
        self.core.deadline()
    }

    /// What its service was given, by index: entries and snapshots.
    pub fn given(&self) -> (Vec<u64>, Vec<u64>) {
        let (entries, snapshots): (Vec<&Apply>, _) =
            self.given.iter().partition(|item| matches!(item, Apply::Entry(_)));
        let indexes = |items: Vec<&Apply>| items.into_iter().map(|item| item.index().0).collect();
        (indexes(entries), indexes(snapshots))
    }

    /// Where the snapshots came from that it has written.
    pub fn snapshots_written(&self) -> &[Content] {
        &self.snapshots
    }

    fn settle(&mut self) {
        loop {
            let ready = self.core.ready();
            if !self.carry_out(*ready) {
                return;
            }
        }
    }

    /// True if that may have made something new to do.
    fn carry_out(&mut self, ready: Ready) -> bool {
        self.sent.extend(ready.send.into_iter().map(sent));
        self.reads.extend(ready.reads.into_iter().map(|(_, answer)| answer.ok().map(|index| index.0)));
        self.proposals.extend(ready.proposals.into_iter().map(|(_, answer)| answer.map(|id| id.index.0)));
        let mut inputs = Vec::new();
        if let Some(write) = ready.write {
            self.snapshots.extend(write.snapshot.iter().map(|snapshot| snapshot.content));
            let records = storage::records(&write).iter().map(<[u8]>::to_vec).collect();
            if self.slow_disk {
                self.unsynced = Some((write.seq, records));
            } else {
                self.disk.extend(records);
                inputs.push(Input::Durable { seq: write.seq });
            }
        }
        if let Some(index) = ready.apply.last().map(Apply::index) {
            if self.slow_service {
                self.unapplied = Some(index);
            } else {
                inputs.push(Input::Applied { index });
            }
        }
        self.given.extend(ready.apply);
        let more = !inputs.is_empty();
        inputs.into_iter().for_each(|input| self.core.step(self.now, input));
        more
    }
}

/// Snapshots have no bytes here: each goes in one piece.
fn sent(outgoing: Outgoing) -> (u32, Message) {
    match outgoing {
        Outgoing::Message { to, message } => (to.0, message),
        Outgoing::Piece { to, term, snapshot, offset, .. } => {
            (to.0, Message::Install(Install { term, snapshot, offset, done: true, data: Bytes::new() }))
        }
    }
}

// --- messages

fn entry_id((index, term): Id) -> EntryId {
    EntryId::new(Term(term), Index(index))
}

/// Entries of these terms, behind `prev`.
fn entries(prev: u64, terms: &[u64]) -> Vec<Entry> {
    let ids = terms.iter().zip(prev + 1..).map(|(&term, index)| entry_id((index, term)));
    ids.map(|id| Entry { id, payload: Payload::Noop }).collect()
}

/// AppendEntries with entries of these terms behind `prev`.
pub fn append(term: u64, prev: Id, terms: &[u64], commit: u64) -> Message {
    let (prev, entries) = (entry_id(prev), entries(prev.0, terms));
    Message::Append(Append { term: Term(term), prev, commit: Index(commit), round: 0, entries })
}

/// AppendEntries with one entry, a membership of these voters, behind `prev`.
pub fn append_members(term: u64, prev: Id, voters: &[u32]) -> Message {
    let Message::Append(mut carrier) = append(term, prev, &[term], 0) else { unreachable!("it is an append") };
    carrier.entries[0].payload = Payload::Membership(Membership::of(voters.iter().copied().map(NodeId)));
    Message::Append(carrier)
}

/// An append was accepted.
pub fn accepted(term: u64, matched: u64) -> Message {
    append_reply(term, 0, Outcome::Accepted { matched: Index(matched) })
}

/// An append behind `prev` was refused, since the log is too short.
pub fn refused(term: u64, prev: u64, log_ends_at: u64) -> Message {
    let (prev, conflict) = (Index(prev), Index(log_ends_at + 1));
    append_reply(term, 0, Outcome::Rejected { prev, conflict, conflict_term: None })
}

/// Any answer to an append, which was sent in this round of reads.
pub fn append_reply(term: u64, round: u64, outcome: Outcome) -> Message {
    Message::AppendReply(AppendReply { term: Term(term), round, outcome })
}

/// RequestVote.
pub fn request_vote(term: u64, last: Id) -> Message {
    Message::RequestVote(RequestVote { term: Term(term), last: entry_id(last), transfer: false })
}

/// A vote.
pub fn vote_reply(term: u64) -> Message {
    Message::VoteReply(VoteReply { term: Term(term), granted: true })
}

/// InstallSnapshot: a piece of four bytes.
pub fn install(term: u64, last: Id, offset: u64, done: bool) -> Message {
    let snapshot = SnapshotMeta { last: entry_id(last), membership: Membership::of([1, 2, 3].map(NodeId)) };
    Message::Install(Install { term: Term(term), snapshot, offset, done, data: Bytes::from_static(b"four") })
}

// --- what was sent

/// The answers to appends.
pub fn outcomes(sent: &Sent) -> Vec<Outcome> {
    let outcome = |(_, message): &(u32, Message)| match message {
        Message::AppendReply(reply) => Some(reply.outcome.clone()),
        _ => None,
    };
    sent.iter().filter_map(outcome).collect()
}

/// The answers to requests for a vote.
pub fn votes(sent: &Sent) -> Vec<bool> {
    let vote = |(_, message): &(u32, Message)| match message {
        Message::VoteReply(reply) => Some(reply.granted),
        _ => None,
    };
    sent.iter().filter_map(vote).collect()
}

/// The answers to pieces of a snapshot: which byte is wanted next, or none if all is there.
pub fn wanted(sent: &Sent) -> Vec<Option<u64>> {
    let wanted = |(_, message): &(u32, Message)| match message {
        Message::InstallReply(InstallReply { done, next, .. }) => Some((!done).then_some(*next)),
        _ => None,
    };
    sent.iter().filter_map(wanted).collect()
}

/// The appends to one server: what they stand behind, and how many entries they carry.
pub fn appends_to(to: u32, sent: &Sent) -> Vec<(Id, usize)> {
    let append = |(receiver, message): &(u32, Message)| match message {
        Message::Append(append) if *receiver == to => {
            Some(((append.prev.index.0, append.prev.term.0), append.entries.len()))
        }
        _ => None,
    };
    sent.iter().filter_map(append).collect()
}

/// To whom messages of this kind were sent.
pub fn receivers(kind: &str, sent: &Sent) -> Vec<u32> {
    sent.iter().filter(|(_, message)| message.kind().name() == kind).map(|(to, _)| *to).collect()
}
