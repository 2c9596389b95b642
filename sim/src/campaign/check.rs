//! Is a run the same when it is made again, in another process, in another order? And if not, where does it part?

use super::Job;
use super::found::{Divergence, Found};
use super::process::Process;
use super::worker::{Said, Task};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// Runs that one fresh process makes again.
const BATCH: usize = 64;
/// Lines in front of the place where two runs part.
const CONTEXT: usize = 6;

/// More runs than this are not left waiting to be made again: the campaign waits instead.
const MOST_PENDING: usize = 8 * BATCH;

/// What a batch has brought to light, with the jobs' numbers.
type Findings = std::io::Result<Vec<(u64, Job, Found)>>;

/// A run to be made again.
struct Pending {
    nth: u64,
    job: Job,
    digest: String,
}

/// Runs whose digests are to be compared with those of a second time.
pub(super) struct Checker {
    pending: Vec<Pending>,
    /// A run that takes longer than this has hung.
    patience: Duration,
    /// The batch that is being made again.
    busy: Option<JoinHandle<Findings>>,
}

impl Checker {
    pub fn new(patience: Duration) -> Checker {
        Checker { pending: Vec::new(), patience, busy: None }
    }

    pub fn add(&mut self, nth: u64, job: Job, digest: String) {
        self.pending.push(Pending { nth, job, digest });
    }

    /// Whether so many runs wait that no more should be made.
    pub fn is_behind(&self) -> bool {
        self.pending.len() >= MOST_PENDING
    }

    /// Goes on with the next batch if the last is done; with `all`, waits until there is nothing left to check.
    pub fn run(&mut self, all: bool) -> Findings {
        let mut found = Vec::new();
        loop {
            if self.busy.as_ref().is_some_and(|batch| all || batch.is_finished())
                && let Some(batch) = self.busy.take()
            {
                found.extend(batch.join().expect("the checker does not panic")?);
            }
            let due = self.pending.len() >= BATCH || (all && !self.pending.is_empty());
            if self.busy.is_some() || !due {
                return Ok(found);
            }
            let count = self.pending.len().min(BATCH);
            let batch: Vec<Pending> = self.pending.drain(..count).collect();
            let patience = self.patience;
            self.busy = Some(std::thread::spawn(move || check_batch(&batch, patience)));
        }
    }
}

/// A fresh process makes the runs again, last one first.
fn check_batch(batch: &[Pending], patience: Duration) -> Findings {
    let tasks: Vec<Task> = (0..batch.len())
        .rev()
        .map(|at| Task { id: at as u64, job: batch[at].job.clone(), lines_to: None })
        .collect();
    let digests = in_a_fresh_process(&tasks, patience)?;
    let mut found = Vec::new();
    for (at, Pending { nth, job, digest }) in batch.iter().enumerate() {
        if digests.get(at).and_then(Option::as_ref) != Some(digest) {
            found.push((*nth, job.clone(), Found::Diverged(Box::new(compare(job, patience)?))));
        }
    }
    Ok(found)
}

/// The digests of the tasks, by their ids; none for a run that ended its process or hung, and for those behind it.
fn in_a_fresh_process(tasks: &[Task], patience: Duration) -> std::io::Result<Vec<Option<String>>> {
    let (sender, words) = channel();
    let mut process = Process::start(move |said| sender.send(said).is_ok())?;
    // It may die of the first ones; then it has no digests for the others.
    let _ = tasks.iter().try_for_each(|task| process.tell(task));
    process.close();
    let mut digests = vec![None; tasks.len()];
    while let Ok(Some(said)) = words.recv_timeout(patience) {
        if let Said::Done(id, summary) = said
            && let Some(digest) = digests.get_mut(id as usize)
        {
            *digest = Some(summary.digest);
        }
    }
    Ok(digests)
}

/// Makes a run twice more, each time in a fresh process that writes every event down, and finds the first one
/// that differs.
///
/// # Errors
/// If files or processes cannot be had.
pub fn compare(job: &Job, patience: Duration) -> std::io::Result<Divergence> {
    let directory = std::env::temp_dir();
    let mut texts = Vec::new();
    for half in ["one", "other"] {
        let path = directory.join(format!("shardlab-{}-{half}.lines", std::process::id()));
        let task = Task { id: 0, job: job.clone(), lines_to: Some(path.clone()) };
        in_a_fresh_process(&[task], patience)?;
        texts.push(read(&path)?);
        let _ = std::fs::remove_file(&path);
    }
    Ok(part(&texts[0], &texts[1]))
}

fn read(path: &Path) -> std::io::Result<Vec<String>> {
    Ok(std::fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect())
}

fn part(one: &[String], other: &[String]) -> Divergence {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let after = |lines: &[String]| lines.iter().skip(same).take(CONTEXT).cloned().collect();
    Divergence { common: one[same.saturating_sub(CONTEXT)..same].to_vec(), one: after(one), other: after(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_what_both_have_in_front_of_it() {
        let lines = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let parted = part(&lines("a b c d"), &lines("a b x"));
        assert_eq!((parted.common, parted.one, parted.other), (lines("a b"), lines("c d"), lines("x")));
    }
}
