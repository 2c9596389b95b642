//! `shardlab node`: one node, in this process.

use super::tls::Certificates;
use super::{Ending, Outcome, asked_to_end};
use clap::{Parser, Subcommand, ValueEnum};
use shardlab::cluster::{Layout, LayoutError, node};
use std::io::IsTerminal;
use std::path::PathBuf;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Run one node of a cluster.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node, and run it until it is asked to stop (SIGTERM or SIGINT).
    Start(Start),
}

/// Either `--config`, or `--cluster`, `--dir` and a `--node` for each node there is.
#[derive(Parser)]
struct Start {
    /// The file that says which nodes there are.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which of them to start; without it, the one that the file says.
    #[arg(long)]
    name: Option<String>,
    /// The number of the cluster.
    #[arg(long, conflicts_with = "config", value_name = "NUMBER")]
    cluster: Option<u64>,
    /// How many shards there are; the same on all nodes, for ever.
    #[arg(long, conflicts_with = "config", default_value_t = 16)]
    shards: u32,
    /// The directory of this node.
    #[arg(long, conflicts_with = "config", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A node of the cluster, as in g1-2=10.0.0.1:7102; m1, m2, ... are the controller. Once for each node, this one included.
    #[arg(long = "node", conflicts_with = "config", value_name = "NAME=ADDRESS")]
    nodes: Vec<String>,
    /// The same for a node whose part of the cluster was there before it: it is a member when it has been added.
    #[arg(long = "joins", conflicts_with = "config", value_name = "NAME=ADDRESS")]
    joining: Vec<String>,
    /// The file with the secret that all nodes share.
    #[arg(long, conflicts_with = "config", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    // They count more than those in the file.
    #[command(flatten)]
    certificates: Certificates,
    /// How the log is written, to standard error.
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
    /// What is written: a level, or levels of parts as in `info,shardlab::net=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: Targets,
    /// A bug to plant in this node, by the name that it has in the laboratory: for those who test tests.
    #[cfg(feature = "zoo")]
    #[arg(long)]
    bug: Option<shardlab::cluster::Planted>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn node(args: Args) -> Outcome {
    let Command::Start(start) = args.command;
    let mut layout = start.layout().map_err(Ending::usage)?;
    layout.tls = start.certificates.files()?.or(layout.tls);
    let name = start.name.clone().or(layout.me.clone());
    let name = name.ok_or_else(|| Ending::usage("which node? Say it with --name, or with `me` in the file"))?;
    if layout.named(&name).is_none() {
        let known: Vec<&str> = layout.nodes.values().map(|member| &*member.name).collect();
        return Err(Ending::usage(format!("there is no node `{name}`: name one of {}", known.join(", "))));
    }
    start.begin_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|why| Ending::no(format!("this machine gives no threads: {why}")))?;
    let outcome = runtime.block_on(async {
        let stop = asked_to_end().map_err(|why| Ending::no(format!("cannot wait for signals: {why}")))?;
        node::run(&layout, &name, start.planted(), stop).await.map_err(|why| match why {
            node::Failed::Layout(_) | node::Failed::Address { .. } => Ending::usage(why),
            _ => Ending::no(why),
        })
    });
    // Somebody may still look up a peer's name, which is of no use any more.
    runtime.shutdown_background();
    outcome
}

impl Start {
    fn layout(&self) -> Result<Layout, LayoutError> {
        if let Some(file) = &self.config {
            return Layout::load(file);
        }
        let wrong = |what: String| LayoutError { place: "the command line".into(), what };
        let cluster =
            self.cluster.ok_or_else(|| wrong("--config is missing, or --cluster, --dir and --node".into()))?;
        let dir = self
            .dir
            .as_ref()
            .ok_or_else(|| wrong("--dir is missing: where does the node keep its data?".into()))?;
        let secret_file = self.secret_file.clone();
        let mut layout = Layout { shards: self.shards, secret_file, ..Layout::new(cluster) };
        for (option, nodes, joins) in [("--node", &self.nodes, false), ("--joins", &self.joining, true)] {
            for node in nodes {
                let (name, address) = node
                    .split_once('=')
                    .ok_or_else(|| wrong(format!("{option} is `{node}`: write NAME=ADDRESS")))?;
                layout.add_named(name, address, dir.clone(), joins).map_err(wrong)?;
            }
        }
        layout.checked("the command line")
    }

    #[cfg(feature = "zoo")]
    fn planted(&self) -> Option<shardlab::cluster::Planted> {
        self.bug
    }

    #[cfg(not(feature = "zoo"))]
    fn planted(&self) -> Option<shardlab::cluster::Planted> {
        None
    }

    fn begin_log(&self) {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match self.log_format {
            Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(lines.with_filter(self.log.clone())).init();
    }
}
