//! A cluster that was begun with TLS: it is for those who have its certificates, and for nobody else.

use crate::net::Place;
use shardlab::cluster::{Authority, Layout, Part};
use shardlab::shardmaster::GroupId;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const REPLICAS: &str = "2";

fn begin(place: &mut Place) -> usize {
    place.up(&["cluster", "up", "--tls", "--groups", "1", "--replicas", REPLICAS, "--dir", "data"], "up")
}

/// Flags that name an authority, and somebody's certificate with its key.
fn files(ca: &str, cert: &str) -> Vec<String> {
    let (cert, key) = (format!("{cert}.pem"), format!("{cert}.key"));
    ["--ca-file", ca, "--cert-file", &cert, "--key-file", &key].map(String::from).into()
}

fn with<'a>(args: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

#[test]
fn a_cluster_in_tls_is_for_those_who_have_its_certificates() {
    let mut place = Place::new("tls");
    let up = begin(&mut place);
    // On its machine nobody has to name anything.
    assert_eq!(place.ok(&["kv", "put", "a", "1", "--dir", "data"]), "version 1\n");
    assert_eq!(place.ok(&["kv", "get", "a", "--dir", "data"]), "1\n");
    let rows = place.rows("data");
    assert!(rows.len() == 4 && rows.iter().all(|row| row[3] != "down"), "{rows:?}");
    place.ok(&["bench", "--dir", "data", "--clients", "2", "--keys", "2", "--for", "200ms", "--warm-up", "0s"]);
    let layout = Layout::load(&place.root.join("data/cluster.toml")).unwrap();
    let entry = layout.of(Part::Group(GroupId(1))).next().unwrap().address.clone();
    let get = ["kv", "get", "a", "--entry", &entry];
    // A client elsewhere has a copy of three files.
    let ours = files("data/tls/ca.pem", "data/tls/client");
    assert!(place.file("up").contains(&format!(" with {}\n", ours.join(" "))), "{}", place.file("up"));
    assert_eq!(place.ok(&with(&get, &ours)), "1\n");
    assert_eq!(place.ok(&with(&["cluster", "status", "--entry", &entry], &ours)).lines().count(), 5);
    // Somebody who has begun a cluster of the same number has an authority that calls itself the same.
    for (other, cluster) in [("other", 99), ("same", layout.cluster)] {
        Authority::begin(&mut Layout::new(cluster), &place.root.join(other)).unwrap();
    }
    let cases = [
        (vec![], 3, "speaks TLS, and this node does not: give certificates to both sides"),
        (
            files("data/tls/ca.pem", "other/client"),
            3,
            "does not take the certificate of this node: it is of another authority",
        ),
        (
            files("data/tls/ca.pem", "same/client"),
            3,
            "does not take the certificate of this node: it says DecryptError",
        ),
        (files("other/ca.pem", "other/client"), 3, "shows a certificate of another authority than this node's"),
        (files("same/ca.pem", "same/client"), 3, "shows a certificate that its authority has not signed"),
        (files("data/tls/ca.pem", "data/tls/nobody"), 2, "data/tls/nobody.pem: certificate cannot be read"),
        (ours[..4].to_vec(), 2, "--ca-file, --cert-file and --key-file belong together"),
    ];
    for (more, code, told) in cases {
        let (ended, why) = place.fails(&with(&get, &more));
        assert!(ended == code && why.contains(told), "{more:?}: {ended} {why}");
    }
    let (code, why) = place.fails(&with(&["kv", "get", "a", "--dir", "data"], &ours));
    assert!(
        code == 2 && why.contains("with --dir the certificates are those that its layout names"),
        "{code} {why}"
    );
    assert!(place.end(up, "-TERM").success());
}

/// How a command ends that would go on if it were not refused, and what it says.
fn ends(place: &mut Place, args: &[&str]) -> (Option<i32>, String) {
    let begun = place.begin(args, "refused");
    (place.wait(begun).code(), place.file("refused"))
}

#[test]
fn nodes_in_tls_are_restarted_and_joined_and_none_is_started_as_another() {
    let mut place = Place::new("tls-nodes");
    let up = begin(&mut place);
    place.ok(&["kv", "put", "a", "1", "--dir", "data"]);
    let mode = |path: &str| fs::metadata(place.root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data/tls"), mode("data/tls/ca.key"), mode("data/tls/g1-1.key")), (0o700, 0o600, 0o600));
    // A group that comes later has its certificates signed by the same authority.
    place.ok(&["cluster", "join", "2", "--replicas", "1", "--timeout", "60s", "--dir", "data"]);
    place.ok(&["cluster", "kill", "g1-2", "--dir", "data"]);
    let start = ["node", "start", "--config", "data/cluster.toml", "--name", "g1-2"];
    let (code, why) = ends(&mut place, &with(&start, &files("data/tls/ca.pem", "data/tls/g1-1")));
    assert!(
        code == Some(1) && why.contains("this is not a certificate of S102: it must have node-102.cluster-"),
        "{why}"
    );
    let key = place.root.join("data/tls/g1-2.key");
    fs::set_permissions(&key, Permissions::from_mode(0o604)).unwrap();
    let (code, why) = ends(&mut place, &start);
    assert!(
        code == Some(2) && why.contains("data/tls/g1-2.key: everybody on this machine can read the key"),
        "{why}"
    );
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    place.ok(&["cluster", "restart", "g1-2", "--timeout", "60s", "--dir", "data"]);
    assert_eq!(place.ok(&["kv", "get", "a", "--timeout", "60s", "--dir", "data"]), "1\n");
    // Without the key of the authority nobody can be added, and nothing is.
    fs::remove_file(place.root.join("data/tls/ca.key")).unwrap();
    let before = place.file("data/cluster.toml");
    let (code, why) = place.fails(&["cluster", "join", "3", "--dir", "data"]);
    assert!(code == 1 && why.contains("data/tls/ca.key: the key of the authority cannot be used"), "{code} {why}");
    assert_eq!(place.file("data/cluster.toml"), before);
    assert!(place.end(up, "-TERM").success());
    // What was begun is taken up, and what was begun without TLS stays so.
    let up = place.up(&["cluster", "up", "--tls", "--dir", "data"], "up-again");
    assert_eq!(place.ok(&["kv", "get", "a", "--timeout", "60s", "--dir", "data"]), "1\n");
    assert!(place.end(up, "-TERM").success());
    let text = place.file("data/cluster.toml");
    let (before, after) = (text.find("[tls]").unwrap(), text.find("[[node]]").unwrap());
    fs::write(place.root.join("data/cluster.toml"), [&text[..before], &text[after..]].concat()).unwrap();
    let (code, why) = ends(&mut place, &["cluster", "up", "--tls", "--dir", "data"]);
    assert!(code == Some(2) && why.contains("was begun without --tls"), "{why}");
}
