//! Which seeds: `1000`, or `500..1000`. And which part of a campaign: `2/4`.

use std::ops::Range;
use std::str::FromStr;

/// A range of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let number = |text: &str| {
            text.trim()
                .replace(['_', ','], "")
                .parse::<u64>()
                .map_err(|_| format!("`{text}` is not a number of seeds"))
        };
        let range = match text.split_once("..") {
            Some((from, to)) => number(from)?..number(to)?,
            None => 0..number(text)?,
        };
        if range.is_empty() {
            return Err(format!("`{text}` is no seed at all; write 1000 or 500..1000"));
        }
        Ok(Seeds(range))
    }
}

/// One of several equal parts of a campaign. The default is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard { index: 1, of: 1 }
    }
}

impl Shard {
    /// The part of that number, from 1, of so many. None: there is none.
    pub fn of(index: u64, of: u64) -> Option<Shard> {
        (1 <= index && index <= of).then_some(Shard { index, of })
    }

    /// How many of so many runs are of this part.
    pub fn count(self, all: u64) -> u64 {
        all.saturating_sub(self.index - 1).div_ceil(self.of)
    }

    /// Which of all runs the nth of this part is, both from 0.
    pub fn nth(self, nth: u64) -> u64 {
        self.index - 1 + nth * self.of
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/').and_then(|(index, of)| Shard::of(index.parse().ok()?, of.parse().ok()?));
        parts.ok_or_else(|| format!("`{text}` is no part; write 2/4 for the second of four"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_of_several() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        assert!(["0/4", "5/4", "x", "1"].iter().all(|text| text.parse::<Shard>().is_err()));
    }

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!("1_000".parse(), Ok(Seeds(0..1_000)));
        assert_eq!("5..9".parse(), Ok(Seeds(5..9)));
        assert!("9..5".parse::<Seeds>().unwrap_err().contains("no seed at all"));
        assert!("many".parse::<Seeds>().unwrap_err().contains("not a number"));
    }
}
