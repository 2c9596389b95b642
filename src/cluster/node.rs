//! One node: from its start on its directory to its orderly end.
//!
//! It may be killed at any moment, and goes on from its disk when it is started again. When it is asked to stop, it first hands
//! over what it leads, so that nobody has to wait for an election.

use super::book::{Book, Entry};
use super::desk::{self, Answer, Ask, Step};
use super::home::{Home, HomeError, Owner};
use super::layout::{Layout, LayoutError, Member, Part};
use super::planted::Planted;
use super::status::{self, Counts, Members, Status, Work};
use crate::raft::{self, Options, Unavailable};
use crate::rsm::{self, Request, Response, Servers};
use crate::shardkv::{self, ShardKv, Timing};
use crate::shardmaster::{self, ShardMaster};
use futures::future::{Either, select};
use labrpc::net::{Config, Desk, Host, StartError};
use labrpc::{Env, NodeId};
use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the service of a node may take to say what it works on.
const LOOK: Duration = Duration::from_millis(300);
/// How long others may take to say how far their logs are, before leadership is handed to one of them.
const ROLL_CALL: Duration = Duration::from_millis(200);
/// How long handing leadership over may take, all in all. Without it the others elect somebody a moment later.
const HAND_OVER: Duration = Duration::from_secs(2);
/// Between two looks whether somebody has asked for an end.
const ATTENTION: Duration = Duration::from_millis(100);
/// Between two looks whether it has worked.
const GLANCE: Duration = Duration::from_millis(5);

/// Why a node did not start, or had to stop. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its address means nothing here.
    #[error("cannot listen on {address}: {why}. Give the node an address of this machine")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Sockets or files.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What is on the disk.
    #[error(transparent)]
    Disk(#[from] raft::StartError),
    /// It has stopped itself.
    #[error("the node has stopped itself: {0}")]
    Halted(String),
}

/// Runs a node until `stop` is there, on the runtime of the caller; then stops it in good order. `planted` is for those who test
/// tests.
///
/// # Errors
/// [`Failed`]: it did not start, or could not go on.
pub async fn run(
    layout: &Layout,
    name: &str,
    planted: Option<Planted>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failed> {
    let missing = || LayoutError { place: "the layout".into(), what: format!("there is no node `{name}` in it") };
    let member = layout.named(name).ok_or_else(missing)?;
    let home = Home::claim(&member.dir, &Owner::of(layout, member))?;
    let host = Arc::new(Host::start(Config {
        listen: Some(resolve(member.listen.as_ref().unwrap_or(&member.address))?),
        peers: layout.nodes.values().map(|other| (other.id, other.address.clone())).collect(),
        dir: Some(home.disk()),
        secret: layout.secret()?,
        tls: layout.tls(name)?,
        ..Config::new(member.id, layout.cluster)
    })?);
    let told_to_stop = Arc::new(AtomicBool::new(false));
    let asked = until_told(&host, &told_to_stop);
    let mut stop = pin!(async { _ = select(pin!(stop), pin!(asked)).await });
    let booted = async {
        match select(
            pin!(boot(layout, member, planted, &host, &told_to_stop, home.founders())),
            pin!(host.halted()),
        )
        .await
        {
            Either::Left((server, _)) => server,
            Either::Right((why, _)) => Err(Failed::Halted(why)),
        }
    };
    let server = match select(pin!(booted), stop.as_mut()).await {
        Either::Left((server, _)) => server?,
        // It was asked to stop before it had begun.
        Either::Right(_) => {
            host.stop().await;
            return Ok(());
        }
    };
    let outcome = match select(pin!(host.halted()), stop).await {
        Either::Left((why, _)) => Err(Failed::Halted(why)),
        Either::Right(_) => {
            let env = host.env();
            match select(pin!(hand_over(&env, &server)), pin!(host.halted())).await {
                Either::Left(_) => Ok(()),
                Either::Right((why, _)) => Err(Failed::Halted(why)),
            }
        }
    };
    host.stop().await;
    tracing::info!(target: "shardlab::node", node = %member.id, "{name} has stopped");
    outcome
}

/// Waits until somebody has asked for an end over the network.
async fn until_told(host: &Host, told: &AtomicBool) {
    while !told.load(Ordering::Relaxed) {
        host.env().sleep(ATTENTION).await;
    }
}

fn resolve(address: &str) -> Result<SocketAddr, Failed> {
    let failed = |why: String| Failed::Address { address: address.into(), why };
    let found = address.to_socket_addrs().map_err(|why| failed(why.to_string()))?.next();
    found.ok_or_else(|| failed("there is no such machine".into()))
}

/// Boots the server, and begins to answer questions about the node.
async fn boot(
    layout: &Layout,
    member: &Member,
    planted: Option<Planted>,
    host: &Arc<Host>,
    told_to_stop: &Arc<AtomicBool>,
    founders: &[NodeId],
) -> Result<raft::Node, Failed> {
    let env = host.env();
    let book = Book::of(layout);
    let home = std::path::absolute(&member.dir).unwrap_or_else(|_| member.dir.clone());
    let own = Entry { home: display(&home), boot: env.boot().0, ..Entry::of(member) };
    book.merge(vec![own.clone()]);
    let desk = host.desk(desk::KIND);
    let node = boot_service(layout, member, planted, &env, &book, founders).await?;
    env.spawn(serve_desk(desk, host.clone(), own, node.clone(), book.clone(), told_to_stop.clone()));
    env.spawn(book.keep(Arc::downgrade(host), env.clone(), true));
    let (name, part, address) = (&member.name, member.part, &member.address);
    tracing::info!(target: "shardlab::node", node = %member.id, "{name} ({part}) is reached at {address}, boot {}", env.boot().0);
    Ok(node)
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// The same servers as in the laboratory.
async fn boot_service(
    layout: &Layout,
    member: &Member,
    planted: Option<Planted>,
    env: &Env,
    book: &Book,
    founders: &[NodeId],
) -> Result<raft::Node, raft::StartError> {
    if let Some(planted) = planted {
        tracing::warn!(target: "shardlab::node", node = %member.id, "a bug is planted: {}", planted.name());
    }
    let raft = raft::Config::new(member.id, founders.iter().copied());
    let identity = format!("{} of cluster {}, {}", member.id, layout.cluster, member.part);
    let options = Options { inputs_per_ready: None, identity };
    let service = rsm::Config::default();
    match member.part {
        Part::Controller => {
            let settings = shardmaster::Settings { shards: layout.shards, ..Default::default() };
            let mut config = shardmaster::Config { raft, options, service, settings };
            planted.into_iter().for_each(|planted| planted.in_controller(&mut config));
            let server = shardmaster::Server::boot(env.clone(), config, None).await?;
            Ok(server.node().clone())
        }
        Part::Group(group) => {
            let settings = shardkv::Settings { group, shards: layout.shards, ..Default::default() };
            let masters = Servers::from(layout.of(Part::Controller).map(|member| member.id).collect::<Vec<_>>());
            env.spawn(keep_up(masters.clone(), book.clone(), env.clone()));
            let timing = Timing::default();
            let mut config = shardkv::Config { raft, options, service, settings, masters, timing };
            planted.into_iter().for_each(|planted| planted.in_group(&mut config));
            let server = shardkv::Server::boot(env.clone(), config, None).await?;
            Ok(server.node().clone())
        }
    }
}

/// The servers of the controller may be others by now than they were when this node started.
async fn keep_up(masters: Servers, book: Book, env: Env) {
    loop {
        masters.set(&book.of_part(Part::Controller));
        env.sleep(LOOK).await;
    }
}

/// Answers what is not for the service.
async fn serve_desk(
    desk: Desk,
    host: Arc<Host>,
    own: Entry,
    node: raft::Node,
    book: Book,
    told_to_stop: Arc<AtomicBool>,
) {
    let env = host.env();
    loop {
        let request = desk.accept().await;
        match labgob::decode(&request.body) {
            Ok(Ask::Book(theirs)) => {
                book.learn(&host, theirs);
                reply(&env, &request, &Answer::Book(book.entries()));
            }
            Ok(Ask::StepTowards(voters)) => {
                let (env, node) = (env.clone(), node.clone());
                let known = book.of_part(own.part);
                host.env().spawn(async move {
                    let step = step_towards(&node, &voters, &known).await;
                    reply(&env, &request, &Answer::Step(step));
                });
            }
            Ok(Ask::Stop) => {
                tracing::info!(target: "shardlab::node", node = %env.id(), "{} has asked to stop", request.from);
                reply(&env, &request, &Answer::Stopping);
                told_to_stop.store(true, Ordering::Relaxed);
            }
            // In a task of its own: a service that is slow to say how it is keeps nobody from asking whom the node knows.
            Ok(Ask::Status) => {
                let (env, own, node, counts) =
                    (env.clone(), own.clone(), node.clone(), Counts::from(host.counters()));
                host.env().spawn(async move {
                    let status = status_of(&env, own, &node, counts).await;
                    reply(&env, &request, &Answer::Status(Box::new(status)));
                });
            }
            // Of another version, perhaps. Its sender will not wait for ever.
            Err(_) => {}
        }
    }
}

async fn step_towards(node: &raft::Node, voters: &[NodeId], known: &[NodeId]) -> Step {
    if voters.is_empty() {
        return Step::Senseless("nobody is named".into());
    }
    if let Some(stranger) = voters.iter().find(|voter| !known.contains(voter)) {
        return Step::Senseless(format!("{stranger} is no server of this part of the cluster"));
    }
    match node.step_towards(voters).await {
        Ok(true) => Step::Done,
        Ok(false) => Step::Begun,
        Err(Unavailable::NotLeader(leader)) => Step::NotLeader(leader),
        Err(Unavailable::Change(refused)) if !refused.passes() => Step::Senseless(refused.to_string()),
        Err(other) => Step::Wait(other.to_string()),
    }
}

fn reply(env: &Env, request: &labrpc::Request, answer: &Answer) {
    env.reply(request, labgob::encode(answer).expect("a book is far below the limit"));
}

async fn status_of(env: &Env, own: Entry, node: &raft::Node, counts: Counts) -> Status {
    let work = work_of(env, own.part).await;
    let (role, term, vote, leader, log) = status::of_raft(node);
    let Entry { id, name, part, boot, .. } = own;
    let leads = role == raft::Role::Leader;
    let role = status::role(role).into();
    let process = std::process::id();
    let members = Members::of(node);
    Status { id, name, part, boot, process, role, leads, term, vote, leader, log, members, work, counts }
}

/// What the service of this node works on, as it says itself.
async fn work_of(env: &Env, part: Part) -> Option<Work> {
    match part {
        Part::Controller => {
            let query = shardmaster::Query(None);
            let config = look::<ShardMaster>(env, shardmaster::KINDS.query, query).await?;
            Some(Work::Configurations { config: config.num, groups: config.groups.len() })
        }
        Part::Group(_) => match look::<ShardKv>(env, shardkv::KINDS.query, shardkv::Query::Status).await? {
            shardkv::Answer::Status(status) => {
                let (coming, frozen) = (status.coming.len(), status.frozen.len());
                Some(Work::Shards { config: status.config, owned: status.owned, coming, frozen })
            }
            _ => None,
        },
    }
}

/// Asks the service of this very node.
async fn look<M: rsm::StateMachine>(env: &Env, kind: labrpc::Kind, query: M::Query) -> Option<M::Answer> {
    let request = Request::<M::Command, M::Query>::Look(query);
    let body = labgob::encode(&request).expect("a question is far below the limit");
    let answer = env.call(env.id(), kind, body, env.now() + LOOK).await.ok()?;
    match labgob::decode::<Response<M::Reply, M::Answer>>(&answer).ok()? {
        Response::Read { answer, .. } => Some(answer),
        _ => None,
    }
}

/// Hands over what this node leads: to whoever has most of the log, or else to the next one.
async fn hand_over(env: &Env, node: &raft::Node) {
    let deadline = env.now() + HAND_OVER;
    let others: Vec<NodeId> =
        node.membership().1.voters.iter().copied().filter(|voter| *voter != env.id()).collect();
    while node.state().1 && env.now() < deadline {
        let asked = others.iter().map(|&other| async move {
            match desk::ask(env, other, &Ask::Status, env.now() + ROLL_CALL).await {
                Some(Answer::Status(status)) => Some((status.log.durable, other)),
                _ => None,
            }
        });
        let present = futures::future::join_all(asked).await;
        let Some((_, successor)) = present.into_iter().flatten().max() else {
            tracing::warn!(target: "shardlab::node", node = %env.id(), "there is nobody to hand leadership to");
            return;
        };
        tracing::info!(target: "shardlab::node", node = %env.id(), "leadership goes to {successor}");
        node.transfer(successor);
        // Raft gives up an attempt by itself after an election timeout.
        let attempt = deadline.min(env.now() + Duration::from_millis(400));
        while node.state().1 && env.now() < attempt {
            env.sleep(GLANCE).await;
        }
    }
}
