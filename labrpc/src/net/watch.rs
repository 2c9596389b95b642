//! What is wrong with the time of this machine, said in the log. Nothing goes by it but how long certificates are good: a node's clock is the
//! monotonic one, and a node that did not run for a while finds out from its peers. But an operator wonders why others lead now, and why lines are out of order.

use super::env::NetEnv;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How often the clocks are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is not worth a line.
const LITTLE: Duration = Duration::from_secs(2);

/// Looks at the clocks until the boot ends.
pub(crate) async fn clocks(env: Arc<NetEnv>) {
    let read = || (Instant::now(), SystemTime::now());
    let mut before = read();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = read();
        let wall = now.1.duration_since(before.1).map_err(|back| back.duration());
        for trouble in troubles(now.0 - before.0, wall) {
            tracing::warn!(target: "shardlab::clock", node = %env.id, "{trouble}");
        }
        before = now;
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Trouble {
    Late(Duration),
    Ahead(Duration),
    Back(Duration),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |span: &Duration| Duration::from_millis(span.as_millis() as u64);
        let harmless = "nothing goes by it here but the times in this log and how long certificates are good";
        match self {
            Trouble::Late(span) => write!(
                f,
                "this process did not run for {:?}: it was stopped, or the machine was too busy. Its peers may have gone on without it",
                whole(span)
            ),
            Trouble::Ahead(span) => write!(
                f,
                "the clock of this machine has jumped {:?} ahead: it was set, or the machine slept; {harmless}",
                whole(span)
            ),
            Trouble::Back(span) => {
                write!(f, "the clock of this machine was set back by {:?}; {harmless}", whole(span))
            }
        }
    }
}

/// What is wrong if so much has passed by the monotonic clock between two looks, and so much by the wall clock (the error: backwards).
fn troubles(steady: Duration, wall: Result<Duration, Duration>) -> Vec<Trouble> {
    let late = steady.saturating_sub(LOOK);
    let (ahead, back) = match wall {
        Ok(forward) => (forward.saturating_sub(steady), steady.saturating_sub(forward)),
        Err(backward) => (Duration::ZERO, steady + backward),
    };
    let all = [(late, Trouble::Late(late)), (ahead, Trouble::Ahead(ahead)), (back, Trouble::Back(back))];
    all.into_iter().filter(|(span, _)| *span > LITTLE).map(|(_, trouble)| trouble).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn jumps_of_either_clock_are_told_apart() {
        let look = LOOK + Duration::from_millis(3);
        assert_eq!(troubles(look, Ok(look)), []);
        assert_eq!(troubles(LOOK + LITTLE, Ok(LOOK)), [], "a busy second is no trouble");
        assert_eq!(troubles(LOOK + HOUR, Ok(LOOK + HOUR)), [Trouble::Late(HOUR)]);
        assert_eq!(troubles(LOOK, Ok(LOOK + HOUR)), [Trouble::Ahead(HOUR)]);
        assert_eq!(troubles(LOOK, Err(HOUR)), [Trouble::Back(HOUR + LOOK)]);
        assert_eq!(troubles(HOUR, Ok(Duration::ZERO)), [Trouble::Late(HOUR - LOOK), Trouble::Back(HOUR)]);
    }

    #[test]
    fn each_is_one_line_with_what_it_means() {
        let said = Trouble::Late(Duration::from_nanos(3_217_654_321)).to_string();
        assert!(said.starts_with("this process did not run for 3.217s: it was stopped"), "{said}");
        let said = Trouble::Back(HOUR).to_string();
        assert!(said.starts_with("the clock of this machine was set back by 3600s; nothing goes by it"), "{said}");
    }
}
