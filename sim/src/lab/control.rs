//! The laboratory's hands: which servers there are, who they are just now, and waiting for things to happen.

use super::administrator::Wish;
use super::watcher::{Interest, Traffic, Watcher};
use crate::oracle::{Known, violated};
use crate::plan::{KvOp, Plan, Selector};
use crate::raft::{RaftPeer, RaftSystem};
use labrpc::sim::{Booter, Command, Lab, NodeSet, Spread};
use labrpc::{Direction, Env, Index, Kind, NodeId, Rng, Term, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A server that runs, with the boot that it was started in.
type Started = (u32, Arc<dyn RaftPeer>);

/// What a client was asked to do.
#[derive(Default)]
struct Asked {
    /// What it has not begun.
    waiting: VecDeque<KvOp>,
    /// How much of it it has done.
    done: u32,
    /// It has nothing to do, and is to be woken.
    idle: Option<Waker>,
}

/// What the laboratory's tasks share.
pub(super) struct Shared {
    pub plan: Arc<Plan>,
    pub system: Arc<dyn RaftSystem>,
    peers: Mutex<Vec<Option<Started>>>,
    /// How long the services of some take to apply an entry, whatever the knob says.
    lags: Mutex<BTreeMap<NodeId, Spread>>,
    /// Clients go on until this is set.
    quiet: AtomicBool,
    /// No client begins anything before that, in nanoseconds of virtual time.
    hush: AtomicU64,
    /// Clients that have not done all that they had to do.
    busy: AtomicU32,
    /// Triggers have had their time.
    disarmed: AtomicBool,
    /// Timed faults that have not happened yet.
    faults: AtomicU32,
    /// What each client of a key/value service was asked to do.
    asked: Mutex<Vec<Asked>>,
    /// What was planned and did not come about.
    unmet: Mutex<Vec<String>>,
    /// Whom the administrator wants as voters, until it is so.
    pub wish: Wish,
}

impl Shared {
    /// A server has started.
    pub fn register(&self, env: &Env, peer: Arc<dyn RaftPeer>) {
        self.peers()[env.id().slot()] = Some((env.boot().0, peer));
    }

    fn peers(&self) -> MutexGuard<'_, Vec<Option<Started>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the service of a server takes to apply an entry.
    pub fn lag(&self, node: NodeId) -> Spread {
        self.lags().get(&node).copied().unwrap_or(self.plan.knobs.apply_lag)
    }

    /// Makes it take so long; none: as the knob says.
    pub fn set_lag(&self, node: NodeId, lag: Option<Spread>) {
        match lag {
            Some(lag) => _ = self.lags().insert(node, lag),
            None => _ = self.lags().remove(&node),
        }
    }

    fn lags(&self) -> MutexGuard<'_, BTreeMap<NodeId, Spread>> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that was planned has not come about. Once is enough to say it.
    fn unmet(&self, what: String) {
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        if !unmet.contains(&what) {
            unmet.push(what);
        }
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    pub fn set_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.asked().iter_mut().filter_map(|asked| asked.idle.take()).for_each(Waker::wake);
    }

    /// Whether triggers are not answered any more.
    pub fn is_disarmed(&self) -> bool {
        self.disarmed.load(Ordering::Relaxed)
    }

    pub fn disarm(&self) {
        self.disarmed.store(true, Ordering::Relaxed);
    }

    /// No client begins anything before that.
    pub fn hush(&self, until: Time) {
        self.hush.fetch_max(until.nanos(), Ordering::Relaxed);
    }

    /// A client about to begin something waits until it may.
    pub async fn hushed(&self, lab: &Lab) {
        loop {
            let until = Time::from_nanos(self.hush.load(Ordering::Relaxed));
            if until <= lab.now() {
                return;
            }
            lab.sleep_until(until).await;
        }
    }

    pub fn begin_client(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub fn end_client(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn set_faults_left(&self, left: u32) {
        self.faults.store(left, Ordering::Relaxed);
    }

    pub fn faults_left(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }

    pub fn busy_clients(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a client do something when it has done all that came before.
    pub fn ask(&self, client: u32, op: KvOp) {
        let asked = &mut self.asked()[client as usize];
        asked.waiting.push_back(op);
        asked.idle.take().into_iter().for_each(Waker::wake);
    }

    /// What a client was asked to do next, as soon as it was asked for something. None: all is quiet.
    pub async fn next_asked(&self, client: u32) -> Option<KvOp> {
        poll_fn(|context| {
            if self.is_quiet() {
                return Poll::Ready(None);
            }
            let asked = &mut self.asked()[client as usize];
            let next = asked.waiting.pop_front();
            if next.is_none() {
                asked.idle = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(next)
        })
        .await
    }

    /// A client has done what it was asked to.
    pub fn has_answered(&self, client: u32) {
        self.asked()[client as usize].done += 1;
    }

    /// How much it has done so far.
    pub fn answered(&self, client: u32) -> u32 {
        self.asked()[client as usize].done
    }

    /// The server, if it runs and has started.
    pub fn peer(&self, lab: &Lab, node: NodeId) -> Option<Arc<dyn RaftPeer>> {
        let (boot, peer) = self.peers().get(node.slot())?.clone()?;
        lab.view(|view| view.is_up(node) && view.boot(node) == boot).then_some(peer)
    }

    /// These servers by their groups; groups that none of them is in are left out.
    pub fn parts(&self, of: NodeSet) -> Vec<NodeSet> {
        if self.plan.groups == 1 {
            return if of.is_empty() { Vec::new() } else { vec![of] };
        }
        let groups = (1..=self.plan.groups).map(|group| NodeSet::from_iter(self.plan.group_ids(group)));
        groups.map(|group| group.and(of)).filter(|part| !part.is_empty()).collect()
    }

    /// Of these, who are of one group, the one that claims to lead the latest term, and that term.
    pub fn leader(&self, lab: &Lab, of: NodeSet) -> Option<(NodeId, Term)> {
        let boots: Vec<(NodeId, u32)> = lab
            .view(|view| of.iter().filter(|node| view.is_up(*node)).map(|node| (node, view.boot(node))).collect());
        let peers = self.peers();
        let claims = boots.into_iter().filter_map(|(node, boot)| {
            let (of_boot, peer) = peers.get(node.slot())?.as_ref()?;
            let (term, leads) = peer.state();
            (*of_boot == boot && leads).then_some((node, term))
        });
        let claims: Vec<(NodeId, Term)> = claims.collect();
        let broken = lab.with_hook(|watcher: &mut Watcher| {
            claims.iter().for_each(|(node, term)| watcher.claims(*node, *term));
            watcher.violation.is_some()
        });
        if broken {
            lab.order(Command::End);
        }
        claims.into_iter().max_by_key(|(node, term)| (*term, Reverse(*node)))
    }
}

/// A command that was put into a log, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposed {
    pub hash: u64,
    pub index: Index,
    /// Which server was asked: of the log of its group the index speaks.
    pub at: NodeId,
}

/// What a run tells besides its verdict.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub skipped: bool,
    /// What was planned and did not come about: a step's time passed, a rule decided over no message, nobody came
    /// to a crash point.
    pub unmet: Vec<String>,
}

/// See the module.
pub(super) struct Control {
    pub lab: Lab,
    pub shared: Arc<Shared>,
    pub plan: Arc<Plan>,
    pub bound: BTreeMap<String, NodeSet>,
    pub tags: BTreeMap<String, Vec<Proposed>>,
    pub counts: BTreeMap<String, Vec<(Kind, Direction, Traffic)>>,
    /// Cut off from everybody.
    pub isolated: NodeSet,
    pub rng: Rng,
    pub commands: u64,
    pub notes: Notes,
}

/// The rest of the script is left out: a violation was found, or there is nothing to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    Violated,
    Skip,
}

impl Control {
    pub fn new(lab: Lab, system: Arc<dyn RaftSystem>, plan: Arc<Plan>) -> Control {
        let peers = Mutex::new(vec![None; plan.server_count() as usize + 1]);
        let shared = Arc::new(Shared {
            plan: plan.clone(),
            system,
            peers,
            lags: Mutex::new(BTreeMap::new()),
            quiet: AtomicBool::new(false),
            disarmed: AtomicBool::new(false),
            hush: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            faults: AtomicU32::new(0),
            asked: Mutex::new((0..=plan.clients.len()).map(|_| Asked::default()).collect()),
            unmet: Mutex::new(Vec::new()),
            wish: Wish::default(),
        });
        let rng = Rng::new(plan.seed, "script");
        Control {
            lab,
            shared,
            plan,
            bound: BTreeMap::new(),
            tags: BTreeMap::new(),
            counts: BTreeMap::new(),
            isolated: NodeSet::NONE,
            rng,
            commands: 0,
            notes: Notes::default(),
        }
    }

    pub fn into_notes(mut self) -> Notes {
        self.notes.unmet = std::mem::take(&mut *self.shared.unmet.lock().unwrap_or_else(PoisonError::into_inner));
        self.notes
    }

    /// Says, in the trace and in the report, that something planned has not come about.
    pub fn unmet(&self, what: String) {
        self.lab.note(None, &what);
        self.shared.unmet(what);
    }

    /// The rules of this name, or all of them, are about to be taken down: they had their time.
    pub fn judge_rules(&self, name: Option<&str>) {
        let idle = self.lab.view(|view| view.idle_rules());
        for rule in idle.into_iter().filter(|rule| name.is_none_or(|name| name == rule)) {
            self.unmet(format!("rule `{rule}` never decided over a message"));
        }
    }

    /// The same of crash points.
    pub fn judge_crash_points(&self) {
        let left = |view: &labrpc::sim::View<'_>| -> Vec<String> {
            view.crash_points().map(|point| Command::CrashAt(point.clone()).to_string()).collect()
        };
        for point in self.lab.view(left) {
            self.unmet(format!("never came about: {point}"));
        }
    }

    /// The whole run.
    pub async fn run(&mut self) {
        self.set_up();
        let plan = self.plan.clone();
        let outcome = match self.steps(&plan.script).await {
            Err(Stop::Violated) => return,
            Err(Stop::Skip) => {
                self.notes.skipped = true;
                Ok(())
            }
            Ok(()) => self.outlast_faults().await,
        };
        if outcome.is_ok() {
            let _ = self.finale().await;
        }
    }

    fn set_up(&mut self) {
        for node in self.plan.all_servers() {
            let (lab, shared) = (self.lab.clone(), self.shared.clone());
            let booter: Booter =
                Arc::new(move |env| Box::pin(super::service::boot(env, lab.clone(), shared.clone())));
            self.lab.add_node(node, self.plan.disk.clone(), booter);
        }
        for &(node, ppm) in &self.plan.clocks {
            self.lab.order(Command::ClockRate { node, ppm });
        }
        for node in self.plan.all_servers() {
            self.lab.order(Command::Boot { node });
        }
        self.start_administrator();
        self.start_faults();
        self.start_triggers();
        self.start_clients();
    }

    /// The script is over; what is planned for later must still happen.
    async fn outlast_faults(&mut self) -> Result<(), Stop> {
        self.until(Time::NEVER, |control| (control.shared.faults_left() == 0).then_some(())).await;
        Ok(())
    }

    // --- who is who

    pub fn all(&self) -> NodeSet {
        NodeSet::first(self.plan.server_count())
    }

    /// The group of a server.
    pub fn group_of(&self, node: NodeId) -> NodeSet {
        let group = self.plan.group_of(node).expect("it is a server");
        self.plan.group_ids(group).into_iter().collect()
    }

    /// These servers by their groups; groups that none of them is in are left out.
    pub fn parts(&self, of: NodeSet) -> Vec<NodeSet> {
        self.shared.parts(of)
    }

    pub fn up(&self) -> NodeSet {
        self.lab.view(|view| view.up()).and(self.all())
    }

    /// Who leads of these, who are of one group.
    pub fn leader_of(&self, of: NodeSet) -> Option<(NodeId, Term)> {
        self.shared.leader(&self.lab, of)
    }

    /// Who leads, in each group that has a leader.
    fn leaders(&self) -> NodeSet {
        self.parts(self.up()).into_iter().filter_map(|part| self.leader_of(part)).map(|(node, _)| node).collect()
    }

    /// Who that is just now.
    pub fn resolve(&mut self, selector: &Selector) -> NodeSet {
        match selector {
            Selector::Server(node) => (*node).into(),
            Selector::All => self.all(),
            Selector::Group(group) => self.plan.group_ids(*group).into_iter().collect(),
            Selector::Members => {
                self.parts(self.all()).into_iter().map(|part| self.members(part)).fold(NodeSet::NONE, NodeSet::or)
            }
            Selector::None => NodeSet::NONE,
            Selector::Up => self.up(),
            Selector::Down => self.all().minus(self.up()),
            Selector::Leader => self.leaders(),
            Selector::Followers => self.up().minus(self.leaders()),
            Selector::MostDivergent => self.pick_by_log(self.all(), divergence),
            Selector::MostUpToDate => self.pick_by_log(self.up(), up_to_date),
            Selector::Behind => self.pick_by_log(self.up(), |known, node| Reverse(up_to_date(known, node))),
            Selector::Not(inner) => self.all().minus(self.resolve(inner)),
            Selector::Or(one, other) => self.resolve(one).or(self.resolve(other)),
            Selector::And(one, other) => self.resolve(one).and(self.resolve(other)),
            Selector::Any(count, inner) => {
                let mut of: Vec<NodeId> = self.resolve(inner).iter().collect();
                self.rng.shuffle(&mut of);
                of.into_iter().take(*count as usize).collect()
            }
            Selector::Bound(name) => self.bound.get(name).copied().unwrap_or_default(),
        }
    }

    /// [`Control::resolve`], with a line in the trace if it was not plain from the name.
    pub fn resolve_aloud(&mut self, selector: &Selector) -> NodeSet {
        let nodes = self.resolve(selector);
        if !matches!(selector, Selector::Server(_) | Selector::All | Selector::None) {
            self.lab.remark(None, nodes.hash(), &format_args!("{selector} is {nodes}"));
        }
        nodes
    }

    /// One of each group.
    fn pick_by_log<K: Ord>(&self, of: NodeSet, key: impl Fn(&Known, NodeId) -> K) -> NodeSet {
        let first = |part: NodeSet| {
            let member = part.iter().next()?;
            self.known(member, |known| part.iter().max_by_key(|node| key(known, *node)))
        };
        self.parts(of).into_iter().filter_map(first).collect()
    }

    /// What is known of the group of a server.
    pub fn known<T>(&self, of: NodeId, look: impl FnOnce(&Known) -> T) -> T {
        self.lab.with_hook(|watcher: &mut Watcher| look(watcher.oracles.known_of(of)))
    }

    /// Whether everything up to `index` was applied on all of these, and at `index` the command with that hash. Servers
    /// of other groups have no part in it.
    pub fn is_applied(&self, on: NodeSet, proposed: Proposed) -> bool {
        let on = on.and(self.group_of(proposed.at));
        self.known(proposed.at, |known| {
            let there = known.committed(proposed.index).is_some_and(|entry| entry.hash == proposed.hash);
            there && on.iter().all(|node| known.server(node).applied >= proposed.index)
        })
    }

    // --- waiting

    /// Waits until something is so that depends on who leads, runs or holds what, or until a true time. `None`: it
    /// was not.
    pub async fn until<T>(&mut self, deadline: Time, mut so: impl FnMut(&mut Control) -> Option<T>) -> Option<T> {
        /// Whether a server leads can change without anybody being told.
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        loop {
            if let Some(found) = so(self) {
                return Some(found);
            }
            let now = self.lab.now();
            if now >= deadline {
                return None;
            }
            changed(&self.lab, Interest::Change, deadline.min(now + LOOK_AGAIN)).await;
        }
    }

    /// Waits until a command is applied on all of these that are of the group to which it was proposed, or until a true
    /// time. False: it was not.
    pub async fn until_applied(&mut self, on: NodeSet, proposed: Proposed, deadline: Time) -> bool {
        let group = self.group_of(proposed.at);
        let on = on.and(group);
        loop {
            let (waits_for, committed): (NodeSet, bool) = self.known(proposed.at, |known| {
                let behind = on.iter().filter(|node| known.server(*node).applied < proposed.index);
                (behind.collect(), known.commit() >= proposed.index)
            });
            if waits_for.is_empty() && committed {
                return self.is_applied(on, proposed);
            }
            if self.lab.now() >= deadline {
                return false;
            }
            // Applied on none in particular: by whoever is first.
            let anybody = if waits_for.is_empty() { group } else { waits_for };
            changed(&self.lab, Interest::Applied(anybody, proposed.index), deadline).await;
        }
    }

    /// Reports a violation and ends the run. One that is switched off is noted, and the run goes on.
    ///
    /// # Errors
    /// That it ends.
    pub fn violate(&mut self, demand: &'static str, detail: String) -> Result<(), Stop> {
        if self.plan.mute.iter().any(|mute| mute == demand) {
            self.lab.note(None, &format!("switched off is {demand}: {detail}"));
            return Ok(());
        }
        self.lab.note(None, &detail);
        self.lab.with_hook(|watcher: &mut Watcher| {
            let stamp = watcher.oracles.stamp;
            watcher.violate(violated(demand, detail, stamp));
        });
        self.lab.order(Command::End);
        Err(Stop::Violated)
    }
}

/// How far a disk's log leads away from what is committed: entries that differ, or that nobody has committed.
fn divergence(known: &Known, node: NodeId) -> u64 {
    let log = &known.server(node).durable.log;
    let differs = |(index, item): &(Index, crate::oracle::Item)| {
        known.committed(*index).is_none_or(|committed| committed.hash != item.hash)
    };
    log.iter().filter(differs).count() as u64
}

/// How up-to-date a disk's log is (§5.4.1).
fn up_to_date(known: &Known, node: NodeId) -> (Term, Index) {
    let log = &known.server(node).durable.log;
    (log.last_term(), log.last())
}

/// Waits until the watcher has seen what may be of interest, or until a true time.
pub(super) async fn changed(lab: &Lab, interest: Interest, until: Time) {
    let mut sleep = pin!(lab.sleep_until(until));
    let mut waiting = false;
    poll_fn(|context| {
        if waiting {
            return Poll::Ready(());
        }
        waiting = true;
        lab.with_hook(|watcher: &mut Watcher| watcher.wait(interest, context.waker()));
        sleep.as_mut().poll(context)
    })
    .await;
}

/// A future with a deadline in true time. `None`: it passed.
pub(super) async fn within<T>(lab: &Lab, until: Time, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut sleep = pin!(lab.sleep_until(until));
    poll_fn(|context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        Pin::as_mut(&mut sleep).poll(context).map(|()| None)
    })
    .await
}
