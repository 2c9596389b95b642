//! Servers of a cluster that are replaced for good, and the other things that somebody does to a node from afar.

mod net;

use net::{Place, text, until};
use shardlab::cluster::{Layout, processes};
use std::fs;

fn in_dir<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--timeout", "60s", "--dir", "data"]].concat()
}

/// One server after the other dies with its disk and is replaced, until none of those is left with whom the group began.
#[test]
fn dead_servers_are_replaced_until_none_of_the_first_ones_is_left() {
    let mut place = Place::new("members");
    let up = place.up(&["cluster", "up", "--groups", "2", "--replicas", "3", "--dir", "data"], "up");
    for key in 0..20 {
        place.ok(&in_dir(&["kv", "put", &format!("k{key}"), &format!("v{key}")]));
    }
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "1"])), "group 1: g1-1 g1-2 g1-3\n");
    for (dead, new) in [("g1-2", "g1-4"), ("g1-1", "g1-5"), ("g1-3", "g1-6")] {
        place.ok(&in_dir(&["cluster", "kill", dead]));
        fs::remove_dir_all(place.root.join("data").join(dead)).unwrap();
        let said = place.ok(&in_dir(&["cluster", "replace", dead]));
        assert_eq!(said, format!("{new} runs\n{new} has taken the place of {dead}\n"));
        // The other group finds those that there are now, and so does whoever asks the controller.
        place.ok(&in_dir(&["kv", "append", "k0", new]));
    }
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "g1"])), "group 1: g1-4 g1-5 g1-6\n");
    let (code, why) = place.fails(&in_dir(&["cluster", "replace", "g1-2"]));
    assert!(code == 2 && why.contains("there is no node `g1-2`"), "{why}");
    // And all of the controller. The groups find those that there are then without being started again.
    for gone in ["m1", "m2", "m3"] {
        place.ok(&in_dir(&["cluster", "replace", gone]));
    }
    place.ok(&in_dir(&["cluster", "leave", "2"]));
    until("group 1 has all shards", || {
        let rows = place.rows("data");
        let mut all = rows.iter().filter(|row| row[1] == "group 1");
        all.all(|row| row.last().is_some_and(|it| it.starts_with("0-15 in"))).then_some(())
    });
    // All of it again, from disks.
    assert!(place.end(up, "-INT").success());
    let up = place.up(&["cluster", "up", "--dir", "data"], "up-again");
    assert_eq!(place.ok(&in_dir(&["kv", "get", "k0"])), "v0g1-4g1-5g1-6\n");
    for key in 1..20 {
        assert_eq!(place.ok(&in_dir(&["kv", "get", &format!("k{key}")])), format!("v{key}\n"));
    }
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "1"])), "group 1: g1-4 g1-5 g1-6\n");
    assert!(place.end(up, "-TERM").success());
}

/// The names and ids of those that are gone are nobody's any more, among other things.
#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut place = Place::new("members-refused");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "1", "--dir", "data"], "up");
    for (args, code, told) in [
        (&["cluster", "members", "0"][..], 2, "write the number of a group"),
        (&["cluster", "members", "1", "--set", "m1"], 2, "m1 is a server of controller, and not of group 1"),
        (&["cluster", "members", "1", "--set", "g1-7"], 2, "there is no node `g1-7`"),
    ] {
        let (ended, why) = place.fails(&in_dir(args));
        assert!(ended == code && why.contains(told), "{args:?}: {ended} {why}");
    }
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "1"])), "group 1: g1-1\n");
    place.ok(&in_dir(&["cluster", "replace", "g1-1"]));
    let layout = place.file("data/cluster.toml");
    assert!(layout.contains("[[gone]]"), "{layout}");
    let back = format!("{layout}\n[[node]]\nname = \"g1-1\"\naddress = \"127.0.0.1:9\"\n");
    fs::write(place.root.join("back.toml"), back).unwrap();
    let (code, why) = place.fails(&["node", "start", "--config", "back.toml", "--name", "g1-1"]);
    assert!(code == 2 && why.contains("`g1-1` had that name or `id` and is gone"), "{code} {why}");
}

/// A change that those who run could not commit is not begun: nobody could undo it.
#[test]
fn a_server_that_runs_is_not_taken_out_for_one_that_does_not() {
    let mut place = Place::new("members-wrong");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "3", "--dir", "data"], "up");
    place.ok(&in_dir(&["cluster", "kill", "g1-3"]));
    let wrong = ["cluster", "members", "1", "--set", "g1-1,g1-3", "--timeout", "3s", "--dir", "data"];
    let output = place.run(&wrong);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("too few of those who would be voters then"), "{said}");
    place.ok(&in_dir(&["kv", "put", "a", "1"]));
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "1"])), "group 1: g1-1 g1-2 g1-3\n");
    place.ok(&in_dir(&["cluster", "replace", "g1-3"]));
    assert_eq!(place.ok(&in_dir(&["cluster", "members", "1"])), "group 1: g1-1 g1-2 g1-4\n");
}

/// As somebody does whose machine is another one: there is no directory.
#[test]
fn a_node_of_another_machine_is_asked_to_stop() {
    let mut place = Place::new("stop-afar");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "3", "--dir", "data"], "up");
    let file = place.root.join("data/cluster.toml");
    let layout = Layout::load(&file).unwrap();
    let entry = layout.named("m1").unwrap().address.clone();
    // Nodes say where their directories are, and whoever finds the layout there sends a signal.
    let hidden = place.root.join("hidden.toml");
    fs::rename(&file, &hidden).unwrap();
    let said = place.ok(&["cluster", "stop", "g1-2", "--entry", &entry, "--timeout", "60s"]);
    assert_eq!(said, "g1-2 has stopped\n");
    let (code, why) = place.fails(&["cluster", "stop", "g1-2", "--entry", &entry]);
    assert!(code == 3 && why.contains("g1-2 does not answer"), "{code} {why}");
    let (code, why) = place.fails(&["cluster", "kill", "g1-1", "--entry", &entry]);
    assert!(code == 1 && why.contains("not on this machine"), "{code} {why}");
    fs::rename(&hidden, &file).unwrap();
    until("its process has ended", || {
        processes::running(layout.named("g1-2").unwrap()).unwrap().is_none().then_some(())
    });
    assert!(place.file("data/g1-2/log").contains("has stopped"), "in good order");
}
