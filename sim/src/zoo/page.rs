//! What was measured, as a table to look at and as a page to keep.

use super::column::{Caps, Column};
use super::measure::Cell;
use super::waits::{median, waits};
use crate::campaign::interval;
use crate::raft::{BugCard, Class, Study};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Runs within which bugs are counted as seen.
const WITHIN: [u64; 3] = [20, 500, 5_000];

/// A bug and what came of looking for it.
pub struct Row {
    /// Of which system.
    pub suite: &'static str,
    /// The bug.
    pub bug: BugCard,
    /// In each column that was measured.
    pub cells: Vec<Cell>,
}

impl Row {
    fn class(&self) -> Class {
        self.bug.study.map_or_else(Class::default, |Study { class, .. }| class)
    }

    fn cell(&self, column: Column) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.column == column)
    }
}

/// What is known of a bug in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// It was seen, after so many runs in the middle.
    Seen(u64),
    /// It was not, in so many runs.
    Unseen(u64),
    /// It made no difference in any run that was compared, so that there was nothing to see.
    Untested,
}

impl Cell {
    fn standing(&self) -> Standing {
        let mut waits = waits(&self.detections.iter().map(|seen| seen.nth).collect::<Vec<u64>>());
        match median(&mut waits) {
            Some(runs) => Standing::Seen(runs),
            None if self.live == 0 => Standing::Untested,
            None => Standing::Unseen(self.runs),
        }
    }

    /// The check that saw it most often.
    fn check(&self) -> Option<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for seen in &self.detections {
            *counts.entry(&seen.check).or_default() += 1;
        }
        // Of several the one that saw it first.
        let first = |check: &str| self.detections.iter().position(|seen| seen.check == check);
        let best = counts.into_iter().max_by_key(|(check, count)| (*count, std::cmp::Reverse(first(check))));
        best.map(|(check, _)| check)
    }

    /// In a cell of a table.
    fn text(&self) -> String {
        let (seen, runs) = (self.detections.len() as u64, self.runs);
        let share = seen as f64 / runs.max(1) as f64;
        let (low, high) = interval(seen, runs);
        let live = format!("live in {} of {}", self.live, self.compared);
        let dismissed = match self.dismissed {
            0 => String::new(),
            count => format!(", {count} red without it too"),
        };
        let interval = format!("{} ({} to {})", percent(share), percent(low), percent(high));
        match self.standing() {
            Standing::Untested => format!("UNTESTED: no difference in {} runs{dismissed}", self.compared),
            Standing::Unseen(_) => format!("not in {runs} runs: {interval}; {live}{dismissed}"),
            Standing::Seen(median) => {
                let seconds = self.nanos as f64 / 1e9 / seen as f64;
                let check = self.check().unwrap_or_default();
                format!(
                    "{seen} of {runs}: {interval}; after {median}, {seconds:.0} s; `{check}`; {live}{dismissed}"
                )
            }
        }
    }
}

fn percent(p: f64) -> String {
    let digits = if p == 0.0 || p >= 0.1 { 0 } else { 1 + usize::from(p < 0.01) };
    format!("{:.digits$} %", 100.0 * p)
}

/// The table, and what it comes to.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut suite = "";
    for row in rows {
        if row.suite != suite {
            suite = row.suite;
            let _ =
                writeln!(text, "\n## {suite}\n\n| bug | class | the course's scenarios | the whole laboratory |");
            text.push_str("|-----|-------|------------------------|----------------------|\n");
        }
        let cell = |column| row.cell(column).map_or("not measured".into(), Cell::text);
        let (usual, whole) = (cell(Column::Usual), cell(Column::Whole));
        let _ = writeln!(text, "| `{}` | {} | {usual} | {whole} |", row.bug.name, row.class().name());
    }
    text + &verdict(rows)
}

/// How many are seen within how many runs, and what falls short.
fn verdict(rows: &[Row]) -> String {
    let mut text = String::from("\n## What it comes to\n");
    for column in Column::ALL {
        let _ = writeln!(text, "\nIn {}:\n", column.name());
        text.push_str("| class | bugs | within 20 runs | within 500 | within 5,000 | not seen | untested |\n");
        text.push_str("|-------|-----:|---------------:|-----------:|-------------:|---------:|---------:|\n");
        let mut short = Vec::new();
        for class in Class::ALL {
            let of_class = rows.iter().filter(|row| row.class() == class);
            let known: Vec<(&str, Standing)> =
                of_class.filter_map(|row| Some((row.bug.name, row.cell(column)?.standing()))).collect();
            let count = |is: &dyn Fn(Standing) -> bool| known.iter().filter(|(_, standing)| is(*standing)).count();
            let [first, second, third] =
                WITHIN.map(|most| count(&|standing| matches!(standing, Standing::Seen(runs) if runs <= most)));
            let unseen = count(&|standing| matches!(standing, Standing::Unseen(_)));
            let untested = count(&|standing| standing == Standing::Untested);
            let (name, all) = (class.name(), known.len());
            let _ = writeln!(text, "| {name} | {all} | {first} | {second} | {third} | {unseen} | {untested} |");
            short.extend(known.iter().filter_map(|(bug, standing)| falls_short(bug, class, *standing)));
        }
        match short.as_slice() {
            [] => text.push_str("\nNothing falls short of its class.\n"),
            short => _ = writeln!(text, "\nWhat falls short of its class: {}.", short.join("; ")),
        }
    }
    text
}

fn falls_short(bug: &str, class: Class, standing: Standing) -> Option<String> {
    let (name, within) = (class.name(), class.within());
    match standing {
        Standing::Seen(runs) if runs <= within => None,
        Standing::Seen(runs) => Some(format!("`{bug}` ({name}, {runs} runs)")),
        Standing::Unseen(runs) if runs < within => {
            Some(format!("`{bug}` ({name}: not in {runs} runs, and looked for no longer)"))
        }
        Standing::Unseen(runs) => Some(format!("`{bug}` ({name}, not in {runs} runs)")),
        Standing::Untested => Some(format!("`{bug}` ({name}, untested)")),
    }
}

/// The page. `command` is what makes it again.
pub fn page(rows: &[Row], caps: &Caps, command: &str) -> String {
    let [easy, medium, hard] = caps.whole;
    let (usual, detections, sample) = (caps.usual, caps.detections, caps.sample);
    let checks: Vec<String> = Column::client_side().map(|check| format!("`{check}`")).collect();
    let checks = checks.join(", ");
    let tables = table(rows);
    let bugs = bugs(rows);
    format!(
        "# The zoo

How well the laboratory sees the bugs that are planted in its systems. This page is made, not written: `{command}`.

Each bug is looked for twice. In *the course's scenarios*, with the checks alone that look at what clients are told and services
are given: {checks}. That is about what the course's own tests could find. And in *the whole laboratory*: what
`hunt` does, in which each seed draws what happens, with all checks. A run is one seed of one scenario; where there are several
scenarios, runs go through them in an order that is fixed and says nothing about the bug, one seed of each after the other.

A bug is looked for until {detections} of its runs have seen it, with at most {usual} in the course's scenarios, and in the whole laboratory
{easy} for an easy bug, {medium} for a medium one and {hard} for a hard one. The classes are estimates from before the bugs were
planted, where there were any, and were never set by what was measured: for random faults of all kinds in clusters of three to five
with several clients, easy is within 20 runs, medium within 500, hard within 5,000.

A cell says in how many runs of how many it was seen, the share with its 95 % interval (exact, after Clopper and Pearson; since the
search stops with a detection, the share is a little high where they are few), after how many runs in the middle, how much simulated time went by for each
detection, and which check saw it most often. A run counts if the same run without the bug is green; those where it is not are
told apart. A bug is *live* in a run if anything at all is different from the same run without it: that is looked at in
the first {sample} runs. One that is live in none of them is untested, and neither seen nor missed.
{tables}
## The bugs

Each has a scenario that is made for it, in which that check sees it first; `cargo test` holds that (see
[what it can see](planted-bugs.md)).

| bug | what is wrong | where | rule | class | its scenario | check |
|-----|---------------|-------|------|-------|--------------|-------|
{bugs}"
    )
}

fn bugs(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { suite, bug, .. } in rows {
        let (scenario, check) = bug.directed.unwrap_or(("none", "none"));
        let (layer, class, rule) = match bug.study {
            None => (*suite, String::new(), ""),
            Some(Study { layer, class, rule, ground: None }) => (layer.name(), class.name().into(), rule),
            Some(Study { layer, class, rule, ground: Some(ground) }) => {
                (layer.name(), format!("{}: {ground}", class.name()), rule)
            }
        };
        let (name, about) = (bug.name, bug.about);
        let _ = writeln!(text, "| `{name}` | {about} | {layer} | {rule} | {class} | `{scenario}` | `{check}` |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Layer;
    use crate::zoo::Detection;

    fn cell(column: Column, runs: u64, detections: &[(u64, &str)], live: u64) -> Cell {
        let seen = |(nth, check): &(u64, &str)| Detection {
            nth: *nth,
            scenario: "s".into(),
            seed: 0,
            check: (*check).into(),
            nanos: 0,
        };
        let (build, suite, bug) = (String::new(), "raft".into(), "x".into());
        let detections = detections.iter().map(seen).collect();
        let (cap, wanted, sample, dismissed, compared) = (200, 5, 200, 0, runs);
        let nanos = runs * 1_000_000_000;
        Cell { build, suite, bug, column, cap, wanted, sample, runs, detections, dismissed, compared, live, nanos }
    }

    fn row(name: &'static str, class: Class, cells: Vec<Cell>) -> Row {
        let study = Some(Study::of(Layer::Election, class, "a rule"));
        Row {
            suite: "raft",
            bug: BugCard { name, about: "It is wrong.", directed: Some(("d", "c")), study },
            cells,
        }
    }

    #[test]
    fn the_check_that_saw_it_most_often_is_named_and_of_two_the_first() {
        let of = |detections: &[(u64, &str)]| cell(Column::Whole, 9, detections, 9).check().map(String::from);
        assert_eq!(of(&[(1, "b"), (2, "a"), (3, "a")]), Some("a".into()));
        assert_eq!(of(&[(1, "b"), (2, "a")]), Some("b".into()));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_bug_that_did_nothing_is_untested_and_neither_seen_nor_missed() {
        assert_eq!(cell(Column::Whole, 20, &[], 0).standing(), Standing::Untested);
        assert_eq!(cell(Column::Whole, 20, &[], 1).standing(), Standing::Unseen(20));
        assert_eq!(cell(Column::Whole, 20, &[(3, "a"), (4, "a"), (20, "a")], 9).standing(), Standing::Seen(3));
    }

    #[test]
    fn what_falls_short_of_its_class_is_named() {
        let whole = |runs, detections: &[(u64, &str)], live| vec![cell(Column::Whole, runs, detections, live)];
        let rows = [
            row("fine", Class::Easy, whole(20, &[(20, "a")], 3)),
            row("slow", Class::Easy, whole(21, &[(21, "a")], 3)),
            row("fine-too", Class::Medium, whole(500, &[(500, "a")], 3)),
            row("missed", Class::Medium, whole(2_000, &[], 3)),
            row("given-up", Class::Hard, whole(20, &[], 3)),
            row("dead", Class::Hard, whole(20, &[], 0)),
        ];
        let text = table(&rows);
        assert!(text.contains("| easy | 2 | 1 | 2 | 2 | 0 | 0 |"), "{text}");
        assert!(text.contains("| medium | 2 | 0 | 1 | 1 | 1 | 0 |"), "{text}");
        assert!(text.contains("| hard | 2 | 0 | 0 | 0 | 1 | 1 |"), "{text}");
        let short = "`slow` (easy, 21 runs); `missed` (medium, not in 2000 runs); `given-up` (hard: not in 20 runs, and \
                     looked for no longer); `dead` (hard, untested).";
        assert!(text.contains(short), "{text}");
    }

    #[test]
    fn a_cell_says_what_was_seen_and_how_sure_that_is() {
        let text = cell(Column::Usual, 10, &[(3, "a"), (10, "a")], 7).text();
        assert_eq!(text, "2 of 10: 20 % (2.5 % to 56 %); after 3, 5 s; `a`; live in 7 of 10");
        let text = cell(Column::Usual, 10, &[], 7).text();
        assert_eq!(text, "not in 10 runs: 0 % (0 % to 31 %); live in 7 of 10");
    }
}
