//! What the leader of a group does by itself: asks the shard controller for the next configuration, fetches the shards that
//! are to come, and has the copies deleted that other groups keep of those that have come.
//!
//! All three are read off the state: a task stands for one thing that the state says is to be done, and ends when the state
//! says it no more. So it does not matter who began it, and a leader that comes from a snapshot does what the last one did.

use super::bugs::bug;
use super::machine::{ShardKv, Source};
use super::operation::{Answer, Command, Query, Reply};
use super::server::MIGRATION_KINDS;
use super::settings::Settings;
use crate::rsm::{Clerk, Errands, Kinds, Patience, StateMachine};
use crate::shardmaster::{self, ConfigNum, GroupId, ShardConfig, ShardId, ShardMaster};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use labrpc::{Env, NodeId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};
use std::time::Duration;

/// Most shards that are fetched from one group at a time, and as many deletions. A group that is dead keeps no other's
/// shards waiting.
const AT_ONCE: usize = 4;

/// How often, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two questions for the next configuration.
    pub poll: Duration,
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
        Timing { poll: Duration::from_millis(100), pause: Duration::from_millis(30), patience }
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
    /// In this configuration fetch what is missing of a shard, from this byte on.
    Pull(ShardId, ConfigNum, u64, Source),
    /// Tell the source of a shard to delete its copy.
    Tell(ShardId, Source),
}

/// How much is asked of each group.
#[derive(Default)]
struct Bounded(BTreeMap<GroupId, usize>);

impl Bounded {
    /// Whether one thing more may be asked of the group of that source. Then it is.
    fn has_room(&mut self, source: &Source) -> bool {
        let count = self.0.entry(source.group).or_default();
        *count += 1;
        *count <= AT_ONCE
    }
}

/// A task is done.
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
    masters: Vec<NodeId>,
    /// That it leads.
    term: Option<Term>,
    running: FuturesUnordered<Abortable<BoxFuture<'static, Finished>>>,
    /// How to stop what is running.
    handles: BTreeMap<Task, AbortHandle>,
    /// Who answered last.
    leaders: BTreeMap<Option<GroupId>, NodeId>,
    /// The configuration that this leader has found itself; for [`super::Bug::MigrationTaskLost`].
    found: ConfigNum,
}

impl Migration {
    pub(super) fn new(env: Env, config: Settings, timing: Timing, masters: Vec<NodeId>) -> Migration {
        Migration {
            env,
            config,
            timing,
            masters,
            term: None,
            running: FuturesUnordered::new(),
            handles: BTreeMap::new(),
            leaders: BTreeMap::new(),
            found: ConfigNum(0),
        }
    }

    /// What the state says is to be done.
    fn wanted(&self, machine: &ShardKv) -> BTreeSet<Task> {
        let num = machine.current().num;
        let mut wanted = BTreeSet::new();
        let mut deletions = Bounded::default();
        for (shard, source) in machine.unconfirmed().filter(|(_, source)| deletions.has_room(source)) {
            wanted.insert(Task::Tell(shard, source.clone()));
        }
        let mut pulls = Bounded::default();
        let lost = bug!(self, MigrationTaskLost) && self.found != num;
        for (shard, source, offset) in machine.coming().filter(|(_, source, _)| pulls.has_room(source) && !lost) {
            wanted.insert(Task::Pull(shard, num, offset, source.clone()));
        }
        if machine.coming().next().is_none() {
            wanted.insert(Task::Next(num));
        }
        wanted
    }

    /// Whether all that is to be done is to find out the next configuration, and that is under way: so it is most of the time,
    /// and this is asked after every entry.
    fn rests(&self, machine: &ShardKv) -> bool {
        let settled = machine.coming().next().is_none() && machine.unconfirmed().next().is_none();
        settled && self.handles.len() == 1 && self.handles.contains_key(&Task::Next(machine.current().num))
    }

    /// Stops what is not to be done any more, and begins what is.
    fn align(&mut self, machine: &ShardKv) {
        if self.rests(machine) {
            return;
        }
        let wanted = self.wanted(machine);
        self.handles.retain(|task, handle| {
            let keep = wanted.contains(task);
            if !keep {
                handle.abort();
            }
            keep
        });
        for task in wanted {
            if !self.handles.contains_key(&task) {
                let (handle, registration) = AbortHandle::new_pair();
                let running = self.begin(task.clone(), machine.current().shards.len());
                self.running.push(Abortable::new(running, registration));
                self.handles.insert(task, handle);
            }
        }
    }

    fn begin(&self, task: Task, shards: usize) -> BoxFuture<'static, Finished> {
        let (env, timing) = (self.env.clone(), self.timing);
        match task.clone() {
            Task::Next(num) => {
                let mut clerk = self.clerk(None, &self.masters, shardmaster::KINDS);
                let latest = bug!(self, SkipConfigs);
                Box::pin(async move {
                    let config = next_config(&env, &mut clerk, (num.next(), latest), shards, timing).await;
                    Finished { task, asked: None, leader: clerk.favourite(), command: Command::Adopt(config) }
                })
            }
            Task::Pull(shard, config, offset, source) => {
                let asked = Some(source.group);
                let mut clerk = self.clerk(asked, &source.servers, MIGRATION_KINDS);
                let early = bug!(self, DeleteBeforeInstall);
                Box::pin(async move {
                    let of = (shard, source.config);
                    let (total, piece) = pull(&env, &mut clerk, of, offset, timing).await;
                    if early && offset + piece.len() as u64 >= total {
                        delete(&env, &mut clerk, of, timing).await;
                    }
                    let command = Command::Install { shard, config, offset, total, piece };
                    Finished { task, asked, leader: clerk.favourite(), command }
                })
            }
            Task::Tell(shard, source) => {
                let (asked, config) = (Some(source.group), source.config);
                let mut clerk = self.clerk(asked, &source.servers, MIGRATION_KINDS);
                Box::pin(async move {
                    delete(&env, &mut clerk, (shard, config), timing).await;
                    let command = Command::Confirm { shard, config };
                    Finished { task, asked, leader: clerk.favourite(), command }
                })
            }
        }
    }

    /// A client of another group, or of the controller, that begins with whoever answered last.
    fn clerk<M: StateMachine>(&self, asked: Option<GroupId>, servers: &[NodeId], kinds: Kinds) -> Clerk<M> {
        let mut clerk = Clerk::new(self.env.clone(), servers.to_vec(), kinds, self.timing.patience);
        if let Some(leader) = self.leaders.get(&asked) {
            clerk.set_favourite(*leader);
        }
        clerk
    }

    fn stop(&mut self) {
        self.handles.clear();
        self.running = FuturesUnordered::new();
        self.found = ConfigNum(0);
    }
}

impl Errands<ShardKv> for Migration {
    fn poll(&mut self, context: &mut Context<'_>, machine: &ShardKv, leads: Option<Term>) -> Vec<Command> {
        if std::mem::replace(&mut self.term, leads) != leads {
            self.stop();
        }
        if leads.is_none() {
            return Vec::new();
        }
        self.align(machine);
        let mut commands = Vec::new();
        while let Poll::Ready(Some(ended)) = self.running.poll_next_unpin(context) {
            // What was stopped has nothing to say.
            let Ok(Finished { task, asked, leader, command }) = ended else { continue };
            self.handles.remove(&task);
            self.leaders.insert(asked, leader);
            if let Command::Adopt(config) = &command {
                self.found = config.num;
            }
            commands.push(command);
        }
        commands
    }
}

/// Waits for the configuration with that number; with `latest`, for any that is not before it. One with another number of shards
/// would not be adopted: whoever has set these servers up must see to that.
async fn next_config(
    env: &Env,
    clerk: &mut Clerk<ShardMaster>,
    (num, latest): (ConfigNum, bool),
    shards: usize,
    mut timing: Timing,
) -> ShardConfig {
    loop {
        let asked = shardmaster::Query((!latest).then_some(num));
        match clerk.query(asked).await {
            Ok((_, config)) => {
                // A number that is not given yet brings the latest.
                let is_it = config.num == num || latest && config.num > num;
                if is_it && config.shards.len() == shards {
                    return config;
                }
            }
            Err(_) => timing.wait_longer(clerk),
        }
        env.sleep(timing.poll).await;
    }
}

/// Waits for a part of a shard that was frozen. Returns how long the whole is, too.
async fn pull(
    env: &Env,
    clerk: &mut Clerk<ShardKv>,
    (shard, config): (ShardId, ConfigNum),
    offset: u64,
    mut timing: Timing,
) -> (u64, Bytes) {
    loop {
        match clerk.query(Query::Pull { shard, config, offset }).await {
            Ok((_, Answer::Piece { total, piece })) => return (total, piece),
            Ok(_) => {}
            Err(_) => timing.wait_longer(clerk),
        }
        env.sleep(timing.pause).await;
    }
}

/// Tells a group to delete its copy of a shard until it has.
async fn delete(env: &Env, clerk: &mut Clerk<ShardKv>, (shard, config): (ShardId, ConfigNum), mut timing: Timing) {
    loop {
        match clerk.tell(Command::Delete { shard, config }).await {
            Ok((_, Reply::Changed(_))) => return,
            Ok(_) => {}
            Err(_) => timing.wait_longer(clerk),
        }
        env.sleep(timing.pause).await;
    }
}
