//! Clusters of processes on real sockets and files: the tour of the README, what is refused and how, and what must survive.

mod net;
#[path = "net/tls.rs"]
mod tls;

use net::{Place, free_port, text, until};
use shardlab::client::{Client, Options};
use shardlab::cluster::{Layout, Part, processes};
use shardlab::shardmaster::GroupId;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The blocks of a section of the README that show a terminal: lines that begin with `$`, and what they print.
fn tour() -> Vec<Vec<(String, String)>> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("A real cluster\n")).unwrap();
    let blocks = section.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let steps = |block: &str| {
        let steps = block.split("$ ").skip(1).map(|step| step.split_once('\n').unwrap());
        steps.map(|(command, printed)| (command.to_string(), printed.to_string())).collect()
    };
    blocks.map(steps).collect()
}

/// The words of a command, as a shell takes them apart.
fn words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (nth, part) in command.split('"').enumerate() {
        match nth % 2 {
            0 => words.extend(part.split_whitespace().map(String::from)),
            _ => words.push(part.into()),
        }
    }
    assert_eq!(words.remove(0), "shardlab");
    words
}

/// Which server of a group leads it is not for a README to say.
fn without_servers(text: &str) -> String {
    ["g1-", "g2-"].iter().fold(text.to_string(), |text, group| {
        (1..=3).fold(text, |text, nth| text.replace(&format!("{group}{nth}"), &format!("{group}N")))
    })
}

#[test]
fn the_tour_of_the_readme_goes_as_it_says() {
    let mut place = Place::new("tour");
    let mut running = None;
    let mut asked = 0;
    for block in tour() {
        for (command, printed) in block {
            let words = words(&command);
            let args: Vec<&str> = words.iter().map(String::as_str).collect();
            if args.starts_with(&["cluster", "up"]) {
                if let Some(begun) = running.take() {
                    assert!(place.end(begun, "-INT").success(), "Ctrl-C ends it in good order");
                }
                running = Some(place.up(&args, &format!("up-{asked}")));
            } else {
                assert_eq!(without_servers(&place.ok(&args)), without_servers(&printed), "{command}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 8, "it has {asked} steps, and nobody has read the README");
    until("each group has what it should", || {
        let rows = place.rows("data");
        let serve = |part: &str, shards: &str| {
            rows.iter().filter(|row| row[1] == part).all(|row| row.last().is_some_and(|it| it.starts_with(shards)))
        };
        (rows.len() == 9
            && serve("group 1", "0-7 in configuration 4")
            && serve("group 2", "8-15 in configuration 4"))
        .then_some(())
    });
    assert!(place.end(running.unwrap(), "-TERM").success());
}

/// Appends one number after the other, while servers of the group are killed at whatever moment and started again. What was
/// confirmed is there, each once and in order, and what was not is there once or not at all.
#[test]
fn what_was_confirmed_survives_kills_at_any_moment_and_is_there_once() {
    let mut place = Place::new("kills");
    place.up(&["cluster", "up", "--groups", "1", "--dir", "data"], "up");
    let layout = Layout::load(&place.root.join("data/cluster.toml")).unwrap();
    let entries: Vec<String> = layout.of(Part::Controller).map(|member| member.address.clone()).collect();
    let (stop, so_far) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (found, confirmed) = std::thread::scope(|scope| {
        // Whatever becomes of the rest, the writer ends.
        let _stop = Stop(&stop);
        let writer = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::connect(&entries, Options::default()).await.unwrap();
                let (mut number, mut confirmed) = (0, Vec::new());
                while !stop.load(Relaxed) {
                    number += 1;
                    match client.append("log", format!("{number} ")).await {
                        Ok(_) => confirmed.push(number),
                        Err(error) => assert!(error.may_have_happened(), "{number}: {error}"),
                    }
                    so_far.store(confirmed.len(), Relaxed);
                }
                let found = text(&client.get("log").await.unwrap().unwrap());
                client.close().await;
                (found, confirmed)
            })
        });
        let more_is_confirmed = || {
            let before = so_far.load(Relaxed);
            until("more is confirmed", || (so_far.load(Relaxed) >= before + 5).then_some(()));
        };
        // Now the leader, then whoever comes first; sometimes both, which leaves no majority.
        for nodes in [&["g1-leader"][..], &["g1-1"], &["g1-2", "g1-3"], &["g1-leader", "m-leader"]] {
            more_is_confirmed();
            for node in nodes {
                place.ok(&["cluster", "kill", node, "--dir", "data"]);
            }
            for member in layout.nodes.values() {
                if processes::running(member).unwrap().is_none() {
                    place.ok(&["cluster", "restart", &member.name, "--dir", "data"]);
                }
            }
        }
        more_is_confirmed();
        stop.store(true, Relaxed);
        writer.join().unwrap()
    });
    let found: Vec<u32> = found.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "each once and in order: {found:?}");
    assert!(confirmed.iter().all(|number| found.binary_search(number).is_ok()), "{confirmed:?} in {found:?}");
}

/// Tells the other threads of a test to end, when it fails too: a scope waits for them.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_node_that_is_told_to_stop_hands_over_first() {
    let mut place = Place::new("handover");
    let up = place.up(&["cluster", "up", "--groups", "1", "--dir", "data"], "up");
    place.ok(&["kv", "put", "a", "1", "--dir", "data"]);
    // On a busy machine somebody's patience may end at that very moment; whoever does not hand over never gets this right.
    let mut wrong = Vec::new();
    let stopped = (0..3).find_map(|_| hand_over(&place).map_err(|why| wrong.push(why)).ok());
    let stopped = stopped.unwrap_or_else(|| panic!("three times: {wrong:#?}"));
    assert_eq!(place.ok(&["kv", "get", "a", "--dir", "data"]), "1\n");
    let (code, why) = place.fails(&["cluster", "stop", &stopped, "--dir", "data"]);
    assert_eq!((code, &*why), (1, &*format!("error: {stopped} does not run")));
    assert!(place.end(up, "-TERM").success());
}

/// Stops who leads group 1, and returns its name if it has handed over to the one that leads then, which had not to wait for
/// it. If it has not, it runs again.
fn hand_over(place: &Place) -> Result<String, String> {
    let leader = || {
        let rows = place.rows("data");
        let leader = rows.into_iter().find(|row| row[1] == "group 1" && row[3] == "leader")?;
        Some((leader[0].clone(), leader[4].parse::<u64>().unwrap()))
    };
    let log = |name: &str| place.file(&format!("data/{name}/log"));
    let (before, term) = until("somebody leads", leader);
    let said_before = log(&before).len();
    place.ok(&["cluster", "stop", &before, "--dir", "data"]);
    let ours = log(&before)[said_before..].to_string();
    assert!(ours.contains(&format!("{before} has stopped")), "{ours}");
    let (after, next) = until("another one leads", leader);
    let theirs = log(&after);
    let judged = match ours.lines().find(|line| line.contains("leadership goes to S10")) {
        Some(handed) if handed.contains(&format!("to S10{}", &after[3..])) && next > term => {
            // Whoever stands for election by itself, when it has waited in vain, first asks whether it could win.
            let since = theirs.lines().filter(|line| line.len() > 27 && line[..27] > handed[..27]);
            let mut since = since.take_while(|line| !line.contains("LEADER of"));
            if since.any(|line| line.contains("would be candidate")) {
                Err("it had to wait")
            } else {
                Ok(before.clone())
            }
        }
        Some(_) => Err("another one leads than was named"),
        None => Err("nobody was named"),
    };
    judged.map_err(|why| {
        place.ok(&["cluster", "restart", &before, "--dir", "data"]);
        format!("{why}: {before} said\n{ours}\nand {after}\n{theirs}")
    })
}

/// A controller that has never heard of a group, the group, and a client that knows the controller alone.
#[test]
fn nodes_hear_of_each_other_and_of_those_that_have_moved() {
    let mut place = Place::new("hearsay");
    let port = free_port();
    place.begin(&refs(&alone("7", port)), "m1.log");
    let (entry, master) = (format!("127.0.0.1:{port}"), format!("m1=127.0.0.1:{port}"));
    let group = || {
        let group = format!("g1-1=127.0.0.1:{}", free_port());
        let args = [
            "node",
            "start",
            "--name",
            "g1-1",
            "--cluster",
            "7",
            "--dir",
            "data/g1-1",
            "--node",
            &master,
            "--node",
            &group,
        ];
        args.map(String::from)
    };
    let first = place.begin(&refs(&group()), "g1-1.log");
    until("the controller has heard of the group", || {
        place.run(&["cluster", "join", "1", "--entry", &entry]).status.success().then_some(())
    });
    place.ok(&["kv", "put", "a", "1", "--timeout", "60s", "--entry", &entry]);
    assert!(place.end(first, "-TERM").success());
    // Back at another address, which it tells itself.
    place.begin(&refs(&group()), "g1-1.log");
    assert_eq!(place.ok(&["kv", "get", "a", "--timeout", "60s", "--entry", &entry]), "1\n");
}

/// A node by itself: its cluster, its address and its directory in flags.
fn alone(cluster: &str, port: u16) -> Vec<String> {
    let node = format!("m1=127.0.0.1:{port}");
    ["node", "start", "--name", "m1", "--cluster", cluster, "--dir", "data/m1", "--node", &node]
        .map(String::from)
        .into()
}

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_node_that_cannot_start_says_in_one_line_why_and_what_to_do() {
    let mut place = Place::new("refused");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, why) = place.fails(&refs(&alone("7", port)));
    assert_eq!(code, 1, "{why}");
    assert!(why.contains(&format!("cannot listen on 127.0.0.1:{port}")) && why.contains("another port"), "{why}");
    // On a free port it starts; and with that its directory is of cluster 7.
    let port = free_port();
    let node = place.begin(&refs(&alone("7", port)), "log");
    until("it leads itself", || place.file("log").contains("LEADER").then_some(()));
    let (code, why) = place.fails(&refs(&alone("7", free_port())));
    assert!(code == 1 && why.contains("the node runs already, as process "), "{code} {why}");
    assert!(place.end(node, "-TERM").success());
    let (code, why) = place.fails(&refs(&alone("8", port)));
    assert!(code == 1 && why.contains("was made for cluster 7 and not cluster 8"), "{code} {why}");
    // What is damaged is not taken for a fresh start.
    fs::write(place.root.join("data/m1/disk/identity"), "nobody's").unwrap();
    let (code, why) = place.fails(&refs(&alone("7", port)));
    assert!(code == 1 && why.contains("`identity` is"), "{code} {why}");
    fs::write(place.root.join("wrong.toml"), "cluster = 7\n\n[[node]]\nname = \"m1\"\n").unwrap();
    let (code, why) = place.fails(&["node", "start", "--config", "wrong.toml"]);
    assert!(code == 2 && why.contains("wrong.toml: line 3: missing field `address`"), "{code} {why}");
}

#[test]
fn only_those_who_know_the_secret_are_talked_to() {
    let mut place = Place::new("secret");
    fs::write(place.root.join("secret"), "a secret of sixteen bytes or more\n").unwrap();
    fs::write(place.root.join("other"), "another secret, as long as that\n").unwrap();
    fs::write(place.root.join("short"), "guess me\n").unwrap();
    let up = ["cluster", "up", "--groups", "1", "--replicas", "1", "--dir", "data", "--secret-file", "secret"];
    let up = place.up(&up, "up");
    let layout = Layout::load(&place.root.join("data/cluster.toml")).unwrap();
    let entry = layout.of(Part::Group(GroupId(1))).next().unwrap().address.clone();
    let put = ["kv", "put", "a", "1", "--entry", &entry];
    let with = |file| [&put[..], &["--secret-file", file]].concat();
    assert_eq!(place.ok(&with("secret")), "version 1\n");
    for (args, code, told) in [
        (put.to_vec(), 3, "has a shared secret: name the file with it"),
        (with("other"), 3, "has another shared secret than this node"),
        (with("short"), 2, "the secret has 8 bytes"),
        (with("nowhere"), 2, "the secret cannot be read"),
    ] {
        let (ended, why) = place.fails(&args);
        assert!(ended == code && why.contains(told), "{args:?}: {ended} {why}");
    }
    assert_eq!(place.ok(&["kv", "scan", "--dir", "data"]), "a\t1\n", "nobody else has written anything");
    assert!(place.end(up, "-TERM").success());
}

#[test]
fn every_command_says_how_it_ended_and_any_node_is_an_entry() {
    let mut place = Place::new("codes");
    let up = place.up(&["cluster", "up", "--groups", "1", "--replicas", "1", "--dir", "data"], "up");
    let rows = place.rows("data");
    let [master, group] = [&rows[0][2], &rows[1][2]];
    place.ok(&["kv", "put", "a", "1", "--entry", master]);
    assert_eq!(place.ok(&["kv", "cas", "a", "2", "--expect", "1", "--entry", group]), "version 2\n");
    assert_eq!(place.ok(&["kv", "get", "a", "--entry", "127.0.0.1:1", "--entry", group]), "2\n");
    let details = place.ok(&["cluster", "status", "g1-1", "--entry", master]);
    assert!(details.contains("takes S101 for the leader, has voted for S101 in this term"), "{details}");
    assert!(details.contains("log       1..") && !details.contains("\ndisk      0 writes"), "{details}");
    let nobody = format!("127.0.0.1:{}", free_port());
    let large = "x".repeat(2_000);
    let cases: [(&[&str], i32, &str); 12] = [
        (&["kv", "get", "b", "--entry", master], 1, "there is no key `b`"),
        (&["kv", "delete", "b", "--entry", master], 1, "there was no key `b`"),
        (&["kv", "cas", "a", "3", "--absent", "--entry", master], 1, "not as expected: it is `2` in version 2"),
        (&["kv", "cas", "b", "3", "--version", "4", "--entry", master], 1, "not as expected: the key is absent"),
        (&["kv", "get", "a"], 2, "which cluster?"),
        (&["kv", "put", &large, "1", "--entry", master], 2, "too large"),
        (&["kv", "get", "a", "--entry", &nobody], 3, "no node to talk to"),
        (&["cluster", "join", "1", "--entry", master], 1, "group 1 has joined already"),
        (&["cluster", "move", "99", "1", "--entry", master], 1, "there is no shard 99"),
        (&["cluster", "leave", "2", "--entry", master], 1, "group 2 is not there"),
        (&["cluster", "kill", "g9-9", "--entry", master], 2, "there is no node `g9-9`: name one of m1, g1-1"),
        (&["cluster", "status", "--dir", "nowhere"], 2, "there is no cluster in nowhere"),
    ];
    for (args, code, told) in cases {
        let (ended, why) = place.fails(args);
        assert!(ended == code && why.contains(told), "{args:?}: {ended} {why}");
    }
    // The one server of the group is gone: it is not known when somebody will have the key again.
    place.ok(&["cluster", "kill", group, "--entry", master]);
    let (code, why) = place.fails(&["kv", "get", "a", "--timeout", "1s", "--entry", master]);
    assert!(code == 3 && why.contains("no answer in time"), "{code} {why}");
    let (code, why) = place.fails(&["kv", "put", "a", "3", "--timeout", "1s", "--entry", master]);
    assert!(code == 3 && why.contains("unknown: it may have been executed"), "{code} {why}");
    assert_eq!(place.rows("data")[1][3], "down");
    place.ok(&["cluster", "restart", group, "--entry", master]);
    assert_eq!(place.ok(&["kv", "get", "a", "--entry", group]).len(), 2);
    assert!(place.end(up, "-INT").success());
    let (code, why) = place.fails(&["cluster", "status", "--dir", "data"]);
    assert!(code == 3 && why.contains("no node of the cluster runs"), "{code} {why}");
    let (code, why) = place.fails(&["cluster", "up", "--groups", "3", "--dir", "data"]);
    assert!(code == 2 && why.contains("has --groups 1 and not 3"), "{code} {why}");
}

#[test]
fn a_log_for_machines_is_a_line_of_json_each() {
    let mut place = Place::new("json");
    let args = [alone("7", free_port()), vec!["--log-format".into(), "json".into()]].concat();
    let node = place.begin(&refs(&args), "log");
    until("it leads itself", || place.file("log").contains("LEADER").then_some(()));
    assert!(place.end(node, "-TERM").success());
    for line in place.file("log").lines() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(said["level"].is_string() && said["message"].is_string() && said["node"] == "S1", "{line}");
    }
}

/// The numbers of a bench, by their path in its JSON.
fn number(told: &serde_json::Value, path: &str) -> u64 {
    told.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("{path} in {told}"))
}

/// Operations that were begun, whatever became of them.
fn begun(told: &serde_json::Value) -> u64 {
    let ended = ["operations", "unanswered", "refused", "unknown"];
    let ended =
        ["reads", "writes"].iter().flat_map(|kind| ended.map(|what| number(told, &format!("/{kind}/{what}"))));
    ended.sum::<u64>() + number(told, "/under_way")
}

#[test]
fn a_bench_counts_what_it_asks_for_and_its_history_can_be_decided() {
    let mut place = Place::new("bench");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "3", "--dir", "data"], "up");
    let base = ["bench", "--dir", "data", "--warm-up", "0s", "--timeout", "60s", "--for", "1s", "--json", "json"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let told = |place: &Place| serde_json::from_str::<serde_json::Value>(&place.file("json")).unwrap();
    let closed = with(&["--clients", "8", "--keys", "5", "--prefix", "a/", "--history", "history"]);
    let said = place.ok(&closed);
    assert!(said.contains("closed loop: clients 8") && said.contains("the percentiles hide"), "{said}");
    let history = place.file("history");
    let invoked = history.lines().filter(|line| line.contains(r#""type":"invoke""#)).count();
    assert_eq!(begun(&told(&place)), invoked as u64, "without a warm-up all that is asked for is counted");
    assert!(number(&told(&place), "/reads/latency_us/max") >= number(&told(&place), "/reads/latency_us/min"));
    if cfg!(feature = "sim") {
        assert!(place.ok(&["check-history", "history"]).contains(&format!(", {invoked} operations")));
        // Somebody reads what nobody has written.
        let read = |line: &&str| line.contains(r#""f":"get""#) && line.contains(r#""type":"ok""#);
        let read = history.lines().find(read).expect("a read was answered");
        let mut wrong: serde_json::Value = serde_json::from_str(read).unwrap();
        wrong["value"] = "nobody's".into();
        fs::write(place.root.join("wrong"), history.replace(read, &wrong.to_string())).unwrap();
        let judged = place.run(&["check-history", "wrong"]);
        assert!(judged.status.code() == Some(1) && text(&judged.stdout).contains("VIOLATED"), "{judged:?}");
    }
    for (args, code, why) in [
        (closed, 1, "there are keys that begin with `a/`"),
        (with(&["--keys", "1001", "--history", "history"]), 2, "a history can have 1000 keys at most"),
    ] {
        let (ended, said) = place.fails(&args);
        assert!(ended == code && said.contains(why), "{args:?}: {ended} {said}");
    }
    assert_eq!(place.file("history"), history, "what is refused leaves files as they are");
    // Fifty are due in a second, however slow this machine is.
    place.ok(&with(&["--rate", "50", "--clients", "4", "--keys", "20", "--zipf", "--value-size", "10"]));
    let open = told(&place);
    assert_eq!(begun(&open) + number(&open, "/not_begun"), 50, "{open}");
    assert_eq!((&open["pace"], &open["distribution"]), (&"fixed".into(), &"zipf 0.99".into()));
}

/// What there is when somebody ends a bench: one client that has begun its third write has finished its first.
#[test]
fn a_bench_that_is_ended_prints_what_there_is() {
    let mut place = Place::new("bench-ended");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "1", "--dir", "data"], "up");
    let bench = ["bench", "--dir", "data", "--clients", "1", "--reads", "0", "--for", "1h", "--warm-up", "0s"];
    let bench = place.begin(&[&bench[..], &["--history", "history", "--prefix", "b/"]].concat(), "bench");
    until("three keys are written", || {
        (place.ok(&["kv", "scan", "b/", "--dir", "data", "--timeout", "60s"]).lines().count() >= 3).then_some(())
    });
    assert!(place.end(bench, "-INT").success(), "{}", place.file("bench"));
    let said = place.file("bench");
    assert!(said.contains("it was ended after ") && said.contains(" of 3600.0 s"), "{said}");
    assert!(place.file("history").lines().count() >= 4, "{}", place.file("history"));
}

#[test]
fn a_shell_reads_lines_from_a_pipe_and_ends_as_the_first_that_failed() {
    let mut place = Place::new("shell");
    place.up(&["cluster", "up", "--groups", "1", "--replicas", "1", "--dir", "data"], "up");
    let shell = |lines: &str| {
        let output = place.piped(&["kv", "shell", "--dir", "data", "--timeout", "60s"], lines);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, told, wrong) = shell("put 'two words' \"and a value\"\n\nget 'two words'\nappend a 1\nscan\n");
    assert_eq!(
        (code, &*told),
        (Some(0), "version 1\nand a value\nversion 1\na\t1\ntwo words\tand a value\n"),
        "{wrong}"
    );
    let (code, told, wrong) = shell("get a\nget b\nputt a 2\ncas a 3 --expect 1\nquit\ndelete a\n");
    assert_eq!((code, &*told), (Some(1), "1\nversion 2\n"), "{wrong}");
    let wrong: Vec<&str> = wrong.lines().collect();
    assert_eq!(wrong[0], "error: line 2: there is no key `b`");
    assert!(wrong.len() == 2 && wrong[1].starts_with("error: line 3: ") && wrong[1].contains("putt"), "{wrong:?}");
    let (code, told, _) = shell("putt a 2\nget a");
    assert_eq!((code, &*told), (Some(2), "3\n"), "nothing comes after `quit`");
}
