//! A group: a pure state machine.
//!
//! A shard is in one of three states here: *owned*, and served; *coming* from where it was; or not this group's. What the group
//! has lost is *frozen*, as it was when the configuration that takes it away was applied, under the number of that
//! configuration, until whoever gets it has committed it. Shards come one by one and are served as they come. What is frozen keeps
//! nobody from going on, and what is coming keeps the next configuration waiting: so a shard is never looked for in a group
//! that has not had it yet.
//!
//! # Why nobody waits for ever
//!
//! A group that waits in configuration *n* waits for groups that gave a shard away in *n* or before, and these answer
//! as soon as they have adopted *n*, whatever they wait for themselves. Of all groups take one whose configuration is the lowest:
//! what it waits for was frozen already, since everybody else is at least as far.
//!
//! A shard that belongs to nobody, because all groups have left, stays frozen where it was. All groups note where, since all
//! of them see all configurations; whoever gets it in the end fetches it from there.

use super::bugs::bug;
use super::operation::{Answer, Command, Query, Reply, Status};
use super::parts::{Part, Parts};
use super::settings::{MAX_PIECE, Settings};
use super::shard::Shard;
use crate::kvraft::operation as kv;
use crate::rsm::chunks;
use crate::rsm::digest::{self, Growing};
use crate::rsm::machine::{Malformed, StateMachine, TooLarge};
use crate::rsm::sessions::{Outcome, SessionId};
use crate::shardmaster::types::{ConfigNum, GroupId, ShardConfig, ShardId, shard_of};
use bytes::Bytes;
use labrpc::{Event, Index, NodeId, ShardChange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hash;

/// Where a shard is to be had.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The group that had it last.
    pub group: GroupId,
    /// The servers of that group then.
    pub servers: Vec<NodeId>,
    /// The configuration that took it away from there.
    pub config: ConfigNum,
}

/// A shard that is coming.
#[derive(Clone, Debug)]
struct Coming {
    source: Source,
    /// The part of its content that has come, from the first byte on.
    got: Vec<u8>,
    /// Of that part.
    digest: Growing,
}

/// A shard that has gone, as it was.
#[derive(Clone, Debug)]
struct Frozen {
    /// Who gets it. None: nobody, yet.
    to: Option<GroupId>,
    /// The digest of the shard.
    hash: u64,
    /// What [`Shard::save`] has made of it.
    content: Bytes,
}

impl Part<ShardId> for Shard {
    fn digest(&self, shard: &ShardId) -> u64 {
        digest::mix(shard.0.into(), Shard::digest(self))
    }
}

impl Part<ShardId> for Coming {
    fn digest(&self, shard: &ShardId) -> u64 {
        digest::mix(digest::of(&(shard, &self.source, self.got.len() as u64)), self.digest.value())
    }
}

impl Part<(ShardId, ConfigNum)> for Frozen {
    fn digest(&self, key: &(ShardId, ConfigNum)) -> u64 {
        digest::of(&(key, self.to, self.hash))
    }
}

impl<K: Hash> Part<K> for Source {
    fn digest(&self, key: &K) -> u64 {
        digest::of(&(key, self))
    }
}

/// The state of a group.
#[derive(Clone, Debug)]
pub struct ShardKv {
    config: Settings,
    /// The configuration that the group has adopted last.
    current: ShardConfig,
    /// The digest of that.
    current_digest: u64,
    /// Served.
    owned: Parts<ShardId, Shard>,
    /// To be served when they have come. Those of the current configuration: the next one waits for them.
    coming: Parts<ShardId, Coming>,
    /// By the configuration that took them away.
    frozen: Parts<(ShardId, ConfigNum), Frozen>,
    /// Where those shards are that belong to nobody and did once.
    orphans: Parts<ShardId, Source>,
    /// Shards that have come, and whose source may still have its copy; by shard and configuration there.
    unconfirmed: Parts<(ShardId, ConfigNum), Source>,
    /// What has happened, to be told.
    events: Vec<Event>,
}

impl ShardKv {
    /// The configuration that the group has adopted.
    pub fn current(&self) -> &ShardConfig {
        &self.current
    }

    /// The shards that it serves.
    pub fn owned(&self) -> impl Iterator<Item = (ShardId, &Shard)> {
        self.owned.table().iter().map(|(shard, content)| (*shard, content))
    }

    /// The shards that it waits for: where they are, and how many bytes have come.
    pub fn coming(&self) -> impl Iterator<Item = (ShardId, &Source, u64)> {
        self.coming.table().iter().map(|(shard, coming)| (*shard, &coming.source, coming.got.len() as u64))
    }

    /// The shards that have come from sources that may still have their copies.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (ShardId, &Source)> {
        self.unconfirmed.table().iter().map(|((shard, _), source)| (*shard, source))
    }

    /// Another one whenever something else is to be done about shards: by what is coming, what is unconfirmed, and the configuration.
    pub(super) fn to_do(&self) -> [u64; 3] {
        [self.current.num.0, self.coming.digest(), self.unconfirmed.digest()]
    }

    /// The shards that it keeps for others: by what configuration they go, and to whom.
    pub fn frozen(&self) -> impl Iterator<Item = (ShardId, ConfigNum, Option<GroupId>)> {
        self.frozen.table().iter().map(|((shard, config), frozen)| (*shard, *config, frozen.to))
    }

    /// All of this in short.
    pub fn status(&self) -> Status {
        Status {
            config: self.current.num,
            owned: self.owned.table().keys().copied().collect(),
            coming: self.coming.table().keys().copied().collect(),
            frozen: self.frozen.table().keys().copied().collect(),
            unconfirmed: self.unconfirmed.table().keys().copied().collect(),
        }
    }

    /// How many there are.
    fn shards(&self) -> u32 {
        self.current.shards.len() as u32
    }

    fn shard_of(&self, key: &[u8]) -> ShardId {
        shard_of(key, self.shards())
    }

    /// [`StateMachine::digest`] of a state with this content, from what is there now.
    #[cfg(test)]
    pub(super) fn digest_from_scratch(&self) -> u64 {
        let tables = [
            self.owned.digest_from_scratch(),
            self.coming.digest_from_scratch(),
            self.frozen.digest_from_scratch(),
            self.orphans.digest_from_scratch(),
            self.unconfirmed.digest_from_scratch(),
        ];
        tables.into_iter().chain([digest::of(&self.current)]).reduce(digest::mix).expect("there are tables")
    }

    // --- clients

    /// Why the group does not serve a shard. None: it does.
    fn refusal(&self, shard: ShardId) -> Option<Reply> {
        let config = self.current.num;
        if bug!(self, StopTheWorld) && !self.coming.table().is_empty() {
            Some(Reply::NotReady { config })
        } else if self.owned.table().contains_key(&shard) {
            None
        } else if self.coming.table().contains_key(&shard) {
            Some(Reply::NotReady { config })
        } else {
            Some(Reply::WrongGroup { config, shards: self.shards() })
        }
    }

    fn execute(&mut self, index: Index, by: (SessionId, u64), command: &kv::Command) -> Outcome<Reply> {
        let shard = self.shard_of(command.key());
        if bug!(self, WriteRevivesDeletedShard) && !self.owned.table().contains_key(&shard) {
            self.owned.insert(shard, Shard::empty());
        }
        let here = (self.config.group, index);
        let sessions = self.config.sessions;
        match self.refusal(shard) {
            None => {
                let executed = self.owned.change(&shard, |owned| owned.operate(here, by, sessions, command));
                executed.expect("what is not owned is refused").map(Reply::Done)
            }
            Some(_) if bug!(self, ServeAfterHandoff) && !self.owned.table().contains_key(&shard) => {
                Shard::empty().operate(here, by, sessions, command).map(Reply::Done)
            }
            Some(refusal) => Outcome::Refused(refusal),
        }
    }

    fn read(&self, shard: ShardId, query: &kv::Query) -> Answer {
        match (self.refusal(shard), self.owned.table().get(&shard)) {
            (None, Some(owned)) => Answer::Found(owned.query(query)),
            (Some(Reply::NotReady { config }), _) => Answer::NotReady { config },
            _ => Answer::WrongGroup { config: self.current.num, shards: self.shards() },
        }
    }

    // --- configurations

    fn adopt(&mut self, next: &ShardConfig) -> bool {
        let is_next = next.num == self.current.num.next() || bug!(self, SkipConfigs) && next.num > self.current.num;
        if !is_next || !self.coming.table().is_empty() || next.shards.len() != self.current.shards.len() {
            return false;
        }
        let before = self.go_on_to(next.clone());
        self.events.push(Event::ConfigAdopted { group: self.config.group.0, config: next.num.0 });
        for shard in (0..next.shards.len() as u32).map(ShardId) {
            let (was, is) = (before.owner(shard), next.owner(shard));
            if was == is {
                continue;
            }
            let source = match was {
                Some(group) => {
                    let servers = before.groups.get(&group).cloned().unwrap_or_default();
                    Some(Source { group, servers, config: next.num })
                }
                None => self.orphans.remove(&shard),
            };
            if was == Some(self.config.group) {
                self.freeze(shard, is);
            }
            match (is, source) {
                (Some(group), source) if group == self.config.group => self.receive(shard, source),
                (None, Some(source)) => self.orphans.insert(shard, source),
                _ => {}
            }
        }
        true
    }

    /// Makes that the current configuration. Returns the one before.
    fn go_on_to(&mut self, config: ShardConfig) -> ShardConfig {
        self.current_digest = digest::of(&config);
        std::mem::replace(&mut self.current, config)
    }

    fn freeze(&mut self, shard: ShardId, to: Option<GroupId>) {
        let Some(mut owned) = self.owned.remove(&shard) else { return };
        let hash = owned.digest();
        if bug!(self, DedupNotMigrated) {
            owned = owned.without_sessions();
        }
        let frozen = Frozen { to, hash, content: owned.save().into() };
        self.frozen.insert((shard, self.current.num), frozen);
        self.say(shard, ShardChange::Frozen { to: to.map(|group| group.0), hash });
    }

    /// The group gets a shard, which is there; none: nobody ever had it.
    fn receive(&mut self, shard: ShardId, source: Option<Source>) {
        let Some(source) = source else {
            self.owned.insert(shard, Shard::empty());
            return self.say(shard, ShardChange::Created);
        };
        // It was nobody's meanwhile, and never left.
        if source.group == self.config.group
            && let Some(frozen) = self.frozen.remove(&(shard, source.config))
        {
            let content = Shard::load(&frozen.content).expect("it was made by `save`");
            self.serve(shard, content, &source);
            return self.say_deleted(shard, source.config);
        }
        if bug!(self, ServeBeforeData) {
            self.owned.insert(shard, Shard::empty());
        }
        self.coming.insert(shard, Coming { source, got: Vec::new(), digest: Growing::default() });
    }

    fn serve(&mut self, shard: ShardId, content: Shard, source: &Source) {
        let hash = content.digest();
        self.owned.insert(shard, content);
        self.say(shard, ShardChange::Installed { from: source.group.0, frozen: source.config.0, hash });
    }

    fn say(&mut self, shard: ShardId, change: ShardChange) {
        let (group, config) = (self.config.group.0, self.current.num.0);
        self.events.push(Event::Shard { group, shard: shard.0, config, change });
    }

    // --- migration

    fn install(&mut self, shard: ShardId, config: ConfigNum, offset: u64, total: u64, piece: &[u8]) -> bool {
        if config != self.current.num {
            return false;
        }
        if self.coming.table().get(&shard).is_none_or(|coming| coming.got.len() as u64 != offset) {
            return false;
        }
        let more = self.coming.change(&shard, |coming| {
            coming.got.extend_from_slice(piece);
            coming.digest.grow(piece);
            (coming.got.len() as u64) < total
        });
        if more == Some(true) {
            return true;
        }
        let coming = self.coming.remove(&shard).expect("it was there a moment ago");
        match Shard::load(&coming.got) {
            Ok(content) => {
                self.serve(shard, content, &coming.source);
                self.unconfirmed.insert((shard, coming.source.config), coming.source);
            }
            // The source speaks another version, perhaps. It has not been told to delete anything.
            Err(Malformed) => {
                let (from, frozen) = (coming.source.group.0, coming.source.config.0);
                self.say(shard, ShardChange::Unreadable { from, frozen });
                self.receive(shard, Some(coming.source));
            }
        }
        true
    }

    fn delete(&mut self, shard: ShardId, config: ConfigNum) -> Reply {
        if config > self.current.num {
            return Reply::NotReady { config: self.current.num };
        }
        if bug!(self, StaleDelete) {
            self.owned.change(&shard, |owned| *owned = Shard::empty());
        }
        if bug!(self, ShardNeverGced) {
            return Reply::Changed(false);
        }
        let gone = self.frozen.remove(&(shard, config)).is_some();
        if gone {
            self.say_deleted(shard, config);
        }
        Reply::Changed(gone)
    }

    fn say_deleted(&mut self, shard: ShardId, config: ConfigNum) {
        let change = ShardChange::Deleted;
        self.events.push(Event::Shard { group: self.config.group.0, shard: shard.0, config: config.0, change });
    }

    fn pull(&self, (shard, config): (ShardId, ConfigNum), offset: u64, most: u64) -> Answer {
        let current = self.current.num;
        if bug!(self, PullFromUnreadySource)
            && config > current
            && let Some(owned) = self.owned.table().get(&shard)
        {
            return piece(&owned.save().into(), offset, most);
        }
        if config > current || bug!(self, MutualPullDeadlock) && !self.coming.table().is_empty() {
            return Answer::NotReady { config: current };
        }
        match self.frozen.table().get(&(shard, config)) {
            Some(frozen) => piece(&frozen.content, offset, most),
            None => Answer::Gone,
        }
    }
}

fn piece(content: &Bytes, offset: u64, most: u64) -> Answer {
    let total = content.len() as u64;
    let from = offset.min(total);
    let to = from.saturating_add(most.clamp(1, MAX_PIECE)).min(total);
    Answer::Piece { total, piece: content.slice(from as usize..to as usize) }
}

impl StateMachine for ShardKv {
    const TAG: u8 = b's';

    type Settings = Settings;
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = Answer;

    const KEEPS_SESSIONS: bool = true;

    fn new(settings: &Settings) -> ShardKv {
        let current = ShardConfig::first(settings.shards);
        ShardKv {
            config: *settings,
            current_digest: digest::of(&current),
            current,
            owned: Parts::new(),
            coming: Parts::new(),
            frozen: Parts::new(),
            orphans: Parts::new(),
            unconfirmed: Parts::new(),
            events: Vec::new(),
        }
    }

    fn apply(&mut self, _: Index, command: &Command) -> Reply {
        match command {
            // A client's command has a session.
            Command::Client(_) => Reply::Changed(false),
            Command::Adopt(config) => Reply::Changed(self.adopt(config)),
            Command::Install { shard, config, offset, total, piece } => {
                Reply::Changed(self.install(*shard, *config, *offset, *total, piece))
            }
            Command::Delete { shard, config } => self.delete(*shard, *config),
            Command::Confirm { shard, config } => {
                Reply::Changed(self.unconfirmed.remove(&(*shard, *config)).is_some())
            }
        }
    }

    fn operate(&mut self, index: Index, session: SessionId, seq: u64, command: &Command) -> Outcome<Reply> {
        match command {
            Command::Client(command) => self.execute(index, (session, seq), command),
            // What the service does by itself belongs to no session.
            _ => Outcome::Refused(Reply::Changed(false)),
        }
    }

    fn recall(&self, session: SessionId, seq: u64, command: &Command, leads: bool) -> Option<Outcome<Reply>> {
        let Command::Client(command) = command else { return Some(Outcome::Refused(Reply::Changed(false))) };
        let shard = self.shard_of(command.key());
        match self.refusal(shard) {
            None => Some(self.owned.table().get(&shard)?.recall(session, seq)?.map(Reply::Done)),
            // A courtesy, which keeps the log free of what will be refused. What counts is said when it is applied.
            Some(refusal) if leads && !bug!(self, WriteRevivesDeletedShard) => Some(Outcome::Refused(refusal)),
            Some(_) => None,
        }
    }

    fn may_be_told(command: &Command) -> bool {
        matches!(command, Command::Delete { .. })
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn query(&self, query: &Query) -> Answer {
        match query {
            Query::Get { key } => self.read(self.shard_of(key), &kv::Query::Get { key: key.clone() }),
            Query::Scan { shard, prefix, limit } => {
                self.read(*shard, &kv::Query::Scan { prefix: prefix.clone(), limit: *limit })
            }
            Query::Status => Answer::Status(self.status()),
            Query::Pull { shard, config, offset, most } => self.pull((*shard, *config), *offset, *most),
        }
    }

    fn is_refusal(answer: &Answer) -> bool {
        matches!(answer, Answer::NotReady { .. } | Answer::WrongGroup { .. })
    }

    /// What is frozen stays as it is for as long as it is there.
    fn is_settled(&self, query: &Query) -> bool {
        matches!(query, Query::Pull { shard, config, .. } if self.frozen.table().contains_key(&(*shard, *config)))
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        chunks::put(&mut bytes, &self.current);
        chunks::put(&mut bytes, self.orphans.table());
        chunks::put(&mut bytes, &(self.unconfirmed.table().len() as u64));
        for (key, source) in self.unconfirmed.table() {
            chunks::put(&mut bytes, &(key, source));
        }
        chunks::put(
            &mut bytes,
            &[self.owned.table().len() as u64, self.coming.table().len() as u64, self.frozen.table().len() as u64],
        );
        for (shard, owned) in self.owned.table() {
            chunks::put(&mut bytes, shard);
            chunks::put_bytes(&mut bytes, &owned.save());
        }
        for (shard, coming) in self.coming.table() {
            chunks::put(&mut bytes, &(shard, &coming.source));
            chunks::put_bytes(&mut bytes, &coming.got);
        }
        for (key, frozen) in self.frozen.table() {
            chunks::put(&mut bytes, &(key, frozen.to, frozen.hash));
            chunks::put_bytes(&mut bytes, &frozen.content);
        }
        bytes
    }

    fn restore(settings: &Settings, mut bytes: &[u8]) -> Result<ShardKv, Malformed> {
        let bytes = &mut bytes;
        let mut state = ShardKv::new(settings);
        state.go_on_to(chunks::take(bytes)?);
        for (shard, source) in chunks::take::<BTreeMap<_, _>>(bytes)? {
            state.orphans.insert(shard, source);
        }
        for _ in 0..chunks::take::<u64>(bytes)? {
            let (key, source) = chunks::take(bytes)?;
            state.unconfirmed.insert(key, source);
        }
        let [owned, coming, frozen]: [u64; 3] = chunks::take(bytes)?;
        for _ in 0..owned {
            let shard = chunks::take(bytes)?;
            state.owned.insert(shard, Shard::load(chunks::take_bytes(bytes)?)?);
        }
        for _ in 0..coming {
            let (shard, source) = chunks::take(bytes)?;
            let got = chunks::take_bytes(bytes)?;
            state.coming.insert(shard, Coming { source, got: got.to_vec(), digest: Growing::of(got) });
        }
        for _ in 0..frozen {
            let (key, to, hash) = chunks::take(bytes)?;
            let content = Bytes::copy_from_slice(chunks::take_bytes(bytes)?);
            state.frozen.insert(key, Frozen { to, hash, content });
        }
        if bytes.is_empty() && !state.current.shards.is_empty() { Ok(state) } else { Err(Malformed) }
    }

    fn digest(&self) -> u64 {
        let (owned, coming, frozen) = (self.owned.digest(), self.coming.digest(), self.frozen.digest());
        let rest = [coming, frozen, self.orphans.digest(), self.unconfirmed.digest(), self.current_digest];
        rest.into_iter().fold(owned, digest::mix)
    }

    fn admit(command: &Command) -> Result<(), TooLarge> {
        match command {
            Command::Client(command) => command.check(),
            _ => Ok(()),
        }
    }
}
