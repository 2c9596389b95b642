//! A campaign that is spread over processes as it would be over machines, and put together again: nothing is lost, nothing
//! counts twice, and what is missing is said.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardlab"));
    command.args(arguments).env_remove("CARGO");
    command
}

fn shardlab(arguments: &[&str]) -> Ended {
    let output = command(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Ended { code: output.status.code().expect("it exits"), out: text(output.stdout), err: text(output.stderr) }
}

/// A place for the files of one test.
fn place(name: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}"));
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).expect("a directory can be made");
    place
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Runs each part in a process of its own, all at once.
fn spread(place: &Path, campaign: &[&str], parts: u32) -> Vec<PathBuf> {
    let start = |part: u32| -> (PathBuf, Child) {
        let file = place.join(format!("{part}.json"));
        let shard = format!("{part}/{parts}");
        let mut arguments = vec!["run", "--quiet", "--jobs", "1", "--shard", &shard, "--json", text(&file)];
        arguments.extend(campaign);
        let child = command(&arguments).stdout(Stdio::null()).spawn().expect("the program starts");
        (file, child)
    };
    let children: Vec<_> = (1..=parts).map(start).collect();
    let wait = |(file, mut child): (PathBuf, Child)| {
        child.wait().expect("it ends");
        file
    };
    children.into_iter().map(wait).collect()
}

fn report(files: &[PathBuf], more: &[&str]) -> Ended {
    let mut arguments = vec!["report"];
    arguments.extend(files.iter().map(|file| text(file)));
    arguments.extend(more);
    shardlab(&arguments)
}

fn says(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
    for part in parts {
        assert!(ended.out.contains(part), "it does not say `{part}`:\n{}{}", ended.out, ended.err);
    }
}

const TWO: [&str; 4] = ["initial-election", "re-election", "--seeds", "7"];
const OF_TWO: [&str; 8] = ["--seeds", "7", "--of", "initial-election", "--of", "re-election", "--shards", "3"];

#[test]
fn parts_make_up_the_whole() {
    let place = place("whole");
    let parts = spread(&place, &TWO, 3);
    let merged = report(&parts, &OF_TWO);
    says(
        &merged,
        0,
        &["nothing is missing\n", "0 of 14 runs failed: p < 1.9e-1 at 95 %\n", "never reached, so not tested:"],
    );
    // The same as of a campaign that was run in one place.
    let whole = place.join("whole.json");
    let ran = shardlab(&["run", "--quiet", TWO[0], TWO[1], TWO[2], TWO[3], "--marks", "--json", text(&whole)]);
    let marks: Vec<&str> = ran.out.lines().filter(|line| line.contains(" times  ")).collect();
    assert!(marks.len() > 20, "{}", ran.out);
    says(&report(&parts, &["--marks"]), 0, &marks);
    // And whoever adds that has counted nothing twice.
    let twice = report(&[parts[0].clone(), whole], &OF_TWO);
    says(&twice, 0, &["14 runs, 5 of them read before\n", "nothing is missing\n", "0 of 14 runs failed"]);
}

#[test]
fn a_part_that_is_missing_is_named() {
    let place = place("missing");
    let parts = spread(&place, &TWO, 3);
    let two = [parts[0].clone(), parts[2].clone()];
    let missing = report(&two, &OF_TWO);
    says(&missing, 3, &["MISSING: 5 of 14 runs\n", "    shard 2/3: all of its 5 runs\n", "0 of 9 runs failed"]);
    assert!(!missing.out.contains("shard 1/3") && !missing.out.contains("shard 3/3"), "{}", missing.out);
    // Nobody says which seeds there should have been: there may be reasons.
    says(
        &report(&two, &[]),
        0,
        &["seeds between the first and the last that are not there", "raft initial-election: 2 seeds: 2, 5\n"],
    );
    let more = report(&parts, &["--seeds", "8"]);
    says(&more, 3, &["MISSING: 2 of 16 runs\n", "    raft re-election: 1 seeds: 7\n"]);
}

/// Each line that cannot be read is named, and the rest counts; but the whole is not decided.
#[test]
fn a_part_that_was_cut_off_is_no_success() {
    let place = place("cut");
    let parts = spread(&place, &TWO, 1);
    let lines = std::fs::read_to_string(&parts[0]).expect("it was written");
    std::fs::write(&parts[0], &lines[..lines.len() - 40]).expect("it can be written");
    let cut = report(&parts, &[]);
    says(&cut, 3, &["13 runs; LEFT OUT: 1 lines that cannot be read\n", "0 of 13 runs failed"]);
    assert_eq!(
        cut.err,
        format!("{}:14: it ends in the middle: whoever wrote it was stopped\n", parts[0].display())
    );

    std::fs::write(&parts[0], "no line of ours\n").expect("it can be written");
    let none = report(&parts, &[]);
    assert!(
        none.code == 2
            && none.err.ends_with("error: there is no run in these files; `run --json FILE` writes them\n")
    );
    for (arguments, says) in [
        (&["report", "no-such.json"] as &[&str], "cannot read `no-such.json`"),
        (&["report"], "FILES"),
        (&["report", "--after-fix", "often"], "write 3/1000"),
        (&["report", "x.json", "--shards", "2"], "--of"),
    ] {
        let refused = shardlab(arguments);
        assert!(refused.code == 2 && refused.err.contains(says), "{arguments:?}: {}", refused.err);
    }
}

#[test]
fn two_machines_that_disagree_are_a_finding() {
    let place = place("diverged");
    let mut parts = spread(&place, &TWO, 1);
    let lines = std::fs::read_to_string(&parts[0]).expect("it was written");
    let first = lines.lines().next().expect("it has lines");
    let (before, digest) = first.split_once(r#""digest":""#).expect("it has a digest");
    let other = place.join("other.json");
    let changed =
        format!(r#"{before}"digest":"{}{}"#, if digest.starts_with('0') { "1" } else { "0" }, &digest[1..]);
    std::fs::write(&other, changed + "\n").expect("it can be written");
    parts.push(other);
    let diverged = report(&parts, &[]);
    let at = format!("{}:1\n", parts[1].display());
    says(
        &diverged,
        1,
        &["DIVERGED  in raft initial-election, seed 0", &digest[..16], &at, "1 of 14 runs failed: p = "],
    );
}

/// What failed is told with the command that shows it again; and how many seeds it takes to say that it is gone.
#[test]
#[cfg(feature = "zoo")]
fn failures_are_told_and_a_fix_is_held_against_them() {
    let place = place("fix");
    let bug = ["many-elections", "--bug", "vote-ignores-log", "--mute", "term-catch-up"];
    let before = spread(&place, &[&bug[..], &["--seeds", "40", "--max-failures", "1000"]].concat(), 2);
    let told = report(&before, &["--failures", "2"]);
    says(
        &told,
        1,
        &["VIOLATED  leader-completeness  in raft many-elections, seed ", " more of these: --failures "],
    );
    assert!(told.out.contains(" of 40 runs failed: p = "), "{}", told.out);
    let line = told.out.lines().find_map(|line| line.trim().strip_prefix("Replay it:")).expect("it says how");
    let replay: Vec<&str> = line.split_whitespace().skip(1).collect();
    assert!(replay.ends_with(&["--bug", "vote-ignores-log", "--mute", "term-catch-up"]), "{replay:?}");
    says(&shardlab(&replay), 1, &["VIOLATED  leader-completeness"]);

    let both = [text(&before[0]), text(&before[1])];
    let held = |after: &PathBuf, fixed: &str| {
        report(std::slice::from_ref(after), &["--before", both[0], "--before", both[1], "--failures", fixed])
    };
    // The same seeds prove nothing, and a fix that is none is seen.
    says(&held(&before[0], "0"), 1, &["NOT FIXED: ", " failed"]);
    // Of runs with the bug nothing can be clean: what was fixed is the bug's name.
    let after = place.join("after.json");
    let clean = ["run", "--quiet", "many-elections", "--mute", "term-catch-up", "--json", text(&after)];
    let fixed = |seeds: &str| {
        says(&shardlab(&[&clean[..], &["--seeds", seeds]].concat()), 0, &["0 of "]);
        let lines = std::fs::read_to_string(&after).expect("it was written");
        let named = lines.replace(r#""seed":"#, r#""bug":"vote-ignores-log","seed":"#);
        std::fs::write(&after, named).expect("it can be written");
        held(&after, "20")
    };
    says(
        &fixed("38..41"),
        3,
        &["NOT YET: 1 fresh seeds were clean, ", "(2 were run before the fix too, and do not count)"],
    );
    says(&fixed("40..70"), 0, &["FIXED at 95 %: 30 fresh seeds were clean\n"]);
    says(&report(&[after], &["--after-fix", "0.5"]), 0, &["a run failed with p = 5.0e-1", "FIXED at 95 %"]);
}

#[test]
fn what_a_fix_takes_can_be_asked_in_advance() {
    let asked = shardlab(&["report", "--after-fix", "0.01"]);
    says(&asked, 0, &["299 clean seeds are needed to say at 95 % that it is less"]);
    // What the page about it says.
    let page = include_str!("../docs/campaigns.md");
    for (rate, needed, told) in [
        ("3/1000", "4838", "4838 runs in a row"),
        ("1/100", "11833", "takes 11,833"),
        ("10/1000", "622", "only 622"),
    ] {
        says(&shardlab(&["report", "--after-fix", rate]), 0, &[&format!(": {needed} clean seeds are needed")]);
        assert!(page.contains(told), "the page does not say `{told}`");
    }
}
