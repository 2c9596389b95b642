//! `shardlab cluster up`: a cluster on this machine, from the first start to the end of this process.

use super::cluster::{PATIENCE, add_nodes, names_of, stop_all};
use super::where_to::{LAYOUT, Local};
use super::{Ending, Outcome, asked_to_end, show};
use clap::Parser;
use futures::future::{Either, select};
use rustix::fs::{FlockOperation, flock};
use shardlab::client::Client;
use shardlab::cluster::{Authority, Entry, Layout, Member, Part, Status, TlsFiles, table};
use shardlab::shardmaster::{ConfigNum, GroupId};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long it may take until all nodes answer and have leaders.
const BEGINNING: Duration = Duration::from_secs(60);
/// Between two looks at the nodes.
const REFRESH: Duration = Duration::from_secs(1);
/// The same, while they start.
const LOOK: Duration = Duration::from_millis(50);

/// Start a cluster on this machine.
#[derive(Parser)]
pub struct Args {
    /// The directory of the cluster. What is there is taken up.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many groups there are to begin with [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: Option<u32>,
    /// How many servers each group has, and the controller [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    replicas: Option<u32>,
    /// How many shards there are, for ever [default: 16]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    shards: Option<u32>,
    /// The file with a secret that all nodes share.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Let all talk in TLS: makes an authority, and certificates for the nodes and for those who ask them, in the directory `tls` there.
    #[arg(long)]
    tls: bool,
}

pub async fn up(args: Args) -> Outcome {
    let ending = asked_to_end().map_err(|why| Ending::no(format!("cannot wait for signals: {why}")))?;
    let dir = &args.dir;
    fs::create_dir_all(dir).map_err(|why| Ending::no(format!("cannot make {}: {why}", dir.display())))?;
    let _claim = claim(dir)?;
    let file = dir.join(LAYOUT);
    let layout = if file.exists() { take_up(&args, &file)? } else { begin(&args, &file)? };
    let local = Local { file, layout };
    let mut children = BTreeMap::new();
    let outcome = match select(pin!(run(&local, &mut children)), pin!(ending)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Ok(()),
    };
    // Others may have let groups join meanwhile, or restarted nodes: all that there are now are stopped.
    let layout = Layout::load(&local.file).map_err(Ending::usage)?;
    let members: Vec<&Member> = layout.nodes.values().collect();
    let stopped = end(&members, &mut children).await;
    outcome?;
    show(format!("{} nodes have stopped\n", stopped?))
}

/// Stops all nodes, those that have only just been started too. How many have run.
async fn end(members: &[&Member], children: &mut BTreeMap<String, Child>) -> Result<usize, Ending> {
    let deadline = Instant::now() + BEGINNING;
    let mut stopped = 0;
    loop {
        stopped += stop_all(members).await?;
        // One that runs and has not got hold of its directory yet cannot be found there, but soon can.
        if !children.values_mut().any(|child| matches!(child.try_wait(), Ok(None))) {
            return Ok(stopped);
        }
        if Instant::now() >= deadline {
            return Err(Ending::no("not all nodes stop: `cluster status` tells which"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Two of these in one directory would start and stop each other's nodes.
fn claim(dir: &Path) -> Result<File, Ending> {
    let file = File::create(dir.join("up")).map_err(Ending::no)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(Ending::usage(format!("`cluster up` runs already for {}", dir.display()))),
    }
}

/// Lays out a new cluster.
fn begin(args: &Args, file: &Path) -> Result<Layout, Ending> {
    let (groups, replicas) = (args.groups.unwrap_or(2), args.replicas.unwrap_or(3));
    let mut number = [0; 4];
    getrandom::fill(&mut number).map_err(Ending::no)?;
    let mut layout = Layout::new(u64::from(u32::from_le_bytes(number)).max(1));
    layout.shards = args.shards.unwrap_or(layout.shards);
    layout.secret_file = args.secret_file.as_deref().map(std::path::absolute).transpose().map_err(Ending::no)?;
    layout.secret().map_err(Ending::usage)?;
    if args.tls {
        // The directory of a cluster may be moved, and what the layout names is seen from there.
        Authority::begin(&mut layout, &args.dir.join("tls")).map_err(Ending::no)?;
    }
    let mut names: Vec<String> = (1..=replicas).map(|nth| format!("m{nth}")).collect();
    names.extend((1..=groups).flat_map(|group| names_of(GroupId(group.into()), replicas)));
    add_nodes(&mut layout, &args.dir, &names, false)?;
    let layout = layout.checked("the command line").map_err(Ending::usage)?;
    layout.save(file).map_err(|why| Ending::no(format!("cannot write {}: {why}", file.display())))?;
    Ok(layout)
}

/// Takes up a cluster that is there, which must be as it was asked for.
fn take_up(args: &Args, file: &Path) -> Result<Layout, Ending> {
    let layout = Layout::load(file).map_err(Ending::usage)?;
    if args.tls && layout.tls.is_none() {
        let dir = args.dir.display();
        return Err(Ending::usage(format!(
            "the cluster in {dir} was begun without --tls: leave it out, or take another --dir"
        )));
    }
    let replicas = layout.of(Part::Controller).count() as u32;
    let there = [
        ("groups", args.groups, layout.groups().len() as u32),
        ("replicas", args.replicas, replicas),
        ("shards", args.shards, layout.shards),
    ];
    for (what, asked, is) in there {
        if let Some(asked) = asked
            && asked != is
        {
            let dir = args.dir.display();
            let why = format!(
                "the cluster in {dir} has --{what} {is} and not {asked}: leave it out, or take another --dir"
            );
            return Err(Ending::usage(why));
        }
    }
    Ok(layout)
}

/// Starts what does not run, and shows how it is, until it is dropped.
async fn run(local: &Local, children: &mut BTreeMap<String, Child>) -> Outcome {
    let deadline = Instant::now() + BEGINNING;
    for member in local.layout.nodes.values() {
        if let Some(child) = local.start(member)? {
            children.insert(member.name.clone(), child);
        }
    }
    for member in local.layout.nodes.values() {
        local.await_start(member, children.get_mut(&member.name), deadline).await?;
    }
    let client = local.connect(BEGINNING).await?;
    let mut nodes = client.statuses(PATIENCE).await;
    while !all_led(&nodes) {
        if Instant::now() >= deadline {
            let logs = local.file.with_file_name("*").join("log");
            return Err(Ending::unknown(format!("not all parts have found a leader: see {}", logs.display())));
        }
        tokio::time::sleep(LOOK).await;
        nodes = client.statuses(PATIENCE).await;
    }
    // A group that has left stays away; what has no configuration at all has just begun.
    let config = client.configuration().await?;
    if config.num == ConfigNum(0) {
        for group in local.layout.groups() {
            client.join(group).await?;
        }
    }
    let entry = local.layout.nodes.values().next().expect("a layout has a controller");
    let with = local.layout.client_tls_files().map_or(String::new(), |TlsFiles { ca, cert, key }| {
        let [ca, cert, key] = [ca, cert, key].map(|path| path.display().to_string());
        format!(" with --ca-file {ca} --cert-file {cert} --key-file {key}")
    });
    let (cluster, dir) = (client.cluster(), dir_of(local));
    let ready = format!("cluster {cluster} is up: --dir {dir} or --entry {}{with}\n", entry.address);
    watch(&client, children, &ready).await
}

fn dir_of(local: &Local) -> String {
    local.file.parent().unwrap_or(Path::new(".")).display().to_string()
}

/// Whether somebody leads each part.
fn all_led(nodes: &[(Entry, Option<Status>)]) -> bool {
    nodes.iter().all(|(entry, _)| {
        nodes.iter().any(|(other, status)| other.part == entry.part && status.as_ref().is_some_and(|it| it.leads))
    })
}

/// Shows how the nodes are, for ever: a table that is renewed on a terminal; elsewhere one table, and a line for each change.
async fn watch(client: &Client, children: &mut BTreeMap<String, Child>, ready: &str) -> Outcome {
    let is_terminal = std::io::stdout().is_terminal();
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let nodes = client.statuses(PATIENCE).await;
        let now: BTreeMap<String, String> =
            nodes.iter().map(|(entry, status)| (entry.name.clone(), word(entry, status))).collect();
        let text = format!("{ready}{}", table(&nodes));
        if is_terminal {
            // From the top: how many lines a table takes there depends on how wide the terminal is.
            show(format!("\x1b[H\x1b[J{text}"))?;
        } else if before.is_empty() {
            show(text)?;
        } else {
            let changed = now.iter().filter(|(name, word)| before.get(*name) != Some(word));
            show(changed.map(|(_, word)| format!("{word}\n")).collect::<String>())?;
        }
        before = now;
        // Those that were killed have left something that only their parent can clear away.
        children.values_mut().for_each(|child| _ = child.try_wait());
        tokio::time::sleep(REFRESH).await;
    }
}

/// What is worth a line when it changes.
fn word(entry: &Entry, status: &Option<Status>) -> String {
    let Entry { name, part, .. } = entry;
    match status {
        None => format!("{name} is down"),
        Some(status) if status.leads => format!("{name} leads the servers of {part} in term {}", status.term),
        Some(_) => format!("{name} is up"),
    }
}
