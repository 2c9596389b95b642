//! What is to be expected of the planted bugs of the shard controller: where they sit, which rule they break, and how hard each was expected
//! to be before anybody measured.

use super::bugs::Bug;
use sim::raft::{Class, Layer, Study};

/// What is to be expected of a bug.
pub fn study(bug: Bug) -> Study {
    match bug {
        Bug::RebalanceNondeterministic => {
            Study::of(Layer::Controller, Class::Easy, "§2: state machines are deterministic")
        }
        Bug::RebalanceNotMinimal => {
            Study::of(Layer::Controller, Class::Easy, "the course, part 4A: as few moves as possible")
        }
        Bug::MoveUndone => Study::of(Layer::Controller, Class::Easy, "the course, part 4A: Move"),
        Bug::DupJoin => Study::of(Layer::Controller, Class::Easy, "the course, part 4A: Join of new groups"),
        Bug::HistoryAliasing => {
            Study::of(Layer::Controller, Class::Easy, "the course, part 4A: Query of an old configuration")
        }
        Bug::QueryLatestStale => Study::of(Layer::Controller, Class::Medium, "§8: a leader may have been deposed"),
    }
}
