//! `shardlab kv`: one operation on the store of a cluster, or a shell for many. Keys and values are text.

use super::tls::Certificates;
use super::where_to::Where;
use super::{Ending, Outcome, block_on, shell, show, span};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use shardlab::client::{Cas, Client, Error};
use shardlab::kvraft::Expect;
use std::path::PathBuf;
use std::time::Duration;

/// Ask the store of a cluster. Every node can be the entry: it knows the others.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Asked,
    /// A node of the cluster, as host:port. If there are several, the first that can be used is.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    entry: Vec<String>,
    /// The directory of a cluster on this machine, instead.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "entry")]
    dir: Option<PathBuf>,
    /// How long it may take, all in all.
    #[arg(long, global = true, value_parser = span, default_value = "10s")]
    timeout: Duration,
    /// The file with the secret that the cluster's nodes share.
    #[arg(long, global = true, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    certificates: Certificates,
}

#[derive(Subcommand)]
enum Asked {
    #[command(flatten)]
    Once(Command),
    /// Ask one thing after the other. What is no terminal is read line by line, to its end; then this ends as the first line that failed.
    #[command(after_help = shell::HELP)]
    Shell,
}

/// One operation.
#[derive(Subcommand)]
pub enum Command {
    /// Print the value of a key. Ends with 1 if the key is absent.
    Get {
        /// Which key.
        key: String,
    },
    /// Give a key a value. Prints the version that it has then.
    Put {
        /// Which key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Add to the end of a key's value. Prints the version that it has then.
    Append {
        /// Which key.
        key: String,
        /// What is added.
        value: String,
    },
    /// Remove a key. Ends with 1 if it was absent.
    Delete {
        /// Which key.
        key: String,
    },
    /// Give a key a value if it is as expected; end with 1 if it is not.
    Cas(CasArgs),
    /// Print keys and values, a line each with a tab between them, in the order of the keys.
    Scan {
        /// How the keys begin.
        #[arg(default_value = "")]
        prefix: String,
        /// At most so many.
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
}

#[derive(Parser)]
pub struct CasArgs {
    /// Which key.
    key: String,
    /// The new value.
    value: String,
    #[command(flatten)]
    expected: Expected,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Expected {
    /// The value that it must have.
    #[arg(long)]
    expect: Option<String>,
    /// It must have no value.
    #[arg(long)]
    absent: bool,
    /// The version that it must have.
    #[arg(long)]
    version: Option<u64>,
}

pub fn kv(args: Args) -> Outcome {
    let Args { command, entry, dir, timeout, secret_file, certificates } = args;
    let at = Where { dir, entry, secret_file, certificates, timeout };
    block_on(async {
        let (client, _) = at.connect().await?;
        match command {
            Asked::Once(command) => carry_out(&client, command).await.map(|_| ()),
            Asked::Shell => shell::shell(&client).await,
        }
    })
}

impl Command {
    /// The key that it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Command::Get { key }
            | Command::Put { key, .. }
            | Command::Append { key, .. }
            | Command::Delete { key }
            | Command::Cas(CasArgs { key, .. }) => Some(key),
            Command::Scan { .. } => None,
        }
    }
}

/// Asks, and prints the answer. Returns the keys that it names.
pub async fn carry_out(client: &Client, command: Command) -> Result<Vec<Bytes>, Ending> {
    let mut found = Vec::new();
    let outcome = match command {
        Command::Get { key } => match client.get(key.clone()).await? {
            Some(value) => show([&value[..], b"\n"].concat()),
            None => Err(Ending::no(format!("there is no key `{key}`"))),
        },
        Command::Put { key, value } => written(client.put(key, value).await),
        Command::Append { key, value } => written(client.append(key, value).await),
        Command::Delete { key } => match client.delete(key.clone()).await? {
            true => Ok(()),
            false => Err(Ending::no(format!("there was no key `{key}`"))),
        },
        Command::Cas(CasArgs { key, value, expected }) => {
            let expected = match expected.version {
                Some(version) => Expect::Version(version),
                // Without a value it must be absent.
                None => Expect::Value(expected.expect.map(Bytes::from)),
            };
            match client.cas(key, expected, value).await? {
                Cas::Written { version } => written(Ok(version)),
                Cas::Failed { value: None, .. } => Err(Ending::no("not as expected: the key is absent")),
                Cas::Failed { value: Some(value), version } => {
                    let value = String::from_utf8_lossy(&value);
                    Err(Ending::no(format!("not as expected: it is `{value}` in version {version}")))
                }
            }
        }
        Command::Scan { prefix, limit } => {
            let (items, more) = client.scan(prefix, limit).await?;
            let lines = items.iter().flat_map(|(key, value)| [&key[..], b"\t", &value[..], b"\n"]);
            show(lines.collect::<Vec<&[u8]>>().concat())?;
            if more {
                eprintln!("there are more: narrow the prefix, or raise --limit");
            }
            found = items.into_iter().map(|(key, _)| key).collect();
            Ok(())
        }
    };
    outcome.map(|()| found)
}

fn written(version: Result<u64, Error>) -> Outcome {
    show(format!("version {}\n", version?))
}
