//! `shardlab cluster members` and `cluster replace`: which servers make up a part of the cluster.

use super::cluster::{PATIENCE, add_nodes, await_known, stop_all};
use super::where_to::{Local, Where};
use super::{Ending, Outcome, show};
use clap::Parser;
use labrpc::NodeId;
use shardlab::client::Client;
use shardlab::cluster::{Member, Members, Part, Status};
use shardlab::shardmaster::GroupId;
use std::path::Path;
use std::time::{Duration, Instant};

/// Say which servers make up a group or the controller, or change that.
#[derive(Parser)]
pub struct MembersArgs {
    /// The number of the group, or `controller`.
    #[arg(value_parser = part)]
    part: Part,
    /// Make these its voters, by name or address, and nobody else a member: one change after the other. Who is new must run, and
    /// have been set up with `joins = true`.
    #[arg(long, value_delimiter = ',', value_name = "NODE,...")]
    set: Vec<String>,
    #[command(flatten)]
    at: Where,
}

/// Put a new server in the place of one that is gone for good, on this machine: it is set up, started, catches up and counts,
/// and then the other one is taken out, and stopped if it runs.
#[derive(Parser)]
pub struct ReplaceArgs {
    /// The name or address of the one that goes.
    node: String,
    #[command(flatten)]
    at: Where,
}

/// A part, as `controller`, `2`, `g2` or `group 2`.
fn part(text: &str) -> Result<Part, String> {
    let number = text.strip_prefix("group ").or(text.strip_prefix('g')).unwrap_or(text).parse().ok();
    match (text, number.filter(|number| *number > 0)) {
        ("controller" | "m", _) => Ok(Part::Controller),
        (_, Some(number)) => Ok(Part::Group(GroupId(number))),
        _ => Err("write the number of a group, from 1 on, or `controller`".into()),
    }
}

pub async fn members(args: MembersArgs) -> Outcome {
    let (client, local) = args.at.connect().await?;
    if let Some(local) = &local {
        client.note(&local.layout);
    }
    if !args.set.is_empty() {
        let find =
            |node: &String| client.find(node).ok_or_else(|| Ending::usage(format!("there is no node `{node}`")));
        let nodes = args.set.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        if let Some(stranger) = nodes.iter().find(|node| node.part != args.part) {
            let (name, of, part) = (&stranger.name, stranger.part, args.part);
            return Err(Ending::usage(format!("{name} is a server of {of}, and not of {part}")));
        }
        let voters: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
        reconfigure(&client, args.part, &voters).await?;
    }
    let now = members_now(&client, args.part, args.at.timeout).await?;
    show(in_words(&client, args.part, &now))
}

pub async fn replace(args: ReplaceArgs) -> Outcome {
    let mut local = args.at.local().await?;
    // Whoever else changes the layout comes before or after; and what it says is looked at once this one has its turn.
    let _turn = local.claim()?;
    let old = local.find(&args.node, args.at.timeout).await?.clone();
    let client = local.connect(args.at.timeout).await?;
    client.note(&local.layout);
    let deadline = Instant::now() + args.at.timeout;
    let before = members_now(&client, old.part, args.at.timeout).await?;
    if !before.voters.contains(&old.id) {
        // An earlier attempt has come as far as that, and perhaps not as far as to tell the controller.
        reconfigure(&client, old.part, &before.voters).await?;
        let words = format!("{} is no member of {} any more\n", old.name, old.part);
        return retire(&mut local, &client, &old, words, deadline).await;
    }
    // One that an earlier attempt has set up, or a new one.
    let begun = local.layout.of(old.part).find(|it| it.replaces.as_ref() == Some(&old.name));
    let new = match begun.map(|member| member.name.clone()) {
        Some(name) => name,
        None => set_up(&mut local, &old)?,
    };
    let new = local.layout.named(&new).expect("it is there").clone();
    let mut child = local.start(&new)?;
    local.await_start(&new, child.as_mut(), deadline).await?;
    client.note(&local.layout);
    await_known(&client, deadline).await?;
    show(format!("{} runs\n", new.name))?;
    let others = before.voters.iter().copied().filter(|voter| *voter != old.id && *voter != new.id);
    let voters: Vec<NodeId> = others.chain([new.id]).collect();
    reconfigure(&client, old.part, &voters).await?;
    let words = format!("{} has taken the place of {}\n", new.name, old.name);
    retire(&mut local, &client, &old, words, deadline).await
}

/// A node is one no more: it is stopped, and everybody forgets it.
async fn retire(local: &mut Local, client: &Client, old: &Member, words: String, deadline: Instant) -> Outcome {
    let runs_here = stop_all(&[old]).await? > 0;
    if !runs_here && client.status(old.id, PATIENCE).await.is_some() {
        client.stop(old.id, PATIENCE).await;
    }
    local.layout.retire(old.id);
    local.save()?;
    client.note(&local.layout);
    await_known(client, deadline).await?;
    show(words)
}

/// Sets up a server in the place of that one, on a free port of this machine. Its name.
fn set_up(local: &mut Local, old: &Member) -> Result<String, Ending> {
    let name = local.layout.next_name(old.part);
    let dir = local.file.parent().unwrap_or(Path::new("")).to_path_buf();
    add_nodes(&mut local.layout, &dir, std::slice::from_ref(&name), true)?;
    let mut nodes = local.layout.nodes.values_mut();
    nodes.find(|it| it.name == name).into_iter().for_each(|it| it.replaces = Some(old.name.clone()));
    local.save()?;
    Ok(name)
}

/// Changes the members, and tells the controller where the group is to be found from now on.
async fn reconfigure(client: &Client, part: Part, voters: &[NodeId]) -> Outcome {
    client.reconfigure(part, voters, |why| eprintln!("waiting: {why}")).await?;
    if let Part::Group(group) = part {
        let config = client.configuration().await?;
        let known = config.groups.get(&group);
        if known.is_some_and(|known| !same(known, voters)) {
            client.name_servers(group, voters).await?;
        }
    }
    Ok(())
}

fn same(one: &[NodeId], other: &[NodeId]) -> bool {
    one.len() == other.len() && one.iter().all(|node| other.contains(node))
}

/// Who belongs to a part, as whoever leads it has it.
async fn members_now(client: &Client, part: Part, patience: Duration) -> Result<Members, Ending> {
    let deadline = Instant::now() + patience;
    loop {
        let statuses = client.statuses(PATIENCE).await.into_iter().filter_map(|(_, status)| status);
        let leaders = statuses.filter(|status| status.leads && status.part == part);
        if let Some(Status { members, .. }) = leaders.max_by_key(|status| status.term) {
            return Ok(members);
        }
        if Instant::now() >= deadline {
            return Err(Ending::unknown(format!("nobody leads the servers of {part}")));
        }
        tokio::time::sleep(super::cluster::LOOK).await;
    }
}

fn in_words(client: &Client, part: Part, members: &Members) -> String {
    let nodes = client.nodes();
    let name = |id: &NodeId| {
        let found = nodes.iter().find(|node| node.id == *id);
        found.map_or_else(|| id.to_string(), |node| node.name.clone())
    };
    let names = |ids: &[NodeId]| ids.iter().map(name).collect::<Vec<_>>().join(" ");
    let learners = match &*members.learners {
        [] => String::new(),
        learners => format!(", learning: {}", names(learners)),
    };
    let pending = if members.committed { "" } else { ", not committed yet" };
    format!("{part}: {}{learners}{pending}\n", names(&members.voters))
}
