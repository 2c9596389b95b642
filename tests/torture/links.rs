//! Links that can be cut: each node in a network namespace of its own, all on one bridge, on which clients are, too.
//!
//! A link is cut in one direction by a wrong hardware address: what one node sends to the other goes to nobody, as in a network that
//! loses it, and the sender is told nothing. Connections stay, and go on when the link is mended.
//!
//! It takes the right to make namespaces, and this process must be in one of its own, which ends with it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where namespaces have their names.
const NAMES: &str = "/run/netns";
/// The hardware address of nobody.
const NOBODY: &str = "02:00:00:00:00:01";
/// The bridge, as clients see it.
const BRIDGE: &str = "10.77.0.254";
/// Where nodes listen.
const PORT: u16 = 7000;

/// The links between nodes.
pub struct Links {
    names: Vec<String>,
    /// How many have cut each, from one node to another.
    cuts: BTreeMap<(String, String), u32>,
}

impl Links {
    /// Has the nodes with these names each in a namespace of its own.
    ///
    /// # Errors
    /// Why this machine does not let us.
    pub fn lay(names: &[String]) -> Result<Links, String> {
        // What is mounted and named here is nobody else's business.
        must("mount", &["--make-rprivate", "/"], "")?;
        std::fs::create_dir_all(NAMES).map_err(|why| format!("{NAMES}: {why}"))?;
        must("mount", &["-t", "tmpfs", "names", NAMES], "")?;
        let bridge = format!(
            "link set lo up\nlink add bridge type bridge\naddress add {BRIDGE}/24 dev bridge\nlink set bridge up\n"
        );
        must("ip", &["-batch", "-"], &bridge)?;
        let links = Links { names: names.to_vec(), cuts: BTreeMap::new() };
        for name in names {
            must("ip", &["netns", "add", name], "")?;
            let (address, card) = (links.address(name), links.card(name));
            let outside = format!(
                "link add {name} type veth peer name eth address {card} netns {name}\n\
                link set {name} master bridge\nlink set {name} up\n"
            );
            must("ip", &["-batch", "-"], &outside)?;
            let inside = format!("link set lo up\naddress add {address}/24 dev eth\nlink set eth up\n");
            must("ip", &["-netns", name, "-batch", "-"], &inside)?;
        }
        Ok(links)
    }

    fn number(&self, name: &str) -> usize {
        1 + self.names.iter().position(|one| one == name).expect("every node has a namespace")
    }

    fn address(&self, name: &str) -> String {
        format!("10.77.0.{}", self.number(name))
    }

    /// Its hardware address.
    fn card(&self, name: &str) -> String {
        format!("02:00:00:00:01:{:02x}", self.number(name))
    }

    /// Where a node is reached.
    pub fn socket(&self, name: &str) -> String {
        format!("{}:{PORT}", self.address(name))
    }

    /// A command that runs in a node's namespace, under the number of the process that is started.
    pub fn inside(name: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMES}/{name}")).arg(program);
        command
    }

    /// From now on what one node sends to the other is lost.
    pub fn cut(&mut self, from: &str, to: &str) {
        let cuts = self.cuts.entry((from.into(), to.into())).or_default();
        *cuts += 1;
        if *cuts == 1 {
            self.send_to(NOBODY, from, to);
        }
    }

    /// From now on it arrives, unless somebody else has cut it, too.
    pub fn mend(&mut self, from: &str, to: &str) {
        let cuts = self.cuts.get_mut(&(from.into(), to.into())).expect("it was cut");
        *cuts -= 1;
        if *cuts == 0 {
            self.send_to(&self.card(to), from, to);
        }
    }

    /// What one node sends to the other goes to that card.
    fn send_to(&self, card: &str, from: &str, to: &str) {
        let entry = format!("neighbour replace {} lladdr {card} dev eth nud permanent\n", self.address(to));
        must("ip", &["-netns", from, "-batch", "-"], &entry).unwrap();
    }
}

/// A program that is in a network of its own, with mounts of its own.
pub fn in_a_network_of_its_own(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(program);
    command
}

/// Whether this machine has all that it takes.
///
/// # Errors
/// What it says.
pub fn possible() -> Result<(), String> {
    let own = ["--net", "--mount", "--"];
    let attempts: [&[&str]; 3] = [
        &["mount", "--make-rprivate", "/"],
        &["ip", "link", "add", "bridge", "type", "bridge"],
        &["ip", "link", "add", "one", "type", "veth", "peer", "name", "other"],
    ];
    attempts.iter().try_for_each(|attempt| must("unshare", &[&own[..], attempt].concat(), ""))?;
    must("nsenter", &["--version"], "")
}

/// Runs a command that must succeed.
fn must(program: &str, args: &[&str], input: &str) -> Result<(), String> {
    let said = |why: &dyn std::fmt::Display| format!("{program} {}: {why}", args.join(" "));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|why| said(&why))?;
    let mut pipe = child.stdin.take().expect("it has a pipe");
    // One that ends without reading says why.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().map_err(|why| said(&why))?;
    let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', ", ");
    if output.status.success() { Ok(()) } else { Err(said(&why)) }
}
