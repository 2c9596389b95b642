//! The driver of a replicated service: takes requests, puts commands into Raft's log, applies what comes out of it,
//! and answers. One task a server.
//!
//! Every request is answered, whatever becomes of it: with what came of it, with "ask somebody else" if nothing did,
//! or with "unknown" when leadership was lost while it was under way. Who waits for an entry is known by index *and*
//! term, since another leader's entry may stand there in the end.

use super::bugs::bug;
use super::callers::{Callers, Name};
use super::config::{Config, Reads};
use super::digest;
use super::errands::{self, Errands};
use super::machine::{StateMachine, TooLarge};
use super::message::{Request, Response};
use super::observation::{Observation, Observer};
use super::replica::{LogCommand, Replica};
use super::sessions::Outcome;
use crate::raft::{self, Asked, Delivery, Entry, EntryId, Index, Node, Payload, Term, Unavailable};
use bytes::Bytes;
use labrpc::{Env, NodeId, Sleep};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What an entry takes in the log besides its command, roughly.
const ENTRY_OVERHEAD: u64 = 24;

/// A running server of a service. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    node: Node,
}

impl Server {
    /// Starts Raft from its disk, and serves the requests that reach the node, until the boot ends.
    ///
    /// # Errors
    /// [`raft::StartError`], if what is on the disk must not be used.
    pub async fn boot<M: StateMachine>(
        env: Env,
        raft: raft::Config,
        options: raft::Options,
        config: Config,
        settings: M::Settings,
        observer: Option<Observer>,
    ) -> Result<Server, raft::StartError> {
        Server::boot_with::<M>(env, raft, options, config, settings, None, observer).await
    }

    /// [`Server::boot`] for a service that has errands of its own.
    ///
    /// # Errors
    /// As of [`Server::boot`].
    pub async fn boot_with<M: StateMachine>(
        env: Env,
        raft: raft::Config,
        options: raft::Options,
        config: Config,
        settings: M::Settings,
        errands: Option<Box<dyn Errands<M>>>,
        observer: Option<Observer>,
    ) -> Result<Server, raft::StartError> {
        let leased = raft.lease.is_some();
        let node = Node::start_up(env.clone(), raft, options).await?;
        let driver: Driver<M> = Driver {
            env: env.clone(),
            node: node.clone(),
            config,
            observer,
            replica: Replica::new(config, settings),
            log_bytes: 0,
            snapshot_bytes: 0,
            callers: Callers::default(),
            starts: VecDeque::new(),
            waiters: BTreeMap::new(),
            readers: Vec::new(),
            unmarked: Vec::new(),
            marking: false,
            reads: Vec::new(),
            leased,
            leads: None,
            errands,
            errands_in_log: 0,
            errands_rest: None,
            acknowledged: BTreeMap::new(),
        };
        env.spawn(Box::new(driver).run());
        Ok(Server { node })
    }

    /// Its Raft, to look at and to hand leadership on. It is the service that takes its deliveries.
    pub fn node(&self) -> &Node {
        &self.node
    }
}

/// Who asked something that an entry of the log decides.
enum Waiter<Q> {
    /// For what comes of the entry: whoever calls for that operation.
    Callers(Name),
    /// For the state behind it.
    Readers(Vec<(labrpc::Request, Q)>),
    /// Nobody: it was an errand.
    Errand,
}

/// An entry that Raft was asked to take.
struct Start<Q> {
    asked: Asked<EntryId>,
    waiter: Waiter<Q>,
    command: Bytes,
}

/// A read that Raft was asked to confirm, for all who asked by then.
struct Read<Q> {
    asked: Asked<Index>,
    readers: Vec<(labrpc::Request, Q)>,
}

struct Driver<M: StateMachine> {
    env: Env,
    node: Node,
    config: Config,
    observer: Option<Observer>,
    replica: Replica<M>,
    /// Bytes of the log since the last snapshot, and of that.
    log_bytes: u64,
    snapshot_bytes: u64,
    /// Who calls for the operations that are under way.
    callers: Callers<labrpc::Request>,
    /// Answered in this order.
    starts: VecDeque<Start<M::Query>>,
    waiters: BTreeMap<(Index, Term), Waiter<M::Query>>,
    /// Queries that have come and were not given to a read yet.
    readers: Vec<(labrpc::Request, M::Query)>,
    /// Queries that need a mark in the log.
    unmarked: Vec<(labrpc::Request, M::Query)>,
    /// A mark is under way.
    marking: bool,
    reads: Vec<Read<M::Query>>,
    /// Whether a lease may spare a read its round.
    leased: bool,
    /// The term that it leads, when it last looked.
    leads: Option<Term>,
    errands: Option<Box<dyn Errands<M>>>,
    /// How many of their commands are on their way through the log.
    errands_in_log: usize,
    /// Raft would take none of them: until then none is asked for.
    errands_rest: Option<Sleep>,
    /// Commands that were acknowledged too early; for [`super::Bug::AckOnAppend`].
    acknowledged: BTreeMap<Index, Bytes>,
}

impl<M: StateMachine> Driver<M> {
    async fn run(mut self: Box<Self>) {
        let why = poll_fn(|context| self.poll(context)).await;
        self.env.halt(&why).await;
    }

    /// Does all that can be done now. Ready with the reason if the server must stop.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<String> {
        loop {
            let mut went_on = self.take_requests(context);
            went_on |= self.poll_starts(context);
            match self.poll_deliveries(context) {
                Ok(delivered) => went_on |= delivered,
                Err(why) => return Poll::Ready(why),
            }
            went_on |= self.poll_reads(context);
            went_on |= self.mark();
            // What was delivered by now is answered by what came of it; the rest is lost with the leadership.
            self.notice_leadership();
            went_on |= self.run_errands(context);
            if !went_on {
                return Poll::Pending;
            }
        }
    }

    // --- requests

    fn take_requests(&mut self, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(request) = self.env.poll_accept(context) {
            any = true;
            match labgob::decode(&request.body) {
                Ok(Request::Register { .. }) if M::KEEPS_SESSIONS => self.respond(&request, Response::Malformed),
                Ok(Request::Register { nonce }) => {
                    let command = LogCommand::Register { room: self.config.max_sessions };
                    self.call(Name::Register(request.from, nonce), request, command);
                }
                Ok(Request::Operate { session, seq, command }) => {
                    if let Err(refused) = M::admit(&command) {
                        self.respond(&request, Response::TooLarge(refused));
                    } else if let Some(outcome) = self.replica.recall(session, seq, &command, self.node.state().1) {
                        if matches!(outcome, Outcome::Refused(_)) && self.observer.is_some() {
                            self.observe_refusal(&LogCommand::Operate { session, seq, command });
                        }
                        self.respond(&request, self.response(&outcome));
                    } else {
                        let name = Name::Operate(session, seq);
                        self.call(name, request, LogCommand::Operate { session, seq, command });
                    }
                }
                Ok(Request::Tell(command)) => self.be_told(request, command),
                Ok(Request::Query(query)) if bug!(self, LocalRead) && self.node.state().1 => {
                    self.read(vec![(request, query)]);
                }
                Ok(Request::Query(query)) if self.replica.machine().is_settled(&query) => {
                    self.read(vec![(request, query)]);
                }
                Ok(Request::Query(query)) => match self.config.reads {
                    Reads::Confirmed => self.readers.push((request, query)),
                    Reads::ThroughLog => self.unmarked.push((request, query)),
                },
                Ok(Request::Look(query)) => self.read(vec![(request, query)]),
                Err(_) => self.respond(&request, Response::Malformed),
            }
        }
        self.ask_for_readers();
        any
    }

    /// A command without a session: one of those that do the same however often they come.
    fn be_told(&mut self, request: labrpc::Request, command: M::Command) {
        if !M::may_be_told(&command) {
            self.respond(&request, Response::Malformed);
        } else if let Err(refused) = M::admit(&command) {
            self.respond(&request, Response::TooLarge(refused));
        } else {
            // Who tells the same wants the same, and one entry does it for all.
            let name = Name::Tell(digest::of(&labgob::encode(&command).expect("it was decoded a moment ago")));
            self.call(name, request, LogCommand::Service(command));
        }
    }

    /// Asks Raft for whoever wants to read. While one read is being confirmed, those who come wait and share the next: under
    /// load a round of heartbeats serves many. With leases nobody waits: the next may be answered at once.
    fn ask_for_readers(&mut self) {
        if self.readers.is_empty() || (!self.reads.is_empty() && !self.leased) {
            return;
        }
        let readers = std::mem::take(&mut self.readers);
        self.reads.push(Read { asked: self.node.ask_read(), readers });
    }

    /// Puts a mark into the log for all reads that wait for one. There is one at a time: reads that come while it is
    /// under way were asked after it, and share the next. So a log that is slow is not filled with marks.
    fn mark(&mut self) -> bool {
        let due = !self.unmarked.is_empty() && (!self.marking || bug!(self, EachRetryIsLogged));
        if due {
            self.marking = true;
            let readers = std::mem::take(&mut self.unmarked);
            self.start(LogCommand::Mark, Waiter::Readers(readers));
        }
        due
    }

    /// Somebody calls for an operation, which goes into the log unless it is on its way already.
    fn call(&mut self, name: Name, caller: labrpc::Request, command: LogCommand<M::Command>) {
        if self.callers.join(name, caller) || bug!(self, EachRetryIsLogged) {
            self.start(command, Waiter::Callers(name));
        }
    }

    /// Asks Raft to take a command.
    fn start(&mut self, command: LogCommand<M::Command>, waiter: Waiter<M::Query>) {
        let command = Bytes::from(labgob::encode(&command).expect("what is admitted is far below the limit"));
        self.starts.push_back(Start { asked: self.node.ask_start(command.clone()), waiter, command });
    }

    fn poll_starts(&mut self, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(start) = self.starts.front_mut()
            && let Poll::Ready(answer) = Pin::new(&mut start.asked).poll(context)
        {
            any = true;
            let Start { waiter, command, .. } = self.starts.pop_front().expect("it is the one in front");
            match answer {
                Ok(id) if bug!(self, AckOnAppend) => self.acknowledge_early(id, waiter, command),
                // It was applied, or something else in its place, before it was known who waits.
                Ok(id) if id.index <= self.replica.applied() => self.give_up(waiter),
                Ok(id) => {
                    // Leadership may be lost again already: then what is seen next differs from this.
                    self.leads = Some(id.term);
                    self.waiters.insert((id.index, id.term), waiter);
                }
                Err(refusal) => self.refuse(waiter, refusal),
            }
        }
        any
    }

    /// Tells what will come of an entry if all of this leader's are committed.
    fn acknowledge_early(&mut self, id: EntryId, waiter: Waiter<M::Query>, command: Bytes) {
        let (applied, image) = (self.replica.applied(), self.replica.snapshot());
        let guess = Replica::<M>::restore(self.config, self.replica.settings().clone(), applied, &image);
        let mut guess = guess.expect("a snapshot that was made a moment ago");
        self.acknowledged.retain(|earlier, _| *earlier > applied && *earlier < id.index);
        self.acknowledged.insert(id.index, command);
        let outcomes = self.acknowledged.iter().map(|(index, command)| guess.apply(*index, command));
        let outcome = outcomes.last().expect("one was just put there");
        match waiter {
            Waiter::Callers(name) => self.report(name, &outcome),
            Waiter::Readers(readers) => self.read_at_mark(readers),
            Waiter::Errand => self.errands_in_log -= 1,
        }
    }

    /// Puts into the log what the service has to do by itself.
    fn run_errands(&mut self, context: &mut Context<'_>) -> bool {
        let Some(errands) = &mut self.errands else { return false };
        if let Some(rest) = &mut self.errands_rest {
            if Pin::new(rest).poll(context).is_pending() {
                return false;
            }
            self.errands_rest = None;
        }
        let commands = errands.poll(context, self.replica.machine(), self.leads, self.errands_in_log);
        if bug!(self, ErrandNotInLog) {
            commands.iter().for_each(|command| self.replica.apply_alone(command));
            return !commands.is_empty();
        }
        self.errands_in_log += commands.len();
        let any = !commands.is_empty();
        commands.into_iter().for_each(|command| self.start(LogCommand::Service(command), Waiter::Errand));
        any
    }

    // --- the log

    fn poll_deliveries(&mut self, context: &mut Context<'_>) -> Result<bool, String> {
        let before = self.replica.applied();
        while let Poll::Ready(delivery) = self.node.poll_deliver(context) {
            match delivery {
                Delivery::Entry(entry) => self.apply(entry),
                Delivery::Snapshot { meta, content } => self.restore(meta.last.index, &content)?,
            }
        }
        let applied = self.replica.applied();
        if applied != before {
            self.node.applied(applied);
        }
        Ok(applied != before)
    }

    fn apply(&mut self, Entry { id, payload }: Entry) {
        let command = match &payload {
            Payload::Command(command) => Some(command),
            Payload::Noop | Payload::Membership(_) => None,
        };
        let outcome = self.replica.apply(id.index, command.map_or(&[], |command| command));
        self.env.emit_all(&self.replica.take_events());
        self.observe(|replica| Observation::Applied {
            index: id.index,
            term: id.term,
            command,
            executed: matches!(outcome, Outcome::Done(at, _) if at == id.index),
            digest: replica.digest(),
        });
        if let (Some(command), Outcome::Refused(_)) = (command, &outcome) {
            self.observe(|_| Observation::Refused { index: id.index, asked: command, reads: false });
        }
        self.log_bytes += payload.size() as u64 + ENTRY_OVERHEAD;
        self.answer_up_to(id.index, |term| term == id.term, &outcome);
        self.snapshot_if_due(id.index);
    }

    fn restore(&mut self, index: Index, content: &Bytes) -> Result<(), String> {
        let restored = Replica::restore(self.config, self.replica.settings().clone(), index, content);
        self.replica = restored.map_err(|malformed| format!("the snapshot at {index} is {malformed}"))?;
        self.observe(|replica| Observation::Restored { index, digest: replica.digest() });
        self.log_bytes = 0;
        self.snapshot_bytes = content.len() as u64;
        self.answer_up_to(index, |_| false, &Outcome::Nothing);
        Ok(())
    }

    fn snapshot_if_due(&mut self, index: Index) {
        let due = |after: u64| self.log_bytes > after.max(self.snapshot_bytes);
        if self.config.snapshot_after.is_some_and(due) {
            let content = Bytes::from(self.replica.snapshot());
            self.log_bytes = 0;
            self.snapshot_bytes = content.len() as u64;
            self.observe(|_| Observation::Snapshot { index, content: &content });
            self.node.snapshot(index, content);
        }
    }

    fn observe<'a>(&mut self, what: impl FnOnce(&Replica<M>) -> Observation<'a>) {
        if let Some(observer) = &mut self.observer {
            observer(what(&self.replica));
        }
    }

    fn observe_refusal(&mut self, command: &LogCommand<M::Command>) {
        let command = Bytes::from(labgob::encode(command).expect("it was decoded a moment ago"));
        self.observe(|replica| Observation::Refused { index: replica.applied(), asked: &command, reads: false });
    }

    // --- reads

    fn poll_reads(&mut self, context: &mut Context<'_>) -> bool {
        let mut answered = Vec::new();
        self.reads.retain_mut(|read| match Pin::new(&mut read.asked).poll(context) {
            Poll::Ready(answer) => {
                answered.push((answer, std::mem::take(&mut read.readers)));
                false
            }
            Poll::Pending => true,
        });
        let any = !answered.is_empty();
        for (answer, readers) in answered {
            match answer {
                Ok(index) => {
                    assert!(index <= self.replica.applied(), "a read is confirmed when its index is applied");
                    self.read(readers);
                }
                Err(Unavailable::NoEntryOfTerm) => self.unmarked.extend(readers),
                Err(refusal) => self.refuse_readers(&readers, refusal),
            }
        }
        any
    }

    // --- answers

    /// The entry at `index` was applied, or is covered by a snapshot: whoever waited for it, or for one in front of it,
    /// gets an answer.
    fn answer_up_to(&mut self, index: Index, is_its: impl Fn(Term) -> bool, outcome: &Outcome<M::Reply>) {
        while let Some(first) = self.waiters.first_entry()
            && first.key().0 <= index
        {
            let ((at, term), waiter) = first.remove_entry();
            if at < index || !(is_its(term) || bug!(self, ReplyByIndexOnly)) {
                self.give_up(waiter);
                continue;
            }
            match waiter {
                Waiter::Callers(name) => self.report(name, outcome),
                Waiter::Readers(readers) => self.read_at_mark(readers),
                Waiter::Errand => self.errands_in_log -= 1,
            }
        }
    }

    /// Entries of a term that is over may be committed or not: somebody else will know.
    fn notice_leadership(&mut self) {
        let (term, leads) = self.node.state();
        let leads = leads.then_some(term);
        if std::mem::replace(&mut self.leads, leads) == leads || bug!(self, ReplyByIndexOnly) {
            return;
        }
        let (kept, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.waiters).into_iter().partition(|((_, term), _)| Some(*term) == leads);
        self.waiters = kept;
        lost.into_values().for_each(|waiter| self.give_up(waiter));
    }

    fn leader(&self) -> Option<NodeId> {
        self.node.view().leader
    }

    fn give_up(&mut self, waiter: Waiter<M::Query>) {
        let leader = self.leader();
        match waiter {
            Waiter::Callers(name) => self.answer(name, &Response::Unknown(leader)),
            Waiter::Errand => self.errands_in_log -= 1,
            // Nothing is written for a read: it was merely not answered.
            readers => self.refuse(readers, Unavailable::NotLeader(leader)),
        }
    }

    /// Nothing was done.
    fn refuse(&mut self, waiter: Waiter<M::Query>, refusal: Unavailable) {
        match waiter {
            Waiter::Callers(name) => self.answer(name, &refused(refusal)),
            Waiter::Errand => {
                self.errands_in_log -= 1;
                self.errands_rest = Some(self.env.sleep(errands::REST));
            }
            Waiter::Readers(readers) => {
                self.marking = false;
                self.refuse_readers(&readers, refusal);
            }
        }
    }

    fn refuse_readers(&self, readers: &[(labrpc::Request, M::Query)], refusal: Unavailable) {
        readers.iter().for_each(|(request, _)| self.respond(request, refused(refusal)));
    }

    /// The mark of these reads was applied.
    fn read_at_mark(&mut self, readers: Vec<(labrpc::Request, M::Query)>) {
        self.marking = false;
        self.read(readers);
    }

    /// Answers queries from the state as it is.
    fn read(&mut self, readers: Vec<(labrpc::Request, M::Query)>) {
        let index = self.replica.applied();
        for (request, query) in readers {
            let answer = self.replica.query(&query);
            if M::is_refusal(&answer) && self.observer.is_some() {
                let query = Bytes::from(labgob::encode(&query).expect("it was decoded a moment ago"));
                self.observe(|_| Observation::Refused { index, asked: &query, reads: true });
            }
            self.respond(&request, Response::Read { index, answer });
        }
    }

    fn report(&mut self, name: Name, outcome: &Outcome<M::Reply>) {
        let response = self.response(outcome);
        self.answer(name, &response);
    }

    fn response(&self, outcome: &Outcome<M::Reply>) -> Response<M::Reply, M::Answer> {
        match outcome {
            Outcome::Registered(session) => Response::Registered(*session),
            Outcome::Done(index, reply) | Outcome::Repeated(index, reply) | Outcome::Served(index, reply) => {
                Response::Done { index: *index, reply: reply.clone() }
            }
            Outcome::Refused(reply) => Response::Refused(reply.clone()),
            Outcome::Expired => Response::Expired,
            Outcome::Stale => Response::Stale,
            Outcome::Nothing => Response::Unknown(self.leader()),
        }
    }

    /// Whoever calls for an operation is told the same.
    fn answer(&mut self, name: Name, response: &Response<M::Reply, M::Answer>) {
        for caller in self.callers.leave(name) {
            self.respond(&caller, response.clone());
        }
    }

    fn respond(&self, request: &labrpc::Request, response: Response<M::Reply, M::Answer>) {
        let body = labgob::encode(&response).expect("answers are far below the limit");
        self.env.reply(request, body);
    }
}

/// What is said where nothing was done.
fn refused<R, A>(refusal: Unavailable) -> Response<R, A> {
    match refusal {
        Unavailable::NotLeader(leader) => Response::NotLeader(leader),
        Unavailable::TooLarge(size) => {
            Response::TooLarge(TooLarge { size: size as u64, limit: raft::MAX_COMMAND as u64 })
        }
        // Nobody who asks for a command or a read changes the membership.
        Unavailable::Busy | Unavailable::NoEntryOfTerm | Unavailable::Change(_) => Response::Busy,
    }
}
