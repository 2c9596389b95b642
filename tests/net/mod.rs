//! Clusters of processes, each in a directory of its own: started, asked and stopped with the `shardlab` command.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Within this everything happens, or it never will. The machine may be busy.
pub const SOON: Duration = Duration::from_secs(90);

/// A directory for one test, and the cluster in it. What still runs when the test ends, in whatever way, is killed.
pub struct Place {
    pub root: PathBuf,
    children: Vec<Child>,
}

impl Place {
    /// A fresh directory.
    pub fn new(test: &str) -> Place {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("net-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Place { root, children: Vec::new() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardlab"));
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that reads this from a pipe.
    pub fn piped(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Dropped at once, which ends what there is to be read.
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command prints that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?} ends with {}: {out}{err}", output.status);
        out
    }

    /// The exit code of a command that must fail, and the one line that it says.
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let err = text(&output.stderr);
        let lines: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 1, "{args:?} says one line of what is wrong: {err}");
        assert!(output.stdout.is_empty() || args.contains(&"status"), "{args:?} prints nothing else");
        (output.status.code().expect("it ends by itself"), lines[0].into())
    }

    /// Starts a command that goes on, with its output in a file. Returns its number.
    pub fn begin(&mut self, args: &[&str], output: &str) -> usize {
        self.spawn(self.command(args), output)
    }

    /// The same, after a shell has carried out what its limits are to be.
    pub fn begin_under(&mut self, limits: &str, args: &[&str], output: &str) -> usize {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_shardlab");
        command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), program]).args(args);
        command.current_dir(&self.root).stdin(Stdio::null());
        self.spawn(command, output)
    }

    fn spawn(&mut self, mut command: Command, output: &str) -> usize {
        let out = File::create(self.root.join(output)).unwrap();
        let child = command.stderr(out.try_clone().unwrap()).stdout(out).spawn().unwrap();
        self.children.push(child);
        self.children.len() - 1
    }

    /// Whether a command that was begun has ended by itself.
    pub fn has_ended(&mut self, begun: usize) -> bool {
        self.children[begun].try_wait().unwrap().is_some()
    }

    /// Waits until it has.
    pub fn wait(&mut self, begun: usize) -> ExitStatus {
        let child = &mut self.children[begun];
        until("it has ended", || child.try_wait().unwrap())
    }

    /// Starts a cluster, and waits until it is up.
    pub fn up(&mut self, args: &[&str], output: &str) -> usize {
        let begun = self.begin(args, output);
        until(&format!("{args:?} is up"), || {
            let said = self.file(output);
            let ended = self.children[begun].try_wait().unwrap();
            assert!(ended.is_none(), "it has ended with {ended:?}: {said}");
            said.contains(" is up: ").then_some(())
        });
        begun
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    /// Tells a command that was begun to end, and waits until it has.
    pub fn end(&mut self, begun: usize, signal: &str) -> ExitStatus {
        let child = &mut self.children[begun];
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        until("a process that was told to end has ended", || child.try_wait().unwrap())
    }

    /// The rows of the status of a cluster: node, part, address, state, and so on.
    pub fn rows(&self, dir: &str) -> Vec<Vec<String>> {
        let table = self.ok(&["cluster", "status", "--dir", dir]);
        let columns = |line: &str| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect()
        };
        table.lines().skip(1).map(columns).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nodes are no children of ours: they are found where they live.
        let homes =
            fs::read_dir(&self.root).into_iter().flatten().flatten().flat_map(|dir| fs::read_dir(dir.path()));
        for home in homes.flatten().flatten() {
            if let Ok(layout) = shardlab::cluster::Layout::load(&home.path().with_file_name("cluster.toml")) {
                layout.nodes.values().for_each(|member| _ = shardlab::cluster::processes::kill(member));
            }
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until something is there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    shardlab::cluster::processes::free_ports(1).unwrap()[0]
}
