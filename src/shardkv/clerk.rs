//! The client: the operations of the store, each as a call. It finds the group that has a key, and goes after it when it moves.
//!
//! A command keeps its number at every try, in whichever group, so it is executed at most once: what a shard has done moves with
//! it.

use super::machine::ShardKv;
use super::operation::{Answer, Command, Query, Reply, Status};
use super::server::KINDS;
use super::shard::Done;
use crate::kvraft;
use crate::rsm::clerk::MOST_PAUSES;
use crate::rsm::{self, Failure, Patience, Request, Response, SessionId};
use crate::shardmaster::{self, ConfigNum, GroupId, ShardConfig, ShardId, ShardMaster, shard_of};
use bytes::Bytes;
use labrpc::{Env, Index, NodeId, Time};
use std::collections::BTreeMap;

/// An entry of a group's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Whose log.
    pub group: GroupId,
    /// Where in it.
    pub index: Index,
}

/// What a scan has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanned {
    /// Keys and values, in the order of the keys.
    pub items: Vec<(Bytes, Bytes)>,
    /// Whether there may be more such keys behind them.
    pub more: bool,
    /// For each shard the state that it was read from: the last entry that its group had seen.
    pub places: BTreeMap<ShardId, Place>,
}

/// What a group says that settles a request.
type Settled = Response<Reply, Answer>;

/// A client of the store. It has one operation under way at a time.
pub struct Clerk {
    env: Env,
    patience: Patience,
    /// It gives out sessions and configurations.
    master: rsm::Clerk<ShardMaster>,
    /// How many servers that one has.
    masters: rsm::Servers,
    /// The last configuration that it has heard of.
    config: Option<ShardConfig>,
    /// An older one, to be tried once: that of a group that is not as far.
    older: Option<ShardConfig>,
    /// One for each group that it has asked, with the servers that it knows it by.
    groups: BTreeMap<GroupId, (Vec<NodeId>, rsm::Clerk<ShardKv>)>,
    session: Option<SessionId>,
    /// The number of the last command, in whichever group.
    seq: u64,
}

impl Clerk {
    /// A client of the groups of a shard controller with these servers. It asks that one for a session with the first command.
    ///
    /// # Panics
    /// If there is no server.
    pub fn new(env: Env, masters: impl Into<rsm::Servers>, patience: Patience) -> Clerk {
        let masters = masters.into();
        let master = rsm::Clerk::new(env.clone(), masters.clone(), shardmaster::KINDS, patience);
        Clerk {
            env,
            patience,
            master,
            masters,
            config: None,
            older: None,
            groups: BTreeMap::new(),
            session: None,
            seq: 0,
        }
    }

    /// From now on it tries for so long.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
        self.master.set_patience(patience);
        self.groups.values_mut().for_each(|(_, clerk)| clerk.set_patience(patience));
    }

    /// Executes a command, once. Also returns where it was executed.
    ///
    /// # Errors
    /// [`Failure`], which says if it [may have been executed](Failure::may_have_happened).
    pub async fn command(&mut self, command: kvraft::Command) -> Result<(Place, kvraft::Reply), Failure> {
        command.check()?;
        let deadline = self.env.now() + self.patience.deadline;
        let session = match self.session {
            Some(session) => session,
            // The command itself was not sent yet.
            None => self.register(deadline).await.map_err(|_| Failure::Unavailable)?,
        };
        self.seq += 1;
        let key = command.key().clone();
        let request = Request::Operate { session, seq: self.seq, command: Command::Client(command) };
        match self.ask(Target::Key(key), &request, deadline).await? {
            (_, Response::Done { index, reply: Reply::Done(Done { group, reply }) }) => match reply {
                kvraft::Reply::TooLarge(refused) => Err(refused.into()),
                reply => Ok((Place { group, index }, reply)),
            },
            (_, Response::TooLarge(refused)) => Err(refused.into()),
            (_, Response::Expired) => {
                self.session = None;
                Err(Failure::Unknown)
            }
            _ => Err(Failure::Unknown),
        }
    }

    async fn register(&mut self, deadline: Time) -> Result<SessionId, Failure> {
        let session = self.master.register(deadline).await?;
        (self.session, self.seq) = (Some(session), 0);
        Ok(session)
    }

    /// The value and version of a key, and the state that says so: the last entry that it had seen.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn read(&mut self, key: impl Into<Bytes>) -> Result<(Place, Option<Bytes>, u64), Failure> {
        let deadline = self.env.now() + self.patience.deadline;
        let key = key.into();
        let request = Request::Query(Query::Get { key: key.clone() });
        match self.ask(Target::Key(key), &request, deadline).await? {
            (group, Response::Read { index, answer: Answer::Found(kvraft::Answer::Value { value, version }) }) => {
                Ok((Place { group, index }, value, version))
            }
            _ => Err(Failure::Unknown),
        }
    }

    /// The value of a key, if it is present.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Failure> {
        Ok(self.read(key).await?.1)
    }

    /// The first keys with that prefix, of all shards. Each shard is read at one moment, and all of them one after the other:
    /// what is written meanwhile may be there in one shard and not yet in another.
    ///
    /// # Errors
    /// [`Failure`]: not all shards have answered.
    pub async fn scan(&mut self, prefix: impl Into<Bytes>, limit: u64) -> Result<Scanned, Failure> {
        let deadline = self.env.now() + self.patience.deadline;
        let prefix = prefix.into();
        while self.config.is_none() {
            self.learn(deadline).await?;
        }
        let shards = self.config.as_ref().map_or(0, |config| config.shards.len() as u32);
        let (mut all, mut places) = (Vec::new(), BTreeMap::new());
        // Of a shard that has more than it says nothing is known behind its last key.
        let (mut more, mut known) = (false, None::<Bytes>);
        for shard in (0..shards).map(ShardId) {
            let request = Request::Query(Query::Scan { shard, prefix: prefix.clone(), limit });
            let answer = self.ask(Target::Shard(shard), &request, deadline).await?;
            let (group, Response::Read { index, answer: Answer::Found(found) }) = answer else {
                return Err(Failure::Unknown);
            };
            let kvraft::Answer::Entries { items, more: behind } = found else { return Err(Failure::Unknown) };
            if behind {
                more = true;
                let last = items.last().map(|(key, _)| key.clone()).unwrap_or_default();
                known = Some(known.map_or(last.clone(), |known| known.min(last)));
            }
            places.insert(shard, Place { group, index });
            all.extend(items);
        }
        all.sort();
        if let Some(known) = known {
            all.retain(|(key, _)| *key <= known);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(kvraft::MAX_SCAN as usize);
        more |= all.len() > limit;
        all.truncate(limit);
        Ok(Scanned { items: all, more, places })
    }

    /// How far a group with these servers is, and what it has.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn status(&mut self, servers: Vec<NodeId>) -> Result<Status, Failure> {
        let mut clerk = rsm::Clerk::<ShardKv>::new(self.env.clone(), servers, KINDS, self.patience);
        match clerk.query(Query::Status).await? {
            (_, Answer::Status(status)) => Ok(status),
            _ => Err(Failure::Unknown),
        }
    }

    /// Gives a key a value. What [`Clerk::command`] says of errors holds for all of these.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<kvraft::Reply, Failure> {
        Ok(self.command(kvraft::Command::Put { key: key.into(), value: value.into() }).await?.1)
    }

    /// Adds to the end of a key's value.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn append(
        &mut self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<kvraft::Reply, Failure> {
        Ok(self.command(kvraft::Command::Append { key: key.into(), value: value.into() }).await?.1)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn delete(&mut self, key: impl Into<Bytes>) -> Result<kvraft::Reply, Failure> {
        Ok(self.command(kvraft::Command::Delete { key: key.into() }).await?.1)
    }

    /// Gives a key a value if it is as expected.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn cas(
        &mut self,
        key: impl Into<Bytes>,
        expect: kvraft::Expect,
        value: impl Into<Bytes>,
    ) -> Result<kvraft::Reply, Failure> {
        Ok(self.command(kvraft::Command::Cas { key: key.into(), expect, value: value.into() }).await?.1)
    }

    /// Asks the group that has a shard, and whoever has it after that one, until one settles it. Also returns which group did.
    async fn ask(
        &mut self,
        target: Target,
        request: &Request<Command, Query>,
        deadline: Time,
    ) -> Result<(GroupId, Settled), Failure> {
        // Whether a try may have left something behind.
        let mut may_be = false;
        let mut pauses = 1;
        self.older = None;
        loop {
            let (now, patience) = (self.env.now(), self.patience);
            if now >= deadline {
                return Err(if may_be { Failure::Unknown } else { Failure::Unavailable });
            }
            if let Some((group, clerk, servers)) = self.route(&target) {
                // A group that is dead keeps nobody from seeing that another one has the shard.
                let until = deadline.min(now + patience.attempt * servers + patience.pause);
                let answer = clerk.ask(request.clone(), until).await;
                if let Some(failure) = answer.as_ref().ok().and_then(|response| self.misfit(group, response)) {
                    return Err(failure);
                }
                match answer {
                    Ok(response) if !is_elsewhere(&response) => return Ok((group, response)),
                    // Somebody is behind, and whoever had the shard then may be, too: they serve it as long as they are.
                    Ok(response) if self.older.is_none() && self.is_behind(&response) => {
                        may_be = true;
                        self.go_back(&response, deadline).await;
                        continue;
                    }
                    // The network may hold a copy of the request, and the group may have the shard when it comes.
                    Ok(_) | Err(Failure::Unknown) => may_be = true,
                    Err(_) => {}
                }
            }
            let before = self.config.as_ref().map(|config| config.num);
            self.older = None;
            // Nor does a controller that is dead keep it from asking the group that it knows once more.
            let learnt = self.learn(self.controllers_deadline(deadline)).await;
            if learnt.is_err() || self.config.as_ref().map(|config| config.num) == before {
                let pause = self.env.now() + patience.pause * pauses;
                self.env.sleep_until(pause.min(deadline)).await;
                // Whoever has refused it so long may be a leader that is cut off from its group and has not noticed: what it refuses
                // it does not ask its group about.
                if pauses == MOST_PAUSES
                    && let Some((_, clerk, _)) = self.route(&target)
                {
                    clerk.turn_away();
                }
                pauses = (pauses * 2).min(MOST_PAUSES);
            }
        }
    }

    /// Until when to wait for the controller.
    fn controllers_deadline(&self, deadline: Time) -> Time {
        deadline.min(self.env.now() + self.patience.attempt * self.masters.get().len() as u32 + self.patience.pause)
    }

    /// Whether a group that does not have the shard has an older configuration than this client.
    fn is_behind(&self, response: &Settled) -> bool {
        self.config.as_ref().zip(not_mine(response)).is_some_and(|(known, (its, _))| its < known.num)
    }

    /// What is wrong with a group that was set up for another number of shards than the controller.
    fn misfit(&self, group: GroupId, response: &Settled) -> Option<Failure> {
        let (_, has) = not_mine(response)?;
        let controller = self.config.as_ref()?.shards.len() as u32;
        (has != controller).then_some(Failure::OtherShards { group: group.0, has, controller })
    }

    /// Has the configuration of a group that is behind tried next; or if it cannot be had, the latest again.
    async fn go_back(&mut self, response: &Settled, deadline: Time) {
        let request = Request::Query(shardmaster::Query(not_mine(response).map(|(its, _)| its)));
        let until = self.controllers_deadline(deadline);
        self.older = match self.master.ask(request, until).await {
            Ok(Response::Read { answer, .. }) if answer.is_sound() => Some(answer),
            _ => self.config.clone(),
        };
    }

    /// Learns the latest configuration.
    async fn learn(&mut self, deadline: Time) -> Result<(), Failure> {
        let request = Request::Query(shardmaster::Query(None));
        match self.master.ask(request, deadline).await? {
            Response::Read { answer, .. } if answer.is_sound() => self.config = Some(answer),
            _ => return Err(Failure::Unavailable),
        }
        Ok(())
    }

    /// The group that has the shard as far as is known, who to ask there, and how many servers there are.
    fn route(&mut self, target: &Target) -> Option<(GroupId, &mut rsm::Clerk<ShardKv>, u32)> {
        let config = self.older.as_ref().or(self.config.as_ref())?;
        let shard = match target {
            Target::Key(key) => shard_of(key, config.shards.len() as u32),
            Target::Shard(shard) => *shard,
        };
        let group = config.owner(shard)?;
        let servers = config.groups.get(&group)?;
        let clerk = || rsm::Clerk::new(self.env.clone(), servers.clone(), KINDS, self.patience);
        let known = self.groups.entry(group).or_insert_with(|| (servers.clone(), clerk()));
        if known.0 != *servers {
            *known = (servers.clone(), clerk());
        }
        Some((group, &mut known.1, servers.len() as u32))
    }
}

/// Who is meant by a request.
enum Target {
    /// The shard of this key.
    Key(Bytes),
    Shard(ShardId),
}

/// The configuration of a group that says that the shard is somebody else's, and how many shards it was made for.
fn not_mine(response: &Settled) -> Option<(ConfigNum, u32)> {
    match response {
        Response::Refused(Reply::WrongGroup { config, shards })
        | Response::Read { answer: Answer::WrongGroup { config, shards }, .. } => Some((*config, *shards)),
        _ => None,
    }
}

/// Whether a group says that somebody else has to do it, or it itself later.
fn is_elsewhere(response: &Settled) -> bool {
    let elsewhere = |answer: &Answer| matches!(answer, Answer::WrongGroup { .. } | Answer::NotReady { .. });
    match response {
        Response::Refused(_) => true,
        Response::Read { answer, .. } => elsewhere(answer),
        _ => false,
    }
}
