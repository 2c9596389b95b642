//! The layout: which nodes are in a cluster, where, and what each is for. Somebody sets it up, in a file or on a command line.
//!
//! ```toml
//! cluster = 7                    # nodes of other clusters are not talked to
//! shards = 16                    # the same for ever
//! secret_file = "secret"         # optional: what all nodes know and nobody else
//! me = "g1-1"                    # optional: which node `node start` starts
//!
//! [tls]                          # optional: all connections are in TLS, and both ends show a certificate
//! ca_file = "tls/ca.pem"         # that of the authority that signs them
//! cert_file = "tls/{name}.pem"   # this side's own: {name} is the name of the node, and `client` for clients
//! key_file = "tls/{name}.key"
//!
//! [[node]]
//! name = "m1"                    # the first server of the controller
//! address = "10.0.0.1:7001"      # where it is reached
//!
//! [[node]]
//! name = "g1-1"                  # the first server of group 1
//! address = "10.0.0.1:7101"
//! listen = "0.0.0.0:7101"        # optional: where it listens, if that is not its address
//! dir = "/var/lib/shardlab/g1-1" # optional: its directory; else a directory of its name beside this file
//!
//! [[node]]
//! name = "berlin"                # a name that does not say what the node is for
//! part = "group 1"
//! id = 102
//! address = "10.0.0.2:7101"
//!
//! [[node]]
//! name = "g1-4"
//! address = "10.0.0.3:7101"
//! joins = true                   # its group was there before: it belongs to it when it is added (`cluster members`)
//!
//! [[gone]]                       # it was taken out of its group for good: name and id are nobody's any more
//! name = "g1-2"
//! joined = true                  # if it had joined, as g1-4 does
//! ```
//!
//! The servers of a part that neither join nor have joined are its *founders*: with them its log begins. Each node remembers
//! them from its first start on, whatever the file says later.
//!
//! The certificate of a node has a DNS name that says which node of which cluster it is: [`labrpc::net::certificate_name`].
//!
//! Every mistake is one line, which names file and field and says what to do.

use super::authority::{CLIENT, NAME};
use crate::shardmaster::{GroupId, MAX_SHARDS};
use labrpc::NodeId;
use labrpc::net::{FIRST_CLIENT, Secret, Tls, TlsError, TlsFiles};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Groups have their ids from this many times their number on, unless the layout says otherwise.
const IDS_A_GROUP: u64 = 100;
/// Most shards, and how many there are unless the layout says otherwise.
const SHARDS: u32 = 16;

/// What a node is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Part {
    /// It is a server of the shard controller.
    Controller,
    /// It is a server of this group.
    Group(GroupId),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Controller => f.pad("controller"),
            Part::Group(group) => f.pad(&group.to_string()),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let number = || text.strip_prefix("group ")?.parse().ok().filter(|number| *number > 0);
        match (text, number()) {
            ("controller", _) => Ok(Part::Controller),
            (_, Some(number)) => Ok(Part::Group(GroupId(number))),
            _ => Err(format!("`{text}` is no part: write \"controller\" or, say, \"group 1\"")),
        }
    }
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Part, String> {
        text.parse()
    }
}

impl From<Part> for String {
    fn from(part: Part) -> String {
        part.to_string()
    }
}

/// One node of a layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id on the wire and on disks.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// Where it is reached, as `host:port`.
    pub address: String,
    /// Where it listens, if not there.
    pub listen: Option<String>,
    /// Its directory.
    pub dir: PathBuf,
    /// Its part was there before it: it is a member when it has been added.
    pub joins: bool,
    /// The name of the node in whose place it comes, until it has.
    pub replaces: Option<String>,
}

/// A node that was taken out for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gone {
    /// What it was called.
    pub name: String,
    /// What it was for.
    pub part: Part,
    /// Whether it had joined a part that was there before it.
    pub joined: bool,
}

/// Which nodes there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Which cluster it is.
    pub cluster: u64,
    /// How many shards there are.
    pub shards: u32,
    /// Where the shared secret is, if there is one.
    pub secret_file: Option<PathBuf>,
    /// Where certificates are, if all talk in TLS. `{name}` in a path stands for the name of a node, and for `client`.
    pub tls: Option<TlsFiles>,
    /// Which node is to be started from this file.
    pub me: Option<String>,
    /// The nodes.
    pub nodes: BTreeMap<NodeId, Member>,
    /// Those that are nodes no more.
    pub gone: BTreeMap<NodeId, Gone>,
}

/// Why a layout is none: one line that names the file and says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct LayoutError {
    /// The file, or whatever else it was said in.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: u64,
    #[serde(default = "usual_shards")]
    shards: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    me: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Table>,
    #[serde(default)]
    node: Vec<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<GoneLine>,
}

/// Certificates.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    ca_file: String,
    cert_file: String,
    key_file: String,
}

const fn usual_shards() -> u32 {
    SHARDS
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    #[serde(default, skip_serializing_if = "is_not")]
    joins: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoneLine {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(default, skip_serializing_if = "is_not")]
    joined: bool,
}

// serde asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(flag: &bool) -> bool {
    !flag
}

impl Layout {
    /// A layout without nodes.
    pub fn new(cluster: u64) -> Layout {
        Layout {
            cluster,
            shards: SHARDS,
            secret_file: None,
            tls: None,
            me: None,
            nodes: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn load(path: &Path) -> Result<Layout, LayoutError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|why| LayoutError {
            place: place.clone(),
            what: format!("cannot be read: {why}. Name the file that says which nodes there are"),
        })?;
        // What stands there is meant as seen from the file.
        let base = path.parent().map(PathBuf::from).unwrap_or_default();
        Layout::parse(&text, &base).map_err(|what| LayoutError { place, what })
    }

    fn parse(text: &str, base: &Path) -> Result<Layout, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map_or(String::new(), |line| format!("line {line}: "));
            let what = error.message().trim().replace('\n', ", ");
            format!("{line}{what}. `docs/architecture.md` shows what such a file looks like")
        })?;
        let File { cluster, shards, secret_file, me, tls, node, gone } = file;
        let secret_file = secret_file.map(|file| base.join(file));
        let tls = tls.map(|Table { ca_file, cert_file, key_file }| TlsFiles {
            ca: base.join(ca_file),
            cert: base.join(cert_file),
            key: base.join(key_file),
        });
        let mut layout = Layout { shards, secret_file, tls, me, ..Layout::new(cluster) };
        for GoneLine { name, part, id, joined } in gone {
            let (part, id) = who(&name, part, id)?;
            layout.gone.insert(id, Gone { name, part, joined });
        }
        for Line { name, part, id, address, listen, dir, joins, replaces } in node {
            let (part, id) = who(&name, part, id)?;
            let dir = base.join(dir.as_deref().unwrap_or(&name));
            layout.add(Member { id, name, part, address, listen, dir, joins, replaces })?;
        }
        layout.check()?;
        Ok(layout)
    }

    /// Adds a node of which only name and address are known: the name says what it is for. `joins`: its part was there before it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_named(&mut self, name: &str, address: &str, dir: PathBuf, joins: bool) -> Result<(), String> {
        let (part, id) = named(name).ok_or_else(|| {
            format!(
                "node `{name}`: the name does not say what it is for: call it, say, m1 or g2-3, or write a file"
            )
        })?;
        let (name, address) = (name.to_string(), address.to_string());
        self.add(Member { id, name, part, address, listen: None, dir, joins, replaces: None })
    }

    fn add(&mut self, member: Member) -> Result<(), String> {
        let Member { id, name, address, .. } = &member;
        if name.is_empty() || name.len() > 64 || name.contains(|c: char| !c.is_ascii_graphic() || c == '/') {
            return Err(format!("node `{name}`: `name` must be 1 to 64 printable characters without a slash"));
        }
        if id.0 == 0 || id.0 >= FIRST_CLIENT {
            return Err(format!("node `{name}`: `id` is {}: give it one from 1 to {}", id.0, FIRST_CLIENT - 1));
        }
        for (field, address) in [("address", Some(address)), ("listen", member.listen.as_ref())] {
            let port =
                address.map(|address| address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())));
            if let Some(port) = port
                && !matches!(port, Some((host, Ok(port))) if !host.is_empty() && port > 0)
            {
                let address = address.expect("it has a port or not");
                return Err(format!(
                    "node `{name}`: `{field}` is `{address}`: write host:port, as in 10.0.0.1:7001"
                ));
            }
        }
        for other in self.nodes.values() {
            let twice =
                [("id", other.id == *id), ("name", other.name == *name), ("address", other.address == *address)];
            if let Some((field, _)) = twice.into_iter().find(|(_, same)| *same) {
                return Err(format!(
                    "nodes `{}` and `{name}` have the same `{field}`: give each its own",
                    other.name
                ));
            }
        }
        if let Some(gone) =
            self.gone.iter().find(|(gone, it)| *gone == id || it.name == *name).map(|(_, it)| &it.name)
        {
            return Err(format!(
                "node `{name}`: `{gone}` had that name or `id` and is gone: give it ones that nobody had"
            ));
        }
        self.nodes.insert(*id, member);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.cluster == 0 || i64::try_from(self.cluster).is_err() {
            return Err(format!("`cluster` is {}: give it a number from 1 to {}", self.cluster, i64::MAX));
        }
        if self.shards == 0 || self.shards > MAX_SHARDS {
            return Err(format!("`shards` is {}: give it a number from 1 to {MAX_SHARDS}", self.shards));
        }
        if let Some(me) = &self.me
            && self.named(me).is_none()
        {
            return Err(format!("`me` is `{me}`, and there is no node of that name"));
        }
        if self.of(Part::Controller).next().is_none() {
            return Err("there is no node with part = \"controller\": every cluster has at least one".into());
        }
        Ok(())
    }

    /// Checks what was put together without a file.
    ///
    /// # Errors
    /// [`LayoutError`], which says that it was in `place`.
    pub fn checked(self, place: &str) -> Result<Layout, LayoutError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(what) => Err(LayoutError { place: place.into(), what }),
        }
    }

    /// Writes the file, as a whole or not at all.
    ///
    /// # Errors
    /// What the machine says.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let base = path.parent().unwrap_or(Path::new(""));
        let relative = |path: &Path| path.strip_prefix(base).unwrap_or(path).display().to_string();
        let line = |member: &Member| {
            let usual = named(&member.name);
            let dir = relative(&member.dir);
            Line {
                name: member.name.clone(),
                part: (usual.map(|(part, _)| part) != Some(member.part)).then_some(member.part),
                id: (usual.map(|(_, id)| id) != Some(member.id)).then_some(member.id.0),
                address: member.address.clone(),
                listen: member.listen.clone(),
                dir: (dir != member.name).then_some(dir),
                joins: member.joins,
                replaces: member.replaces.clone(),
            }
        };
        let gone = |(id, it): (&NodeId, &Gone)| {
            let usual = named(&it.name);
            GoneLine {
                name: it.name.clone(),
                part: (usual.map(|(part, _)| part) != Some(it.part)).then_some(it.part),
                id: (usual.map(|(_, id)| id) != Some(*id)).then_some(id.0),
                joined: it.joined,
            }
        };
        let file = File {
            cluster: self.cluster,
            shards: self.shards,
            secret_file: self.secret_file.as_deref().map(relative),
            me: self.me.clone(),
            tls: self.tls.as_ref().map(|files| Table {
                ca_file: relative(&files.ca),
                cert_file: relative(&files.cert),
                key_file: relative(&files.key),
            }),
            node: self.nodes.values().map(line).collect(),
            gone: self.gone.iter().map(gone).collect(),
        };
        let text = toml::to_string(&file).expect("numbers and strings can be written");
        let draft = path.with_extension("draft");
        let mut out = std::fs::File::create(&draft)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&draft, path)?;
        std::fs::File::open(if base.as_os_str().is_empty() { Path::new(".") } else { base })?.sync_all()
    }

    /// The node of that name.
    pub fn named(&self, name: &str) -> Option<&Member> {
        self.nodes.values().find(|member| member.name == name)
    }

    /// The nodes of a part.
    pub fn of(&self, part: Part) -> impl Iterator<Item = &Member> {
        self.nodes.values().filter(move |member| member.part == part)
    }

    /// The servers with which the log of a part began.
    pub fn founders(&self, part: Part) -> Vec<NodeId> {
        let founders = self.of(part).filter(|member| !member.joins).map(|member| member.id);
        let gone = self.gone.iter().filter(|(_, gone)| gone.part == part && !gone.joined).map(|(id, _)| *id);
        let mut founders: Vec<NodeId> = founders.chain(gone).collect();
        founders.sort_unstable();
        founders
    }

    /// A node is taken out for good.
    pub fn retire(&mut self, node: NodeId) {
        if let Some(Member { name, part, joins, .. }) = self.nodes.remove(&node) {
            self.nodes.values_mut().for_each(|other| _ = other.replaces.take_if(|replaced| *replaced == name));
            self.gone.insert(node, Gone { name, part, joined: joins });
        }
    }

    /// A name for one more server of a part, that nobody has or had.
    pub fn next_name(&self, part: Part) -> String {
        let name = |nth: u64| match part {
            Part::Controller => format!("m{nth}"),
            Part::Group(group) => format!("g{}-{nth}", group.0),
        };
        let is_free = |name: &String| {
            let id = named(name).map(|(_, id)| id);
            let taken = |other: &NodeId, called: &String| called == name || Some(*other) == id;
            !self.nodes.iter().any(|(id, it)| taken(id, &it.name))
                && !self.gone.iter().any(|(id, it)| taken(id, &it.name))
        };
        (1..).map(name).find(is_free).expect("names do not run out")
    }

    /// The groups.
    pub fn groups(&self) -> Vec<GroupId> {
        let groups = self.nodes.values().filter_map(|member| match member.part {
            Part::Group(group) => Some(group),
            Part::Controller => None,
        });
        let mut groups: Vec<GroupId> = groups.collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// The shared secret, if there is one.
    ///
    /// # Errors
    /// [`LayoutError`]: it cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, LayoutError> {
        self.secret_file.as_deref().map(read_secret).transpose()
    }

    /// Where the certificates of the node of that name are, if there are any.
    pub fn tls_files(&self, name: &str) -> Option<TlsFiles> {
        let named = |path: &Path| path.to_str().map_or(path.into(), |path| path.replace(NAME, name).into());
        let TlsFiles { ca, cert, key } = self.tls.as_ref()?;
        Some(TlsFiles { ca: named(ca), cert: named(cert), key: named(key) })
    }

    /// Where those of clients are.
    pub fn client_tls_files(&self) -> Option<TlsFiles> {
        self.tls_files(CLIENT)
    }

    /// With what the node of that name talks in TLS, if all do.
    ///
    /// # Errors
    /// [`LayoutError`]: a file cannot be read or used.
    pub fn tls(&self, name: &str) -> Result<Option<Tls>, LayoutError> {
        self.tls_files(name).as_ref().map(read_tls).transpose()
    }

    /// With what clients do.
    ///
    /// # Errors
    /// As [`Layout::tls`].
    pub fn client_tls(&self) -> Result<Option<Tls>, LayoutError> {
        self.tls(CLIENT)
    }
}

/// The certificates in these files.
pub(super) fn read_tls(files: &TlsFiles) -> Result<Tls, LayoutError> {
    Tls::load(files).map_err(|TlsError { path, what }| LayoutError { place: path.display().to_string(), what })
}

/// The secret in a file. Space around it does not count.
pub(super) fn read_secret(path: &Path) -> Result<Secret, LayoutError> {
    let wrong = |what| LayoutError { place: path.display().to_string(), what };
    let bytes = std::fs::read(path).map_err(|why| wrong(format!("the secret cannot be read: {why}")))?;
    let secret = bytes.trim_ascii();
    if secret.len() < Secret::SHORTEST {
        let least = Secret::SHORTEST;
        return Err(wrong(format!(
            "the secret has {} bytes: put {least} or more there, drawn at random",
            secret.len()
        )));
    }
    Ok(Secret::new(secret))
}

/// What a name says by itself: `m2` is the second server of the controller, and `g3-1` the first of group 3.
fn named(name: &str) -> Option<(Part, NodeId)> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|nth| *nth > 0 && !text.starts_with(['0', '+']));
    if let Some(nth) = name.strip_prefix('m').and_then(number) {
        return (u64::from(nth) < IDS_A_GROUP).then_some((Part::Controller, NodeId(nth)));
    }
    let (group, nth) = name.strip_prefix('g')?.split_once('-')?;
    let (group, nth) = (u64::from(number(group)?), u64::from(number(nth)?));
    let id = u32::try_from(group * IDS_A_GROUP + nth).ok()?;
    (nth < IDS_A_GROUP).then_some((Part::Group(GroupId(group)), NodeId(id)))
}

/// What a node is for, and its id: as the file says, or its name.
fn who(name: &str, part: Option<Part>, id: Option<u32>) -> Result<(Part, NodeId), String> {
    let usual = named(name);
    let part = part.or(usual.map(|(part, _)| part)).ok_or_else(|| unclear(name, "part"))?;
    let id = id.map(NodeId).or(usual.map(|(_, id)| id)).ok_or_else(|| unclear(name, "id"))?;
    Ok((part, id))
}

fn unclear(name: &str, field: &str) -> String {
    format!(
        "node `{name}`: `{field}` is missing, and the name does not say it: write it, or call the node, say, m1 or g2-3"
    )
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
