//! The parent's side: worker processes, what each is busy with, and what to do when one falls silent.

use super::Job;
use super::check::Checker;
use super::found::Found;
use super::process::Process;
use super::progress::Progress;
use super::results::{CutShort, Results};
use super::source::{Listed, Next, Source};
use super::worker::{Said, Task};
use crate::lab::Summary;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A worker is replaced by a fresh process after so many runs, so that nothing can pile up in it unseen.
const RUNS_PER_WORKER: u64 = 2_000;

/// How a campaign is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker processes.
    pub jobs: usize,
    /// Stop after so many failures.
    pub max_failures: usize,
    /// A run that takes longer than this, in real time, counts as hung.
    pub hang_after: Duration,
    /// Make each run again in a fresh process and compare digests.
    pub check: bool,
    /// Write each summary to this file, a line of JSON each, and a line for each run that has none.
    pub json: Option<std::path::PathBuf>,
    /// Show no progress.
    pub quiet: bool,
}

/// A worker process.
struct Worker {
    process: Process,
    /// Tasks that it has in hand, the one that it is busy with first.
    tasks: VecDeque<(u64, Job)>,
    since: Instant,
    runs: u64,
    generation: u64,
}

/// Something from a worker: which one, of which generation, and what; nothing when it ended.
type Word = (usize, u64, Option<Said>);

/// Is told what was found.
type Tell<'a> = dyn FnMut(&Job, &Found) + 'a;

/// Runs so many jobs and collects what comes of them: see [`conduct`].
///
/// # Errors
/// As there.
pub fn run(
    jobs: impl Iterator<Item = Job>,
    total: u64,
    options: &Options,
    tell: impl FnMut(&Job, &Found),
) -> std::io::Result<Results> {
    conduct(&mut Listed(jobs), total, options, tell)
}

/// Runs the jobs that a source gives out, so many, and collects what comes of them. What is found is told at once, in the order
/// in which it is found; the results have it in the order of the jobs.
///
/// # Errors
/// If it cannot begin: the first workers cannot be started or the file for JSON lines cannot be written. What goes
/// wrong later cuts the campaign short, and is in the results.
pub fn conduct(
    source: &mut dyn Source,
    total: u64,
    options: &Options,
    tell: impl FnMut(&Job, &Found),
) -> std::io::Result<Results> {
    let (sender, words) = channel();
    let mut pool = Pool {
        source,
        next_id: 0,
        workers: Vec::new(),
        generation: 0,
        sender,
        results: Results::new(total, options.json.as_deref())?,
        options: options.clone(),
        checker: options.check.then(|| Checker::new(options.hang_after)),
        progress: Progress::new(total, options.quiet),
        tell: Box::new(tell),
    };
    for slot in 0..options.jobs.max(1) {
        let worker = pool.start(slot)?;
        pool.workers.push(worker);
    }
    let ended = pool.drive(&words);
    pool.progress.finish();
    pool.results.finish(options.check, ended);
    Ok(pool.results)
}

struct Pool<'a> {
    source: &'a mut dyn Source,
    next_id: u64,
    workers: Vec<Worker>,
    generation: u64,
    sender: Sender<Word>,
    results: Results,
    options: Options,
    checker: Option<Checker>,
    progress: Progress,
    tell: Box<Tell<'a>>,
}

impl Pool<'_> {
    fn start(&mut self, slot: usize) -> std::io::Result<Worker> {
        self.generation += 1;
        let generation = self.generation;
        let sender = self.sender.clone();
        let process = Process::start(move |said| sender.send((slot, generation, said)).is_ok())?;
        Ok(Worker { process, tasks: VecDeque::new(), since: Instant::now(), runs: 0, generation })
    }

    /// Whether no more runs are to be begun.
    fn is_full(&self) -> bool {
        self.results.enough(self.options.max_failures).is_some()
            || self.checker.as_ref().is_some_and(Checker::is_behind)
    }

    /// Whether there were failures enough, and no run is under way whose failure would come before theirs. So the
    /// first failures are the same however many workers there are.
    fn is_over(&self) -> bool {
        let Some(last) = self.results.enough(self.options.max_failures) else { return false };
        self.workers.iter().flat_map(|worker| &worker.tasks).all(|(nth, _)| *nth > last)
    }

    fn is_idle(&self) -> bool {
        self.workers.iter().all(|worker| worker.tasks.is_empty())
    }

    /// Hands a worker what it can take.
    fn feed(&mut self, slot: usize) {
        while !self.is_full()
            && self.workers[slot].tasks.len() < self.source.in_hand()
            && self.workers[slot].runs < RUNS_PER_WORKER
        {
            let Next::Job(job) = self.source.next() else { return };
            self.next_id += 1;
            let task = Task { id: self.next_id, job, lines_to: None };
            let worker = &mut self.workers[slot];
            if worker.tasks.is_empty() {
                worker.since = Instant::now();
            }
            worker.runs += 1;
            let told = worker.process.tell(&task);
            worker.tasks.push_back((task.id, task.job));
            if told.is_err() {
                return; // It has died; what listens to it will say so.
            }
        }
    }

    /// Until all is done or there is no use in going on.
    fn drive(&mut self, words: &Receiver<Word>) -> std::io::Result<Option<CutShort>> {
        loop {
            if self.is_over() {
                return Ok(Some(CutShort::Failures(self.options.max_failures)));
            }
            if self.is_idle() {
                self.check_pending(true)?;
            }
            (0..self.workers.len()).for_each(|slot| self.feed(slot));
            if self.is_idle() {
                return Ok(None);
            }
            match words.recv_timeout(Duration::from_millis(200)) {
                Ok((slot, generation, said)) if self.workers[slot].generation == generation => match said {
                    Some(Said::Began(_)) => self.workers[slot].since = Instant::now(),
                    Some(Said::Done(id, summary)) => self.done(slot, id, &summary)?,
                    None => self.died(slot)?,
                },
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the pool keeps a sender"),
            }
            self.watch()?;
            self.check_pending(false)?;
            self.results.tick()?;
            self.progress.tick(&self.results);
        }
    }

    fn done(&mut self, slot: usize, id: u64, summary: &Summary) -> std::io::Result<()> {
        let worker = &mut self.workers[slot];
        worker.since = Instant::now();
        if let Some((task, job)) = worker.tasks.pop_front()
            && task == id
        {
            if let Some(checker) = &mut self.checker {
                checker.add(id, job.clone(), summary.digest.clone());
            }
            let written = self.results.add(summary);
            self.source.done(id, summary.violation.is_none().then_some(&summary.marks));
            if let Some(violation) = &summary.violation {
                self.fail(id, job, Found::Violation(violation.clone()))?;
            }
            written?;
        }
        if self.workers[slot].runs >= RUNS_PER_WORKER && self.workers[slot].tasks.is_empty() {
            self.replace(slot)?;
        }
        Ok(())
    }

    /// Tells what was found and keeps it.
    fn fail(&mut self, nth: u64, job: Job, found: Found) -> std::io::Result<()> {
        let tell = &mut self.tell;
        self.progress.aside(|| tell(&job, &found));
        self.results.fail(nth, job, found)
    }

    /// A worker that has been busy with one run for too long has to do with code that never yields.
    fn watch(&mut self) -> std::io::Result<()> {
        let patience = self.options.hang_after;
        for slot in 0..self.workers.len() {
            let worker = &mut self.workers[slot];
            if worker.since.elapsed() <= patience {
                continue;
            }
            if let Some((nth, job)) = worker.tasks.pop_front() {
                let said = worker.process.kill();
                self.source.done(nth, None);
                self.fail(nth, job, Found::Hung { patience, said })?;
                self.hand_on(slot)?;
            }
        }
        Ok(())
    }

    fn died(&mut self, slot: usize) -> std::io::Result<()> {
        let worker = &mut self.workers[slot];
        let (how, said) = worker.process.ended();
        if let Some((nth, job)) = worker.tasks.pop_front() {
            self.source.done(nth, None);
            self.fail(nth, job, Found::Died { how, said })?;
        }
        self.hand_on(slot)
    }

    /// A fresh worker takes over what is left.
    fn hand_on(&mut self, slot: usize) -> std::io::Result<()> {
        let left = std::mem::take(&mut self.workers[slot].tasks);
        self.replace(slot)?;
        let worker = &mut self.workers[slot];
        for (id, job) in left {
            let task = Task { id, job, lines_to: None };
            let _ = worker.process.tell(&task); // If it has died, what listens to it will say so.
            worker.runs += 1;
            worker.tasks.push_back((id, task.job));
        }
        Ok(())
    }

    fn replace(&mut self, slot: usize) -> std::io::Result<()> {
        let fresh = self.start(slot)?;
        drop(std::mem::replace(&mut self.workers[slot], fresh));
        Ok(())
    }

    /// Makes runs again whose digests are known.
    fn check_pending(&mut self, all: bool) -> std::io::Result<()> {
        let Some(checker) = &mut self.checker else { return Ok(()) };
        for (nth, job, found) in checker.run(all)? {
            self.fail(nth, job, found)?;
        }
        Ok(())
    }
}
