//! `list`: what there is.

use super::{OK, Usage, show};
use crate::oracle::{MARKS, Needs, cards};
use crate::scenario::{Group, Suite};
use clap::ValueEnum;

/// What to list.
#[derive(clap::Args)]
pub struct Args {
    /// What to list.
    #[arg(value_enum, default_value_t = What::Scenarios)]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The scenarios of each suite.
    Scenarios,
    /// The bugs that can be planted.
    Bugs,
    /// What is checked, and where it comes from.
    Checks,
    /// The rare situations that are counted.
    Marks,
}

pub fn list(suites: &[Suite], args: &Args) -> Result<u8, Usage> {
    match args.what {
        What::Scenarios => suites.iter().for_each(scenarios),
        What::Bugs => suites.iter().for_each(bugs),
        What::Checks => checks(),
        What::Marks => MARKS.iter().for_each(|mark| show(format_args!("{mark}\n"))),
    }
    Ok(OK)
}

fn scenarios(suite: &Suite) {
    show(format_args!("{}: {} scenarios\n", suite.name, suite.scenarios.len()));
    for scenario in &suite.scenarios {
        let group = match scenario.group {
            Group::Usual => "usual",
            Group::Ours => "ours",
            Group::Swarm => "swarm",
            Group::Directed => "directed",
        };
        show(format_args!("  {:<30} {group:<9} {}\n", scenario.name, scenario.about));
    }
    for (scenario, lacks) in &suite.left_out {
        show(format_args!("  {:<30} LEFT OUT  without {}\n", scenario.name, lacks.join(" and ")));
    }
}

fn bugs(suite: &Suite) {
    let bugs = suite.system.bugs();
    show(format_args!("{}: {} bugs\n", suite.name, bugs.len()));
    for bug in bugs {
        show(format_args!("  {:<32} {}\n", bug.name, bug.about));
        if let Some((scenario, check)) = bug.directed {
            show(format_args!("  {:<32} directed scenario {scenario}, first seen by {check}\n", ""));
        }
    }
}

fn checks() {
    for card in cards() {
        let needs = match card.needs {
            Needs::Nothing => "",
            Needs::Events => " (needs events)",
            Needs::Wire => " (needs explained messages)",
            Needs::EventsAndWire => " (needs events and explained messages)",
            Needs::Log => " (of a key/value service; needs an explained log)",
        };
        show(format_args!("{:<22} {}{needs}\n{:<22} {}\n", card.id, card.property, "", card.source));
    }
}
