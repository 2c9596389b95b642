//! What a campaign says while it runs: a bar on a terminal, a line now and then elsewhere.

use super::results::Results;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    is_quiet: bool,
    total: u64,
    started: Instant,
    said: Instant,
}

impl Progress {
    pub fn new(total: u64, is_quiet: bool) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let target =
            if is_terminal && !is_quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {msg}, ETA {eta}");
        bar.set_style(style.expect("the template is a literal"));
        Progress { bar, is_terminal, is_quiet, total, started: Instant::now(), said: Instant::now() }
    }

    pub fn tick(&mut self, results: &Results) {
        self.bar.set_position(results.runs);
        let due = self.said.elapsed() > if self.is_terminal { Duration::from_millis(200) } else { EVERY };
        if !due || self.is_quiet {
            return;
        }
        self.said = Instant::now();
        let text = self.text(results);
        self.bar.set_message(text.clone());
        if !self.is_terminal {
            eprintln!("{}/{} runs, {text}", results.runs, self.total);
        }
    }

    fn text(&self, results: &Results) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let failures = match results.failures.len() {
            0 => "no failure".into(),
            1 => "1 failure".into(),
            n => format!("{n} failures"),
        };
        let (runs, virtual_seconds) = (results.runs as f64 / seconds, results.virtual_seconds / seconds);
        format!("{runs:.0} runs/s, {virtual_seconds:.0} simulated s/s, {failures}")
    }

    /// Does something that prints, with the bar out of the way.
    pub fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
