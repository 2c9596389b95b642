//! What is to be expected of the planted bugs of services: where they sit, which rule they break, and how hard each was expected
//! to be before anybody measured.

use super::bugs::Bug;
use sim::raft::{Class, Layer, Study};

/// What is to be expected of a bug.
pub fn study(bug: Bug) -> Study {
    match bug {
        Bug::NoDedup => Study::of(Layer::Service, Class::Easy, "§8; thesis 6.3"),
        Bug::DedupNotInSnapshot => {
            Study::of(Layer::Service, Class::Easy, "§8; Students' Guide, duplicate detection")
        }
        Bug::DedupOnlyAtSubmit => Study::of(Layer::Service, Class::Easy, "thesis 6.3: the state machine decides"),
        Bug::DedupWindowTooSmall => {
            Study::of(Layer::Service, Class::Medium, "thesis 6.3: until the client goes on")
        }
        Bug::DedupLosesReply => Study::of(Layer::Service, Class::Medium, "§8: along with the associated response"),
        Bug::RetryNewSeq => Study::of(Layer::Service, Class::Easy, "thesis 6.3: the number is the operation's"),
        Bug::EachRetryIsLogged => {
            Study::of(Layer::Service, Class::Medium, "§8; the course: no more entries than operations")
                .because("it costs nothing but progress, and the other bugs of that sort are medium")
        }
        Bug::ReplyByIndexOnly => {
            Study::of(Layer::Service, Class::Easy, "thesis 3.5: an entry is named by index and term")
        }
        Bug::AckOnAppend => {
            Study::of(Layer::Service, Class::Easy, "§5.3: a result is returned when the entry is applied")
        }
        Bug::LocalRead => Study::of(Layer::Service, Class::Medium, "§8: a leader may have been deposed"),
        Bug::ReadIndexBeforeTermCommit => Study::of(Layer::Service, Class::Easy, "thesis 6.4, step 1; §8"),
        Bug::LeaseFromReceipt => Study::of(Layer::Service, Class::Medium, "thesis 6.4.1"),
        Bug::ErrandNotInLog => {
            Study::of(Layer::Service, Class::Easy, "§2: replicas process the same commands in the same order")
        }
    }
}
