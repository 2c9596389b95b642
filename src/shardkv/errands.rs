//! What the leader of a group does by itself: asks the shard controller for the next configuration, fetches the shards that
//! are to come, and has the copies deleted that other groups keep of those that have come.
//!
//! All three are read off the state: a task stands for one thing that the state says is to be done, and ends when the state
//! says it no more. So it does not matter who began it, and a leader that comes from a snapshot does what the last one did.

use super::bugs::bug;
use super::machine::{ShardKv, Source};
use super::operation::{Answer, Command, Query, Reply};
use super::server::KINDS;
use super::settings::Settings;
use crate::rsm::{Clerk, Errands, Patience};
use crate::shardmaster::{self, ConfigNum, GroupId, ShardConfig, ShardId, ShardMaster};
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
    /// With the servers of another group, or of the controller.
    pub patience: Patience,
}

impl Default for Timing {
    /// For a local network.
    fn default() -> Timing {
        let patience = Patience {
            deadline: Duration::from_secs(5),
            attempt: Duration::from_millis(250),
            ..Patience::default()
        };
        Timing { poll: Duration::from_millis(100), pause: Duration::from_millis(30), patience }
    }
}

/// One thing that is to be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Task {
    /// Find out the configuration behind this one.
    Next(ConfigNum),
    /// Fetch what is missing of a shard from this byte on, in this configuration.
    Pull(ShardId, ConfigNum, u64),
    /// Tell the source of a shard, which it gave away with this configuration, to delete it.
    Tell(ShardId, ConfigNum),
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

    /// What the state says is to be done, with whom.
    fn wanted<'a>(&self, machine: &'a ShardKv) -> BTreeMap<Task, Option<&'a Source>> {
        let mut wanted = BTreeMap::new();
        let num = machine.current().num;
        let mut with: BTreeMap<GroupId, usize> = BTreeMap::new();
        for (shard, source, offset) in machine.coming() {
            let count = with.entry(source.group).or_default();
            *count += 1;
            if *count <= AT_ONCE && !(bug!(self, MigrationTaskLost) && self.found != num) {
                wanted.insert(Task::Pull(shard, num, offset), Some(source));
            }
        }
        if with.is_empty() {
            wanted.insert(Task::Next(num), None);
        }
        let mut with: BTreeMap<GroupId, usize> = BTreeMap::new();
        for (shard, source) in machine.unconfirmed() {
            let count = with.entry(source.group).or_default();
            *count += 1;
            if *count <= AT_ONCE {
                wanted.insert(Task::Tell(shard, source.config), Some(source));
            }
        }
        wanted
    }

    /// Stops what is not to be done any more, and begins what is.
    fn align(&mut self, machine: &ShardKv) {
        let wanted = self.wanted(machine);
        self.handles.retain(|task, handle| {
            let keep = wanted.contains_key(task);
            if !keep {
                handle.abort();
            }
            keep
        });
        let running: BTreeSet<Task> = self.handles.keys().copied().collect();
        for (task, source) in wanted.into_iter().filter(|(task, _)| !running.contains(task)) {
            let (handle, registration) = AbortHandle::new_pair();
            self.running.push(Abortable::new(self.begin(task, source), registration));
            self.handles.insert(task, handle);
        }
    }

    fn begin(&self, task: Task, source: Option<&Source>) -> BoxFuture<'static, Finished> {
        let (env, timing) = (self.env.clone(), self.timing);
        let Some(source) = source else {
            let mut clerk =
                Clerk::<ShardMaster>::new(env.clone(), self.masters.clone(), shardmaster::KINDS, timing.patience);
            self.leaders.get(&None).into_iter().for_each(|leader| clerk.set_favourite(*leader));
            let latest = bug!(self, SkipConfigs);
            let Task::Next(num) = task else { unreachable!("all else has a source") };
            return Box::pin(async move {
                let config = next_config(&env, &mut clerk, num.next(), latest, timing.poll).await;
                Finished { task, asked: None, leader: clerk.favourite(), command: Command::Adopt(config) }
            });
        };
        let (asked, frozen) = (Some(source.group), source.config);
        let mut clerk = Clerk::<ShardKv>::new(env.clone(), source.servers.clone(), KINDS, timing.patience);
        self.leaders.get(&asked).into_iter().for_each(|leader| clerk.set_favourite(*leader));
        let early = bug!(self, DeleteBeforeInstall);
        Box::pin(async move {
            let command = match task {
                Task::Pull(shard, config, offset) => {
                    let (total, piece) = pull(&env, &mut clerk, (shard, frozen, offset), timing.pause).await;
                    if early && offset + piece.len() as u64 >= total {
                        delete(&env, &mut clerk, (shard, frozen), timing.pause).await;
                    }
                    Command::Install { shard, config, offset, total, piece }
                }
                Task::Tell(shard, config) => {
                    delete(&env, &mut clerk, (shard, config), timing.pause).await;
                    Command::Confirm { shard, config }
                }
                Task::Next(_) => unreachable!("the controller is asked for it"),
            };
            Finished { task, asked, leader: clerk.favourite(), command }
        })
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

/// Waits for the configuration with that number; with `latest`, for any that is not before it.
async fn next_config(
    env: &Env,
    clerk: &mut Clerk<ShardMaster>,
    num: ConfigNum,
    latest: bool,
    poll: Duration,
) -> ShardConfig {
    loop {
        let asked = shardmaster::Query((!latest).then_some(num));
        // A number that is not given yet brings the latest.
        if let Ok((_, config)) = clerk.query(asked).await
            && (config.num == num || latest && config.num > num)
        {
            return config;
        }
        env.sleep(poll).await;
    }
}

/// Waits for a part of a shard that was frozen. Returns how long the whole is, too.
async fn pull(
    env: &Env,
    clerk: &mut Clerk<ShardKv>,
    (shard, config, offset): (ShardId, ConfigNum, u64),
    pause: Duration,
) -> (u64, bytes::Bytes) {
    loop {
        if let Ok((_, Answer::Piece { total, piece })) = clerk.query(Query::Pull { shard, config, offset }).await {
            return (total, piece);
        }
        env.sleep(pause).await;
    }
}

/// Tells a group to delete its copy of a shard until it has.
async fn delete(env: &Env, clerk: &mut Clerk<ShardKv>, (shard, config): (ShardId, ConfigNum), pause: Duration) {
    loop {
        if let Ok((_, Reply::Changed(_))) = clerk.tell(Command::Delete { shard, config }).await {
            return;
        }
        env.sleep(pause).await;
    }
}
