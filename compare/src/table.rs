//! What was found, side by side.

use crate::load::Found;
use std::fmt::Write;
use std::time::Duration;

/// What was found of one kind of operation on one cluster: all rounds together.
#[derive(Default)]
pub struct Side {
    /// What the clients have measured.
    pub found: Found,
    /// Operations a second in each round.
    pub rates: Vec<f64>,
    /// CPU time of the members, and of the clients.
    pub cpu: (Duration, Duration),
    /// Syncs of logs, all members together.
    pub syncs: u64,
}

impl Side {
    /// Operations a second: the median of the rounds, since a machine that others use too is slow now and then.
    pub fn rate(&self) -> f64 {
        median(&self.rates)
    }

    fn operations(&self) -> f64 {
        self.found.latency.len() as f64
    }

    fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.operations()
    }

    fn percentile(&self, percent: f64) -> f64 {
        self.found.latency.value_at_percentile(percent) as f64 / 1e3
    }
}

/// Of an even number of values the upper one of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The ratios of the rounds of two sides, each with its neighbour in time.
pub fn ratios(etcd: &Side, ours: &Side) -> Vec<f64> {
    ours.rates.iter().zip(&etcd.rates).map(|(ours, etcd)| ours / etcd).collect()
}

/// The rows for one kind of operation.
pub fn rows(name: &str, etcd: &Side, ours: &Side) -> String {
    let mut text = String::new();
    let mut row = |name: &str, digits: usize, etcd: f64, ours: f64| {
        let ratio = ours / etcd;
        let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
        writeln!(text, "{name:<38}{etcd:>12.digits$}{ours:>12.digits$}{ratio:>10}")
            .expect("a string takes anything");
    };
    row(&format!("{name} a second, median of the rounds"), 0, etcd.rate(), ours.rate());
    row("  p50, ms", 2, etcd.percentile(50.0), ours.percentile(50.0));
    row("  p99, ms", 2, etcd.percentile(99.0), ours.percentile(99.0));
    row("  CPU of all members for each, µs", 1, etcd.each(etcd.cpu.0), ours.each(ours.cpu.0));
    row("  CPU of the clients for each, µs", 1, etcd.each(etcd.cpu.1), ours.each(ours.cpu.1));
    // They were counted before and after each round, warm-up included.
    let syncs = |side: &Side| side.syncs as f64 * 1e3 / side.found.done as f64;
    row("  syncs of all logs for 1000 of them", 1, syncs(etcd), syncs(ours));
    let ratios = ratios(etcd, ours);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    writeln!(text, "  shardlab / etcd in each round: median {:.2}, {least:.2} to {most:.2}", median(&ratios))
        .expect("a string takes anything");
    text
}
