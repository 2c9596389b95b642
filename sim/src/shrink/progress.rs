//! What shrinking says while it runs: a line that changes on a terminal, a line now and then elsewhere.

use super::Size;
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
    said: Instant,
}

impl Progress {
    pub fn new(is_quiet: bool) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let target =
            if is_terminal && !is_quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is a literal"));
        Progress { bar, is_terminal, is_quiet, said: Instant::now() }
    }

    /// After so many of so many runs, with a plan of that size, this is looked at.
    pub fn tick(&mut self, runs: u64, budget: u64, size: &Size, what: &str) {
        let due = self.said.elapsed() > if self.is_terminal { Duration::from_millis(200) } else { EVERY };
        if !due || self.is_quiet {
            return;
        }
        self.said = Instant::now();
        let text = format!("{runs} of at most {budget} runs, {size}; now {what}");
        self.bar.set_message(text.clone());
        self.bar.tick();
        if !self.is_terminal {
            eprintln!("{text}");
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
