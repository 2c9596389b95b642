//! A worker process as its parent sees it: what it is told, what it says, and what is left of it when it ends.

use super::worker::{Said, Task, WORKER};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// As much as is kept of what a worker writes to its standard error.
const KEPT: usize = 4096;
/// A worker that closed its output has so long to end.
const GRACE: Duration = Duration::from_secs(1);

/// See the module. Ends with this value.
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    errors: Tail,
}

impl Process {
    /// Starts this program as a worker. `hear` gets what it says, and nothing once it has ended; it returns
    /// whether it wants to hear more.
    pub fn start(hear: impl FnMut(Option<Said>) -> bool + Send + 'static) -> std::io::Result<Process> {
        let mut child = Command::new(this_program()?)
            .args([WORKER, mark()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        std::thread::spawn(move || listen(stdout, hear));
        Ok(Process { child, stdin, errors: Tail::of(stderr) })
    }

    /// Hands it a task.
    pub fn tell(&mut self, task: &Task) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        self.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&line))
    }

    /// There will be no more tasks.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Ends it. Returns what the run that it was busy with wrote to standard error last.
    pub fn kill(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.errors.text()
    }

    /// How it ended, having closed its output, and what its run wrote to standard error last.
    pub fn ended(&mut self) -> (String, String) {
        let since = Instant::now();
        let how = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.to_string(),
                Ok(None) if since.elapsed() > GRACE => break "it closed its output, and was ended".into(),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => break error.to_string(),
            }
        };
        (how, self.kill())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file of this program. On Linux the one that is running, even if it was built anew in the meantime.
fn this_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// What lines of workers begin with. The code under test writes to the same pipes, and must not be taken for a
/// worker, so this is something that nobody prints by chance.
fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        format!("worker-{:x}-{now:x}:", std::process::id())
    })
}

/// Hears what a worker says among all that is printed.
fn listen(stdout: ChildStdout, mut hear: impl FnMut(Option<Said>) -> bool) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        if !stdout.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            break;
        }
        let Some(said) = line.strip_prefix(mark().as_bytes()) else { continue };
        // A line that came apart is the end: the parent cannot know what was done.
        let Ok(said) = serde_json::from_slice(said) else { break };
        if !hear(Some(said)) {
            return;
        }
    }
    hear(None);
}

/// The last of what a worker writes to standard error.
struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Closed when there is no more to read.
    open: Receiver<()>,
}

impl Tail {
    fn of(mut stderr: impl Read + Send + 'static) -> Tail {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (reading, open) = channel::<()>();
        let shared = kept.clone();
        std::thread::spawn(move || {
            let _reading = reading;
            let mut chunk = [0; KEPT];
            while let Ok(count @ 1..) = stderr.read(&mut chunk) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&chunk[..count]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
        });
        Tail { kept, open }
    }

    /// What was written since the last run began. The process has ended; what it started may hold the pipe open.
    fn text(&self) -> String {
        let _ = self.open.recv_timeout(GRACE);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        text.rsplit(mark()).next().unwrap_or_default().trim().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_s_last_words_are_kept() {
        let of = |text: String| Tail::of(std::io::Cursor::new(text)).text();
        assert_eq!(of(format!("earlier\n{}\nlater\n", mark())), "later");
        let long = of(format!("{}\nfirst{}last", mark(), "x".repeat(2 * KEPT)));
        assert!(long.len() == KEPT && long.ends_with("xlast"), "{} bytes", long.len());
    }
}
