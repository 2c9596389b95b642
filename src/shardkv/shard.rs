//! A shard: a part of the keys, and what clients have done to them. It moves from group to group as a whole.
//!
//! The sessions are in here, and not beside the shards: a client whose answer is lost while the shard moves sends its command
//! again to the group that has it now, and only what has moved with the keys can tell that it was executed. The ids of sessions
//! come from the shard controller and rise, so a shard that hears of one for the first time knows it for a new one, unless it
//! has already forgotten sessions above it.

use crate::kvraft::machine::Kv;
use crate::kvraft::operation::{Answer, Command, Query, Reply};
use crate::rsm::chunks;
use crate::rsm::config::Config;
use crate::rsm::digest;
use crate::rsm::machine::{Malformed, StateMachine};
use crate::rsm::sessions::{Outcome, SessionId, Sessions, Verdict};
use crate::shardmaster::types::GroupId;
use labrpc::Index;
use serde::{Deserialize, Serialize};

/// What came of a client's command, and in whose log it stands.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Done {
    /// The group that has executed it.
    pub group: GroupId,
    /// What came of it.
    pub reply: Reply,
}

/// A shard.
#[derive(Clone, Debug)]
pub struct Shard {
    kv: Kv,
    sessions: Sessions<Done>,
}

impl Shard {
    /// No keys, and nothing done.
    pub fn empty() -> Shard {
        Shard { kv: Kv::default(), sessions: Sessions::new(Config::default()) }
    }

    /// The keys.
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// How many sessions are remembered.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What the keys say.
    pub fn query(&self, query: &Query) -> Answer {
        self.kv.query(query)
    }

    /// Executes a command of a session, if it is new. `room` is how many sessions are remembered.
    pub fn operate(
        &mut self,
        (group, index): (GroupId, Index),
        (id, seq): (SessionId, u64),
        room: u64,
        command: &Command,
    ) -> Outcome<Done> {
        match self.sessions.judge(index, id, seq) {
            Verdict::Unheard => self.sessions.admit(id, room),
            Verdict::Fresh => {}
            Verdict::Duplicate(at, done) => return Outcome::Repeated(at, done),
            Verdict::Stale => return Outcome::Stale,
            Verdict::Expired => return Outcome::Expired,
        }
        let done = Done { group, reply: self.kv.apply(index, command) };
        self.sessions.record(index, id, seq, done.clone());
        Outcome::Done(index, done)
    }

    /// What is known of a command without executing it. None: it would be new.
    pub fn recall(&self, id: SessionId, seq: u64) -> Option<Outcome<Done>> {
        match self.sessions.judge(Index(0), id, seq) {
            Verdict::Unheard | Verdict::Fresh => None,
            Verdict::Duplicate(at, done) => Some(Outcome::Repeated(at, done)),
            Verdict::Stale => Some(Outcome::Stale),
            Verdict::Expired => Some(Outcome::Expired),
        }
    }

    /// The same keys, and nothing done; for [`super::bugs::Bug::DedupNotMigrated`].
    pub fn without_sessions(self) -> Shard {
        Shard { kv: self.kv, ..Shard::empty() }
    }

    /// Equal for equal shards, sessions and all.
    pub fn digest(&self) -> u64 {
        digest::mix(self.kv.digest(), self.sessions.digest())
    }

    /// All of it.
    pub fn save(&self) -> Vec<u8> {
        let mut sessions = Vec::new();
        self.sessions.save(&mut sessions);
        let mut bytes = Vec::new();
        chunks::put_bytes(&mut bytes, &sessions);
        bytes.extend_from_slice(&self.kv.snapshot());
        bytes
    }

    /// What [`Shard::save`] has made.
    ///
    /// # Errors
    /// [`Malformed`]: these bytes are no shard.
    pub fn load(mut bytes: &[u8]) -> Result<Shard, Malformed> {
        let mut saved = chunks::take_bytes(&mut bytes)?;
        let sessions = Sessions::load(Config::default(), &mut saved)?;
        if !saved.is_empty() {
            return Err(Malformed);
        }
        Ok(Shard { kv: Kv::restore(&(), bytes)?, sessions })
    }
}
