//! Which seeds: `1000`, or `500..1000`.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!("1_000".parse(), Ok(Seeds(0..1_000)));
        assert_eq!("5..9".parse(), Ok(Seeds(5..9)));
        assert!("9..5".parse::<Seeds>().unwrap_err().contains("no seed at all"));
        assert!("many".parse::<Seeds>().unwrap_err().contains("not a number"));
    }
}
