//! What the leader of a group does by itself: asks the shard controller for the next configuration, fetches the shards that
//! are to come, and has the copies deleted that other groups keep of those that have come.
//!
//! All three are read off the state: a task stands for one thing that the state says is to be done, and ends when the state
//! says it no more. So it does not matter who began it, and a leader that comes from a snapshot does what the last one did.

use super::bugs::bug;
use super::machine::{ShardKv, Source};
use super::operation::{Answer, Command, Query, Reply};
use super::server::MIGRATION_KINDS;
use super::settings::{MAX_PIECE, Settings};
use crate::rsm::servers::Servers;
use crate::rsm::{Clerk, Errands, Kinds, Patience, StateMachine};
use crate::shardmaster::{self, ConfigNum, GroupId, ShardConfig, ShardId, ShardMaster};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use labrpc::{Env, Event, NodeId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};
use std::time::Duration;

/// Most deletions that are under way in one group at a time. A group that is dead keeps no other's waiting.
const AT_ONCE: usize = 4;

/// The longest rest in front of the next try, of a shard that has come and could not be read, or is not where it should be.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How often a group may say that a shard is gone before that is strange. A leader that has just been elected may ask for one that
/// its own group has, according to an entry that it has not applied yet.
const STRANGE: u32 = 7;

/// How often, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two questions for the next configuration.
    pub poll: Duration,
    /// Most pieces of shards that are on their way from one group and through the log at a time. With their size it bounds
    /// both how fast a shard comes and how long others wait behind it: about as many bytes as the network carries in one and a
    /// half round trips are enough for it to be busy.
    pub window: usize,
    /// Before a group is asked again that could not answer.
    pub pause: Duration,
    /// With the servers of another group, or of the controller. When the deadline has passed in vain, the next attempts
    /// are twice as long: from where answers always come too late, they would never come.
    pub patience: Patience,
}

impl Default for Timing {
    /// For a local network.
    fn default() -> Timing {
        let patience = Patience {
            deadline: Duration::from_secs(2),
            attempt: Duration::from_millis(250),
            ..Patience::default()
        };
        Timing { poll: Duration::from_millis(100), window: 8, pause: Duration::from_millis(30), patience }
    }
}

impl Timing {
    /// Nobody has answered in time.
    fn wait_longer<M: StateMachine>(&mut self, clerk: &mut Clerk<M>) {
        self.patience.attempt = (self.patience.attempt * 2).min(self.patience.deadline);
        clerk.set_patience(self.patience);
    }
}

/// One thing that is to be done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Task {
    /// Find out the configuration behind this one.
    Next(ConfigNum),
    /// In this configuration fetch a piece of a shard, from this byte on. (The pieces of a shard are in order, then.)
    Pull(ShardId, ConfigNum, u64, Source),
    /// Tell the source of a shard to delete its copy.
    Tell(ShardId, Source),
}

/// How far a task is.
enum Stage {
    /// Somebody was asked. This stops it.
    Asked(AbortHandle),
    /// It has found what is to be put into the log.
    Found(Command),
    /// That is on its way.
    InLog,
}

/// How much is asked of each group.
struct Bounded {
    most: usize,
    asked: BTreeMap<GroupId, usize>,
}

impl Bounded {
    fn by(most: usize) -> Bounded {
        Bounded { most, asked: BTreeMap::new() }
    }

    /// Whether one thing more may be asked of the group of that source. Then it is.
    fn has_room(&mut self, source: &Source) -> bool {
        let count = self.asked.entry(source.group).or_default();
        *count += 1;
        *count <= self.most
    }
}

/// A task has found what it is for.
struct Finished {
    task: Task,
    /// Which group was asked; none: the controller.
    asked: Option<GroupId>,
    /// Who answered for it.
    leader: NodeId,
    /// To be put into the log.
    command: Command,
}

/// The errands of a group.
pub(super) struct Migration {
    env: Env,
    config: Settings,
    timing: Timing,
    masters: Servers,
    /// That it leads.
    term: Option<Term>,
    running: FuturesUnordered<Abortable<BoxFuture<'static, Finished>>>,
    /// What is being done.
    stages: BTreeMap<Task, Stage>,
    /// What there was to do according to the state when `stages` were last held against it.
    aligned: Option<[u64; 3]>,
    /// How long the shards are of which a piece has come.
    totals: BTreeMap<(ShardId, ConfigNum), u64>,
    /// Who answered last.
    leaders: BTreeMap<Option<GroupId>, NodeId>,
    /// How often this leader has fetched each shard to its end in this configuration, in vain. Most likely it could not be read: it
    /// comes behind all others and ever more seldom, for what was frozen stays as it is.
    fetched: BTreeMap<(ShardId, ConfigNum), u32>,
    /// The configuration that this leader has found itself; for [`super::Bug::MigrationTaskLost`].
    found: ConfigNum,
}

impl Migration {
    pub(super) fn new(env: Env, settings: Settings, timing: Timing, masters: Servers) -> Migration {
        let config = Settings { piece: settings.piece.clamp(1, MAX_PIECE), ..settings };
        Migration {
            env,
            config,
            timing,
            masters,
            term: None,
            running: FuturesUnordered::new(),
            stages: BTreeMap::new(),
            aligned: None,
            totals: BTreeMap::new(),
            leaders: BTreeMap::new(),
            fetched: BTreeMap::new(),
            found: ConfigNum(0),
        }
    }

    /// What the state says is to be done.
    fn wanted(&self, machine: &ShardKv) -> BTreeSet<Task> {
        let num = machine.current().num;
        let mut wanted = BTreeSet::new();
        let mut deletions = Bounded::by(AT_ONCE);
        for (shard, source) in machine.unconfirmed().filter(|(_, source)| deletions.has_room(source)) {
            wanted.insert(Task::Tell(shard, source.clone()));
        }
        let mut pulls = Bounded::by(self.timing.window);
        let lost = bug!(self, MigrationTaskLost) && self.found != num;
        let mut coming: Vec<_> = machine.coming().filter(|_| !lost).collect();
        let here = self.here();
        let place = |shard: &ShardId| (self.fetched.get(&(*shard, num)), !here.contains(shard));
        coming.sort_by_key(|(shard, ..)| place(shard));
        for (shard, source, mut offset) in coming {
            let total = self.totals.get(&(shard, num)).copied().unwrap_or(0);
            while pulls.has_room(source) {
                wanted.insert(Task::Pull(shard, num, offset, source.clone()));
                offset += self.config.piece;
                // How long it is says the first piece. Of one that could not be read the first piece is waited for.
                if offset >= total || self.rests_at(shard, num, offset - self.config.piece) {
                    break;
                }
            }
        }
        if machine.coming().next().is_none() {
            wanted.insert(Task::Next(num));
        }
        wanted
    }

    /// Whether this is the first piece of a shard that could not be read before, and has not been found anew.
    fn rests_at(&self, shard: ShardId, num: ConfigNum, offset: u64) -> bool {
        let is_it = |task: &Task| matches!(task, Task::Pull(of, _, at, _) if *of == shard && *at == 0);
        let is_found = |stage: &Stage| matches!(stage, Stage::Found(_) | Stage::InLog);
        let again = offset == 0 && self.fetched.contains_key(&(shard, num));
        again && !self.stages.iter().any(|(task, stage)| is_it(task) && is_found(stage))
    }

    /// All that was put into the log is applied or lost. A shard whose last piece was there and that is still to be fetched
    /// could not be read, or has lost some of it.
    fn is_through(&mut self, machine: &ShardKv) {
        let num = machine.current().num;
        for (shard, ..) in machine.coming() {
            let total = self.totals.get(&(shard, num)).copied().unwrap_or(u64::MAX);
            let is_last = |(task, stage): (&Task, &Stage)| match (task, stage) {
                (Task::Pull(of, _, at, _), Stage::InLog) => *of == shard && *at + self.config.piece >= total,
                _ => false,
            };
            if self.stages.iter().any(is_last) {
                *self.fetched.entry((shard, num)).or_default() += 1;
            }
        }
        self.stages.retain(|_, stage| !matches!(stage, Stage::InLog));
    }

    /// The shards of which a piece has been found and is not applied yet. They keep their places: what is not wanted any more
    /// is dropped.
    fn here(&self) -> BTreeSet<ShardId> {
        let is_here = |(task, stage): (&Task, &Stage)| match (task, stage) {
            (Task::Pull(shard, ..), Stage::Found(_) | Stage::InLog) => Some(*shard),
            _ => None,
        };
        self.stages.iter().filter_map(is_here).collect()
    }

    /// Stops what is not to be done any more, and begins what is.
    fn align(&mut self, machine: &ShardKv) {
        // This is asked after every entry, and most change nothing about it.
        let to_do = Some(machine.to_do());
        if std::mem::replace(&mut self.aligned, to_do) == to_do {
            return;
        }
        self.fetched.retain(|(_, config), _| *config == machine.current().num);
        let wanted = self.wanted(machine);
        self.stages.retain(|task, stage| {
            let keep = wanted.contains(task);
            if let (false, Stage::Asked(handle)) = (keep, stage) {
                handle.abort();
            }
            keep
        });
        let num = machine.current().num;
        self.totals.retain(|(_, config), _| *config == num);
        for task in wanted {
            if !self.stages.contains_key(&task) {
                let (handle, registration) = AbortHandle::new_pair();
                let running = self.begin(task.clone(), machine.current().shards.len());
                self.running.push(Abortable::new(running, registration));
                self.stages.insert(task, Stage::Asked(handle));
            }
        }
    }

    /// Takes what was found, to be put into the log. A piece of a shard waits there for those in front of it: the log would
    /// have no use for it.
    fn found(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut waits = None;
        for (task, stage) in &mut self.stages {
            match (task, &stage) {
                (Task::Pull(shard, ..), _) if waits == Some(*shard) => {}
                (_, Stage::Found(_)) => {
                    if let Stage::Found(command) = std::mem::replace(stage, Stage::InLog) {
                        commands.push(command);
                    }
                }
                (Task::Pull(shard, ..), Stage::Asked(_)) => waits = Some(*shard),
                _ => {}
            }
        }
        commands
    }

    fn begin(&self, task: Task, shards: usize) -> BoxFuture<'static, Finished> {
        let (env, timing) = (self.env.clone(), self.timing);
        match task.clone() {
            Task::Next(num) => {
                let mut clerk = self.clerk(None, self.masters.clone(), shardmaster::KINDS);
                let (latest, me) = (bug!(self, SkipConfigs), (self.config.group, shards));
                Box::pin(async move {
                    let config = next_config(&env, &mut clerk, (num.next(), latest), me, timing).await;
                    Finished { task, asked: None, leader: clerk.favourite(), command: Command::Adopt(config) }
                })
            }
            Task::Pull(shard, config, offset, source) => {
                let (asked, mut keeper) = (Some(source.group), self.keeper(source));
                let early = bug!(self, DeleteBeforeInstall);
                let rest = self.rest(shard, config, offset);
                let most = self.config.piece;
                Box::pin(async move {
                    if let Some(rest) = rest {
                        env.sleep(rest).await;
                    }
                    let (total, piece) = keeper.pull(shard, offset, most).await;
                    if early && offset + piece.len() as u64 >= total {
                        keeper.delete(shard).await;
                    }
                    let command = Command::Install { shard, config, offset, total, piece };
                    Finished { task, asked, leader: keeper.clerk.favourite(), command }
                })
            }
            Task::Tell(shard, source) => {
                let (asked, config, mut keeper) = (Some(source.group), source.config, self.keeper(source));
                Box::pin(async move {
                    keeper.delete(shard).await;
                    let command = Command::Confirm { shard, config };
                    Finished { task, asked, leader: keeper.clerk.favourite(), command }
                })
            }
        }
    }

    /// A client of another group, or of the controller, that begins with whoever answered last.
    fn clerk<M: StateMachine>(
        &self,
        asked: Option<GroupId>,
        servers: impl Into<Servers>,
        kinds: Kinds,
    ) -> Clerk<M> {
        let mut clerk = Clerk::new(self.env.clone(), servers, kinds, self.timing.patience);
        if let Some(leader) = self.leaders.get(&asked) {
            clerk.set_favourite(*leader);
        }
        clerk
    }

    fn keeper(&self, source: Source) -> Keeper {
        Keeper {
            env: self.env.clone(),
            me: self.config.group,
            clerk: self.clerk(Some(source.group), source.servers.clone(), MIGRATION_KINDS),
            master: self.clerk(None, self.masters.clone(), shardmaster::KINDS),
            source,
            timing: self.timing,
        }
    }

    /// How long to rest in front of the first piece of a shard that has come before.
    fn rest(&self, shard: ShardId, config: ConfigNum, offset: u64) -> Option<Duration> {
        let times = self.fetched.get(&(shard, config)).filter(|_| offset == 0)?;
        Some(longer(self.timing.poll, *times))
    }

    fn stop(&mut self) {
        self.stages.clear();
        self.aligned = None;
        self.totals.clear();
        self.fetched.clear();
        self.running = FuturesUnordered::new();
        self.found = ConfigNum(0);
    }
}

impl Errands<ShardKv> for Migration {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        machine: &ShardKv,
        leads: Option<Term>,
        in_log: usize,
    ) -> Vec<Command> {
        if std::mem::replace(&mut self.term, leads) != leads {
            self.stop();
        }
        if leads.is_none() {
            return Vec::new();
        }
        if in_log == 0 {
            let before = self.stages.len();
            self.is_through(machine);
            self.aligned = self.aligned.filter(|_| self.stages.len() == before);
        }
        self.align(machine);
        while let Poll::Ready(Some(ended)) = self.running.poll_next_unpin(context) {
            // What was stopped has nothing to say.
            let Ok(Finished { task, asked, leader, command }) = ended else { continue };
            self.leaders.insert(asked, leader);
            match &command {
                Command::Adopt(config) => self.found = config.num,
                Command::Install { shard, config, total, .. } => {
                    self.totals.insert((*shard, *config), *total);
                }
                _ => {}
            }
            self.stages.insert(task, Stage::Found(command));
            // How long a shard is says what else is to be asked for.
            self.aligned = None;
            self.align(machine);
        }
        self.found()
    }
}

/// Waits for the configuration with that number; with `latest`, for any that is not before it. One that the group cannot adopt
/// is reported once, and waited for: whoever has set these servers up must see to that.
async fn next_config(
    env: &Env,
    clerk: &mut Clerk<ShardMaster>,
    (num, latest): (ConfigNum, bool),
    (group, shards): (GroupId, usize),
    mut timing: Timing,
) -> ShardConfig {
    let mut was_told = false;
    loop {
        let asked = shardmaster::Query((!latest).then_some(num));
        match clerk.query(asked).await {
            // A number that is not given yet brings the latest.
            Ok((_, config)) if config.num == num || latest && config.num > num => {
                let Some(why) = objection(&config, shards) else { return config };
                if !std::mem::replace(&mut was_told, true) {
                    env.emit(&Event::ConfigRefused { group: group.0, config: config.num.0, why });
                }
            }
            Ok(_) => {}
            Err(_) => timing.wait_longer(clerk),
        }
        env.sleep(timing.poll).await;
    }
}

/// Why a group that was made for so many shards cannot adopt a configuration.
fn objection(config: &ShardConfig, shards: usize) -> Option<String> {
    let has = config.shards.len();
    if has != shards {
        Some(format!("it is of {has} shards, and the group was made for {shards}"))
    } else if !config.is_sound() {
        Some("it gives shards to a group that is not there, or names one without servers".into())
    } else {
        None
    }
}

/// A client of the group that keeps a shard.
struct Keeper {
    env: Env,
    /// The group that asks.
    me: GroupId,
    clerk: Clerk<ShardKv>,
    /// It says where that group is, if nobody answers where it was.
    master: Clerk<ShardMaster>,
    source: Source,
    timing: Timing,
}

impl Keeper {
    /// Waits for a part of a shard that was frozen. Returns how long the whole is, too.
    async fn pull(&mut self, shard: ShardId, offset: u64, most: u64) -> (u64, Bytes) {
        let query = Query::Pull { shard, config: self.source.config, offset, most };
        let mut gone = 0;
        loop {
            match self.clerk.query(query.clone()).await {
                Ok((_, Answer::Piece { total, piece })) if is_part(offset, total, &piece) => return (total, piece),
                Ok((_, Answer::Gone | Answer::Piece { .. })) => {
                    gone += 1;
                    self.miss(shard, gone).await;
                }
                Ok(_) => {}
                Err(_) => self.wait_longer().await,
            }
            self.env.sleep(longer(self.timing.pause, gone)).await;
        }
    }

    /// The shard is not where it should be, or what is said of it makes no sense; the how-manieth time.
    async fn miss(&mut self, shard: ShardId, times: u32) {
        if times == STRANGE {
            let (from, frozen) = (self.source.group.0, self.source.config.0);
            self.env.emit(&Event::ShardMissing { group: self.me.0, shard: shard.0, from, frozen });
        }
        self.look_around().await;
    }

    /// Tells the group to delete its copy of a shard until it has.
    async fn delete(&mut self, shard: ShardId) {
        let command = Command::Delete { shard, config: self.source.config };
        loop {
            match self.clerk.tell(command.clone()).await {
                Ok((_, Reply::Changed(_))) => return,
                Ok(_) => {}
                Err(_) => self.wait_longer().await,
            }
            self.env.sleep(self.timing.pause).await;
        }
    }

    /// Nobody has answered in time.
    async fn wait_longer(&mut self) {
        self.timing.wait_longer(&mut self.clerk);
        self.look_around().await;
    }

    /// From now on asks those too whom the latest configuration names: the group may have left since, and joined again under
    /// other servers.
    async fn look_around(&mut self) {
        let Ok((_, latest)) = self.master.query(shardmaster::Query(None)).await else { return };
        let named = latest.groups.get(&self.source.group).into_iter().flatten();
        let known = self.source.servers.len();
        let more: Vec<NodeId> = named.copied().filter(|server| !self.source.servers.contains(server)).collect();
        self.source.servers.extend(more);
        if let Some(&server) = self.source.servers.get(known) {
            let (env, servers) = (self.env.clone(), self.source.servers.clone());
            self.clerk = Clerk::new(env, servers, MIGRATION_KINDS, self.timing.patience);
            self.clerk.set_favourite(server);
        }
    }
}

/// A pause that was in vain so many times is twice as long each time.
fn longer(pause: Duration, times: u32) -> Duration {
    pause.saturating_mul(1 << times.min(20)).min(LONGEST_REST.max(pause))
}

/// Whether these bytes can stand there in a shard of that length. A group of another version, or none at all, may say anything;
/// what brings nothing new would be put into the log again and again.
fn is_part(offset: u64, total: u64, piece: &[u8]) -> bool {
    let (size, end) = (piece.len() as u64, offset.saturating_add(piece.len() as u64));
    (1..=MAX_PIECE).contains(&size) && end <= total
}
