//! Is a run the same when it is made again, in another process, in another order? And if not, where does it part?

use super::Job;
use super::found::{Divergence, Found};
use super::worker::{Said, Task, spawn_worker};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::thread::JoinHandle;

/// Runs that one fresh process makes again.
const BATCH: usize = 64;
/// Lines in front of the place where two runs part.
const CONTEXT: usize = 6;

/// What a batch has brought to light.
type Findings = std::io::Result<Vec<(Job, Found)>>;

/// Runs whose digests are to be compared with those of a second time.
#[derive(Default)]
pub(super) struct Checker {
    pending: Vec<(Job, String)>,
    /// The batch that is being made again.
    busy: Option<JoinHandle<Findings>>,
}

impl Checker {
    pub fn add(&mut self, job: Job, digest: String) {
        self.pending.push((job, digest));
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
            let batch: Vec<(Job, String)> = self.pending.drain(..count).collect();
            self.busy = Some(std::thread::spawn(move || check_batch(&batch)));
        }
    }
}

/// A fresh process makes the runs again, last one first.
fn check_batch(batch: &[(Job, String)]) -> std::io::Result<Vec<(Job, Found)>> {
    let tasks: Vec<Task> =
        (0..batch.len()).rev().map(|at| Task { id: at as u64, job: batch[at].0.clone(), lines_to: None }).collect();
    let digests = in_a_fresh_process(&tasks)?;
    let mut found = Vec::new();
    for (at, (job, digest)) in batch.iter().enumerate() {
        if digests.get(at).and_then(Option::as_ref) != Some(digest) {
            found.push((job.clone(), Found::Diverged(Box::new(compare(job)?))));
        }
    }
    Ok(found)
}

/// The digests of the tasks, by their ids; none for a run that ended its process.
fn in_a_fresh_process(tasks: &[Task]) -> std::io::Result<Vec<Option<String>>> {
    let (mut child, mut stdin) = spawn_worker()?;
    for task in tasks {
        serde_json::to_writer(&mut stdin, task)?;
        stdin.write_all(b"\n")?;
    }
    drop(stdin);
    let mut digests = vec![None; tasks.len()];
    let stdout = child.stdout.take().expect("it is piped");
    for line in BufReader::new(stdout).lines() {
        if let Ok(Said::Done(id, summary)) = serde_json::from_str(&line?)
            && let Some(digest) = digests.get_mut(id as usize)
        {
            *digest = Some(summary.digest);
        }
    }
    child.wait()?;
    Ok(digests)
}

/// Makes a run twice more, each time in a fresh process that writes every event down, and finds the first one
/// that differs.
///
/// # Errors
/// If files or processes cannot be had.
pub fn compare(job: &Job) -> std::io::Result<Divergence> {
    let directory = std::env::temp_dir();
    let mut texts = Vec::new();
    for half in ["one", "other"] {
        let path = directory.join(format!("shardlab-{}-{half}.lines", std::process::id()));
        let task = Task { id: 0, job: job.clone(), lines_to: Some(path.clone()) };
        in_a_fresh_process(&[task])?;
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
