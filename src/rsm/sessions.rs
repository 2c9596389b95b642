//! Sessions: a command that reaches the log twice is executed once (§8, thesis 6.3).
//!
//! A client whose answer is lost sends its command again. Only the state machine can tell that it was executed
//! already: a leader that knows of it may be gone. So what each client did last, and what came of it, is part of the
//! replicated state and of its snapshots.
//!
//! A session has one operation under way at a time, so the last one is all that has to be remembered. Sessions are
//! registered through the log, and a session's id is the index of that entry: ids rise, and none is given twice. When
//! the table is full, the smallest id goes and is remembered as a watermark. A command of a session that is gone is
//! never executed: nobody could tell if it is the first.

use super::bugs::bug;
use super::chunks;
use super::config::Config;
use super::digest;
use super::machine::Malformed;
use labrpc::Index;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;

/// Names a session: the index of the entry that registered it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.0)
    }
}

/// What is remembered of a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Session<R> {
    /// The number of its last operation; 0 in front of the first.
    seq: u64,
    /// What came of that, and where in the log it was executed.
    last: Option<(Index, R)>,
}

impl<R: Hash> Session<R> {
    fn digest(&self, id: SessionId) -> u64 {
        let last = self.last.as_ref().map_or(0, |(index, reply)| digest::mix(index.0, digest::of(reply)));
        digest::mix(digest::mix(id.0, self.seq), last)
    }
}

/// What to do with an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<R> {
    /// It is new: execute it.
    Fresh,
    /// It was executed at that index with that reply.
    Duplicate(Index, R),
    /// The session has gone on since: nobody waits for it.
    Stale,
    /// The session is gone.
    Expired,
    /// No entry up to here has registered such a session.
    Unheard,
}

/// What came of an entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<R> {
    /// Nothing was to be done.
    Nothing,
    /// A session was registered.
    Registered(SessionId),
    /// A command was executed at that index, now or before, with that reply.
    Done(Index, R),
    /// A command was executed before, and maybe not by this log: there at that index, with that reply.
    Repeated(Index, R),
    /// The service cannot do that command here, and says why. Nothing was done and nothing is remembered.
    Refused(R),
    /// A command of the service itself was applied at that index.
    Served(Index, R),
    /// The command's session is gone, and it was not executed.
    Expired,
    /// The command's session has gone on, and it was not executed.
    Stale,
}

impl<R> Outcome<R> {
    /// The same, with another reply.
    pub fn map<S>(self, change: impl FnOnce(R) -> S) -> Outcome<S> {
        match self {
            Outcome::Nothing => Outcome::Nothing,
            Outcome::Registered(session) => Outcome::Registered(session),
            Outcome::Done(index, reply) => Outcome::Done(index, change(reply)),
            Outcome::Repeated(index, reply) => Outcome::Repeated(index, change(reply)),
            Outcome::Refused(reply) => Outcome::Refused(change(reply)),
            Outcome::Served(index, reply) => Outcome::Served(index, change(reply)),
            Outcome::Expired => Outcome::Expired,
            Outcome::Stale => Outcome::Stale,
        }
    }
}

/// The sessions of a service, a part of its replicated state. `R` is what its commands reply.
#[derive(Clone, Debug)]
pub struct Sessions<R> {
    config: Config,
    table: BTreeMap<SessionId, Session<R>>,
    /// The largest id that was evicted: every id at or below it that is not in the table is gone.
    evicted: SessionId,
    /// The sum of the sessions' own digests.
    sum: u64,
}

impl<R: Clone + Hash + Serialize + DeserializeOwned> Sessions<R> {
    /// None yet.
    pub fn new(config: Config) -> Sessions<R> {
        Sessions { config, table: BTreeMap::new(), evicted: SessionId(0), sum: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The entry at `index` registers a session. If there are more than `room` then, the smallest ids go.
    pub fn register(&mut self, index: Index, room: u64) -> SessionId {
        let id = SessionId(index.0);
        self.admit(id, room);
        id
    }

    /// A session that was registered elsewhere comes here for the first time. If there are more than `room` then, the
    /// smallest ids of the others go.
    pub fn admit(&mut self, id: SessionId, room: u64) {
        self.put(id, Session { seq: 0, last: None });
        while self.table.len() as u64 > room.max(1)
            && let Some(oldest) = self.table.keys().copied().find(|other| *other != id)
            && let Some(session) = self.table.remove(&oldest)
        {
            self.sum = self.sum.wrapping_sub(session.digest(oldest));
            self.evicted = self.evicted.max(oldest);
        }
    }

    fn put(&mut self, id: SessionId, session: Session<R>) {
        self.sum = self.sum.wrapping_add(session.digest(id));
        if let Some(before) = self.table.insert(id, session) {
            self.sum = self.sum.wrapping_sub(before.digest(id));
        }
    }

    /// What to do with an operation that stands at `index`, or would. Reads only.
    pub fn judge(&self, index: Index, id: SessionId, seq: u64) -> Verdict<R> {
        let Some(session) = self.table.get(&id) else {
            return if id <= self.evicted { Verdict::Expired } else { Verdict::Unheard };
        };
        if bug!(self, NoDedup) {
            return Verdict::Fresh;
        }
        match &session.last {
            Some((at, _)) if bug!(self, DedupWindowTooSmall) && index.0 > at.0 + 10 => Verdict::Fresh,
            Some((at, reply)) if session.seq == seq => Verdict::Duplicate(*at, reply.clone()),
            _ if seq > session.seq => Verdict::Fresh,
            _ => Verdict::Stale,
        }
    }

    /// The operation was executed at `index` with this reply. What a session did before is forgotten.
    pub fn record(&mut self, index: Index, id: SessionId, seq: u64, reply: R) {
        if self.table.contains_key(&id) {
            self.put(id, Session { seq, last: Some((index, reply)) });
        }
    }

    /// Equal for equal sessions.
    pub fn digest(&self) -> u64 {
        digest::mix(self.sum, self.evicted.0)
    }

    /// Puts them into a snapshot.
    pub fn save(&self, bytes: &mut Vec<u8>) {
        chunks::put(bytes, &(self.evicted, self.table.len() as u64));
        for (id, session) in &self.table {
            if bug!(self, DedupNotInSnapshot) {
                chunks::put(bytes, &(id, Session::<R> { seq: 0, last: None }));
                continue;
            }
            chunks::put(bytes, &(id, session));
        }
    }

    /// Takes them from the front of a snapshot.
    ///
    /// # Errors
    /// [`Malformed`]: they are not there.
    pub fn load(config: Config, bytes: &mut &[u8]) -> Result<Sessions<R>, Malformed> {
        let (evicted, count): (SessionId, u64) = chunks::take(bytes)?;
        let mut sessions = Sessions { evicted, ..Sessions::new(config) };
        for _ in 0..count {
            let (id, session): (SessionId, Session<R>) = chunks::take(bytes)?;
            sessions.put(id, session);
        }
        Ok(sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions<u64> {
        Sessions::new(Config::default())
    }

    fn reloaded(sessions: &Sessions<u64>) -> Sessions<u64> {
        let mut bytes = Vec::new();
        sessions.save(&mut bytes);
        let mut rest = &*bytes;
        let loaded = Sessions::load(Config::default(), &mut rest).expect("it was saved a moment ago");
        assert!(rest.is_empty());
        assert_eq!(loaded.digest(), sessions.digest());
        loaded
    }

    #[test]
    fn an_operation_is_fresh_once_and_its_reply_is_kept_until_the_next_one() {
        let mut sessions = sessions();
        let id = sessions.register(Index(5), 10);
        assert_eq!(sessions.judge(Index(6), id, 1), Verdict::Fresh);
        sessions.record(Index(6), id, 1, 77);
        assert_eq!(sessions.judge(Index(7), id, 1), Verdict::Duplicate(Index(6), 77));
        // A client that gave up on its second operation goes on with the third; the second may come late.
        assert_eq!(sessions.judge(Index(8), id, 3), Verdict::Fresh);
        sessions.record(Index(8), id, 3, 78);
        assert_eq!(sessions.judge(Index(9), id, 2), Verdict::Stale);
        assert_eq!(sessions.judge(Index(9), id, 3), Verdict::Duplicate(Index(8), 78));
    }

    #[test]
    fn the_smallest_id_goes_and_stays_gone() {
        let mut sessions = sessions();
        let [first, second, third] = [3, 4, 9].map(|index| sessions.register(Index(index), 2));
        assert_eq!(sessions.len(), 2);
        assert_eq!(sessions.judge(Index(10), first, 1), Verdict::Expired);
        assert_eq!(sessions.judge(Index(10), SessionId(2), 1), Verdict::Expired, "at or below the watermark");
        assert_eq!(sessions.judge(Index(10), SessionId(11), 1), Verdict::Unheard);
        for id in [second, third] {
            assert_eq!(sessions.judge(Index(10), id, 1), Verdict::Fresh);
        }
        sessions.record(Index(10), first, 1, 5);
        assert_eq!(sessions.len(), 2, "what is gone does not come back");
        assert_eq!(reloaded(&sessions).judge(Index(11), first, 1), Verdict::Expired, "nor by a snapshot");
    }

    #[test]
    fn less_room_than_before_evicts_as_many_as_it_takes() {
        let mut sessions = sessions();
        (1..=5).for_each(|index| _ = sessions.register(Index(index), 5));
        sessions.register(Index(6), 0);
        assert_eq!(sessions.len(), 1, "there is always room for the one that was just registered");
    }

    #[test]
    fn a_session_from_elsewhere_is_as_good_as_any_and_does_not_go_for_itself() {
        let mut sessions = sessions();
        for id in [7, 8] {
            assert_eq!(sessions.judge(Index(1), SessionId(id), 1), Verdict::Unheard);
            sessions.admit(SessionId(id), 2);
            sessions.record(Index(1), SessionId(id), 1, 5);
        }
        sessions.admit(SessionId(6), 2);
        sessions.record(Index(2), SessionId(6), 3, 9);
        let verdicts = [6, 7, 8].map(|id| sessions.judge(Index(3), SessionId(id), 3));
        assert_eq!(verdicts, [Verdict::Duplicate(Index(2), 9), Verdict::Expired, Verdict::Fresh]);
        assert_eq!(
            reloaded(&sessions).judge(Index(3), SessionId(5), 1),
            Verdict::Expired,
            "7 was forgotten before"
        );
    }

    #[test]
    fn a_snapshot_holds_what_was_done_and_its_reply() {
        let mut sessions = sessions();
        let id = sessions.register(Index(1), 10);
        sessions.record(Index(2), id, 1, 42);
        assert_eq!(reloaded(&sessions).judge(Index(3), id, 1), Verdict::Duplicate(Index(2), 42));
    }

    #[test]
    fn the_digest_depends_on_the_state_and_on_nothing_else() {
        let mut left = sessions();
        let mut right = sessions();
        for index in [1, 2] {
            left.register(Index(index), 10);
            right.register(Index(index), 10);
        }
        left.record(Index(3), SessionId(1), 1, 7);
        left.record(Index(4), SessionId(2), 1, 8);
        right.record(Index(4), SessionId(2), 1, 8);
        assert_ne!(left.digest(), right.digest());
        right.record(Index(3), SessionId(1), 1, 7);
        assert_eq!(left.digest(), right.digest());
    }
}
