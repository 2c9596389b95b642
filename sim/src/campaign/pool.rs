//! The parent's side: worker processes, what each is busy with, and what to do when one falls silent.

use super::Job;
use super::check::Checker;
use super::found::Found;
use super::progress::Progress;
use super::results::Results;
use super::worker::{Said, Task, spawn_worker};
use crate::lab::Summary;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Tasks that a worker has in hand, so that it need not wait for the parent.
const IN_HAND: usize = 16;
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
    /// Write each summary to this file, a line of JSON each.
    pub json: Option<std::path::PathBuf>,
    /// Say nothing until the end.
    pub quiet: bool,
}

/// A worker process.
struct Worker {
    child: Child,
    stdin: ChildStdin,
    /// Tasks that it has in hand, the one that it is busy with first.
    tasks: VecDeque<(u64, Job)>,
    since: Instant,
    runs: u64,
    generation: u64,
}

/// Something from a worker: which one, of which generation, and what; nothing when it ended.
type Word = (usize, u64, Option<Said>);

/// Runs all jobs and collects what comes of them.
///
/// # Errors
/// If workers cannot be started or the file for JSON lines cannot be written.
pub fn run(jobs: impl ExactSizeIterator<Item = Job>, options: &Options) -> std::io::Result<Results> {
    let (sender, words) = channel();
    let mut pool = Pool {
        jobs: Box::new(jobs),
        next_id: 0,
        workers: Vec::new(),
        generation: 0,
        sender,
        results: Results::new(options.json.as_deref())?,
        options: options.clone(),
        checker: options.check.then(Checker::default),
    };
    let mut progress = Progress::new(pool.jobs.len() as u64, options.quiet);
    for slot in 0..options.jobs.max(1) {
        let worker = pool.start(slot)?;
        pool.workers.push(worker);
        pool.feed(slot);
    }
    pool.drive(&words, &mut progress)?;
    progress.finish();
    pool.results.finish(options.check);
    Ok(pool.results)
}

struct Pool<'a> {
    jobs: Box<dyn ExactSizeIterator<Item = Job> + 'a>,
    next_id: u64,
    workers: Vec<Worker>,
    generation: u64,
    sender: Sender<Word>,
    results: Results,
    options: Options,
    checker: Option<Checker>,
}

impl Pool<'_> {
    fn start(&mut self, slot: usize) -> std::io::Result<Worker> {
        self.generation += 1;
        let generation = self.generation;
        let (mut child, stdin) = spawn_worker()?;
        let stdout = child.stdout.take().expect("it is piped");
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(said) = line.map_err(drop).and_then(|line| serde_json::from_str(&line).map_err(drop)) else {
                    break;
                };
                if sender.send((slot, generation, Some(said))).is_err() {
                    return;
                }
            }
            let _ = sender.send((slot, generation, None));
        });
        Ok(Worker { child, stdin, tasks: VecDeque::new(), since: Instant::now(), runs: 0, generation })
    }

    fn is_over(&self) -> bool {
        self.results.failures.len() >= self.options.max_failures
    }

    /// Hands a worker what it can take.
    fn feed(&mut self, slot: usize) {
        while !self.is_over()
            && self.workers[slot].tasks.len() < IN_HAND
            && self.workers[slot].runs < RUNS_PER_WORKER
        {
            let Some(job) = self.jobs.next() else { return };
            self.next_id += 1;
            let task = Task { id: self.next_id, job, lines_to: None };
            let mut line = serde_json::to_vec(&task).expect("a job is plain data");
            line.push(b'\n');
            let worker = &mut self.workers[slot];
            if worker.tasks.is_empty() {
                worker.since = Instant::now();
            }
            worker.runs += 1;
            worker.tasks.push_back((task.id, task.job));
            if worker.stdin.write_all(&line).is_err() {
                return; // It has died; its reader will say so.
            }
        }
    }

    fn drive(&mut self, words: &Receiver<Word>, progress: &mut Progress) -> std::io::Result<()> {
        loop {
            if self.workers.iter().all(|worker| worker.tasks.is_empty()) {
                self.check_pending(true)?;
                return Ok(());
            }
            if self.is_over() {
                self.stop_all();
                return Ok(());
            }
            match words.recv_timeout(Duration::from_millis(200)) {
                Ok((slot, generation, said)) if self.workers[slot].generation == generation => match said {
                    Some(Said::Began(_)) => self.workers[slot].since = Instant::now(),
                    Some(Said::Done(id, summary)) => self.done(slot, id, *summary)?,
                    None => self.died(slot)?,
                },
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the pool keeps a sender"),
            }
            self.watch()?;
            self.check_pending(false)?;
            progress.tick(&self.results);
        }
    }

    fn done(&mut self, slot: usize, id: u64, summary: Summary) -> std::io::Result<()> {
        let worker = &mut self.workers[slot];
        worker.since = Instant::now();
        if let Some((task, job)) = worker.tasks.pop_front()
            && task == id
        {
            if let Some(checker) = &mut self.checker {
                checker.add(job.clone(), summary.digest.clone());
            }
            self.results.add(job, summary)?;
        }
        if self.workers[slot].runs >= RUNS_PER_WORKER && self.workers[slot].tasks.is_empty() {
            self.replace(slot)?;
        }
        self.feed(slot);
        Ok(())
    }

    /// A worker that has been busy with one run for too long has to do with code that never yields.
    fn watch(&mut self) -> std::io::Result<()> {
        for slot in 0..self.workers.len() {
            let worker = &mut self.workers[slot];
            if !worker.tasks.is_empty() && worker.since.elapsed() > self.options.hang_after {
                let _ = worker.child.kill();
                if let Some((_, job)) = worker.tasks.pop_front() {
                    self.results.fail(job, Found::Hung(self.options.hang_after));
                }
                self.hand_on(slot)?;
            }
        }
        Ok(())
    }

    fn died(&mut self, slot: usize) -> std::io::Result<()> {
        let worker = &mut self.workers[slot];
        let how = worker.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if let Some((_, job)) = worker.tasks.pop_front() {
            self.results.fail(job, Found::Died(how));
        }
        self.hand_on(slot)
    }

    /// A fresh worker takes over what is left.
    fn hand_on(&mut self, slot: usize) -> std::io::Result<()> {
        let left = std::mem::take(&mut self.workers[slot].tasks);
        self.replace(slot)?;
        let worker = &mut self.workers[slot];
        for (id, job) in left {
            let mut line = serde_json::to_vec(&Task { id, job: job.clone(), lines_to: None })?;
            line.push(b'\n');
            worker.tasks.push_back((id, job));
            let _ = worker.stdin.write_all(&line);
        }
        self.feed(slot);
        Ok(())
    }

    fn replace(&mut self, slot: usize) -> std::io::Result<()> {
        let fresh = self.start(slot)?;
        drop(std::mem::replace(&mut self.workers[slot], fresh));
        Ok(())
    }

    fn stop_all(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }

    /// Makes runs again whose digests are known.
    fn check_pending(&mut self, all: bool) -> std::io::Result<()> {
        let Some(checker) = &mut self.checker else { return Ok(()) };
        for (job, found) in checker.run(all)? {
            self.results.fail(job, found);
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
