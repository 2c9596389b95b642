//! The command line: exit codes, and what a user reads who has made a mistake: one line that says what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn shardlab(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_shardlab"))
        .args(arguments)
        .env_remove("CARGO")
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Ended { code: output.status.code().expect("it exits"), out: text(output.stdout), err: text(output.stderr) }
}

/// Refused with one line that has all of these in it.
fn refused(arguments: &[&str], says: &[&str]) {
    let ended = shardlab(arguments);
    assert_eq!(ended.code, 2, "{arguments:?}: {}{}", ended.out, ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{arguments:?}: {}", ended.err);
    assert!(ended.err.starts_with("error: ") && !ended.err.contains("panicked"), "{}", ended.err);
    says.iter()
        .for_each(|part| assert!(ended.err.contains(part), "{arguments:?} says `{}`, not `{part}`", ended.err));
}

/// A plan in a file of its own, changed.
fn plan_file(name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let plan = shardlab(&["plan", "basic-agree", "--seed", "3"]);
    assert_eq!(plan.code, 0, "{}", plan.err);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    std::fs::write(&path, change(plan.out)).expect("a file can be written");
    path
}

#[test]
fn a_hunt_runs_the_swarm_and_ends_with_what_it_finds() {
    let quiet = shardlab(&["hunt", "raft", "--seeds", "2", "--quiet"]);
    assert_eq!(quiet.code, 0, "{}", quiet.err);
    assert!(quiet.out.contains("0 of 2 runs failed"), "{}", quiet.out);
    let in_no_time = shardlab(&["hunt", "--for", "0s", "--quiet"]);
    assert!(in_no_time.out.contains("0 runs in"), "{}", in_no_time.out);
    if cfg!(feature = "zoo") {
        let found = shardlab(&["hunt", "raft", "--bug", "vote-not-durable", "--seeds", "50", "--quiet"]);
        assert_eq!(found.code, 1, "{}", found.err);
        assert!(found.out.contains("The seed has drawn:") && found.out.contains("--max-failures"), "{}", found.out);
    }
    refused(&["hunt", "rafts"], &["no suite `rafts`", "raft, kvraft, shardmaster, shardkv"]);
}

/// A folder that is not there yet.
fn no_folder(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
    dir
}

/// The names of the plans in a folder.
fn plans_in(dir: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(dir).expect("it is there");
    let names = files.map(|file| file.expect("it can be read").file_name().into_string().expect("it is text"));
    names.filter(|name| name.ends_with(".json")).collect()
}

#[test]
fn a_guided_hunt_keeps_the_same_plans_however_many_workers_there_are_and_takes_them_up_again() {
    let [one, two] = ["guided-1", "guided-2"].map(no_folder);
    let hunt = |dir: &Path, more: &[&str]| {
        let dir = dir.to_str().expect("it is text");
        shardlab(&[&["hunt", "raft", "--quiet", "--guided", dir], more].concat())
    };
    let ended = hunt(&one, &["--seeds", "80", "--jobs", "1"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert_eq!(hunt(&two, &["--seeds", "80", "--jobs", "3"]).code, 0);
    let kept = plans_in(&one);
    assert_eq!(kept, plans_in(&two));
    assert!(kept.len() > 10, "nothing had been reached before: {kept:?}");
    assert!(ended.out.contains(&format!("{} new plans were kept", kept.len())), "{}", ended.out);
    let changed = |name: &&String| {
        std::fs::read_to_string(one.join(name)).is_ok_and(|text| text.contains("changed: a plan of seed"))
    };
    assert!(kept.iter().any(|name| changed(&name)), "some were made of others");
    // Another time all of it is run again first, and is nothing new.
    let again = hunt(&one, &["--seeds", "80..82"]);
    assert!(again.out.contains(&format!("0 of {} runs failed", kept.len() + 2)), "{}", again.out);
    assert!(plans_in(&one).len() <= kept.len() + 2);
    std::fs::write(one.join("raft-mine.json"), "{}").expect("it can be written");
    refused(
        &["hunt", "raft", "--guided", one.to_str().expect("it is text")],
        &["raft-mine.json` is no plan of this version", "take it out of the folder"],
    );
}

#[cfg(feature = "zoo")]
#[test]
fn a_plan_that_fails_in_a_guided_hunt_is_written_down_and_fails_again() {
    let dir = no_folder("guided-red");
    let path = dir.to_str().expect("it is text");
    assert_eq!(shardlab(&["hunt", "raft", "--seeds", "8", "--quiet", "--guided", path]).code, 0);
    // What is in the folder is run first, and is no plan that a seed draws.
    let ended = shardlab(&["hunt", "raft", "--bug", "vote-not-durable", "--quiet", "--guided", path]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    let failed = plans_in(&dir.join("failed"));
    let name = failed.first().expect("it is written there");
    assert!(ended.out.contains(&format!("replay {path}/failed/{name}")), "{}", ended.out);
    assert_eq!(shardlab(&["replay", &format!("{path}/failed/{name}")]).code, 1);
    assert!(plans_in(&dir).is_disjoint(&failed));
    let is_without =
        |name: &String| std::fs::read_to_string(dir.join(name)).is_ok_and(|text| text.contains("\"bug\": null"));
    assert!(plans_in(&dir).iter().all(is_without), "the folder is of use for other programs");
}

#[test]
fn unknown_names_are_refused_with_near_ones() {
    refused(&["run", "inital-election"], &["no scenario `inital-election`", "did you mean initial-election?"]);
    refused(&["replay", "figure8"], &["no scenario `figure8`", "figure-8"]);
    refused(
        &["run", "raft", "--bug", "vote-ignore-log"],
        &["no bug `vote-ignore-log`", "did you mean vote-ignores-log?"],
    );
    refused(&["run", "raft", "--mute", "election-safty"], &["no check `election-safty`", "election-safety"]);
    refused(&["run", "qqqq"], &["no scenario `qqqq`", "list scenarios"]);
}

#[test]
fn a_plan_that_does_not_parse_is_refused_with_line_and_field() {
    let path = plan_file("syntax", |plan| plan.replacen("\"servers\": 3", "\"servers\": \"three\"", 1));
    refused(&["replay", path.to_str().expect("text")], &["line ", "field `servers`", "three"]);
    let path = plan_file("unknown", |plan| plan.replacen("\"servers\"", "\"severs\"", 1));
    refused(&["replay", path.to_str().expect("text")], &["line ", "severs"]);
    refused(&["replay", "no-such.json"], &["cannot read `no-such.json`"]);
}

#[test]
fn an_impossible_plan_is_refused_before_the_run() {
    let path = plan_file("impossible", |plan| {
        plan.replacen("\"script\": [", "\"script\": [{\"do\": {\"disconnect\": \"any(4, all)\"}},", 1)
    });
    refused(&["replay", path.to_str().expect("text")], &["script[0]", "more servers than there are (3)"]);
    let path = plan_file("groups", |plan| plan.replacen("\"servers\": 3", "\"servers\": 3, \"groups\": 2", 1));
    refused(&["replay", path.to_str().expect("text")], &["groups.json", "it has 2 groups", "`raft` runs as one"]);
    let path = plan_file("suite", |plan| plan.replacen("\"suite\": \"raft\"", "\"suite\": \"rafts\"", 1));
    refused(&["replay", path.to_str().expect("text")], &["no suite `rafts`", "raft"]);
}

#[test]
fn a_green_run_is_0_and_a_red_one_1_with_the_command_that_shows_it_again() {
    let green = shardlab(&["run", "initial-election", "--seeds", "2", "--quiet"]);
    assert_eq!((green.code, green.err.as_str()), (0, ""));
    assert!(green.out.contains("0 of 2 runs failed"), "{}", green.out);

    let red = shardlab(&["run", "many-elections", "--bug", "vote-ignores-log", "--seeds", "20", "--quiet"]);
    assert_eq!(red.code, 1);
    assert!(red.out.contains("VIOLATED  leader-completeness"), "{}", red.out);
    let line = red.out.lines().find_map(|line| line.trim().strip_prefix("Replay it:")).expect("it says how");
    let command: Vec<&str> = line.split_whitespace().skip(1).collect();
    let again = shardlab(&command);
    assert_eq!(again.code, 1, "{command:?}");
    assert!(again.out.contains("VIOLATED  leader-completeness"), "{}", again.out);
}

/// Whoever replays the first failure on another machine sees the same one, however many cores it has.
#[test]
fn the_first_failure_does_not_depend_on_the_number_of_workers() {
    let first = |jobs: &str| {
        let arguments =
            ["run", "raft", "--bug", "commit-unclamped", "--without-directed", "--quiet", "--jobs", jobs];
        let ended = shardlab(&arguments);
        assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
        assert!(ended.out.contains("stopped after 1 failure (--max-failures): "), "{}", ended.out);
        let told: Vec<&str> = ended.out.lines().filter(|line| line.starts_with("VIOLATED")).collect();
        assert_eq!(told.len(), 1, "{}", ended.out);
        assert!(ended.out.contains(&format!("FOUND  {}\n", told[0])), "it was told at once: {}", ended.out);
        told[0].to_string()
    };
    assert_eq!(first("1"), first("3"));
}

#[test]
fn what_would_run_nothing_or_never_end_is_refused() {
    refused(&["run", "--seeds", "18446744073709551615"], &["more than 1000000000000000 runs", "fewer seeds"]);
    refused(&["run", "initial-election", "--jobs", "0"], &["--jobs 0", "at least 1"]);
    let file = "no-such-directory/lines.json";
    refused(&["run", "initial-election", "--seeds", "1", "--json", file], &["cannot write", file]);
}

/// Runs are made one by one as they are needed.
#[test]
fn a_campaign_of_any_size_begins_at_once() {
    let arguments = ["run", "many-elections", "--bug", "vote-ignores-log", "--seeds", "1000000000000", "--quiet"];
    let ended = shardlab(&arguments);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("of 1000000000000 runs were made"), "{}", ended.out);
}

#[test]
fn a_plan_has_its_own_seed() {
    let path = plan_file("seeded", |plan| plan);
    refused(&["replay", path.to_str().expect("text"), "--seed", "99"], &["seeded.json", "leave out --seed"]);
}

#[test]
fn how_much_to_trace_is_no_scenario() {
    let traced = shardlab(&["replay", "--trace", "initial-election"]);
    assert_eq!(traced.code, 0, "{}", traced.err);
    let story = shardlab(&["replay", "--trace=story", "initial-election"]);
    assert_eq!(story.code, 0, "{}", story.err);
    assert!(story.out.lines().count() < traced.out.lines().count(), "the story is shorter");
}

#[test]
#[cfg(unix)]
fn a_stress_test_of_no_rounds_is_refused() {
    let stress = |arguments: &[&str]| {
        let output = Command::new("bash").arg("scripts/stress.sh").args(arguments).output().expect("bash starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("it prints text"))
    };
    for arguments in [["--seeds", "08"], ["--rounds", "99999999999999999999"], ["--for", "09h"], ["--seeds", "0"]] {
        let (code, says) = stress(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {says}");
        assert!(says.contains(&format!("stress: {} takes ", arguments[0])), "{says}");
    }
}

/// What `plan` prints is what `replay` takes, and it is the same run.
#[test]
fn a_plan_in_a_file_replays() {
    let digest = |text: &str| text.split("digest ").nth(1).map(|rest| rest.trim().to_string()).expect("a digest");
    let path = plan_file("replay", |plan| plan);
    let (file, scenario) = (path.to_str().expect("text"), ["replay", "basic-agree", "--seed", "3"]);
    let (from_file, drawn) = (shardlab(&["replay", file]), shardlab(&scenario));
    assert_eq!((from_file.code, drawn.code), (0, 0));
    assert_eq!(digest(&from_file.out), digest(&drawn.out));
}

#[test]
fn a_red_plan_in_a_file_says_how_to_replay_the_file() {
    let path = plan_file("red", |plan| plan.replacen("\"bug\": null", "\"bug\": \"vote-not-durable\"", 1));
    let file = path.to_str().expect("text");
    let red = shardlab(&["replay", file]);
    assert_eq!(red.code, 1, "{}", red.out);
    assert!(red.out.contains(&format!("replay {file}\n")), "{}", red.out);
}

#[test]
fn parts_of_a_campaign_make_up_the_whole() {
    let runs = |shard: &str| {
        let ended =
            shardlab(&["run", "initial-election", "re-election", "--seeds", "5", "--shard", shard, "--quiet"]);
        assert_eq!(ended.code, 0, "{}", ended.out);
        ended.out.split_whitespace().next().and_then(|count| count.parse::<u32>().ok()).expect("a count")
    };
    assert_eq!(runs("1/3") + runs("2/3") + runs("3/3"), 10);
}

/// The tour in the README: the command that it gives prints what it quotes.
#[test]
fn the_tour_is_true() {
    let readme = include_str!("../README.md");
    let (_, tour) = readme.split_once("```text\n").expect("the README quotes a run");
    let (quoted, _) = tour.split_once("\n```").expect("the quotation ends");
    assert!(readme.contains("-- run backup --bug commit-unclamped --seeds 1\n"), "the tour runs something else");
    let red = shardlab(&["run", "backup", "--bug", "commit-unclamped", "--seeds", "1", "--quiet"]);
    assert_eq!(red.code, 1, "{}", red.err);
    // Without cargo around it, it names itself. Columns are as wide as the terminal and the servers allow: the README
    // leaves the empty ones out.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let own = format!("{} replay", env!("CARGO_BIN_EXE_shardlab"));
    let printed: Vec<String> =
        red.out.lines().map(|line| words(&line.replace(&own, "cargo run --release -- replay"))).collect();
    for line in quoted.lines().filter(|line| line.trim() != "...") {
        let line = words(line);
        assert!(printed.iter().any(|printed| printed.starts_with(&line)), "the run does not print: {line}");
    }
}

/// The way from a red line to a smaller plan, as it is written: that seed is red, and what is left of it is red again.
#[test]
fn the_seed_of_the_guide_to_shrinking_is_red() {
    let guide = include_str!("../docs/debugging-a-seed.md");
    let command = guide.lines().find_map(|line| line.strip_prefix("shardlab shrink swarm ")).expect("it is there");
    let (arguments, _) = command.split_once('#').expect("it says what it writes");
    let file = no_folder("guide").with_extension("json");
    let at = file.to_str().expect("the path is text");
    let mut shrink = vec!["shrink", "swarm", "--quiet", "--budget", "60", "--out", at];
    shrink.extend(arguments.split_whitespace());
    let small = shardlab(&shrink);
    assert!(small.out.contains("VIOLATED"), "{}{}", small.out, small.err);
    let again = shardlab(&["replay", at]);
    assert_eq!(again.code, 1, "{}{}", again.out, again.err);
    std::fs::remove_file(&file).expect("it can be removed");
}

/// A matrix that was made is not made again, and says the same; its page says how it was made.
#[test]
fn the_zoo_keeps_what_it_has_measured() {
    let folder = std::env::temp_dir().join(format!("shardlab-cli-zoo-{}", std::process::id()));
    let (cache, page) = (folder.join("cache"), folder.join("page.md"));
    let text = |path: &std::path::Path| path.to_str().expect("the path is text").to_string();
    let (cache_at, page_at) = (text(&cache), text(&page));
    let measured = || shardlab(&["zoo", "dup-join", "--quick", "--cache", &cache_at, "--out", &page_at]);
    let first = measured();
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.contains("| `dup-join` | easy | "), "{}", first.out);
    let lines = || std::fs::read_to_string(cache.join("cells.jsonl")).expect("it is there").trim().to_string();
    let kept = lines();
    assert_eq!(kept.lines().count(), 2, "a line for each column");
    assert_eq!((measured().out, lines()), (first.out, kept));
    let page = std::fs::read_to_string(&page).expect("it is written");
    assert!(page.contains("`shardlab zoo dup-join --quick --out "), "{page}");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
    refused(&["zoo", "dup-jion"], &["there is no bug `dup-jion`", "dup-join"]);
}
