//! The client of a cluster: give it any node, and it finds all others.
//!
//! ```no_run
//! use shardlab::client::{Client, Error, Options};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::connect(&["127.0.0.1:7001".into()], Options::default()).await?;
//! client.put("greeting", "hello").await?;
//! client.append("greeting", ", world").await?;
//! assert_eq!(client.get("greeting").await?.as_deref(), Some(&b"hello, world"[..]));
//!
//! // An operation that was not heard of in time says what is known of it.
//! match client.put("greeting", "hi").await {
//!     Ok(version) => println!("version {version}"),
//!     Err(error) if error.may_have_happened() => println!("perhaps: {error}"),
//!     Err(error) => println!("surely not: {error}"),
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```

use super::book::{Book, Entry};
use super::desk::{self, Answer, Ask, Step};
use super::layout::{Layout, LayoutError, Part, read_secret, read_tls};
use super::status::Status;
use crate::kvraft::{self, Expect};
use crate::rsm::{Failure, Patience, Servers, TooLarge};
use crate::shardkv;
use crate::shardmaster::{self, ConfigNum, GroupId, Refusal, ShardConfig, ShardId};
use bytes::Bytes;
use labrpc::net::{Config, FIRST_CLIENT, Host, Secret, StartError, Tls, TlsFiles, who_is};
use labrpc::{Env, NodeId};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long an entry may take to say who it is and whom it knows.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// Most clerks that are kept for later, if nothing else was said: each has a session in every shard that it has written to.
const IDLE: usize = 16;

/// For one step towards another membership, and between two of them.
const STEP: Duration = Duration::from_millis(500);
const BETWEEN_STEPS: Duration = Duration::from_millis(20);

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an operation may take, all in all.
    pub deadline: Duration,
    /// What all nodes of the cluster know, if they share a secret.
    pub secret: Option<Secret>,
    /// With what to talk in TLS, if the cluster does.
    pub tls: Option<Tls>,
}

impl Default for Options {
    fn default() -> Options {
        Options { deadline: Patience::default().deadline, secret: None, tls: None }
    }
}

impl Options {
    /// The same, with the secret in a file. Space around it does not count.
    ///
    /// # Errors
    /// [`LayoutError`]: it cannot be read, or is too short.
    pub fn with_secret_file(self, path: &Path) -> Result<Options, LayoutError> {
        Ok(Options { secret: Some(read_secret(path)?), ..self })
    }

    /// The same, in TLS with the certificates in these files. Any will do that the authority of the cluster has signed for clients.
    ///
    /// # Errors
    /// [`LayoutError`]: one cannot be read, or not be used.
    pub fn with_tls_files(self, files: &TlsFiles) -> Result<Options, LayoutError> {
        Ok(Options { tls: Some(read_tls(files)?), ..self })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the entries could be used. Nothing was asked.
    #[error("no node to talk to: {0}")]
    Connect(String),
    /// This process cannot talk to anybody.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A read brought no answer. Reading changes nothing.
    #[error("no answer in time: whoever has the key cannot be reached, or has no leader")]
    NoAnswer,
    /// A write brought no answer: it says whether it may have been executed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Key or value are too large. Nothing was executed.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The members of a part of the cluster are not those that were asked for.
    #[error("the membership: {0}")]
    Membership(String),
    /// The controller refuses to make such a configuration. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// Whether what was asked for may have been executed, or may be yet. If not, it surely was not and will not be.
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Error::Failed(failure) => failure.may_have_happened(),
            // What was begun may be committed yet.
            Error::Membership(_) => true,
            Error::Connect(_) | Error::Start(_) | Error::NoAnswer | Error::TooLarge(_) | Error::Refused(_) => false,
        }
    }
}

/// What came of a compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cas {
    /// The key was as expected, and has the value.
    Written {
        /// Its version now.
        version: u64,
    },
    /// It was not, and is as it was.
    Failed {
        /// Its value, if it has one.
        value: Option<Bytes>,
        /// Its version; 0: it is absent.
        version: u64,
    },
}

/// A client of a cluster. Operations can be under way at the same time.
///
/// It needs a tokio runtime with timers and sockets. Dropping it closes its connections; [`Client::close`] also waits for that.
pub struct Client {
    host: Arc<Host>,
    book: Book,
    /// The servers of the controller, for all clerks.
    masters: Servers,
    cluster: u64,
    patience: Patience,
    /// Clerks that have nothing to do. Each has one operation at a time.
    idle: Mutex<Vec<shardkv::Clerk>>,
    /// How many of them are kept.
    most_idle: usize,
}

impl Client {
    /// Finds the cluster of which one of these nodes (`host:port`) is one.
    ///
    /// # Errors
    /// [`Error::Connect`] with what each of them has said, or [`Error::Start`].
    pub async fn connect(entries: &[String], options: Options) -> Result<Client, Error> {
        let mut reasons = Vec::new();
        for entry in entries {
            match Client::enter(entry, &options).await? {
                Ok(client) => return Ok(client),
                Err(why) => reasons.push(why),
            }
        }
        if reasons.is_empty() {
            reasons.push("none was named".into());
        }
        Err(Error::Connect(reasons.join("; ")))
    }

    /// Finds the cluster of this node. Inside: why that node is of no use.
    async fn enter(entry: &str, options: &Options) -> Result<Result<Client, String>, Error> {
        let patience = INTRODUCTION.min(options.deadline);
        let resident = match who_is(entry, options.tls.as_ref(), patience).await {
            Ok(resident) => resident,
            Err(why) => return Ok(Err(why.to_string())),
        };
        if resident.has_secret != options.secret.is_some() {
            let cure = if resident.has_secret { "name the file with it" } else { "do without one" };
            let has = if resident.has_secret { "has a shared secret" } else { "has no shared secret" };
            return Ok(Err(format!("the cluster of {entry} {has}: {cure}")));
        }
        let host = Arc::new(Host::start(Config {
            peers: [(resident.node, entry.to_string())].into(),
            secret: options.secret.clone(),
            tls: options.tls.clone(),
            ..Config::new(NodeId(draw_id()), resident.cluster)
        })?);
        let env = host.env();
        let book = Book::default();
        let deadline = env.now() + patience;
        while !book.exchange(&host, resident.node, Vec::new()).await {
            let trouble = host.trouble(resident.node);
            if trouble.is_some() || env.now() >= deadline {
                return Ok(Err(trouble.unwrap_or_else(|| format!("{entry} does not answer"))));
            }
        }
        let masters = book.of_part(Part::Controller);
        if masters.is_empty() {
            return Ok(Err(format!("{entry} knows of no controller")));
        }
        env.spawn(book.clone().keep(Arc::downgrade(&host), env.clone(), false));
        let patience = Patience { deadline: options.deadline, ..Patience::default() };
        Ok(Ok(Client {
            host,
            book,
            masters: masters.into(),
            cluster: resident.cluster,
            patience,
            idle: Mutex::default(),
            most_idle: IDLE,
        }))
    }

    /// Which cluster it is.
    pub fn cluster(&self) -> u64 {
        self.cluster
    }

    /// Keeps so many sessions for later. Whoever has many operations under way at a time wants as many: one beyond them asks the
    /// controller for a session of its own. The service forgets those that were not used for the longest time if there are too many.
    pub fn keep_idle(self, sessions: usize) -> Client {
        Client { most_idle: sessions, ..self }
    }

    /// Where it lives, for those who look at the clock there.
    pub(super) fn env(&self) -> Env {
        self.host.env()
    }

    /// Closes its connections. Operations that are under way never end.
    pub async fn close(self) {
        self.host.stop().await;
    }

    // --- the store

    /// The value of a key, if it is present.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Error> {
        self.read(key).await.map(|(value, _)| value)
    }

    /// The value of a key, if it is present, and its version; 0 if it is absent.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub async fn read(&self, key: impl Into<Bytes>) -> Result<(Option<Bytes>, u64), Error> {
        let mut clerk = self.clerk();
        let found = clerk.read(key).await;
        self.put_back(clerk);
        found.map(|(_, value, version)| (value, version)).map_err(unread)
    }

    /// The first keys with that prefix, over all shards, with their values; and whether there are more. Each shard is read at
    /// one moment, and one after the other.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub async fn scan(&self, prefix: impl Into<Bytes>, limit: u64) -> Result<(Vec<(Bytes, Bytes)>, bool), Error> {
        let mut clerk = self.clerk();
        let found = clerk.scan(prefix, limit).await;
        self.put_back(clerk);
        found.map(|found| (found.items, found.more)).map_err(unread)
    }

    /// Gives a key a value. Returns its version.
    ///
    /// # Errors
    /// [`Error`], which says if it [may have been executed](Error::may_have_happened); so do those of all that writes.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<u64, Error> {
        self.write(kvraft::Command::Put { key: key.into(), value: value.into() }).await.and_then(version)
    }

    /// Adds to the end of a key's value. Returns its version.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn append(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<u64, Error> {
        self.write(kvraft::Command::Append { key: key.into(), value: value.into() }).await.and_then(version)
    }

    /// Removes a key. Whether it was there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<bool, Error> {
        match self.write(kvraft::Command::Delete { key: key.into() }).await? {
            kvraft::Reply::Deleted { existed } => Ok(existed),
            _ => Err(Failure::Unknown.into()),
        }
    }

    /// Gives a key a value if it is as expected.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn cas(&self, key: impl Into<Bytes>, expect: Expect, value: impl Into<Bytes>) -> Result<Cas, Error> {
        match self.write(kvraft::Command::Cas { key: key.into(), expect, value: value.into() }).await? {
            kvraft::Reply::Written { version } => Ok(Cas::Written { version }),
            kvraft::Reply::CasFailed { value, version } => Ok(Cas::Failed { value, version }),
            _ => Err(Failure::Unknown.into()),
        }
    }

    async fn write(&self, command: kvraft::Command) -> Result<kvraft::Reply, Error> {
        let mut clerk = self.clerk();
        let outcome = clerk.command(command).await;
        self.put_back(clerk);
        match outcome {
            Ok((_, kvraft::Reply::TooLarge(refused))) | Err(Failure::TooLarge(refused)) => Err(refused.into()),
            Ok((_, reply)) => Ok(reply),
            Err(failure) => Err(failure.into()),
        }
    }

    /// A clerk with nothing to do. One that is not put back has been dropped in the middle of an operation.
    fn clerk(&self) -> shardkv::Clerk {
        let idle = self.idle.lock().expect("nobody panics while holding it").pop();
        self.masters.set(&self.book.of_part(Part::Controller));
        idle.unwrap_or_else(|| shardkv::Clerk::new(self.host.env(), self.masters.clone(), self.patience))
    }

    fn put_back(&self, clerk: shardkv::Clerk) {
        let mut idle = self.idle.lock().expect("nobody panics while holding it");
        if idle.len() < self.most_idle {
            idle.push(clerk);
        }
    }

    // --- the controller

    /// The latest configuration: which group has which shard.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub async fn configuration(&self) -> Result<ShardConfig, Error> {
        self.controller().query(None).await.map_err(unread)
    }

    /// Lets a group join. Its servers are those that its leader names, or else those that nodes know of.
    ///
    /// # Errors
    /// [`Error`]; [`Refusal::NoServers`] if nobody knows of any.
    pub async fn join(&self, group: GroupId) -> Result<ConfigNum, Error> {
        // Nodes of the group may not have been added yet, or not be members any more: its leader knows.
        let led = self.led(Part::Group(group)).await;
        let servers = led.map_or_else(|| self.book.of_group(group), |status| status.members.voters);
        self.configure(shardmaster::Command::Join { groups: [(group, servers)].into() }).await
    }

    /// Lets a group go. Its shards are given to the others.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leave(&self, group: GroupId) -> Result<ConfigNum, Error> {
        self.configure(shardmaster::Command::Leave { groups: [group].into() }).await
    }

    /// Gives a shard to a group.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn move_shard(&self, shard: ShardId, to: GroupId) -> Result<ConfigNum, Error> {
        self.configure(shardmaster::Command::Move { shard, to }).await
    }

    async fn configure(&self, command: shardmaster::Command) -> Result<ConfigNum, Error> {
        match self.controller().command(command).await?.1 {
            shardmaster::Reply::Configured(num) => Ok(num),
            shardmaster::Reply::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn controller(&self) -> shardmaster::Clerk {
        self.masters.set(&self.book.of_part(Part::Controller));
        shardmaster::Clerk::new(self.host.env(), self.masters.clone(), self.patience)
    }

    // --- the nodes

    /// All nodes that are known, whether or not they run.
    pub fn nodes(&self) -> Vec<Entry> {
        self.book.nodes()
    }

    /// The node with that name, or at that address.
    pub fn find(&self, node: &str) -> Option<Entry> {
        self.book.find(node)
    }

    /// Also knows the nodes of a layout from now on.
    pub fn note(&self, layout: &Layout) {
        self.book.learn(&self.host, Entry::all_of(layout));
    }

    /// Whether all nodes that answer know all those that this client knows, which they are told.
    pub async fn all_know_all(&self, patience: Duration) -> bool {
        let env = self.host.env();
        let known = self.book.entries();
        let asked = known.iter().filter(|entry| !entry.is_gone()).map(|entry| {
            let (env, ours) = (env.clone(), Ask::Book(known.clone()));
            async move { desk::ask(&env, entry.id, &ours, env.now() + patience).await }
        });
        let answers = futures::future::join_all(asked).await;
        answers.into_iter().flatten().all(|answer| match answer {
            Answer::Book(theirs) => known
                .iter()
                .all(|entry| theirs.iter().any(|other| other.id == entry.id && other.is_gone() == entry.is_gone())),
            _ => false,
        })
    }

    /// How a node is. None: it does not answer within `patience`.
    pub async fn status(&self, node: NodeId, patience: Duration) -> Option<Status> {
        let env = self.host.env();
        match desk::ask(&env, node, &Ask::Status, env.now() + patience).await? {
            Answer::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// Makes these nodes the voters of their part of the cluster, and nobody else a member, one change after the other with
    /// whoever leads it; `told` hears what is waited for. A node that was not a member must run, and have been set up to join.
    ///
    /// # Errors
    /// [`Error::Membership`]: it makes no sense, or did not come about in time. What was begun stays; asking again goes on.
    pub async fn reconfigure(
        &self,
        part: Part,
        voters: &[NodeId],
        mut told: impl FnMut(&str),
    ) -> Result<(), Error> {
        let env = self.host.env();
        let deadline = env.now() + self.patience.deadline;
        let (mut last, mut leader) = (String::from("nobody leads it"), None);
        loop {
            let asked = match leader {
                Some(leader) => leader,
                None => self.led(part).await.map_or(NodeId(0), |status| status.id),
            };
            leader = Some(asked).filter(|asked| asked.0 > 0);
            if let Some(leading) = leader {
                match desk::ask(&env, leading, &Ask::StepTowards(voters.to_vec()), env.now() + STEP).await {
                    Some(Answer::Step(Step::Done)) => return Ok(()),
                    Some(Answer::Step(Step::Begun)) => {}
                    Some(Answer::Step(Step::Wait(why))) if why != last => {
                        told(&why);
                        last = why;
                    }
                    Some(Answer::Step(Step::Wait(_))) => {}
                    Some(Answer::Step(Step::Senseless(why))) => return Err(Error::Membership(why)),
                    Some(Answer::Step(Step::NotLeader(other))) => leader = other.filter(|other| *other != leading),
                    _ => leader = None,
                }
            }
            if env.now() >= deadline {
                return Err(Error::Membership(format!("it did not come about in time: {last}")));
            }
            env.sleep(BETWEEN_STEPS).await;
        }
    }

    /// How whoever says that it leads a part is; in the latest term.
    pub async fn led(&self, part: Part) -> Option<Status> {
        let statuses = self.statuses(STEP).await.into_iter().filter_map(|(_, status)| status);
        let leaders = statuses.filter(|status| status.leads && status.part == part);
        leaders.max_by_key(|status| status.term)
    }

    /// Tells the controller of which servers a group consists by now, so that everybody finds them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn name_servers(&self, group: GroupId, servers: &[NodeId]) -> Result<ConfigNum, Error> {
        self.configure(shardmaster::Command::Servers { group, servers: servers.to_vec() }).await
    }

    /// Asks a node to hand over what it leads and to stop. Whether it has said that it will.
    pub async fn stop(&self, node: NodeId, patience: Duration) -> bool {
        let env = self.host.env();
        matches!(desk::ask(&env, node, &Ask::Stop, env.now() + patience).await, Some(Answer::Stopping))
    }

    /// How all nodes are, asked at the same time.
    pub async fn statuses(&self, patience: Duration) -> Vec<(Entry, Option<Status>)> {
        let asked = self.nodes().into_iter().map(|entry| async move {
            let status = self.status(entry.id, patience).await;
            (entry, status)
        });
        futures::future::join_all(asked).await
    }
}

fn unread(failure: Failure) -> Error {
    match failure {
        // Whoever should know was set up wrongly: waiting does not help, and the failure says what does.
        Failure::OtherShards { .. } => failure.into(),
        _ => Error::NoAnswer,
    }
}

fn version(reply: kvraft::Reply) -> Result<u64, Error> {
    match reply {
        kvraft::Reply::Written { version } => Ok(version),
        _ => Err(Failure::Unknown.into()),
    }
}

/// An id that no other client has, most likely.
fn draw_id() -> u32 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the machine has entropy, or nothing on it can be trusted");
    u32::from_le_bytes(bytes) | FIRST_CLIENT
}
