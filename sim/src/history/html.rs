//! A history to look at: one file that needs nothing else. A lane for each client, time to the right.
//!
//! Where it goes wrong only the key that does so is shown: the longest part of it that has an order, numbered in that
//! order, the operation that breaks it, and those that it contradicts.

use super::{Call, Expect, History, OpId, Operation, Outcome, Reply, quoted};
use crate::lin::{Verdict, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How many operations are drawn at most; a browser does not take much more.
const DRAWN: usize = 5_000;
/// Pixels between two events: as many as fill a screen, within these bounds.
const STEPS: std::ops::RangeInclusive<usize> = 14..=110;
const SCREEN: usize = 1_600;
/// Pixels of a lane.
const LANE: usize = 30;
const LEFT: usize = 90;
const TOP: usize = 40;
/// Rows of words about faults above the lanes: neighbours take turns.
const ROWS: usize = 3;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:1.5em}main{overflow-x:auto;border:1px solid #ccc}\
text{font:11px ui-monospace,monospace}.op{fill:#dbe4f0;stroke:#6b83a8}.in{fill:#d5efd8;stroke:#3f8f4d}\
.open{stroke-dasharray:4 3}.conflict{fill:#ffe3b0;stroke:#c47f00;stroke-width:2}\
.breaks{fill:#ffc9c9;stroke:#c00000;stroke-width:3}.fault{stroke:#a040c0;stroke-dasharray:2 3}.what{fill:#a040c0}\
.lane{stroke:#eee}.key span{padding:.1em .6em;border:1px solid #888;margin-right:.6em}";

/// The page.
pub fn html(name: &str, history: &History, verdict: &Verdict) -> String {
    let window = if let Verdict::Violated(window) = verdict { Some(&**window) } else { None };
    let shown = shown(history, window);
    let all = history.operations.len();
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style>\n\
         <h1>{0}</h1><p><b>{1}</b>. {2} of {all} operations are shown. Point at one to read all of it.</p>\n",
        escaped(name),
        escaped(&verdict.to_string()),
        shown.len()
    );
    if let Some(window) = window {
        page.push_str(
            "<p class=\"key\"><span style=\"background:#d5efd8\">has an order, numbered</span>\
             <span style=\"background:#ffe3b0\">contradicts</span>\
             <span style=\"background:#ffc9c9\">breaks it</span></p>\n<ul>\n",
        );
        for id in &window.conflict {
            let _ = writeln!(page, "<li>{}</li>", escaped(&describe(&history.operations[id.0])));
        }
        page.push_str("</ul>\n");
    }
    draw(&mut page, history, &shown, window);
    page.push_str("</html>\n");
    page
}

fn shown(history: &History, window: Option<&Window>) -> Vec<OpId> {
    let about = |id: &OpId| {
        let operation = &history.operations[id.0];
        window.is_none_or(|window| match &operation.call {
            Call::Scan { prefix, .. } => window.key.starts_with(prefix),
            call => *call.key() == window.key,
        })
    };
    let mut shown: Vec<OpId> = (0..history.operations.len()).map(OpId).filter(about).collect();
    if shown.len() > DRAWN {
        // What goes wrong must be among them.
        let end = window.map_or(DRAWN, |window| shown.partition_point(|id| *id <= window.breaks) + DRAWN / 10);
        let end = end.clamp(DRAWN, shown.len());
        shown = shown[end - DRAWN..end].to_vec();
    }
    shown
}

fn draw(page: &mut String, history: &History, shown: &[OpId], window: Option<&Window>) {
    let operations = || shown.iter().map(|id| &history.operations[id.0]);
    let ends = operations().flat_map(|op| [Some(op.invoked.nth), op.returned().map(|at| at.nth)]);
    let from = operations().map(|op| op.invoked.nth).min().unwrap_or(0);
    let until = ends.clone().flatten().max().unwrap_or(0);
    let faults = || history.annotations.iter().filter(|fault| (from..=until).contains(&fault.at.nth));
    let events: BTreeSet<u64> = ends.flatten().chain(faults().map(|fault| fault.at.nth)).collect();
    let step = (SCREEN / (events.len() + 2)).clamp(*STEPS.start(), *STEPS.end());
    let places: BTreeMap<u64, usize> = events.into_iter().zip((0..).map(|nth| LEFT + nth * step)).collect();
    let processes: BTreeSet<u32> = operations().map(|op| op.process).collect();
    let lanes: BTreeMap<u32, usize> = processes.into_iter().zip((0..).map(|nth| TOP + nth * LANE)).collect();
    let (width, height) = (LEFT + (places.len() + 2) * step, TOP + lanes.len() * LANE + 20);
    let _ = writeln!(page, "<main><svg width=\"{width}\" height=\"{height}\">");
    for (process, y) in &lanes {
        let middle = y + LANE / 2 - 3;
        let _ = writeln!(
            page,
            "<text x=\"4\" y=\"{}\">client {process}</text><line class=\"lane\" x1=\"{LEFT}\" x2=\"{width}\" \
             y1=\"{middle}\" y2=\"{middle}\"/>",
            middle + 4
        );
    }
    for (fault, row) in faults().zip((0..ROWS).cycle()) {
        let x = places[&fault.at.nth];
        let _ = writeln!(
            page,
            "<line class=\"fault\" x1=\"{x}\" x2=\"{x}\" y1=\"20\" y2=\"{height}\"/><text class=\"what\" x=\"{x}\" \
             y=\"{}\">{}</text>",
            (row + 1) * 12,
            escaped(&format!("{} {}", fault.what, fault.detail))
        );
    }
    let order: BTreeMap<OpId, usize> =
        window.map_or_else(BTreeMap::new, |window| window.prefix.iter().copied().zip(1..).collect());
    for id in shown {
        let operation = &history.operations[id.0];
        let end = operation.returned().map_or(width, |at| places[&at.nth]);
        let x = places[&operation.invoked.nth];
        let class = class(*id, operation, window, order.contains_key(id));
        let number = order.get(id).map_or(String::new(), |nth| format!("{nth}: "));
        let y = lanes[&operation.process];
        let text = describe(operation);
        // The lane says whose it is.
        let label: String = told(operation).chars().take(((end - x) / 7).saturating_sub(number.len())).collect();
        let _ = writeln!(
            page,
            "<g><title>{number}{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"24\" \
             rx=\"3\"/><text x=\"{}\" y=\"{}\">{number}{}</text></g>",
            escaped(&text),
            (end - x).max(6),
            x + 3,
            y + 16,
            escaped(&label)
        );
    }
    page.push_str("</svg></main>\n");
}

fn class(id: OpId, operation: &Operation, window: Option<&Window>, in_order: bool) -> String {
    let class = match window {
        Some(window) if window.breaks == id => "breaks",
        Some(window) if window.conflict.contains(&id) => "conflict",
        _ if in_order => "in",
        _ => "op",
    };
    let open = if operation.outcome == Outcome::Unknown { " open" } else { "" };
    format!("{class}{open}")
}

/// An operation in a line.
pub fn describe(operation: &Operation) -> String {
    let returned = operation.returned().map_or("never".into(), |at| format!("#{}", at.nth));
    format!("client {}: {}  [#{} to {returned}]", operation.process, told(operation), operation.invoked.nth)
}

/// What was asked for, and what came of it.
fn told(operation: &Operation) -> String {
    let value = |value: &Option<super::Value>| value.as_ref().map_or("nothing".into(), |value| quoted(value));
    let call = match &operation.call {
        Call::Get { key } => format!("get {}", quoted(key)),
        Call::Put { key, value } => format!("put {} {}", quoted(key), quoted(value)),
        Call::Append { key, value } => format!("append {} {}", quoted(key), quoted(value)),
        Call::Delete { key } => format!("delete {}", quoted(key)),
        Call::Cas { key, expect: Expect::Value(expect), value: new } => {
            format!("cas {} from {} to {}", quoted(key), value(expect), quoted(new))
        }
        Call::Cas { key, expect: Expect::Version(expect), value } => {
            format!("cas {} from version {expect} to {}", quoted(key), quoted(value))
        }
        Call::Scan { prefix, limit } => format!("scan {} at most {limit}", quoted(prefix)),
    };
    let at_version = |version: u64| if version == 0 { String::new() } else { format!(" at version {version}") };
    let reply = match &operation.outcome {
        Outcome::Unknown => "outcome unknown".into(),
        Outcome::Fail { .. } => "not executed".into(),
        Outcome::Ok { reply, .. } => match reply {
            Reply::Value { value: there, version } => format!("{}{}", value(there), at_version(*version)),
            Reply::Written { version } => format!("ok{}", at_version(*version)),
            Reply::Deleted { existed } => if *existed { "removed" } else { "was not there" }.into(),
            Reply::CasFailed { value: there, version } => format!("found {}{}", value(there), at_version(*version)),
            Reply::Entries { items, more, .. } => {
                let items = items.iter().map(|(key, value, _)| format!("{}={}", quoted(key), quoted(value)));
                format!("{}{}", items.collect::<Vec<_>>().join(", "), if *more { ", and more" } else { "" })
            }
        },
    };
    format!("{call} -> {reply}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
