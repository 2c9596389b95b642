//! Which cluster is meant: by its directory on this machine, or by one of its nodes.

use super::cluster::{LOOK, PATIENCE};
use super::tls::Certificates;
use super::{Ending, span};
use clap::Args;
use shardlab::client::{Client, Options};
use shardlab::cluster::{Layout, Member, Part, processes};
use shardlab::shardmaster::GroupId;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The layout of a cluster, in its directory.
pub const LAYOUT: &str = "cluster.toml";

/// Which cluster.
#[derive(Args)]
pub struct Where {
    /// The directory of the cluster, as `cluster up` has made it.
    #[arg(long, conflicts_with = "entry", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A node of the cluster, as host:port.
    #[arg(long, value_name = "HOST:PORT")]
    pub entry: Vec<String>,
    /// The file with the secret that the cluster's nodes share; with `--dir` it is known.
    #[arg(long, value_name = "FILE", requires = "entry")]
    pub secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub certificates: Certificates,
    /// How long it may take, all in all.
    #[arg(long, value_parser = span, default_value = "30s")]
    pub timeout: Duration,
}

/// A cluster on this machine.
pub struct Local {
    /// Where its layout is.
    pub file: PathBuf,
    pub layout: Layout,
}

impl Where {
    /// A client of the cluster; and the cluster itself, if it is on this machine.
    pub async fn connect(&self) -> Result<(Client, Option<Local>), Ending> {
        if self.dir.is_some() {
            let local = self.local_dir()?;
            return Ok((local.connect(self.timeout).await?, Some(local)));
        }
        let mut options = Options { deadline: self.timeout, ..Options::default() };
        if let Some(file) = &self.secret_file {
            options = options.with_secret_file(file).map_err(Ending::usage)?;
        }
        if let Some(files) = self.certificates.files()? {
            options = options.with_tls_files(&files).map_err(Ending::usage)?;
        }
        if self.entry.is_empty() {
            return Err(Ending::usage("which cluster? Say --dir DIR, or --entry HOST:PORT"));
        }
        let client = Client::connect(&self.entry, options).await?;
        let local = find(&client);
        Ok((client, local))
    }

    /// The cluster, which must be on this machine.
    pub async fn local(&self) -> Result<Local, Ending> {
        if self.dir.is_some() {
            return self.local_dir();
        }
        let (_, local) = self.connect().await?;
        local.ok_or_else(|| Ending::no("the directories of that cluster are not on this machine: ask there"))
    }

    fn local_dir(&self) -> Result<Local, Ending> {
        let dir = self.dir.as_deref().unwrap_or(Path::new("."));
        let file = dir.join(LAYOUT);
        if !file.exists() {
            return Err(Ending::usage(format!(
                "there is no cluster in {}: begin one with `cluster up`",
                dir.display()
            )));
        }
        if self.certificates.files()?.is_some() {
            return Err(Ending::usage(
                "with --dir the certificates are those that its layout names: leave them out",
            ));
        }
        Ok(Local { layout: Layout::load(&file).map_err(Ending::usage)?, file })
    }
}

/// Looks for the layout where nodes say that their directories are.
fn find(client: &Client) -> Option<Local> {
    client.nodes().into_iter().filter(|node| !node.home.is_empty()).find_map(|node| {
        let file = Path::new(&node.home).parent()?.join(LAYOUT);
        let layout = Layout::load(&file).ok().filter(|layout| layout.cluster == client.cluster())?;
        Some(Local { file, layout })
    })
}

impl Local {
    /// Keeps everybody else from changing the layout as long as what is returned lives, and reads it anew.
    pub fn claim(&mut self) -> Result<std::fs::File, Ending> {
        let path = self.file.with_extension("lock");
        let failed = |why: std::io::Error| Ending::no(format!("cannot lock {}: {why}", path.display()));
        let file = std::fs::File::create(&path).map_err(failed)?;
        let taken = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        if taken.is_err() {
            return Err(Ending::no(
                "somebody else is changing this cluster just now: try again when they are done",
            ));
        }
        self.layout = Layout::load(&self.file).map_err(Ending::usage)?;
        Ok(file)
    }

    /// Writes the layout.
    pub fn save(&self) -> super::Outcome {
        let written = self.layout.save(&self.file);
        written.map_err(|why| Ending::no(format!("cannot write {}: {why}", self.file.display())))
    }

    /// A client, by whichever of its nodes answers.
    pub async fn connect(&self, deadline: Duration) -> Result<Client, Ending> {
        let running = |member: &&Member| matches!(processes::running(member), Ok(Some(_)));
        let entries: Vec<String> =
            self.layout.nodes.values().filter(running).map(|member| member.address.clone()).collect();
        if entries.is_empty() {
            return Err(Ending::unknown("no node of the cluster runs: start it with `cluster up`"));
        }
        let secret = self.layout.secret().map_err(Ending::usage)?;
        let tls = self.layout.client_tls().map_err(Ending::usage)?;
        Ok(Client::connect(&entries, Options { deadline, secret, tls }).await?)
    }

    /// The node of that name, or at that address; `g1-leader` and `m-leader` are whoever leads group 1 or the controller.
    pub async fn find(&self, node: &str, timeout: Duration) -> Result<&Member, Ending> {
        let led = node.strip_suffix("-leader").and_then(|part| match part.strip_prefix('g') {
            None => (part == "m").then_some(Part::Controller),
            Some(number) => number.parse().ok().map(|number| Part::Group(GroupId(number))),
        });
        let found = match led {
            Some(part) => Some(self.leader(part, timeout).await?),
            None => self.layout.nodes.values().find(|member| member.name == node || member.address == node),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.layout.nodes.values().map(|member| &*member.name).collect();
            Ending::usage(format!("there is no node `{node}`: name one of {}", known.join(", ")))
        })
    }

    /// Whoever leads a part, as far as it knows itself.
    async fn leader(&self, part: Part, timeout: Duration) -> Result<&Member, Ending> {
        let deadline = Instant::now() + timeout;
        let client = self.connect(timeout).await?;
        loop {
            let nodes = client.statuses(PATIENCE).await;
            let leaders =
                nodes.into_iter().filter_map(|(_, status)| status.filter(|it| it.leads && it.part == part));
            // One that was deposed may not have heard of it.
            let leader =
                leaders.max_by_key(|leader| leader.term).and_then(|leader| self.layout.nodes.get(&leader.id));
            if let Some(leader) = leader {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                return Err(Ending::unknown(format!("nobody leads the servers of {part}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts a node that does not run.
    pub fn start(&self, member: &Member) -> Result<Option<std::process::Child>, Ending> {
        if processes::running(member).map_err(Ending::no)?.is_some() {
            return Ok(None);
        }
        let program = std::env::current_exe().map_err(Ending::no)?;
        let started = processes::start(&program, &self.file, member);
        started.map(Some).map_err(|why| Ending::no(format!("cannot start {}: {why}", member.name)))
    }

    /// Waits until a node that was started answers, or has ended.
    pub async fn await_start(
        &self,
        member: &Member,
        mut child: Option<&mut std::process::Child>,
        deadline: Instant,
    ) -> Result<(), Ending> {
        let tls = self.layout.client_tls().map_err(Ending::usage)?;
        loop {
            let name = &member.name;
            if labrpc::net::who_is(&member.address, tls.as_ref(), Duration::from_secs(1))
                .await
                .is_ok_and(|it| it.node == member.id)
                && processes::running(member).map_err(Ending::no)?.is_some()
            {
                return Ok(());
            }
            if let Some(child) = &mut child
                && child.try_wait().map_err(Ending::no)?.is_some()
            {
                return Err(Ending::no(format!("{name} did not start: {}", last_words(member))));
            }
            if Instant::now() >= deadline {
                let log = member.dir.join("log");
                return Err(Ending::unknown(format!("{name} does not answer: see {}", log.display())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The last line of a node's log.
fn last_words(member: &Member) -> String {
    let path = member.dir.join("log");
    let log = std::fs::read(&path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log[log.len().saturating_sub(8 << 10)..]);
    log.lines()
        .last()
        .map_or_else(|| format!("see {}", path.display()), |line| line.trim_start_matches("error: ").into())
}
