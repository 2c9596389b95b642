//! What a bench has found, for people and for machines. Pure.

use super::schedule::Pace;
use super::settings::Settings;
use super::tally::{Count, Tally};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The percentiles that are told, and their names.
const PERCENTILES: [(&str, f64); 6] =
    [("min", 0.0), ("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub settings: Settings,
    /// For how long operations counted: less than was asked for if somebody has ended it.
    pub span: Duration,
    /// What came of them.
    pub tally: Tally,
    /// Operations of an open loop that were due and had not begun when time was up.
    pub not_begun: u64,
    /// Whether somebody has ended it.
    pub ended_early: bool,
}

/// The same for machines. Times are in microseconds.
#[derive(Serialize)]
struct Plain {
    pace: &'static str,
    rate: Option<u64>,
    clients: u32,
    keys: u64,
    distribution: String,
    reads_percent: u32,
    value_size: usize,
    seed: u64,
    seconds: f64,
    ended_early: bool,
    reads: PlainCount,
    writes: PlainCount,
    not_begun: u64,
    under_way: u64,
}

#[derive(Serialize)]
struct PlainCount {
    operations: u64,
    finished: u64,
    per_second: f64,
    unanswered: u64,
    refused: u64,
    unknown: u64,
    latency_us: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Report {
    /// Operations that were done.
    pub fn done(&self) -> u64 {
        self.tally.reads.latency.len() + self.tally.writes.latency.len()
    }

    /// As JSON, in one line.
    pub fn to_json(&self) -> String {
        let settings = &self.settings;
        let (pace, rate) = match settings.pace {
            Pace::Closed => ("closed", None),
            Pace::Fixed(rate) => ("fixed", Some(rate)),
            Pace::Poisson(rate) => ("poisson", Some(rate)),
        };
        let plain = Plain {
            pace,
            rate,
            clients: settings.clients,
            keys: settings.keys,
            distribution: settings.popularity.to_string(),
            reads_percent: settings.reads,
            value_size: settings.value_size,
            seed: settings.seed,
            seconds: self.span.as_secs_f64(),
            ended_early: self.ended_early,
            reads: self.plain(&self.tally.reads),
            writes: self.plain(&self.tally.writes),
            not_begun: self.not_begun,
            under_way: self.tally.under_way(),
        };
        serde_json::to_string(&plain).expect("numbers and names are JSON")
    }

    fn plain(&self, count: &Count) -> PlainCount {
        let percentiles = PERCENTILES.iter().map(|(name, percent)| {
            let micros = count.percentile(*percent).as_micros() as u64;
            (name.to_string(), micros.into())
        });
        PlainCount {
            operations: count.latency.len(),
            finished: count.finished,
            per_second: self.per_second(count),
            unanswered: count.unanswered,
            refused: count.refused,
            unknown: count.unknown,
            latency_us: (!count.latency.is_empty()).then(|| percentiles.collect()),
        }
    }

    fn per_second(&self, count: &Count) -> f64 {
        let seconds = self.span.as_secs_f64();
        if seconds > 0.0 { count.finished as f64 / seconds } else { 0.0 }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, name: &str, count: &Count) -> fmt::Result {
        write!(f, "{name:<8}{} done, {:.0}/s", count.latency.len(), self.per_second(count))?;
        if !count.latency.is_empty() {
            for (name, percent) in PERCENTILES {
                write!(f, "  {name} {}", brief(count.percentile(percent)))?;
            }
        }
        writeln!(f)
    }

    /// What must be known to take the figures for what they are.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.settings.pace == Pace::Closed {
            notes.push(
                "closed loop: while an answer is late its client asks nothing, so the percentiles hide what was not sent meanwhile; \
                 --rate shows it"
                    .into(),
            );
        }
        if self.not_begun > 0 {
            notes.push(format!(
                "{} operations were due and had not begun when time was up: this rate is more than {} clients could have done, and \
                 the percentiles are too low",
                self.not_begun, self.settings.clients
            ));
        }
        if self.tally.under_way() > 0 {
            notes.push(format!("{} operations were under way when it was ended", self.tally.under_way()));
        }
        if self.ended_early {
            notes.push(format!(
                "it was ended after {:.1} of {:.1} s",
                self.span.as_secs_f64(),
                self.settings.span.as_secs_f64()
            ));
        }
        notes
    }
}

/// The lines for people. What was asked for is not among them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { reads, writes, .. } = &self.tally;
        self.line(f, "reads", reads)?;
        self.line(f, "writes", writes)?;
        let errors = [
            ("reads without an answer", reads.unanswered),
            ("writes of unknown outcome", writes.unknown),
            ("writes refused", writes.refused),
        ];
        let errors: Vec<String> =
            errors.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what} {count}")).collect();
        writeln!(f, "errors  {}", if errors.is_empty() { "none".into() } else { errors.join(", ") })?;
        self.notes().into_iter().try_for_each(|note| writeln!(f, "note    {note}"))
    }
}

/// A time with three digits or so.
fn brief(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        ..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Kind, tests::settings};
    use super::super::tally::{Came, Window};
    use super::*;
    use labrpc::Time;

    fn report() -> Report {
        let window = Window { from: Time::ZERO, to: Time::ZERO + Duration::from_secs(10) };
        let mut tally = Tally::default();
        for nth in 1..=1_000 {
            let (due, took) = (Time::ZERO + Duration::from_millis(nth), Duration::from_micros(nth * 10));
            tally.begins(due, window);
            tally.ends(Kind::Read, Came::Done, due, due + took, window);
        }
        for came in [Came::Unknown, Came::Unknown, Came::Refused] {
            tally.begins(Time::ZERO, window);
            tally.ends(Kind::Write, came, Time::ZERO, Time::ZERO, window);
        }
        Report { settings: settings(), span: Duration::from_secs(10), tally, not_begun: 0, ended_early: false }
    }

    #[test]
    fn people_are_told_a_line_each() {
        let mut ours = report();
        ours.settings.pace = Pace::Fixed(100);
        let told = "reads   1000 done, 100/s  min 10 us  p50 5.00 ms  p90 9.01 ms  p99 9.90 ms  p99.9 10.01 ms  max 10.01 ms\n\
                    writes  0 done, 0/s\n\
                    errors  writes of unknown outcome 2, writes refused 1\n";
        assert_eq!(ours.to_string(), told);
        ours.not_begun = 5;
        assert!(ours.to_string().contains("\nnote    5 operations were due and had not begun"), "{ours}");
        ours.settings.pace = Pace::Closed;
        assert!(ours.to_string().contains("\nnote    closed loop: "), "{ours}");
    }

    #[test]
    fn machines_are_told_the_same_in_numbers() {
        let told: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!((&told["pace"], &told["rate"]), (&"closed".into(), &serde_json::Value::Null));
        assert_eq!((&told["reads"]["operations"], &told["reads"]["per_second"]), (&1_000.into(), &100.0.into()));
        assert_eq!((&told["writes"]["unknown"], &told["writes"]["refused"]), (&2.into(), &1.into()));
        assert!(told["writes"]["latency_us"].is_null());
        let p99 = told["reads"]["latency_us"]["p99"].as_u64().unwrap();
        assert!(p99.abs_diff(9_900) < 20, "{p99}");
    }
}
