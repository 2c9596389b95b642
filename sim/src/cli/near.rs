//! Names that are nearly right.

use super::Usage;
use crate::scenario::Suite;

/// An error that lists what may have been meant.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Usage {
    let mut scored: Vec<(f64, &str)> = known.map(|known| (likeness(name, known), known)).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    scored.dedup();
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    let is_near = |score: f64| score > 0.7 && score > best - 0.12;
    let near: Vec<&str> =
        scored.iter().filter(|(score, _)| is_near(*score)).take(4).map(|(_, name)| *name).collect();
    let hint = match near.as_slice() {
        [] => format!("see `list {what}s`"),
        near => format!("did you mean {}?", near.join(", ")),
    };
    Usage(format!("there is no {what} `{name}`; {hint}"))
}

/// The error for a scenario that is not among these. There may be one of that name, but not for this system.
pub fn scenario<'a>(suites: &[Suite], name: &str, known: impl Iterator<Item = &'a str>) -> Usage {
    let mut left_out = suites.iter().flat_map(|suite| suite.left_out.iter().map(move |left_out| (suite, left_out)));
    match left_out.find(|(_, (scenario, _))| scenario.name == name) {
        Some((suite, (_, lacks))) => {
            Usage(format!("`{name}` is left out: {} does not offer {}", suite.name, lacks.join(" and ")))
        }
        None => unknown("scenario", name, known),
    }
}

fn likeness(name: &str, known: &str) -> f64 {
    let part = if known.contains(name) || name.contains(known) { 0.3 } else { 0.0 };
    strsim::jaro_winkler(name, known) + part
}

/// The bug of that name, as the suites have it.
pub fn bug(suites: &[&Suite], name: &str) -> Result<&'static str, Usage> {
    let bugs: Vec<&'static str> = suites.iter().flat_map(|suite| suite.system.bugs()).map(|bug| bug.name).collect();
    if bugs.is_empty() {
        return Err(Usage("no bugs are compiled in: build with the feature `zoo`".into()));
    }
    match bugs.iter().find(|known| **known == name) {
        Some(known) => Ok(known),
        None => Err(unknown("bug", name, bugs.into_iter())),
    }
}

/// The check of that name.
pub fn check(name: &str) -> Result<(), Usage> {
    let cards = crate::oracle::cards();
    if cards.iter().any(|card| card.id == name) {
        return Ok(());
    }
    Err(unknown("check", name, cards.iter().map(|card| card.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_not() {
        let known = ["initial-election", "re-election", "figure-8", "chaos"];
        let Usage(near) = unknown("scenario", "inital-elecion", known.into_iter());
        assert!(near.ends_with("did you mean initial-election?"), "{near}");
        let Usage(far) = unknown("scenario", "zzz", known.into_iter());
        assert!(far.contains("see `list scenarios`"), "{far}");
    }
}
