//! Operations of a key/value service in words, for traces.

use crate::history::{Call, Expect, History, OpId, Outcome, Reply};
use crate::kv::Lost;
use crate::lin::Window;
use bytes::Bytes;
use std::fmt;

/// Bytes as text; long ones by their end, where the latest is.
struct Text<'a>(&'a Bytes);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 24;
        let (cut, shown) = match self.0.len().checked_sub(MOST) {
            Some(from) if from > 0 => ("...", &self.0[from..]),
            _ => ("", &self.0[..]),
        };
        write!(f, "\"{cut}{}\"", shown.escape_ascii())
    }
}

/// A value and its version, or that there is none.
struct Held<'a>(Option<&'a Bytes>, u64);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{} v{}", Text(value), self.1),
            None => f.write_str("nothing"),
        }
    }
}

/// What a client asks for.
pub(super) struct Asks<'a>(pub u32, pub &'a Call);

impl fmt::Display for Asks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} asks: {}", self.0, Wants(self.1))
    }
}

/// What is to be done.
pub(super) struct Wants<'a>(pub &'a Call);

impl fmt::Display for Wants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Call::Get { key } => write!(f, "get {}", Text(key)),
            Call::Put { key, value } => write!(f, "put {} {}", Text(key), Text(value)),
            Call::Append { key, value } => write!(f, "append to {} {}", Text(key), Text(value)),
            Call::Delete { key } => write!(f, "delete {}", Text(key)),
            Call::Cas { key, expect: Expect::Version(version), value } => {
                write!(f, "if {} is at v{version}, put {}", Text(key), Text(value))
            }
            Call::Cas { key, expect: Expect::Value(held), value } => match held {
                Some(held) => write!(f, "if {} is {}, put {}", Text(key), Text(held), Text(value)),
                None => write!(f, "if {} is absent, put {}", Text(key), Text(value)),
            },
            Call::Scan { prefix, limit } => write!(f, "scan {}, {limit} at most", Text(prefix)),
        }
    }
}

/// What it is told.
pub(super) struct IsTold<'a>(pub u32, pub Option<Result<&'a Reply, Lost>>);

impl fmt::Display for IsTold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} is told: ", self.0)?;
        match &self.1 {
            Some(Ok(Reply::Value { value, version })) => write!(f, "{}", Held(value.as_ref(), *version)),
            Some(Ok(Reply::Written { version })) => write!(f, "written, v{version}"),
            Some(Ok(Reply::Deleted { existed: true })) => f.write_str("deleted"),
            Some(Ok(Reply::Deleted { existed: false })) => f.write_str("nothing to delete"),
            Some(Ok(Reply::CasFailed { value, version })) => {
                write!(f, "no, there is {}", Held(value.as_ref(), *version))
            }
            Some(Ok(Reply::Entries { items, index, .. })) => write!(f, "{} keys as of #{index}", items.len()),
            Some(Err(Lost::Refused)) => f.write_str("refused"),
            Some(Err(Lost::Unknown)) => f.write_str("nothing, and gives up: unknown"),
            None => f.write_str("nothing before all fall silent: unknown"),
        }
    }
}

/// Who contradicts whom, in a few lines.
pub(super) fn of_window(history: &History, window: &Window) -> String {
    /// Operations that are shown.
    const MOST: usize = 12;
    let shown = |id: &OpId| {
        let op = &history.operations[id.0];
        let told = match &op.outcome {
            Outcome::Ok { reply, at } => format!("#{}: {}", at.nth, IsTold(op.process, Some(Ok(reply)))),
            Outcome::Fail { at } => format!("#{}: {}", at.nth, IsTold(op.process, Some(Err(Lost::Refused)))),
            Outcome::Unknown => IsTold(op.process, Some(Err(Lost::Unknown))).to_string(),
        };
        format!("\n    #{}: {}; {told}", op.invoked.nth, Asks(op.process, &op.call))
    };
    let lines: String = window.conflict.iter().take(MOST).map(shown).collect();
    let more = window.conflict.len().saturating_sub(MOST);
    let rest = if more > 0 { format!("\n    and {more} more") } else { String::new() };
    format!(
        "no order of the operations on {} explains what clients were told between events #{} and #{}:{lines}{rest}",
        Text(&window.key),
        window.from.nth,
        window.to.nth
    )
}
