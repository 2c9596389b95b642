//! The little that the laboratory asks of a Raft: how to start a server, how its service talks to it, and what
//! its disk means.
//!
//! Any Raft can be brought: implement [`RaftSystem`] for it and hand it to `scenario::raft::suite`. An
//! implementation that offers only what has no default is judged by its disk, by what it applies, by its clients
//! and by its progress. One that also says what happens to it ([`labrpc::Env::emit`]) and explains its messages
//! ([`RaftSystem::inspect`]) is judged at every step.

mod cards;

pub use cards::{BugCard, Class, Layer, Study};

use crate::kv::KvSystem;
use crate::plan::Knobs;
use crate::shard::ControllerSystem;
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use labrpc::persister::Directory;
use labrpc::sim::DiskView;
use labrpc::{Content, Direction, Env, Index, Kind, Members, NodeId, Term};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A Raft that the laboratory can run.
pub trait RaftSystem: Send + Sync + 'static {
    /// What it is called: part of the names of its suite.
    fn name(&self) -> &'static str;

    /// Starts a server: reads its disk and spawns its tasks on `env`. Called at each boot, on the node itself.
    ///
    /// The error is what an operator would read. A server that refuses its disk is a finding unless the plan
    /// damaged that disk.
    fn boot(&self, env: Env, setup: PeerSetup) -> BoxFuture<'static, Result<Booted, String>>;

    /// What a server would find on this disk if it started now: with clean code, whatever bug is planted.
    ///
    /// # Errors
    /// Why a server must not start from it.
    fn recover(&self, node: NodeId, disk: &dyn Directory) -> Result<Recovered, String>;

    /// Follows a disk as it grows, so that not everything is read again at each sync. The default reads
    /// everything again.
    fn follow(self: Arc<Self>, node: NodeId) -> Box<dyn Follow> {
        Box::new(WholeDisk { system: self, node, last: Recovered::default() })
    }

    /// Whether [`RaftSystem::inspect`] explains messages. If not, the checks that need it are reported as not
    /// checked.
    fn explains(&self) -> bool {
        false
    }

    /// What a message says. `None`: it is of no interest, or is none of this system's. The direction tells the
    /// answer to a call from its request.
    fn inspect(&self, kind: Kind, direction: Direction, body: &[u8]) -> Option<WireFacts> {
        let _ = (kind, direction, body);
        None
    }

    /// The kinds of messages that play this part: for faults that are aimed at one part of the protocol. None:
    /// such faults do nothing, and scenarios that need them are left out.
    ///
    /// An answer to a call has the kind of its request. So that kind plays both parts, and the laboratory tells
    /// the two apart by their direction.
    fn kinds(&self, part: Part) -> &'static [Kind] {
        let _ = part;
        &[]
    }

    /// Which knobs and calls it understands.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// The shard controller that it is, if it is one.
    fn controller(&self) -> Option<&dyn ControllerSystem> {
        None
    }

    /// The key/value service that runs on top of it, if one does.
    fn kv(&self) -> Option<&dyn KvSystem> {
        None
    }

    /// The bugs that can be planted in it.
    fn bugs(&self) -> Vec<BugCard> {
        Vec::new()
    }
}

/// What a server is told at boot.
#[derive(Clone, Debug)]
pub struct PeerSetup {
    /// Which one it is.
    pub me: NodeId,
    /// All servers of its group, in order.
    pub servers: Vec<NodeId>,
    /// Those of them that make up the cluster in the beginning. The others are spares: members of nothing until they are
    /// added.
    pub voters: Vec<NodeId>,
    /// Which group it is of, from 1.
    pub group: u32,
    /// Who is in each group, group 1 first.
    pub groups: Vec<Vec<NodeId>>,
    /// The settings drawn by the seed. Those that an implementation does not know it ignores.
    pub knobs: Knobs,
    /// The bug to plant, by name.
    pub bug: Option<String>,
    /// Where it says what it has done, if it has a state machine of its own.
    pub tell: Tell,
}

/// Where a server with a state machine of its own says what it has done, at the moment it has and before any client
/// hears of it.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn(Done<'_>) + Send + Sync>);

impl Tell {
    pub(crate) fn new(listen: impl Fn(Done<'_>) + Send + Sync + 'static) -> Tell {
        Tell(Arc::new(listen))
    }

    /// Says it.
    pub fn say(&self, done: Done<'_>) {
        (self.0)(done);
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// What a server with a state machine of its own has done.
#[derive(Clone, Copy, Debug)]
pub enum Done<'a> {
    /// It has applied an entry.
    Applied {
        /// Where the entry stands.
        index: Index,
        /// Its term, if known.
        term: Option<Term>,
        /// The command, if it is one.
        command: Option<&'a Bytes>,
        /// Whether the command was executed now: not if it had been before, or never is.
        executed: bool,
        /// The digest of the state after it.
        digest: u64,
    },
    /// It refuses a client, in the state behind that entry, for a reason of the service's: not since the command was executed before, or
    /// its session is gone.
    Refused {
        /// The entry.
        index: Index,
        /// The command, as the log has it or would have it; or the query, encoded.
        asked: &'a Bytes,
        /// Whether it is a query.
        reads: bool,
    },
    /// It has replaced its state by a snapshot.
    Restored {
        /// The last entry covered.
        index: Index,
        /// The digest of the state.
        digest: u64,
    },
}

/// A server that has started.
pub struct Booted {
    /// How its service talks to it.
    pub peer: Arc<dyn RaftPeer>,
    /// What its service must do, in order. Of a server with a state machine of its own: nothing, ever.
    pub applies: Pin<Box<dyn Stream<Item = ApplyMsg> + Send>>,
}

/// A server, as its service sees it: the shape that the course gives it.
pub trait RaftPeer: Send + Sync {
    /// Puts a command into the log, if this server believes that it leads. Where it will be if committed.
    fn start(&self, command: Bytes) -> BoxFuture<'_, Option<(Index, Term)>>;

    /// The term, and whether this server believes that it leads.
    fn state(&self) -> (Term, bool);

    /// The service's state at `index` is `content`: the log up to there may go.
    fn snapshot(&self, index: Index, content: Bytes);

    /// The service has done everything up to `index`.
    fn applied(&self, index: Index) {
        let _ = index;
    }

    /// Hands leadership to another server. It may not work out.
    fn transfer(&self, to: NodeId) {
        let _ = to;
    }

    /// Goes one step towards a cluster of these voters and nobody else, if this server leads. True: the cluster is that,
    /// and the change that made it so is committed. `None`: not now, or not here.
    fn step_towards(&self, voters: Vec<NodeId>) -> BoxFuture<'_, Option<bool>> {
        let _ = voters;
        Box::pin(std::future::ready(None))
    }

    /// An index at which a read answers for everything committed when this was called, once the service has
    /// applied that much. `None`: ask another one.
    fn read(&self) -> BoxFuture<'_, Option<Index>> {
        Box::pin(std::future::ready(None))
    }
}

/// What a Raft tells its service to do.
#[derive(Clone, Debug)]
pub enum ApplyMsg {
    /// Apply a command.
    Command {
        /// Where it stands.
        index: Index,
        /// Its term, if known.
        term: Option<Term>,
        /// The command.
        command: Bytes,
    },
    /// An entry without a command has its turn.
    Noop {
        /// Where it stands.
        index: Index,
        /// Its term, if known.
        term: Option<Term>,
    },
    /// An entry that changes the membership has its turn.
    Membership {
        /// Where it stands.
        index: Index,
        /// Its term, if known.
        term: Option<Term>,
        /// Who belongs to the cluster with it.
        members: Members,
    },
    /// Replace the state by a snapshot that some server's service once made.
    Snapshot {
        /// The last entry covered.
        index: Index,
        /// The bytes.
        content: Bytes,
    },
}

/// What is on a server's disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Current term.
    pub term: Term,
    /// Vote in that term.
    pub vote: Option<NodeId>,
    /// The snapshot: last entry covered, its term, and the service's bytes.
    pub snapshot: Option<(Index, Term, Bytes)>,
    /// The log behind the snapshot, without a gap.
    pub entries: Vec<(Index, Term, Content)>,
}

/// What two states of a disk are compared by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Current term.
    pub term: Term,
    /// Vote in that term.
    pub vote: Option<NodeId>,
    /// The last entry that the snapshot covers.
    pub snapshot: (Index, Term),
    /// The last entry.
    pub last: (Index, Term),
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let vote = self.vote.map_or("nobody".into(), |vote| vote.to_string());
        let ((snapshot, _), (last, last_term)) = (self.snapshot, self.last);
        write!(f, "{}, vote for {vote}, snapshot {snapshot}, last entry {last} of {last_term}", self.term)
    }
}

impl Recovered {
    /// What it is compared by.
    pub fn summary(&self) -> Summary {
        let snapshot = self.snapshot.as_ref().map_or((Index(0), Term(0)), |(index, term, _)| (*index, *term));
        Summary { term: self.term, vote: self.vote, snapshot, last: self.last() }
    }

    /// Index and term of the last entry.
    pub fn last(&self) -> (Index, Term) {
        let covered = self.snapshot.as_ref().map_or((Index(0), Term(0)), |(index, term, _)| (*index, *term));
        self.entries.last().map_or(covered, |(index, term, _)| (*index, *term))
    }

    /// What it is after this fact.
    pub fn take_in(&mut self, fact: &DiskFact) {
        match fact {
            DiskFact::Hard { term, vote } => (self.term, self.vote) = (*term, *vote),
            DiskFact::Cut { from } => {
                let first = self.entries.first().map_or(*from, |(index, _, _)| *index);
                self.entries.truncate(from.0.saturating_sub(first.0) as usize);
            }
            DiskFact::Entry { index, term, content } => self.entries.push((*index, *term, content.clone())),
            DiskFact::Snapshot { index, term, content } => {
                match self.entries.iter().position(|(at, of, _)| (at, of) == (index, term)) {
                    Some(at) => drop(self.entries.drain(..=at)),
                    None => self.entries.clear(),
                }
                self.snapshot = Some((*index, *term, content.clone()));
            }
        }
    }
}

/// A change of what is durable on a server's disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskFact {
    /// Term and vote.
    Hard {
        /// Current term.
        term: Term,
        /// Vote in that term.
        vote: Option<NodeId>,
    },
    /// This entry and all behind it are gone.
    Cut {
        /// The first that is gone.
        from: Index,
    },
    /// An entry at the end of the log.
    Entry {
        /// Where.
        index: Index,
        /// Its term.
        term: Term,
        /// What it carries.
        content: Content,
    },
    /// A snapshot replaces the log up to its last entry; if that entry is not in the log, all of it.
    Snapshot {
        /// The last entry covered.
        index: Index,
        /// Its term.
        term: Term,
        /// The service's bytes.
        content: Bytes,
    },
}

/// Follows what is durable on one server's disk.
pub trait Follow: Send {
    /// What is durable has changed. Appends to `facts` what that means.
    ///
    /// # Errors
    /// Why the disk makes no sense.
    fn changed(&mut self, disk: &DiskView<'_>, what: Change<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String>;
}

/// What of a disk has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change<'a> {
    /// This file was synced.
    File(&'a str),
    /// Names were synced.
    Names,
    /// Anything: the power has failed, or a file was cut before it was synced.
    Everything,
}

/// Reads the whole disk each time.
struct WholeDisk<S: ?Sized> {
    system: Arc<S>,
    node: NodeId,
    last: Recovered,
}

impl<S: RaftSystem + ?Sized> Follow for WholeDisk<S> {
    fn changed(&mut self, disk: &DiskView<'_>, _: Change<'_>, facts: &mut Vec<DiskFact>) -> Result<(), String> {
        let found = self.system.recover(self.node, disk)?;
        difference(&self.last, &found, facts);
        self.last = found;
        Ok(())
    }
}

/// The facts that lead from one state of a disk to another.
pub fn difference(old: &Recovered, new: &Recovered, facts: &mut Vec<DiskFact>) {
    if (old.term, old.vote) != (new.term, new.vote) {
        facts.push(DiskFact::Hard { term: new.term, vote: new.vote });
    }
    let mut covered = old.snapshot.as_ref().map_or(Index(0), |(index, _, _)| *index);
    if new.snapshot != old.snapshot
        && let Some((index, term, content)) = &new.snapshot
    {
        covered = *index;
        facts.push(DiskFact::Snapshot { index: *index, term: *term, content: content.clone() });
    }
    let kept: Vec<_> = old.entries.iter().filter(|(index, _, _)| *index > covered).collect();
    let same = kept.iter().zip(&new.entries).take_while(|(old, new)| **old == *new).count();
    if same < kept.len() {
        facts.push(DiskFact::Cut { from: kept[same].0 });
    }
    for (index, term, content) in &new.entries[same..] {
        facts.push(DiskFact::Entry { index: *index, term: *term, content: content.clone() });
    }
}

/// A part of the protocol, for faults that are aimed at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Requests for votes, pre-votes included.
    VoteRequest,
    /// Their answers.
    VoteReply,
    /// Entries and heartbeats.
    Append,
    /// Their answers.
    AppendReply,
    /// Snapshots.
    Install,
    /// Their answers.
    InstallReply,
    /// What clients ask of a service on top.
    ClientRequest,
    /// What they are answered.
    ClientReply,
    /// What servers of different groups ask of each other, as services: to hand over a shard, say.
    ServiceRequest,
    /// What they are answered.
    ServiceReply,
}

impl Part {
    /// Which ways messages that play it can go: a request is never the second half of a call, and an answer never
    /// the first.
    pub fn directions(self) -> [Direction; 2] {
        match self {
            Part::VoteRequest | Part::Append | Part::Install | Part::ClientRequest | Part::ServiceRequest => {
                [Direction::OneWay, Direction::Request]
            }
            Part::VoteReply | Part::AppendReply | Part::InstallReply | Part::ClientReply | Part::ServiceReply => {
                [Direction::OneWay, Direction::Reply]
            }
        }
    }
}

/// What a message says, as far as the oracle is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WireFacts {
    /// A candidate asks for a vote; or, with `pre`, would ask.
    VoteRequest {
        /// The term it asks for.
        term: Term,
        /// The last entry of its log.
        last: (Index, Term),
        /// Nobody's term or vote changes by it.
        pre: bool,
    },
    /// The answer.
    VoteReply {
        /// The voter's term; in a granted pre-vote the term asked for.
        term: Term,
        /// Whether it is a yes.
        granted: bool,
        /// It answers a pre-vote.
        pre: bool,
    },
    /// A leader replicates entries, or only shows that it is there.
    Append {
        /// The leader's term.
        term: Term,
        /// The entry in front of the new ones.
        prev: (Index, Term),
        /// How many entries it carries.
        entries: u64,
        /// The leader's commit index.
        commit: Index,
    },
    /// The answer.
    AppendReply {
        /// The follower's term.
        term: Term,
        /// Up to where the follower's log is durably the leader's; none: it refused.
        matched: Option<Index>,
    },
    /// A leader sends a snapshot, or a piece of one.
    Install {
        /// The leader's term.
        term: Term,
        /// The last entry covered.
        last: (Index, Term),
        /// First byte and number of bytes.
        piece: (u64, u64),
    },
    /// The answer.
    InstallReply {
        /// The follower's term.
        term: Term,
        /// Up to where the follower durably has what the leader has; none: the snapshot is not complete there.
        matched: Option<Index>,
    },
    /// A message that promises nothing but its sender's term.
    Other {
        /// The term.
        term: Term,
    },
}

impl WireFacts {
    /// The term of the sender, if the message says it. A pre-vote, and a yes to one, speak of a term that nobody
    /// is in yet.
    pub fn term(&self) -> Option<Term> {
        match self {
            WireFacts::VoteRequest { pre: true, .. } | WireFacts::VoteReply { pre: true, granted: true, .. } => {
                None
            }
            WireFacts::VoteRequest { term, .. }
            | WireFacts::VoteReply { term, .. }
            | WireFacts::Append { term, .. }
            | WireFacts::AppendReply { term, .. }
            | WireFacts::Install { term, .. }
            | WireFacts::InstallReply { term, .. }
            | WireFacts::Other { term } => Some(*term),
        }
    }
}

/// What an implementation can do. The default is the least: a Raft as the course's first three parts make it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Abilities {
    /// It takes snapshots and sends them to those who lag.
    pub snapshots: bool,
    /// It asks for pre-votes when the knob says so.
    pub pre_vote: bool,
    /// Its leaders step down without a majority when the knob says so.
    pub check_quorum: bool,
    /// Its leaders open their term with an entry of their own when the knob says so.
    pub noop: bool,
    /// It hands leadership over.
    pub transfer: bool,
    /// It confirms reads.
    pub reads: bool,
    /// Its servers have a state machine of their own, of which the laboratory sees digests: [`PeerSetup::tell`]. It
    /// takes its own snapshots, and shows them as [`crate::oracle::ServiceSnapshot`]s.
    pub own_state: bool,
    /// Its membership can be changed while it runs ([`RaftPeer::step_towards`]), and servers can start as spares.
    pub membership: bool,
    /// It can run as several groups: a server minds which of them it is in ([`PeerSetup::group`]).
    pub groups: bool,
}
