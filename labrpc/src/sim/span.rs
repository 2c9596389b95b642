//! Durations as people write them: `150ms`, `2s 500ms`.
//!
//! Plans are edited by hand, so a duration in a plan is text and not a bare number without a unit.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A duration that is saved as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// So many microseconds.
    pub const fn micros(n: u64) -> Span {
        Span(Duration::from_micros(n))
    }

    /// So many milliseconds.
    pub const fn millis(n: u64) -> Span {
        Span(Duration::from_millis(n))
    }

    /// So many seconds.
    pub const fn secs(n: u64) -> Span {
        Span(Duration::from_secs(n))
    }

    /// In whole nanoseconds.
    pub fn nanos(self) -> u64 {
        crate::time::nanos(self.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Span).map_err(|error| {
            serde::de::Error::custom(format!(
                "`{text}` is not a duration ({error}); write it like \"150ms\" or \"2s 500ms\""
            ))
        })
    }
}

/// A duration drawn evenly between two, both included.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The shortest.
    pub min: Span,
    /// The longest.
    pub max: Span,
}

impl Spread {
    /// Always nothing.
    pub const ZERO: Spread = Spread { min: Span::ZERO, max: Span::ZERO };

    /// Between two durations.
    pub const fn of(min: Span, max: Span) -> Spread {
        Spread { min, max }
    }

    /// Between so many milliseconds.
    pub const fn millis(min: u64, max: u64) -> Spread {
        Spread { min: Span::millis(min), max: Span::millis(max) }
    }

    /// Always the same.
    pub const fn exactly(span: Span) -> Spread {
        Spread { min: span, max: span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_text_and_come_back() {
        assert_eq!(Span::millis(2_500).to_string(), "2s 500ms");
        assert_eq!(humantime::parse_duration("2s 500ms").unwrap(), Span::millis(2_500).0);
    }
}
