//! Layouts that are read, written, and refused.

use super::*;

const WHOLE: &str = r#"
cluster = 7
shards = 8
secret_file = "secret"
me = "g1-1"

[tls]
ca_file = "/etc/shardlab/ca.pem"
cert_file = "tls/{name}.pem"
key_file = "tls/{name}.key"

[[node]]
name = "m1"
address = "10.0.0.1:7001"

[[node]]
name = "g1-1"
address = "10.0.0.1:7101"
listen = "0.0.0.0:7101"
dir = "/data/g1-1"

[[node]]
name = "berlin"
part = "group 1"
id = 102
address = "berlin.example:7101"
"#;

fn parse(text: &str) -> Result<Layout, String> {
    Layout::parse(text, Path::new("base"))
}

#[test]
fn names_say_what_nodes_are_for_and_the_file_may_say_otherwise() {
    let layout = parse(WHOLE).unwrap();
    let said: Vec<(u32, &str, String)> =
        layout.nodes.values().map(|node| (node.id.0, &*node.name, node.part.to_string())).collect();
    let expected = [(1, "m1", "controller"), (101, "g1-1", "group 1"), (102, "berlin", "group 1")];
    assert_eq!(said, expected.map(|(id, name, part)| (id, name, part.to_string())));
    assert_eq!(layout.nodes[&NodeId(1)].dir, Path::new("base/m1"));
    assert_eq!(layout.nodes[&NodeId(101)].dir, Path::new("/data/g1-1"));
    assert_eq!(layout.secret_file.as_deref(), Some(Path::new("base/secret")));
    assert_eq!(layout.groups(), [GroupId(1)]);
    let files = layout.tls_files("berlin").unwrap();
    assert_eq!(files.ca, Path::new("/etc/shardlab/ca.pem"));
    assert_eq!((&*files.cert, &*files.key), (Path::new("base/tls/berlin.pem"), Path::new("base/tls/berlin.key")));
    assert_eq!(Layout::new(7).tls_files("berlin"), None);
}

#[test]
fn what_is_written_is_what_is_read() {
    let dir = std::env::temp_dir().join(format!("shardlab-layout-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("cluster.toml");
    let layout = Layout::parse(WHOLE, &dir).unwrap();
    layout.save(&path).unwrap();
    assert_eq!(Layout::load(&path).unwrap(), layout);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn each_mistake_is_one_line_that_names_the_field_and_what_to_do() {
    let mistakes = [
        ("cluster = 7", "", "missing field `cluster`"),
        ("cluster = 7", "cluster = 0", "`cluster` is 0: give it a number"),
        ("cluster = 7", "cluster = \"seven\"", "line 2: invalid type: string \"seven\""),
        ("shards = 8", "shards = 0", "`shards` is 0: give it a number"),
        ("shards = 8", "shard = 8", "line 3: unknown field `shard`, expected one of `cluster`, `shards`"),
        ("me = \"g1-1\"", "me = \"g1-9\"", "`me` is `g1-9`, and there is no node of that name"),
        ("key_file = \"tls/{name}.key\"", "", "missing field `key_file`"),
        ("key_file", "key", "line 10: unknown field `key`, expected one of `ca_file`, `cert_file`, `key_file`"),
        ("name = \"m1\"", "name = \"m1\"\npart = \"group 1\"", "there is no node with part = \"controller\""),
        ("part = \"group 1\"", "part = \"group 0\"", "`group 0` is no part: write \"controller\""),
        ("part = \"group 1\"", "", "node `berlin`: `part` is missing"),
        ("id = 102", "", "node `berlin`: `id` is missing"),
        ("id = 102", "id = 101", "nodes `g1-1` and `berlin` have the same `id`"),
        ("id = 102", "id = 0", "node `berlin`: `id` is 0"),
        ("berlin.example:7101", "berlin.example", "node `berlin`: `address` is `berlin.example`: write host:port"),
        ("0.0.0.0:7101", "0.0.0.0:0", "node `g1-1`: `listen` is `0.0.0.0:0`: write host:port"),
        ("berlin.example:7101", "10.0.0.1:7101", "have the same `address`"),
        ("name = \"berlin\"", "name = \"ber lin\"", "`name` must be 1 to 64 printable characters"),
        ("id = 102", "id = 102\nport = 3", "unknown field `port`"),
    ];
    for (right, wrong, told) in mistakes {
        let text = WHOLE.replacen(right, wrong, 1);
        assert_ne!(text, WHOLE);
        let why = parse(&text).expect_err(wrong);
        assert!(why.contains(told) && !why.contains('\n'), "for `{wrong}`: {why}");
    }
    let missing = Layout::load(Path::new("nowhere/cluster.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere/cluster.toml: cannot be read"), "{missing}");
}

#[test]
fn only_names_that_say_it_are_taken_to_say_it() {
    assert_eq!(named("m12"), Some((Part::Controller, NodeId(12))));
    assert_eq!(named("g12-3"), Some((Part::Group(GroupId(12)), NodeId(1_203))));
    for name in ["m", "m0", "m01", "m+1", "m100", "g1", "g0-1", "g1-0", "g1-100", "g-1", "g99999999-1", "mars"] {
        assert_eq!(named(name), None, "{name}");
    }
}
