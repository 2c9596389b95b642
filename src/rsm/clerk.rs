//! The client's side of a replicated service: finds the leader, tries again, and says what it knows of the outcome.
//!
//! A command keeps its number at every try, so it is executed at most once however often it is sent. When time is up,
//! the clerk says whether it *may* have been executed; it never guesses.

use super::bugs::{Bug, bug};
use super::machine::{StateMachine, TooLarge};
use super::message::{Kinds, Request, Response};
use super::servers::Servers;
use super::sessions::SessionId;
use bytes::Bytes;
use labrpc::{Env, Index, NodeId, Time};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The longest pause, in times of the first.
pub const MOST_PAUSES: u32 = 8;

/// How long a clerk tries, by its node's clock.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one operation, all in all.
    pub deadline: Duration,
    /// For one server to answer.
    pub attempt: Duration,
    /// After the first round in which no server could help. After each further one it is twice as long, up to
    /// [`MOST_PAUSES`] of these: while there is no leader, a crowd of clients that ask would be all that servers hear.
    pub pause: Duration,
    /// A planted bug.
    pub bug: Option<Bug>,
}

impl Default for Patience {
    /// For a local network.
    fn default() -> Patience {
        Patience {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_millis(500),
            pause: Duration::from_millis(30),
            bug: None,
        }
    }
}

/// Why an operation brought no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// It may have been executed, or may be yet, once.
    #[error("unknown: it may have been executed, or may be yet")]
    Unknown,
    /// It was not executed and will not be: no leader was found in time.
    #[error("not executed: no leader was found in time")]
    Unavailable,
    /// It was not executed and will not be.
    #[error("not executed: {0}")]
    TooLarge(#[from] TooLarge),
    /// Of a sharded service: whoever should have executed it was set up for another number of shards than the controller, and
    /// will serve none until that is mended. It may have been executed elsewhere before, or be executed after that.
    #[error(
        "unknown: group {group} was made for {has} shards, and its controller for {controller}: it serves none of them"
    )]
    OtherShards {
        /// The group.
        group: u64,
        /// How many shards it was made for.
        has: u32,
        /// And the controller.
        controller: u32,
    },
}

impl Failure {
    /// Whether it may have been executed, or may be yet.
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Failure::Unknown | Failure::OtherShards { .. } => true,
            Failure::Unavailable | Failure::TooLarge(_) => false,
        }
    }
}

/// A client of a service. It has one operation under way at a time.
pub struct Clerk<M: StateMachine> {
    env: Env,
    /// Whom it asks, as that is known by now, and as it was when it last looked.
    known: Servers,
    servers: Arc<[NodeId]>,
    kinds: Kinds,
    config: Patience,
    /// Where the leader was last, as an index into `servers`.
    leader: usize,
    /// Its session, from the first command on, until it expires.
    session: Option<SessionId>,
    /// The number of the last command.
    seq: u64,
    machine: PhantomData<fn() -> M>,
}

/// One response that settles a request.
type Settled<M> = Response<<M as StateMachine>::Reply, <M as StateMachine>::Answer>;

impl<M: StateMachine> Clerk<M> {
    /// A client of these servers.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(env: Env, servers: impl Into<Servers>, kinds: Kinds, config: Patience) -> Clerk<M> {
        let known = servers.into();
        let servers = known.get();
        assert!(!servers.is_empty(), "a service has servers");
        Clerk { env, known, servers, kinds, config, leader: 0, session: None, seq: 0, machine: PhantomData }
    }

    /// From now on the clerk tries for so long.
    pub fn set_patience(&mut self, config: Patience) {
        self.config = config;
    }

    /// Executes a command, once. Also returns where in the log it stands.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn command(&mut self, command: M::Command) -> Result<(Index, M::Reply), Failure> {
        M::admit(&command)?;
        let deadline = self.env.now() + self.config.deadline;
        let session = match self.session {
            Some(session) => session,
            // The command itself was not sent yet.
            None => self.register(deadline).await.map_err(|_| Failure::Unavailable)?,
        };
        self.seq += 1;
        let request = Request::Operate { session, seq: self.seq, command };
        match self.ask(request, deadline).await? {
            Response::Done { index, reply } => Ok((index, reply)),
            Response::TooLarge(refused) => Err(refused.into()),
            Response::Expired => {
                self.session = None;
                Err(Failure::Unknown)
            }
            _ => Err(Failure::Unknown),
        }
    }

    /// Asks about the state. Also returns the last entry of the log that the state had seen.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn query(&mut self, query: M::Query) -> Result<(Index, M::Answer), Failure> {
        let deadline = self.env.now() + self.config.deadline;
        match self.ask(Request::Query(query), deadline).await? {
            Response::Read { index, answer } => Ok((index, answer)),
            _ => Err(Failure::Unknown),
        }
    }

    /// Executes a command that belongs to no session. It may be executed several times.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn tell(&mut self, command: M::Command) -> Result<(Index, M::Reply), Failure> {
        M::admit(&command)?;
        let deadline = self.env.now() + self.config.deadline;
        match self.ask(Request::Tell(command), deadline).await? {
            Response::Done { index, reply } => Ok((index, reply)),
            _ => Err(Failure::Unknown),
        }
    }

    /// The server that it asks first: whom it takes for the leader.
    pub fn favourite(&self) -> NodeId {
        self.servers[self.leader]
    }

    /// Asks this server first, if it is one of its servers.
    pub fn set_favourite(&mut self, server: NodeId) {
        self.leader = self.servers.iter().position(|&one| one == server).unwrap_or(self.leader);
    }

    /// Asks another server first: what the one that it takes for the leader says is of no use.
    pub fn turn_away(&mut self) {
        self.turn_to(None);
    }

    /// Asks for a session, and has it from now on. One that is asked for twice is registered twice; the one that nobody
    /// uses is evicted in time.
    ///
    /// # Errors
    /// [`Failure`]: there is none yet.
    pub async fn register(&mut self, deadline: Time) -> Result<SessionId, Failure> {
        // A client that restarts is another one, and so is each of several in one process.
        let nonce = self.env.rng("clerk").below(u64::MAX / 2).wrapping_add(self.env.unique());
        match self.ask(Request::Register { nonce }, deadline).await? {
            Response::Registered(session) => {
                (self.session, self.seq) = (Some(session), 0);
                Ok(session)
            }
            _ => Err(Failure::Unknown),
        }
    }

    /// Asks server after server until one settles it.
    ///
    /// # Errors
    /// [`Failure::Unknown`] or [`Failure::Unavailable`]: none did by then.
    pub(crate) async fn ask(
        &mut self,
        mut request: Request<M::Command, M::Query>,
        deadline: Time,
    ) -> Result<Settled<M>, Failure> {
        let kind = self.kinds.of(&request);
        let mut body = encoded(&request);
        // Once it was sent, nothing is sure: whoever refuses it may be the leader when the network delivers a copy.
        let mut was_sent = false;
        // How many servers in a row could not help.
        let (mut helpless, mut pauses) = (0, 1);
        loop {
            let now = self.env.now();
            if now >= deadline {
                return Err(if was_sent { Failure::Unknown } else { Failure::Unavailable });
            }
            let until = deadline.min(now + self.config.attempt);
            self.look_up();
            was_sent = true;
            let answer = self.env.call(self.servers[self.leader], kind, body.clone(), until).await;
            let hint = match answer.ok().and_then(|bytes| labgob::decode(&bytes).ok()) {
                Some(Response::NotLeader(hint) | Response::Unknown(hint)) => hint,
                Some(Response::Busy) => {
                    self.env.sleep(self.config.pause).await;
                    Some(self.servers[self.leader])
                }
                // No answer, or one that makes no sense.
                None | Some(Response::Malformed) => None,
                Some(settled) => return Ok(settled),
            };
            helpless += 1;
            self.turn_to(hint);
            if helpless % self.servers.len() == 0 {
                self.env.sleep(self.config.pause * pauses).await;
                pauses = (pauses * 2).min(MOST_PAUSES);
            }
            if bug!(self, RetryNewSeq)
                && let Request::Operate { seq, .. } = &mut request
            {
                self.seq += 1;
                *seq = self.seq;
                body = encoded(&request);
            }
        }
    }

    /// Goes by the servers that are known by now.
    fn look_up(&mut self) {
        let known = self.known.get();
        if !Arc::ptr_eq(&known, &self.servers) {
            let leader = self.servers[self.leader];
            self.servers = known;
            self.leader = self.servers.iter().position(|&server| server == leader).unwrap_or(0);
        }
    }

    /// The next one to ask: whom the last one named, or else the one behind it.
    fn turn_to(&mut self, hint: Option<NodeId>) {
        let named = hint.and_then(|hint| self.servers.iter().position(|&server| server == hint));
        self.leader = named.unwrap_or((self.leader + 1) % self.servers.len());
    }
}

fn encoded<C: serde::Serialize, Q: serde::Serialize>(request: &Request<C, Q>) -> Bytes {
    labgob::encode(request).expect("what is admitted is far below the limit").into()
}
