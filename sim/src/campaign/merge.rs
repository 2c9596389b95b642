//! Parts of a campaign that were run elsewhere, put together again: from their lines of JSON.
//!
//! A run is known by its suite, scenario, seed, bug and muted checks. Who finds it twice with one digest has counted it
//! once; two digests are a finding, as in `run --check`.

use super::Job;
use crate::lab::Summary;
use crate::oracle::MARKS;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Which runs: all of them but the seed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Which {
    /// Which bug was planted.
    pub bug: Option<String>,
    /// Which checks were switched off.
    pub mute: Vec<String>,
    /// Which suite.
    pub suite: String,
    /// Which scenario.
    pub scenario: String,
}

impl Which {
    /// The run of a seed.
    pub fn job(&self, seed: u64) -> Job {
        let Which { bug, mute, suite, scenario } = self.clone();
        Job { suite, scenario, seed, bug, mute, drawn: None }
    }
}

impl From<Job> for Which {
    fn from(Job { suite, scenario, bug, mute, .. }: Job) -> Which {
        Which { bug, mute, suite, scenario }
    }
}

/// Where a line stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file, by its place among those that were read.
    file: u32,
    /// From 1.
    line: u64,
}

/// One run, as far as its lines tell.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where it was found first.
    place: Place,
    /// The digest, if it came to its end.
    digest: Option<u64>,
    /// What is wrong with it: a word as in stories, and the check or what happened. A violation is the first.
    wrong: Vec<(&'static str, String)>,
    /// With which other digests it was found, and where.
    others: Vec<(Place, u64)>,
}

impl Run {
    /// Whether it says that something is wrong with the system.
    pub fn is_failure(&self) -> bool {
        !self.others.is_empty() || self.wrong.iter().any(|(word, _)| matches!(*word, "VIOLATED" | "DIVERGED"))
    }

    /// Whether it never came to its end, in no file.
    pub fn is_undecided(&self) -> bool {
        self.digest.is_none() && !self.is_failure()
    }

    /// What is wrong with it, a word and what is to be said about it each. One that came to its end elsewhere did not hang.
    pub fn wrong(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ended = self.digest.is_some();
        let wrong = self.wrong.iter().map(|(word, what)| (*word, what.as_str()));
        wrong.filter(move |(word, _)| !(ended && matches!(*word, "HUNG" | "DIED")))
    }
}

/// A line that says nothing.
#[derive(Debug)]
pub struct Bad {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// What was in a file.
#[derive(Default, Debug)]
pub struct Read {
    /// Runs that no earlier file has.
    pub fresh: u64,
    /// Runs that were there already.
    pub again: u64,
    /// Lines that could not be read.
    pub bad: Vec<Bad>,
}

/// A line for a run that hung, died or diverged.
#[derive(Deserialize)]
struct FoundLine {
    found: String,
    #[serde(flatten)]
    job: Job,
    #[serde(default)]
    detail: String,
}

/// Whether a line is one of those.
#[derive(Deserialize)]
struct Probe {
    found: Option<serde::de::IgnoredAny>,
}

/// All runs of several files, each once.
#[derive(Default)]
pub struct Merged {
    files: Vec<PathBuf>,
    runs: BTreeMap<Which, BTreeMap<u64, Run>>,
    /// Of all runs together: for each mark, in how many runs it was reached and how often in all.
    pub marks: Vec<(u64, u64)>,
    /// Messages delivered.
    pub messages: u64,
    /// Virtual time, in seconds.
    pub virtual_seconds: f64,
    /// Runs that did not come to the situation that they are made for.
    pub skipped: u64,
    /// Demands that were not made, and in how many runs.
    pub waived: BTreeMap<String, u64>,
    /// Checks that could not be made, and in how many runs.
    pub not_checked: BTreeMap<String, u64>,
}

impl Merged {
    /// Takes the runs of a file in.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, path: &Path) -> std::io::Result<Read> {
        let file = std::fs::File::open(path)?;
        self.take(path, BufReader::new(file))
    }

    fn take(&mut self, path: &Path, lines: impl BufRead) -> std::io::Result<Read> {
        self.files.push(path.into());
        self.marks.resize(MARKS.len(), (0, 0));
        let mut read = Read::default();
        for (line, text) in (1..).zip(lines.split(b'\n')) {
            let (text, place) = (text?, Place { file: self.files.len() as u32 - 1, line });
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match self.line(place, &text) {
                Ok(Some(true)) => read.fresh += 1,
                Ok(Some(false)) => read.again += 1,
                Ok(None) => {}
                Err(why) => read.bad.push(Bad { line, why }),
            }
        }
        Ok(read)
    }

    /// Takes in what a line says. Whether its run was not there yet; nothing if it is but a word more on a run.
    fn line(&mut self, place: Place, text: &[u8]) -> Result<Option<bool>, String> {
        // What serde says has the place within the line, which is the only one as far as it knows.
        let wrong = |error: serde_json::Error| match error.is_eof() {
            true => "it ends in the middle: whoever wrote it was stopped".into(),
            false => error.to_string().replace(" at line 1 column ", ", column "),
        };
        let Probe { found } = serde_json::from_slice(text).map_err(wrong)?;
        if found.is_none() {
            return self.summary(place, serde_json::from_slice(text).map_err(wrong)?).map(Some);
        }
        let FoundLine { found, job, detail } = serde_json::from_slice(text).map_err(wrong)?;
        let word = match found.as_str() {
            "hung" => "HUNG",
            "died" => "DIED",
            "diverged" => "DIVERGED",
            other => return Err(format!("nothing that is found is called `{other}`")),
        };
        let seed = job.seed;
        let (is_fresh, run) = self.run(job.into(), seed, place);
        if !run.wrong.iter().any(|(known, _)| *known == word) {
            run.wrong.push((word, detail));
        }
        // One that diverged has a line of its own as well.
        Ok((is_fresh || word != "DIVERGED").then_some(is_fresh))
    }

    fn summary(&mut self, place: Place, summary: Summary) -> Result<bool, String> {
        let digest = u64::from_str_radix(&summary.digest, 16)
            .map_err(|_| format!("`{}` is no digest: 16 hexadecimal digits", summary.digest))?;
        if summary.marks.len() != MARKS.len() {
            let (theirs, ours) = (summary.marks.len(), MARKS.len());
            return Err(format!("it counts {theirs} marks and this program has {ours}: another version wrote it"));
        }
        let which = Which {
            bug: summary.bug.clone(),
            mute: summary.mute.clone(),
            suite: summary.suite.clone(),
            scenario: summary.scenario.clone(),
        };
        let (is_fresh, run) = self.run(which, summary.seed, place.clone());
        let is_first = run.digest.is_none();
        match run.digest {
            Some(known) if known == digest || run.others.iter().any(|(_, other)| *other == digest) => {}
            Some(_) => run.others.push((place, digest)),
            None => (run.digest, run.place) = (Some(digest), place),
        }
        if let Some(violation) = &summary.violation
            && !run.wrong.iter().any(|(word, what)| *word == "VIOLATED" && *what == violation.check)
        {
            run.wrong.insert(0, ("VIOLATED", violation.check.clone()));
        }
        if is_first {
            self.count(&summary);
        }
        Ok(is_fresh)
    }

    fn run(&mut self, which: Which, seed: u64, place: Place) -> (bool, &mut Run) {
        let runs = self.runs.entry(which).or_default();
        let is_fresh = !runs.contains_key(&seed);
        let new = || Run { place, digest: None, wrong: Vec::new(), others: Vec::new() };
        (is_fresh, runs.entry(seed).or_insert_with(new))
    }

    fn count(&mut self, summary: &Summary) {
        self.messages += summary.messages;
        self.virtual_seconds += summary.virtual_nanos as f64 / 1e9;
        self.skipped += u64::from(summary.skipped);
        for ((runs, times), count) in self.marks.iter_mut().zip(&summary.marks) {
            *runs += u64::from(*count > 0);
            *times += u64::from(*count);
        }
        summary.waived.iter().for_each(|why| *self.waived.entry(why.clone()).or_default() += 1);
        summary.not_checked.iter().for_each(|check| *self.not_checked.entry(check.clone()).or_default() += 1);
    }

    /// All runs, by what they are runs of and by seed.
    pub fn runs(&self) -> &BTreeMap<Which, BTreeMap<u64, Run>> {
        &self.runs
    }

    /// How many runs there are.
    pub fn len(&self) -> u64 {
        self.runs.values().map(|runs| runs.len() as u64).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Where the first line of a run stands.
    pub fn place<'a>(&'a self, run: &'a Run) -> impl fmt::Display + 'a {
        self.named(&run.place)
    }

    /// Where a run was found with which digests, if there are several.
    pub fn digests(&self, run: &Run) -> Vec<String> {
        let Some(first) = run.digest.filter(|_| !run.others.is_empty()) else { return Vec::new() };
        let all =
            std::iter::once((&run.place, first)).chain(run.others.iter().map(|(place, digest)| (place, *digest)));
        all.map(|(place, digest)| format!("{digest:016x}  {}", self.named(place))).collect()
    }

    fn named(&self, place: &Place) -> impl fmt::Display + use<> {
        format!("{}:{}", self.files[place.file as usize].display(), place.line)
    }
}

/// The seeds of a range that are not among these, as ranges.
pub fn gaps<'a>(within: &Range<u64>, seeds: impl Iterator<Item = &'a u64>) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut next = within.start;
    for &seed in seeds.filter(|seed| within.contains(seed)) {
        if seed > next {
            gaps.push(next..seed);
        }
        next = seed + 1;
    }
    if next < within.end {
        gaps.push(next..within.end);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(seed: u64, digest: u64, check: Option<&str>) -> String {
        let violation = check.map(|check| {
            serde_json::json!({"check": check, "property": "", "source": "", "lesson": "", "detail": "", "event": 3, "at": 5})
        });
        let marks = vec![2; MARKS.len()];
        let digest = format!("{digest:016x}");
        serde_json::json!({
            "suite": "raft", "scenario": "chaos", "seed": seed, "schedule": 1, "violation": violation, "digest": digest,
            "events": 1, "messages": 10, "bytes": 1, "virtual_nanos": 2_000_000_000u64, "commits": 1, "marks": marks,
        })
        .to_string()
    }

    fn found(word: &str, seed: u64) -> String {
        format!(
            r#"{{"found":"{word}","suite":"raft","scenario":"chaos","seed":{seed},"bug":null,"mute":[],"detail":"no way on"}}"#
        )
    }

    fn merged(files: &[&[String]]) -> (Merged, Vec<Read>) {
        let mut merged = Merged::default();
        let take = |(nth, lines): (usize, &&[String])| {
            merged.take(Path::new(&format!("{nth}.json")), lines.join("\n").as_bytes()).expect("memory can be read")
        };
        let read = files.iter().enumerate().map(take).collect();
        (merged, read)
    }

    fn only(merged: &Merged, seed: u64) -> &Run {
        &merged.runs.values().next().expect("there are runs")[&seed]
    }

    #[test]
    fn a_run_that_is_there_twice_counts_once() {
        let (merged, read) = merged(&[&[summary(1, 7, None)], &[summary(1, 7, None), summary(2, 8, None)]]);
        assert_eq!((merged.len(), merged.messages, merged.marks[0]), (2, 20, (2, 4)));
        assert_eq!((read[1].fresh, read[1].again), (1, 1));
        assert!(
            merged.runs.values().flat_map(BTreeMap::values).all(|run| !run.is_failure() && !run.is_undecided())
        );
    }

    #[test]
    fn one_run_with_two_digests_has_gone_two_ways() {
        let (merged, _) =
            merged(&[&[summary(1, 7, None)], &[summary(1, 9, None), summary(1, 7, None), summary(1, 9, None)]]);
        assert!(only(&merged, 1).is_failure());
        assert_eq!(merged.digests(only(&merged, 1)), ["0000000000000007  0.json:1", "0000000000000009  1.json:1"]);
        assert_eq!(merged.messages, 10);
    }

    #[test]
    fn what_hung_here_and_ended_there_has_ended() {
        let (merged, _) = merged(&[&[found("hung", 1), found("died", 2)], &[summary(1, 7, None)]]);
        assert!(!only(&merged, 1).is_undecided() && only(&merged, 1).wrong().next().is_none());
        assert!(only(&merged, 2).is_undecided());
        assert_eq!(only(&merged, 2).wrong().collect::<Vec<_>>(), [("DIED", "no way on")]);
    }

    #[test]
    fn a_run_with_two_findings_is_one_failure() {
        let lines = [summary(1, 7, Some("progress")), found("diverged", 1)];
        let (merged, read) = merged(&[&lines]);
        assert_eq!((merged.len(), read[0].fresh, read[0].again), (1, 1, 0));
        let wrong: Vec<_> = only(&merged, 1).wrong().collect();
        assert_eq!(wrong, [("VIOLATED", "progress"), ("DIVERGED", "no way on")]);
    }

    #[test]
    fn other_bugs_and_other_muted_checks_are_other_runs() {
        let with =
            |field: &str, value: &str| summary(1, 9, None).replacen('{', &format!("{{\"{field}\":{value},"), 1);
        let lines = [summary(1, 7, None), with("bug", "\"no-fsync\""), with("mute", "[\"progress\"]")];
        let (merged, read) = merged(&[&lines]);
        assert!(read[0].bad.is_empty(), "{:?}", read[0].bad);
        assert_eq!((merged.len(), merged.runs.len()), (3, 3));
        assert!(merged.runs.values().flat_map(BTreeMap::values).all(|run| !run.is_failure()));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_taken() {
        let whole = summary(4, 7, None);
        let lines = [
            whole[..whole.len() / 2].to_string(),
            whole.replace("\"seed\":4", "\"seed\":\"four\""),
            whole.replace("0000000000000007", "seven"),
            whole.replace("[2,", "["),
            found("lost", 1),
            String::new(),
            "\u{1}".into(),
            whole.clone(),
        ];
        let (merged, read) = merged(&[&lines]);
        assert_eq!(merged.len(), 1);
        let bad: Vec<(u64, &str)> = read[0].bad.iter().map(|bad| (bad.line, bad.why.as_str())).collect();
        let says = ["ends in the middle", "\"four\"", "`seven` is no digest", "another version", "`lost`"];
        for (nth, says) in says.iter().enumerate() {
            assert!(bad[nth].0 == nth as u64 + 1 && bad[nth].1.contains(says), "{bad:?}");
        }
        assert_eq!((bad.len(), bad[5].0), (6, 7), "{bad:?}");
    }

    #[test]
    fn seeds_that_are_not_there_are_told_as_ranges() {
        assert_eq!(gaps(&(0..10), [2, 3, 7, 12].iter()), [0..2, 4..7, 8..10]);
        assert_eq!(gaps(&(2..4), [2, 3].iter()), []);
        assert_eq!(gaps(&(5..7), [].iter()).first(), Some(&(5..7)));
    }
}
