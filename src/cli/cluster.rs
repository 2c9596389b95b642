//! `shardlab cluster`: the nodes of a cluster, and which group has what.

use super::members::{MembersArgs, ReplaceArgs, members, replace};
use super::where_to::{Local, Where};
use super::{Ending, Outcome, block_on, show, up};
use clap::{Parser, Subcommand};
use shardlab::client::Client;
use shardlab::cluster::{Authority, Layout, Member, Part, details, processes, table};
use shardlab::shardmaster::{GroupId, ShardId};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a node may take to say how it is.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long a node may take to stop in good order.
const LAST_MOMENTS: Duration = Duration::from_secs(15);
/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(20);

/// Run a cluster on this machine, look after it, and say which group has what.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a controller and groups as processes on free ports of this machine, and stop them when this is stopped (Ctrl-C).
    /// With a directory in which there is a cluster already, start that one.
    Up(up::Args),
    /// Print how all nodes are, or one in more detail.
    Status(MaybeNode),
    /// Kill a node at once, as `kill -9` does.
    Kill(Node),
    /// Stop a node in good order.
    Stop(Node),
    /// Start a node that does not run; stop it before if it does.
    Restart(Node),
    /// Let a group join. Its processes are started if they do not run; those of a group that is not known yet are set up.
    Join(Join),
    /// Let a group go. Its shards are given to the others; its processes go on.
    Leave(Group),
    /// Give a shard to a group.
    Move(Move),
    Members(MembersArgs),
    Replace(ReplaceArgs),
}

#[derive(Parser)]
struct MaybeNode {
    /// Its name or address; without it, all nodes.
    node: Option<String>,
    #[command(flatten)]
    at: Where,
}

#[derive(Parser)]
struct Node {
    /// Its name or address; or g1-leader for whoever leads group 1, and m-leader for the controller's.
    node: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Parser)]
struct Group {
    /// The number of the group.
    #[arg(value_parser = group)]
    group: GroupId,
    #[command(flatten)]
    at: Where,
}

#[derive(Parser)]
struct Join {
    /// The number of the group.
    #[arg(value_parser = group)]
    group: GroupId,
    /// How many servers it has, if it is to be set up; without it, as many as the controller.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    replicas: Option<u32>,
    #[command(flatten)]
    at: Where,
}

#[derive(Parser)]
struct Move {
    /// The number of the shard, from 0 on.
    shard: u32,
    /// The number of the group.
    #[arg(value_parser = group)]
    group: GroupId,
    #[command(flatten)]
    at: Where,
}

/// A group, as `2` or `g2`.
fn group(text: &str) -> Result<GroupId, String> {
    let number = text.strip_prefix('g').unwrap_or(text).parse().ok().filter(|number| *number > 0);
    number.map(GroupId).ok_or_else(|| "write the number of a group, from 1 on".into())
}

pub fn cluster(args: Args) -> Outcome {
    block_on(async {
        match args.command {
            Command::Up(args) => up::up(args).await,
            Command::Status(MaybeNode { node, at }) => status(node.as_deref(), &at).await,
            Command::Kill(Node { node, at }) => {
                let local = at.local().await?;
                kill(local.find(&node, at.timeout).await?).await
            }
            Command::Stop(Node { node, at }) => stop_here_or_there(&node, &at).await,
            Command::Restart(Node { node, at }) => {
                let local = at.local().await?;
                restart(&local, local.find(&node, at.timeout).await?, at.timeout).await
            }
            Command::Join(args) => join(&args).await,
            Command::Leave(Group { group, at }) => {
                let (client, _) = at.connect().await?;
                let config = client.leave(group).await?;
                show(format!("{group} has left with {config}\n"))
            }
            Command::Move(Move { shard, group, at }) => {
                let (client, _) = at.connect().await?;
                let config = client.move_shard(ShardId(shard), group).await?;
                show(format!("{group} has shard {shard} from {config} on\n"))
            }
            Command::Members(args) => members(args).await,
            Command::Replace(args) => replace(args).await,
        }
    })
}

async fn status(node: Option<&str>, at: &Where) -> Outcome {
    let (client, local) = at.connect().await?;
    // What the file knows and no node has heard of is down, and is told nevertheless.
    if let Some(local) = &local {
        client.note(&local.layout);
    }
    let mut nodes = client.statuses(PATIENCE.min(at.timeout)).await;
    if let Some(node) = node {
        nodes.retain(|(entry, _)| entry.name == node || entry.address == node);
        if nodes.is_empty() {
            return Err(Ending::usage(format!("there is no node `{node}`")));
        }
    }
    show(table(&nodes))?;
    if node.is_some() {
        show(nodes.iter().flat_map(|(_, status)| status).map(details).collect::<String>())?;
    }
    match nodes.iter().any(|(_, status)| status.is_some()) {
        true => Ok(()),
        false => Err(Ending::unknown("no answer")),
    }
}

/// Waits until a node does not run any more.
async fn await_end(member: &Member, patience: Duration) -> Result<bool, Ending> {
    let deadline = Instant::now() + patience;
    while processes::running(member).map_err(Ending::no)?.is_some() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(true)
}

async fn kill(member: &Member) -> Outcome {
    let name = &member.name;
    if !processes::kill(member).map_err(Ending::no)? {
        return Err(Ending::no(format!("{name} does not run")));
    }
    match await_end(member, LAST_MOMENTS).await? {
        true => show(format!("{name} is killed\n")),
        false => Err(Ending::unknown(format!("{name} was killed, and still runs"))),
    }
}

/// Stops a node in good order: by a signal if it runs on this machine, and else by asking it.
async fn stop_here_or_there(node: &str, at: &Where) -> Outcome {
    if at.dir.is_some() {
        return stop(at.local().await?.find(node, at.timeout).await?).await;
    }
    let (client, local) = at.connect().await?;
    if let Some(local) = &local
        && let Ok(member) = local.find(node, at.timeout).await
        && matches!(processes::running(member), Ok(Some(_)))
    {
        return stop(member).await;
    }
    let entry = client.find(node).ok_or_else(|| Ending::usage(format!("there is no node `{node}`")))?;
    if !client.stop(entry.id, PATIENCE).await {
        return Err(Ending::unknown(format!("{} does not answer", entry.name)));
    }
    let deadline = Instant::now() + LAST_MOMENTS;
    while client.status(entry.id, PATIENCE).await.is_some() {
        if Instant::now() >= deadline {
            return Err(Ending::unknown(format!("{} has said that it stops, and still answers", entry.name)));
        }
        tokio::time::sleep(LOOK).await;
    }
    show(format!("{} has stopped\n", entry.name))
}

async fn stop(member: &Member) -> Outcome {
    match stop_all(&[member]).await? {
        0 => Err(Ending::no(format!("{} does not run", member.name))),
        _ => show(format!("{} has stopped\n", member.name)),
    }
}

/// Stops these nodes, all at the same time. How many have run.
pub async fn stop_all(members: &[&Member]) -> Result<usize, Ending> {
    let mut stopping = Vec::new();
    for member in members {
        if processes::terminate(member).map_err(Ending::no)? {
            stopping.push(*member);
        }
    }
    for member in &stopping {
        if !await_end(member, LAST_MOMENTS).await? {
            let name = &member.name;
            return Err(Ending::no(format!(
                "{name} does not stop: `cluster kill {name}` would, and loses nothing"
            )));
        }
    }
    Ok(stopping.len())
}

async fn restart(local: &Local, member: &Member, timeout: Duration) -> Outcome {
    stop_all(&[member]).await?;
    let mut child = local.start(member)?;
    local.await_start(member, child.as_mut(), Instant::now() + timeout).await?;
    show(format!("{} runs\n", member.name))
}

async fn join(args: &Join) -> Outcome {
    let (client, local) = args.at.connect().await?;
    let deadline = Instant::now() + args.at.timeout;
    if let Some(mut local) = local {
        let _turn = local.claim()?;
        if local.layout.of(Part::Group(args.group)).next().is_none() {
            set_up(&mut local, args)?;
        }
        client.note(&local.layout);
        let members: Vec<&Member> = local.layout.of(Part::Group(args.group)).collect();
        let mut children = Vec::new();
        for member in &members {
            children.push(local.start(member)?);
        }
        for (member, child) in members.iter().zip(&mut children) {
            local.await_start(member, child.as_mut(), deadline).await?;
        }
        await_known(&client, deadline).await?;
    }
    let config = client.join(args.group).await?;
    show(format!("{} has joined with {config}\n", args.group))
}

/// Sets up a group on free ports of this machine.
fn set_up(local: &mut Local, args: &Join) -> Outcome {
    let dir = local.file.parent().unwrap_or(Path::new("")).to_path_buf();
    let usual = local.layout.of(Part::Controller).count() as u32;
    let names = names_of(args.group, args.replicas.unwrap_or(usual));
    add_nodes(&mut local.layout, &dir, &names, false)?;
    local.save()
}

/// The names of a group's servers.
pub fn names_of(group: GroupId, replicas: u32) -> Vec<String> {
    (1..=replicas).map(|nth| format!("g{}-{nth}", group.0)).collect()
}

/// Adds nodes with these names, on free ports of this machine; with certificates, if the others have some. `join`: their part is
/// there already.
pub fn add_nodes(layout: &mut Layout, dir: &Path, names: &[String], join: bool) -> Outcome {
    let authority = Authority::of(layout).map_err(Ending::no)?;
    let ports = processes::free_ports(names.len()).map_err(Ending::no)?;
    for (name, port) in names.iter().zip(ports) {
        layout.add_named(name, &format!("127.0.0.1:{port}"), dir.join(name), join).map_err(Ending::usage)?;
        if let (Some(authority), Some(member)) = (&authority, layout.named(name)) {
            authority.sign_node(layout, member).map_err(Ending::no)?;
        }
    }
    Ok(())
}

/// Waits until the nodes that run know all others: a group that joins is then found at once.
pub async fn await_known(client: &Client, deadline: Instant) -> Outcome {
    while !client.all_know_all(PATIENCE).await {
        if Instant::now() >= deadline {
            return Err(Ending::unknown("the nodes of the cluster do not hear of each other"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
