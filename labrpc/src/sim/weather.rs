//! The weather: how network and disks behave when nobody has a particular fault in mind.
//!
//! Rates are parts per million (ppm), so that a plan holds no floating-point numbers.

use super::span::{Span, Spread};
use serde::{Deserialize, Serialize};

/// One regime of rare, long delays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// How many of a million messages fall into it.
    pub ppm: u32,
    /// How long those take in addition.
    pub delay: Spread,
}

/// How messages fare on every link.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetWeather {
    /// Time on the way: base and jitter in one. Jitter alone reorders messages of one link.
    pub delay: Spread,
    /// How many of a million one-way messages and requests are lost.
    pub drop: u32,
    /// How many of a million replies are lost: independently, since a lost reply means that the work was
    /// done and a lost request that it was not.
    pub drop_reply: u32,
    /// How many of a million messages arrive twice. The copy takes its own time, tails included.
    pub duplicate: u32,
    /// Rare, long delays, the first that strikes counts. Three regimes matter: longer than a request's
    /// timeout, longer than an election timeout, longer than losing and regaining leadership.
    pub tails: Vec<Tail>,
    /// Rare, long delays of replies only (the course calls it long reordering).
    pub reply_tails: Vec<Tail>,
    /// Bytes per second on each link; none: unlimited.
    pub bandwidth: Option<u64>,
}

impl Default for NetWeather {
    /// Calm: a millisecond or two on the way, nothing lost.
    fn default() -> NetWeather {
        NetWeather {
            delay: Spread::of(Span::micros(500), Span::micros(2_000)),
            drop: 0,
            drop_reply: 0,
            duplicate: 0,
            tails: Vec::new(),
            reply_tails: Vec::new(),
            bandwidth: None,
        }
    }
}

/// How disks fare.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskWeather {
    /// Time that a write, truncation, rename or removal takes. Operations issued side by side finish, and
    /// take effect, in any order.
    pub write: Spread,
    /// Time that making a file or the directory durable takes.
    pub sync: Spread,
    /// Rare, long delays of either.
    pub tails: Vec<Tail>,
    /// On a power failure, how many of a million pending writes and directory changes survive whole.
    pub keep: u32,
    /// How many of a million survive in part. What is neither kept nor torn is lost.
    pub tear: u32,
    /// How many of a million writes fail.
    pub write_error: u32,
    /// How many of a million syncs fail, losing what was pending.
    pub sync_error: u32,
    /// Bytes that fit on the disk; none: unlimited.
    pub capacity: Option<u64>,
}

impl Default for DiskWeather {
    /// A decent disk: a write reaches the page cache at once, a sync takes a fraction of a millisecond, and
    /// a power failure loses, keeps or tears what was pending.
    fn default() -> DiskWeather {
        DiskWeather {
            write: Spread::ZERO,
            sync: Spread::of(Span::micros(100), Span::micros(500)),
            tails: Vec::new(),
            keep: 300_000,
            tear: 300_000,
            write_error: 0,
            sync_error: 0,
            capacity: None,
        }
    }
}
