//! A node's disk: a thread that owns the directory and does one thing after the other.
//!
//! A thread of its own, since file operations block, and since order is what the contract promises. It also makes
//! group commit fall out: syncs of one file that wait one behind the other are made once, and all who asked are told.

use super::directory::Directory;
use crate::disk::{DiskError, DiskOp};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::oneshot;

/// Where the outcome goes. Whoever has stopped waiting does not undo what was asked.
type Answer<T> = oneshot::Sender<Result<T, DiskError>>;

enum Ask {
    CarryOut(DiskOp<'static>, Answer<()>),
    /// One after the other, up to the first that fails.
    CarryOutAll(Vec<DiskOp<'static>>, Answer<()>),
    Read(String, Answer<Vec<u8>>),
    Len(String, Answer<u64>),
    List(Answer<Vec<String>>),
    Lock(Answer<()>),
}

/// What was counted of a disk.
#[derive(Default)]
pub(crate) struct Counts {
    pub writes: AtomicU64,
    pub bytes: AtomicU64,
    pub syncs: AtomicU64,
    pub dir_syncs: AtomicU64,
    pub reads: AtomicU64,
    pub others: AtomicU64,
}

/// The way to the thread.
pub(crate) struct Disk {
    /// None: there is no directory, or the boot is over.
    asks: Mutex<Option<mpsc::Sender<Ask>>>,
    has_directory: bool,
    is_over: Arc<AtomicBool>,
    /// Closed when the thread has ended and let go of the directory.
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
    pub counts: Arc<Counts>,
}

impl Disk {
    /// The disk of a node that has none.
    pub fn none() -> Disk {
        Disk {
            asks: Mutex::new(None),
            has_directory: false,
            is_over: Arc::default(),
            ended: tokio::sync::Mutex::new(None),
            counts: Arc::default(),
        }
    }

    /// Starts the thread that owns the directory.
    pub fn start(mut directory: Directory, name: String) -> io::Result<Disk> {
        let (asks, asked) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let (is_over, counts) = (Arc::<AtomicBool>::default(), directory.counts.clone());
        let over = is_over.clone();
        std::thread::Builder::new().name(name).spawn(move || {
            serve(&asked, &mut directory, &over);
            drop(directory);
            drop(end);
        })?;
        let ended = tokio::sync::Mutex::new(Some(ended));
        Ok(Disk { asks: Mutex::new(Some(asks)), has_directory: true, is_over, ended, counts })
    }

    /// Nothing more is done that has not begun.
    pub fn close(&self) {
        self.is_over.store(true, Ordering::Release);
        self.asks.lock().expect("nobody panics while holding it").take();
    }

    /// Waits until the directory is let go of.
    pub async fn ended(&self) {
        if let Some(ended) = self.ended.lock().await.take() {
            // Nothing is ever sent: the thread drops its end.
            let _ = ended.await;
        }
    }

    pub async fn carry_out(&self, op: DiskOp<'static>) -> Result<(), DiskError> {
        let file = op.file().to_string();
        self.ask(&file, |answer| Ask::CarryOut(op, answer)).await
    }

    pub async fn carry_out_all(&self, ops: Vec<DiskOp<'static>>) -> Result<(), DiskError> {
        let file = ops.first().map_or(String::new(), |op| op.file().to_string());
        self.ask(&file, |answer| Ask::CarryOutAll(ops, answer)).await
    }

    pub async fn read(&self, file: &str) -> Result<Vec<u8>, DiskError> {
        self.ask(file, |answer| Ask::Read(file.into(), answer)).await
    }

    pub async fn len(&self, file: &str) -> Result<u64, DiskError> {
        self.ask(file, |answer| Ask::Len(file.into(), answer)).await
    }

    pub async fn list(&self) -> Result<Vec<String>, DiskError> {
        self.ask("", Ask::List).await
    }

    pub async fn lock(&self) -> Result<(), DiskError> {
        self.ask("", Ask::Lock).await
    }

    async fn ask<T>(&self, file: &str, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, DiskError> {
        let (answer, answered) = oneshot::channel();
        if !self.has_directory {
            return Err(DiskError::Failed(format!("{file}: this node was started without a directory")));
        }
        if let Some(asks) = &*self.asks.lock().expect("nobody panics while holding it") {
            // If the thread is gone the answer is dropped with the question.
            let _ = asks.send(ask(answer));
        }
        match answered.await {
            Ok(outcome) if !self.is_over.load(Ordering::Acquire) => outcome,
            // The boot is over, and whoever asked with it.
            _ => std::future::pending().await,
        }
    }
}

fn serve(asked: &mpsc::Receiver<Ask>, directory: &mut Directory, is_over: &AtomicBool) {
    // What was taken out of the channel to see whether it is one more sync.
    let mut next = None;
    while let Some(ask) = next.take().or_else(|| asked.recv().ok()) {
        if is_over.load(Ordering::Acquire) {
            return;
        }
        match ask {
            Ask::CarryOut(op, answer) => {
                let mut answers = VecDeque::from([answer]);
                if let DiskOp::Sync { file } = &op {
                    next = take_same_syncs(asked, file, &mut answers);
                }
                let outcome = directory.carry_out(op);
                // Whoever does not wait any more does not need to know.
                answers.into_iter().for_each(|answer| drop(answer.send(outcome.clone())));
            }
            Ask::CarryOutAll(ops, answer) => {
                let outcome = ops.into_iter().try_for_each(|op| directory.carry_out(op));
                drop(answer.send(outcome));
            }
            Ask::Read(file, answer) => drop(answer.send(directory.read(&file))),
            Ask::Len(file, answer) => drop(answer.send(directory.len(&file))),
            Ask::List(answer) => drop(answer.send(directory.list())),
            Ask::Lock(answer) => drop(answer.send(directory.lock())),
        }
    }
}

/// Collects the syncs of the same file that wait directly behind one. Returns what comes next and is none.
fn take_same_syncs(asked: &mpsc::Receiver<Ask>, wanted: &str, answers: &mut VecDeque<Answer<()>>) -> Option<Ask> {
    loop {
        match asked.try_recv().ok()? {
            Ask::CarryOut(DiskOp::Sync { file }, answer) if file == wanted => answers.push_back(answer),
            other => return Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn append(file: &'static str) -> DiskOp<'static> {
        DiskOp::Append { file: file.into(), bytes: Bytes::from_static(b"x") }
    }

    fn sync(file: &'static str) -> DiskOp<'static> {
        DiskOp::Sync { file: file.into() }
    }

    /// Carries out what is asked all at once; returns the outcomes.
    fn all(directory: &mut Directory, ops: Vec<DiskOp<'static>>) -> Vec<Result<(), DiskError>> {
        let (asks, asked) = mpsc::channel();
        let answered: Vec<_> = ops
            .into_iter()
            .map(|op| {
                let (answer, answered) = oneshot::channel();
                asks.send(Ask::CarryOut(op, answer)).unwrap();
                answered
            })
            .collect();
        drop(asks);
        serve(&asked, directory, &AtomicBool::new(false));
        answered.into_iter().map(|answered| answered.blocking_recv().expect("each is answered")).collect()
    }

    #[test]
    fn syncs_of_one_file_that_wait_together_are_made_once_and_no_others() {
        let home = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(home.path()).unwrap();
        let counts = directory.counts.clone();
        let ops = vec![
            append("f"),
            append("g"),
            sync("f"),
            sync("f"),
            sync("f"),
            sync("g"),
            append("f"),
            sync("f"),
            sync("g"),
            sync("f"),
        ];
        let outcomes = all(&mut directory, ops);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        // f three times in one, g, f, g, f.
        assert_eq!(counts.syncs.load(Ordering::Relaxed), 5);
        assert_eq!(counts.writes.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_asked_in_one_goes_up_to_the_first_that_fails() {
        let home = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(home.path()).unwrap();
        let mut ask = |ops| {
            let ((asks, asked), (answer, answered)) = (mpsc::channel(), oneshot::channel());
            asks.send(Ask::CarryOutAll(ops, answer)).unwrap();
            drop(asks);
            serve(&asked, &mut directory, &AtomicBool::new(false));
            let counts = &directory.counts;
            (
                answered.blocking_recv().unwrap(),
                [&counts.writes, &counts.syncs].map(|count| count.load(Ordering::Relaxed)),
            )
        };
        assert_eq!(ask(vec![append("f"), sync("f")]), (Ok(()), [1, 1]));
        assert_eq!(ask(vec![sync("g"), append("g")]), (Err(DiskError::NotFound("g".into())), [1, 1]));
    }

    #[test]
    fn whoever_shares_a_sync_shares_its_failure() {
        let home = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(home.path()).unwrap();
        let outcomes = all(&mut directory, vec![sync("f"), sync("f"), append("f"), sync("f")]);
        let missing = || Err(DiskError::NotFound("f".into()));
        assert_eq!(outcomes, [missing(), missing(), Ok(()), Ok(())]);
    }

    #[test]
    fn what_waits_when_the_boot_ends_is_not_done() {
        let home = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(home.path()).unwrap();
        let (asks, asked) = mpsc::channel();
        let (answer, answered) = oneshot::channel();
        asks.send(Ask::CarryOut(append("f"), answer)).unwrap();
        drop(asks);
        serve(&asked, &mut directory, &AtomicBool::new(true));
        drop(asked);
        assert!(answered.blocking_recv().is_err(), "nobody is told of it");
        assert_eq!(directory.list(), Ok(vec![]));
    }
}
