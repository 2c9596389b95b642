//! How often the same sort of thing may be said: whoever knocks at a port without end must not fill a disk with lines about it.

use crate::time::Time;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// So many lines one behind the other,
const AT_ONCE: u32 = 16;
/// and then one in each of these.
const EACH: Duration = Duration::from_secs(1);

/// Lines of one sort.
#[derive(Default)]
pub(crate) struct Ration(Mutex<State>);

#[derive(Default)]
struct State {
    /// When all that was said is made up for.
    even: Time,
    left_out: u64,
}

/// How many lines were left out since the last one of this sort. To be put behind the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LeftOut(u64);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            lines => write!(f, " ({lines} lines like this were left out before it)"),
        }
    }
}

impl Ration {
    /// Whether a line may be written now.
    pub fn line(&self, now: Time) -> Option<LeftOut> {
        let mut state = self.0.lock().expect("nobody panics while holding it");
        if state.even > now + EACH * (AT_ONCE - 1) {
            state.left_out += 1;
            return None;
        }
        state.even = state.even.max(now) + EACH;
        Some(LeftOut(std::mem::take(&mut state.left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_lines_at_once_then_one_a_second_and_none_is_forgotten() {
        let ration = Ration::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        let said = (0..1_000).filter(|_| ration.line(at(0)).is_some()).count();
        assert_eq!(said, 16);
        assert_eq!(ration.line(at(999)), None);
        assert_eq!(ration.line(at(1_000)), Some(LeftOut(985)), "984 at first, and one just before");
        assert_eq!(ration.line(at(1_001)), None);
        let each_millisecond = (1_002..101_000).filter(|millis| ration.line(at(*millis)).is_some()).count();
        assert_eq!(each_millisecond, 99, "one a second, however many come");
        // Whoever is quiet for a while may speak freely again, but does not save up for more.
        let later = (0..1_000).filter(|_| ration.line(at(1_000_000)).is_some()).count();
        assert_eq!(later, 16);
    }

    #[test]
    fn what_was_left_out_is_said_behind_the_next_line() {
        assert_eq!(format!("no{}", LeftOut(0)), "no");
        assert_eq!(format!("no{}", LeftOut(7)), "no (7 lines like this were left out before it)");
    }
}
