//! Doing to a cluster what was planned: processes are killed, stopped, frozen and started again, and shards move.

use super::links::Links;
use super::plan::{Act, Blow, GROUPS, How};
use crate::net::SOON;
use crate::record::Record;
use rustix::process::{Pid, Signal, kill_process};
use shardlab::client::{Client, Error, Options};
use shardlab::cluster::{Layout, Member, Part, processes};
use shardlab::shardmaster::GroupId;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How long a change of the configuration may take: the next one is waiting.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a node may take to say whether it leads.
const GLANCE: Duration = Duration::from_millis(150);
/// How long a node may take to stop in good order, on a machine that is busy.
const LAST_MOMENTS: Duration = Duration::from_secs(60);

/// The processes of the nodes.
pub struct Nodes {
    pub layout: Layout,
    file: PathBuf,
    bug: Option<String>,
    links: Option<Links>,
    children: BTreeMap<String, Child>,
    /// Those that were told to stop.
    stopping: BTreeMap<String, Child>,
}

impl Nodes {
    /// Starts the nodes of the layout in this file, with a bug in each if one is named, and each behind its link if there are some.
    pub fn start(file: PathBuf, bug: Option<String>, links: Option<Links>) -> Nodes {
        let layout = Layout::load(&file).unwrap();
        let (children, stopping) = (BTreeMap::new(), BTreeMap::new());
        let mut nodes = Nodes { layout: layout.clone(), file, bug, links, children, stopping };
        layout.nodes.values().for_each(|member| nodes.begin(member));
        nodes
    }

    fn begin(&mut self, member: &Member) {
        std::fs::create_dir_all(&member.dir).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(member.dir.join("log")).unwrap();
        let program = env!("CARGO_BIN_EXE_shardlab");
        let mut command = match &self.links {
            Some(_) => Links::inside(&member.name, program),
            None => Command::new(program),
        };
        command.args(["node", "start", "--name", &member.name, "--config"]).arg(&self.file);
        command.args(self.bug.iter().flat_map(|bug| ["--bug", bug]));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.insert(member.name.clone(), command.spawn().unwrap());
    }

    fn signal(&mut self, member: &Member, signal: Signal) {
        let child = &self.children[&member.name];
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it is the number of a process");
        // Its parent has not asked for its end, so nobody else has this number.
        kill_process(pid, signal).unwrap();
    }

    /// Tells a node to stop in good order.
    fn terminate(&mut self, member: &Member) {
        self.signal(member, Signal::TERM);
        let child = self.children.remove(&member.name).expect("it was just there");
        self.stopping.insert(member.name.clone(), child);
    }

    /// Cuts the links that are treated so, or mends them.
    fn links(&mut self, member: &Member, how: How, act: fn(&mut Links, &str, &str)) {
        let links = self.links.as_mut().expect("nothing is drawn for links that are not there");
        let (out, back) = how.cuts().expect("it is something about links");
        for other in self.layout.of(member.part).filter(|other| other.id != member.id) {
            if out {
                act(links, &member.name, &other.name);
            }
            if back {
                act(links, &other.name, &member.name);
            }
        }
    }

    /// Nodes do not end by themselves, whatever happens to others.
    pub fn all_run(&mut self) {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait().unwrap() {
                let log = self.layout.named(name).expect("it was started from there").dir.join("log");
                let log = std::fs::read_to_string(log).unwrap_or_default();
                let tail = log.len().saturating_sub(2_000);
                panic!("{name} has ended with {status}: {}", log.get(tail..).unwrap_or(&log));
            }
        }
    }

    /// Stops all nodes in good order.
    pub async fn end(mut self) {
        self.all_run();
        let members: Vec<Member> = self.layout.nodes.values().cloned().collect();
        members.iter().for_each(|member| self.terminate(member));
        for member in &members {
            self.ended(member).await;
        }
    }

    /// Waits until a node that was told to stop has done so, in good order.
    async fn ended(&mut self, member: &Member) {
        let deadline = Instant::now() + LAST_MOMENTS;
        let child = self.stopping.get_mut(&member.name).expect("it was told to stop");
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} was told to stop and does not", member.name);
            sleep(Duration::from_millis(10)).await;
        };
        assert!(status.success(), "{} was told to stop, and ends with {status}", member.name);
        self.stopping.remove(&member.name);
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.children.values_mut().chain(self.stopping.values_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whoever does it.
pub struct Nemesis {
    pub nodes: Nodes,
    client: Client,
    record: Record,
}

/// What is to be done at some time.
enum Step {
    Begin(Act),
    /// A node is struck.
    Strike(Member, How, Duration),
    /// What was done to a node ends.
    End(Member, How),
}

impl Nemesis {
    pub async fn new(nodes: Nodes, record: &Record) -> Nemesis {
        let client = enter(&nodes.layout).await;
        Nemesis { nodes, client, record: record.clone() }
    }

    /// Carries out a plan. When it returns all nodes run, and all groups have joined.
    pub async fn carry_out(&mut self, plan: Vec<(Duration, Act)>) {
        let begun = Instant::now();
        // One change of the configuration at a time.
        let (changes, ordered) = mpsc::channel(1);
        let configuring = tokio::spawn(configure(enter(&self.nodes.layout).await, ordered, self.record.clone()));
        // By time, and at the same time by number.
        let mut agenda: BTreeMap<(Duration, usize), Step> = BTreeMap::new();
        let mut count = 0;
        let mut numbered = |at| {
            count += 1;
            (at, count)
        };
        agenda.extend(plan.into_iter().map(|(at, act)| (numbered(at), Step::Begin(act))));
        while let Some(((at, _), step)) = agenda.pop_first() {
            // On a machine that is busy all comes late, and in the order that was planned.
            sleep((begun + at).saturating_duration_since(Instant::now())).await;
            self.nodes.all_run();
            match step {
                Step::Begin(Act::Strike { part, leader, first, blows }) => {
                    let victims = self.victims(part, leader, first).await;
                    let struck = victims.into_iter().zip(blows);
                    agenda.extend(struck.map(|(member, Blow { after, how, span })| {
                        (numbered(at + after), Step::Strike(member, how, span))
                    }));
                }
                Step::Strike(member, how, span) => {
                    let how = self.strike(&member, how, span);
                    agenda.insert(numbered(at + span), Step::End(member, how));
                }
                Step::Begin(change) => {
                    if let Err(change) = changes.try_send(change) {
                        self.say("skip", &change.into_inner().to_string());
                    }
                }
                Step::End(member, how) => self.relent(&member, how).await,
            }
        }
        drop(changes);
        let configured = tokio::time::timeout(SOON, configuring).await;
        configured.expect("all groups join again").expect("it has said why it could not go on");
    }

    /// The nodes of a part: its leader first, if that is wanted and known, or else the one with that number; then those behind it.
    async fn victims(&self, part: Part, leader: bool, first: usize) -> Vec<Member> {
        let mut members: Vec<Member> = self.nodes.layout.of(part).cloned().collect();
        let mut first = first;
        if leader {
            let asked = members.iter().map(|member| self.client.status(member.id, GLANCE));
            let answers = futures::future::join_all(asked).await;
            let leaders = answers.iter().enumerate().filter_map(|(nth, status)| {
                status.as_ref().filter(|status| status.leads).map(|status| (status.term, nth))
            });
            first = leaders.max().map_or(first, |(_, nth)| nth);
        }
        members.rotate_left(first);
        members
    }

    /// Returns how it was treated: one that has only just been started cannot be stopped in good order.
    fn strike(&mut self, member: &Member, how: How, span: Duration) -> How {
        let begun = processes::running(member).unwrap().is_some();
        let how = if how == How::Stop && !begun { How::Kill } else { how };
        self.say(&format!("{how:?}").to_lowercase(), &format!("{} for {span:.1?}", member.name));
        match how {
            How::Kill => {
                let mut child = self.nodes.children.remove(&member.name).expect("all nodes run");
                child.kill().unwrap();
                let status = child.wait().unwrap();
                assert_eq!(status.signal(), Some(9), "{} has ended with {status}", member.name);
            }
            How::Stop => self.nodes.terminate(member),
            How::Pause => self.nodes.signal(member, Signal::STOP),
            How::Cut | How::Mute | How::Deaf => self.nodes.links(member, how, Links::cut),
        }
        how
    }

    async fn relent(&mut self, member: &Member, how: How) {
        match how {
            How::Kill => self.nodes.begin(member),
            How::Stop => {
                self.nodes.ended(member).await;
                self.nodes.begin(member);
            }
            How::Pause => self.nodes.signal(member, Signal::CONT),
            How::Cut | How::Mute | How::Deaf => self.nodes.links(member, how, Links::mend),
        }
        self.say("again", &member.name);
    }

    fn say(&self, what: &str, detail: &str) {
        say(&self.record, what, detail);
    }

    /// Ends what it has to do, and gives back the nodes.
    pub async fn close(self) -> Nodes {
        self.client.close().await;
        self.nodes
    }
}

fn say(record: &Record, what: &str, detail: &str) {
    println!("{:9.3} s  {what} {detail}", record.elapsed().as_secs_f64());
    record.note(what, detail);
}

async fn enter(layout: &Layout) -> Client {
    let entries: Vec<String> = layout.nodes.values().map(|member| member.address.clone()).collect();
    Client::connect(&entries, Options { deadline: DEADLINE, ..Options::default() }).await.unwrap()
}

/// Changes the configuration as ordered, one change after the other, and in the end has all groups there.
async fn configure(client: Client, mut ordered: mpsc::Receiver<Act>, record: Record) {
    while let Some(act) = ordered.recv().await {
        let told = match act {
            Act::Move(shard, group) => client.move_shard(shard, group).await,
            Act::Join(group) => client.join(group).await,
            // Nobody would have the shards of the last one.
            Act::Leave(group) => match client.configuration().await {
                Ok(config) if config.groups.len() > 1 => client.leave(group).await,
                Ok(_) => continue,
                Err(error) => Err(error),
            },
            Act::Strike { .. } => unreachable!("that is no change of the configuration"),
        };
        let told = told.map_or_else(|error| error.to_string(), |config| config.to_string());
        say(&record, "configure", &format!("{act}: {told}"));
    }
    let everybody = |config: &shardlab::shardmaster::ShardConfig| config.groups.len() as u64 == GROUPS;
    while !client.configuration().await.is_ok_and(|config| everybody(&config)) {
        for group in (1..=GROUPS).map(GroupId) {
            match client.join(group).await {
                Ok(config) => say(&record, "configure", &format!("{group} joins: {config}")),
                // It is there already, or it is not known: the configuration will say.
                Err(Error::Refused(_) | Error::Failed(_)) => {}
                Err(error) => panic!("{group} cannot join: {error}"),
            }
        }
    }
    client.close().await;
}
