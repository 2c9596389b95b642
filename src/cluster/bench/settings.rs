//! What a bench asks for: decided by its settings and their seed, and by nothing else. Pure.

use super::keys::{Keys, Popularity};
use super::schedule::Pace;
use crate::kvraft::{MAX_KEY, MAX_VALUE};
use bytes::Bytes;
use labrpc::Rng;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most keys of a history. Each is judged by itself: one that is hardly asked for twice cannot contradict itself, and a verdict
/// about such keys says nothing.
pub const MOST_KEYS_TOLD: u64 = 1_000;
/// Fewest bytes of a value that tells its operation apart from all others.
pub const LEAST_VALUE_TOLD: usize = 24;
/// Most keys that can be chosen among.
pub const MOST_KEYS: u64 = 10_000_000;
/// Digits of a key's number.
const DIGITS: usize = 8;

/// What is asked for, by how many, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many clients. Each has one operation at a time; in an open loop that is also how many can be under way.
    pub clients: u32,
    /// When they begin operations.
    pub pace: Pace,
    /// How many keys there are.
    pub keys: u64,
    /// How often each is asked for.
    pub popularity: Popularity,
    /// How all keys begin.
    pub prefix: String,
    /// How many bytes a value has.
    pub value_size: usize,
    /// How many of a hundred operations are reads. All others give a key a value.
    pub reads: u32,
    /// For how long operations do not count yet.
    pub warm_up: Duration,
    /// For how long they do.
    pub span: Duration,
    /// What decides all that is drawn.
    pub seed: u64,
    /// Whether each key is written once before, so that reads find something.
    pub load: bool,
    /// Whether a history is kept. It begins with keys that are absent: nothing is loaded.
    pub history: bool,
}

/// Why there can be no such bench.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// Nobody asks, or about nothing, or never.
    #[error("there must be at least one client, one key and, if there is a rate, one operation a second")]
    Nothing,
    /// More reads than operations.
    #[error("of a hundred operations at most a hundred are reads")]
    Percent,
    /// An exponent that is none.
    #[error("the exponent of zipf must be a number from 0 to 10")]
    Exponent,
    /// The numbers of keys would not fit.
    #[error("there can be {MOST_KEYS} keys at most")]
    ManyKeys,
    /// The service would refuse them.
    #[error("keys have {MAX_KEY} bytes at most and values {MAX_VALUE}")]
    Large,
    /// The history would say nothing.
    #[error(
        "a history can have {MOST_KEYS_TOLD} keys at most: each is judged by itself, and keys that are hardly asked for twice prove \
         nothing"
    )]
    ManyKeysTold,
    /// The history could not tell who wrote what.
    #[error("a history needs values of at least {LEAST_VALUE_TOLD} bytes, which say which operation wrote them")]
    SmallValuesTold,
}

impl Settings {
    /// Whether there can be such a bench.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn check(&self) -> Result<(), Unfit> {
        let exponent = match self.popularity {
            Popularity::Uniform => 0.0,
            Popularity::Zipf(exponent) => exponent,
        };
        let checks = [
            (self.clients == 0 || self.keys == 0, Unfit::Nothing),
            (matches!(self.pace, Pace::Fixed(0) | Pace::Poisson(0)), Unfit::Nothing),
            (self.reads > 100, Unfit::Percent),
            (!(0.0..=10.0).contains(&exponent), Unfit::Exponent),
            (self.keys > MOST_KEYS, Unfit::ManyKeys),
            (self.prefix.len() + DIGITS > MAX_KEY || self.value_size > MAX_VALUE, Unfit::Large),
            (self.history && self.keys > MOST_KEYS_TOLD, Unfit::ManyKeysTold),
            (self.history && self.value_size < LEAST_VALUE_TOLD, Unfit::SmallValuesTold),
        ];
        checks.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// The key with that number.
    pub fn key(&self, number: u64) -> Bytes {
        format!("{}{number:0DIGITS$}", self.prefix).into()
    }

    /// The value that a client's nth operation writes. If there is room for that, nobody else writes the same.
    pub fn value(&self, client: u32, nth: u64) -> Bytes {
        let mut value = format!("{client}.{nth} ").into_bytes();
        value.resize(self.value_size, b'.');
        value.into()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients;
        match self.pace {
            Pace::Closed => write!(f, "closed loop: clients {clients}, each with one operation at a time")?,
            Pace::Fixed(rate) => {
                write!(f, "open loop: {rate} operations a second at equal distances, clients {clients}")?
            }
            Pace::Poisson(rate) => write!(f, "open loop: {rate} operations a second at random, clients {clients}")?,
        }
        write!(f, "; {} keys {}*, {}", self.keys, self.prefix, self.popularity)?;
        write!(f, "; {} % reads; values of {} bytes; seed {}", self.reads, self.value_size, self.seed)
    }
}

/// What an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Asks for the value of a key.
    Read,
    /// Gives a key a value.
    Write,
}

/// An operation that is to be begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// What it is.
    pub kind: Kind,
    /// The number of its key.
    pub key: u64,
}

/// What is asked for, one operation after the other.
pub struct Mix {
    rng: Rng,
    keys: Arc<Keys>,
    reads: u32,
}

impl Mix {
    /// The operations of one client of a closed loop, or all of an open one: those with the same seed and name are the same.
    pub fn new(settings: &Settings, keys: Arc<Keys>, name: &str) -> Mix {
        Mix { rng: Rng::new(settings.seed, name), keys, reads: settings.reads }
    }

    /// The next one.
    pub fn draw(&mut self) -> Asked {
        let kind = if self.rng.below(100) < u64::from(self.reads) { Kind::Read } else { Kind::Write };
        Asked { kind, key: self.keys.draw(&mut self.rng) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn settings() -> Settings {
        Settings {
            clients: 3,
            pace: Pace::Closed,
            keys: 10,
            popularity: Popularity::Uniform,
            prefix: "bench/".into(),
            value_size: 30,
            reads: 90,
            warm_up: Duration::from_secs(1),
            span: Duration::from_secs(10),
            seed: 1,
            load: true,
            history: true,
        }
    }

    fn mix(settings: &Settings, name: &str) -> Vec<Asked> {
        let keys = Arc::new(Keys::new(settings.keys, settings.popularity));
        let mut mix = Mix::new(settings, keys, name);
        (0..10_000).map(|_| mix.draw()).collect()
    }

    #[test]
    fn what_is_asked_for_is_decided_by_the_seed_and_who_asks() {
        let ours = settings();
        let first = mix(&ours, "client 1");
        assert_eq!(first, mix(&ours, "client 1"));
        assert_ne!(first, mix(&ours, "client 2"));
        assert_ne!(first, mix(&Settings { seed: 2, ..ours.clone() }, "client 1"));
        let reads = first.iter().filter(|asked| asked.kind == Kind::Read).count();
        assert!((8_900..9_100).contains(&reads), "{reads}");
        for (percent, kind) in [(0, Kind::Write), (100, Kind::Read)] {
            let all = mix(&Settings { reads: percent, ..ours.clone() }, "client 1");
            assert!(all.iter().all(|asked| asked.kind == kind), "{percent} % reads");
        }
    }

    #[test]
    fn values_have_their_size_and_tell_operations_apart() {
        let ours = Settings { value_size: LEAST_VALUE_TOLD, ..settings() };
        // 1 and 11, 11 and 1, and the longest that there may be.
        let values = [(1, 11), (11, 1), (1, 1), (111, 1), (u32::MAX, 999_999_999_999), (u32::MAX, 999_999_999_998)];
        let values: Vec<Bytes> = values.map(|(client, nth)| ours.value(client, nth)).into();
        assert!(values.iter().all(|value| value.len() == LEAST_VALUE_TOLD));
        for (nth, value) in values.iter().enumerate() {
            assert!(!values[..nth].contains(value), "{value:?}");
        }
        assert_eq!(Settings { value_size: 2, ..ours }.value(17, 3).len(), 2);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let ours = settings();
        assert_eq!(ours.check(), Ok(()));
        let cases = [
            (Settings { clients: 0, ..ours.clone() }, Unfit::Nothing),
            (Settings { pace: Pace::Poisson(0), ..ours.clone() }, Unfit::Nothing),
            (Settings { reads: 101, ..ours.clone() }, Unfit::Percent),
            (Settings { popularity: Popularity::Zipf(f64::NAN), ..ours.clone() }, Unfit::Exponent),
            (Settings { keys: MOST_KEYS + 1, ..ours.clone() }, Unfit::ManyKeys),
            (Settings { value_size: MAX_VALUE + 1, ..ours.clone() }, Unfit::Large),
            (Settings { keys: MOST_KEYS_TOLD + 1, ..ours.clone() }, Unfit::ManyKeysTold),
            (Settings { value_size: LEAST_VALUE_TOLD - 1, ..ours.clone() }, Unfit::SmallValuesTold),
        ];
        for (settings, why) in cases {
            assert_eq!(settings.check(), Err(why), "{settings:?}");
        }
        let untold = Settings { keys: MOST_KEYS, value_size: 0, history: false, ..ours };
        assert_eq!(untold.check(), Ok(()));
    }
}
