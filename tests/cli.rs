//! The command line: exit codes, and what a user reads who has made a mistake: one line that says what to do.

use std::path::PathBuf;
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
