//! What must be left alone, lest the smaller plan fails for a reason of its own.

use crate::plan::{Act, Otherwise, Plan, Step};

/// Checks that a plan can trip by what it asks for: no system makes progress whose partition is never healed. All others hold
/// in a sound system whatever a plan does.
const DEMANDS: [&str; 9] = [
    "agreement",
    "convergence",
    "disk-size",
    "message-count",
    "progress",
    "resources",
    "shard-storage",
    "stuck",
    "undecided",
];

/// What must be left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Care {
    /// Nothing: the check is one that no plan trips by itself.
    None,
    /// Nothing either, since each smaller plan that fails is run without the planted bug too, and must not fail then.
    Control,
    /// There is nothing to compare with. What undoes a fault stays, and a script that demands something is only cut at
    /// its end, with the servers and knobs that it was written for: they are what makes its demands fair.
    Remedies,
}

impl Care {
    /// For a check. `is_fair`: the plan asks nothing that the system cannot do without the bug that is planted in it.
    pub fn of(check: &str, is_fair: bool) -> Care {
        match (DEMANDS.contains(&check), is_fair) {
            (false, _) => Care::None,
            (true, true) => Care::Control,
            (true, false) => Care::Remedies,
        }
    }

    /// Whether an act must stay.
    pub(super) fn keeps(self, act: &Act) -> bool {
        let is_remedy = matches!(
            act,
            Act::Mend { .. }
                | Act::Connect(_)
                | Act::Heal
                | Act::Restart(_)
                | Act::KeepUp { .. }
                | Act::KeepConnected { .. }
                | Act::Resume(_)
                | Act::Unrule(_)
                | Act::Release(_)
        );
        self == Care::Remedies && is_remedy
    }

    /// Whether the script can be changed anywhere. If not, its last steps can be taken out.
    pub(super) fn frees_script(self, plan: &Plan) -> bool {
        self != Care::Remedies || plan.script.iter().all(|step| matches!(step, Step::Do(_) | Step::Sleep(_)))
    }

    /// Whether faults can be taken out: nothing must come about in the script that perhaps one of them brings about.
    pub(super) fn frees_faults(self, plan: &Plan) -> bool {
        fn waits(steps: &[Step]) -> bool {
            steps.iter().any(|step| match step {
                Step::Await { or, .. } => *or == Otherwise::Violation,
                Step::ExpectRefused(_) => true,
                Step::Repeat { steps, .. } => waits(steps),
                _ => false,
            })
        }
        self != Care::Remedies || !waits(&plan.script)
    }
}
