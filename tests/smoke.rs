//! smoke
use shardlab::raft::lab::ShardlabRaft;
use sim::lab::{Record, run_plan};
use std::sync::Arc;
use std::time::Instant;
#[test]
fn smoke() {
    let suite = sim::scenario::raft::suite(Arc::new(ShardlabRaft));
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let from: u64 = std::env::var("FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let only = std::env::var("ONLY").ok();
    let bug = std::env::var("BUG").ok();
    let trace = std::env::var("TRACE").is_ok();
    for scenario in &suite.scenarios {
        if only.as_deref().is_some_and(|only| only != scenario.name) {
            continue;
        }
        let start = Instant::now();
        let (mut events, mut messages, mut virt, mut bad, mut skipped) = (0, 0, 0.0, 0, 0);
        for seed in from..from + seeds {
            let plan = suite.plan(scenario, seed, bug.as_deref());
            if let Err(e) = plan.check() {
                println!("{} {seed} {e}", scenario.name);
                continue;
            }
            if let Ok(to) = std::env::var("SAVE") {
                std::fs::write(to, plan.to_json()).unwrap();
            }
            let report = run_plan(&suite.system, &plan, if trace { Record::Everything } else { Record::Nothing });
            events += report.events;
            messages += report.messages;
            virt += report.virtual_nanos as f64 / 1e9;
            skipped += u32::from(report.skipped);
            if let Some(v) = report.violation() {
                bad += 1;
                if bad <= 3 {
                    println!(
                        "  {} seed {seed}: {} {} (at {:.3}s)",
                        scenario.name,
                        v.check,
                        v.detail,
                        v.at as f64 / 1e9
                    );
                }
            }
            if trace {
                for line in &report.trace {
                    println!("{:>10} {:?} {}", line.at / 1000, line.node, line.text);
                }
            }
        }
        let t = start.elapsed().as_secs_f64();
        println!(
            "{:28} bad {bad}/{seeds} skipped {skipped} {:6.1} ms/seed {:6} msgs {:6.1} virt s  {:.2} us/msg {} ev/msg",
            scenario.name,
            t * 1e3 / seeds as f64,
            messages / seeds,
            virt / seeds as f64,
            t * 1e6 / messages as f64,
            events as f64 / messages as f64
        );
    }
}
