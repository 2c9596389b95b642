//! One copy of the replicated state: the service's state machine and its sessions, as the log moves them.

use super::bugs::bug;
use super::config::Config;
use super::digest;
use super::machine::{Malformed, StateMachine};
use super::sessions::{Outcome, SessionId, Sessions, Verdict};
use labrpc::{Event, Index};
use serde::{Deserialize, Serialize};

/// The version of snapshots, and their first byte.
const FORMAT: u8 = 2;

/// What stands in the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LogCommand<C> {
    /// Registers a session.
    Register {
        /// How many there may be then. In the entry, so that all servers agree on it.
        room: u64,
    },
    /// A command of a session.
    Operate {
        /// Whose.
        session: SessionId,
        /// Which of its operations; from 1, rising.
        seq: u64,
        /// What to do.
        command: C,
    },
    /// Nothing: it marks the place of a read.
    Mark,
    /// A command of the service itself, which belongs to no session.
    Service(C),
}

/// The replicated state of a service.
#[derive(Debug)]
pub struct Replica<M: StateMachine> {
    config: Config,
    settings: M::Settings,
    machine: M,
    sessions: Sessions<M::Reply>,
    /// The last entry that it has seen.
    applied: Index,
}

impl<M: StateMachine> Replica<M> {
    /// The state in front of the first entry.
    pub fn new(config: Config, settings: M::Settings) -> Replica<M> {
        let machine = M::new(&settings);
        Replica { config, settings, machine, sessions: Sessions::new(config), applied: Index(0) }
    }

    /// What its state machine is made with.
    pub fn settings(&self) -> &M::Settings {
        &self.settings
    }

    /// The last entry that it has seen.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The service's own state.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Moves on by the entry at `index`. `command` is empty for entries that Raft makes for itself.
    pub fn apply(&mut self, index: Index, command: &[u8]) -> Outcome<M::Reply> {
        self.applied = index;
        // What does not decode is nothing, on all servers alike.
        match labgob::decode(command) {
            Ok(LogCommand::Register { .. }) if M::KEEPS_SESSIONS => Outcome::Nothing,
            Ok(LogCommand::Register { room }) => Outcome::Registered(self.sessions.register(index, room)),
            Ok(LogCommand::Operate { session, seq, command }) if M::KEEPS_SESSIONS => {
                self.machine.operate(index, session, seq, &command)
            }
            Ok(LogCommand::Service(command)) => Outcome::Served(index, self.machine.apply(index, &command)),
            Ok(LogCommand::Operate { session, seq, command }) => self.operate(index, session, seq, &command),
            Ok(LogCommand::Mark) | Err(_) => Outcome::Nothing,
        }
    }

    fn operate(&mut self, index: Index, id: SessionId, seq: u64, command: &M::Command) -> Outcome<M::Reply> {
        let mut verdict = self.sessions.judge(index, id, seq);
        if bug!(self, DedupOnlyAtSubmit) {
            verdict = Verdict::Fresh;
        }
        match verdict {
            Verdict::Fresh => {
                let reply = self.machine.apply(index, command);
                self.sessions.record(index, id, seq, reply.clone());
                Outcome::Done(index, reply)
            }
            Verdict::Duplicate(..) if bug!(self, DedupLosesReply) => {
                Outcome::Done(index, M::new(&self.settings).apply(index, command))
            }
            Verdict::Duplicate(at, reply) => Outcome::Done(at, reply),
            Verdict::Stale => Outcome::Stale,
            // A session that no entry has registered gets no second chance either.
            Verdict::Expired | Verdict::Unheard => Outcome::Expired,
        }
    }

    /// What is known of an operation without asking the log: what came of it, or that nothing will. None: the log
    /// must decide.
    pub fn recall(&self, id: SessionId, seq: u64, command: &M::Command, leads: bool) -> Option<Outcome<M::Reply>> {
        if M::KEEPS_SESSIONS {
            return self.machine.recall(id, seq, command, leads);
        }
        match self.sessions.judge(self.applied, id, seq) {
            Verdict::Duplicate(at, reply) => Some(Outcome::Done(at, reply)),
            Verdict::Stale => Some(Outcome::Stale),
            Verdict::Expired => Some(Outcome::Expired),
            Verdict::Fresh | Verdict::Unheard => None,
        }
    }

    /// Applies a command that stands in no log; for [`super::bugs::Bug::ErrandNotInLog`].
    pub(super) fn apply_alone(&mut self, command: &M::Command) {
        self.machine.apply(self.applied, command);
    }

    /// What has happened to the service since this was asked last.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.machine.take_events()
    }

    /// Answers a query about the state as it is.
    pub fn query(&self, query: &M::Query) -> M::Answer {
        self.machine.query(query)
    }

    /// Equal for equal states, sessions included. The index does not count: an entry that does nothing leaves it as
    /// it was.
    pub fn digest(&self) -> u64 {
        digest::mix(self.machine.digest(), self.sessions.digest())
    }

    /// The whole state.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, M::TAG];
        self.sessions.save(&mut bytes);
        bytes.extend_from_slice(&self.machine.snapshot());
        bytes
    }

    /// The state of a snapshot that was made at `index`.
    ///
    /// # Errors
    /// [`Malformed`]: these bytes are none.
    pub fn restore(
        config: Config,
        settings: M::Settings,
        index: Index,
        bytes: &[u8],
    ) -> Result<Replica<M>, Malformed> {
        let ([format, tag], mut rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        if (*format, *tag) != (FORMAT, M::TAG) {
            return Err(Malformed);
        }
        let sessions = Sessions::load(config, &mut rest)?;
        let machine = M::restore(&settings, rest)?;
        Ok(Replica { config, settings, machine, sessions, applied: index })
    }
}
