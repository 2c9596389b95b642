//! Which directed scenario is made for which planted bug, and which check it must trip there first.

use super::bugs::Bug;

/// The scenario and the check.
pub fn directed(bug: Bug) -> Option<(&'static str, &'static str)> {
    let _ = bug;
    None
}
