//! Settings, back to what is usual one by one: knobs, weather, the finale.

use super::search::Edit;
use crate::plan::Knobs;
use labrpc::sim::{DiskWeather, NetWeather};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Knobs: all of them, then one by one.
pub(super) fn knobs() -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![Box::new(|plan| plan.knobs = Knobs::default())];
    let names = fields(&Knobs::default());
    edits.extend(names.into_iter().map(|name| -> Edit { Box::new(move |plan| usual(&mut plan.knobs, &name)) }));
    edits
}

/// The weather of network and disks: all of it, then one by one, long delays also each by itself.
pub(super) fn weather() -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![
        Box::new(|plan| plan.net = NetWeather::default()),
        Box::new(|plan| plan.disk = DiskWeather::default()),
    ];
    let names = fields(&NetWeather::default());
    edits.extend(names.into_iter().map(|name| -> Edit { Box::new(move |plan| usual(&mut plan.net, &name)) }));
    let names = fields(&DiskWeather::default());
    edits.extend(names.into_iter().map(|name| -> Edit { Box::new(move |plan| usual(&mut plan.disk, &name)) }));
    // No plan of ours has more. From the back, so that what is left keeps its place.
    for nth in (0..4).rev() {
        edits.push(Box::new(move |plan| without(&mut plan.net.tails, nth)));
        edits.push(Box::new(move |plan| without(&mut plan.net.reply_tails, nth)));
        edits.push(Box::new(move |plan| without(&mut plan.disk.tails, nth)));
    }
    edits
}

/// The parts of the finale: all of them, then one by one.
pub(super) fn finale() -> Vec<Edit> {
    vec![
        Box::new(|plan| {
            plan.finale.core = None;
            plan.finale.converge = false;
            plan.finale.serve = false;
        }),
        Box::new(|plan| plan.finale.serve = false),
        Box::new(|plan| plan.finale.converge = false),
        Box::new(|plan| plan.finale.core = None),
    ]
}

fn without<T>(list: &mut Vec<T>, nth: usize) {
    if nth < list.len() {
        list.remove(nth);
    }
}

fn object(settings: &impl Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("settings are a struct of plain data"),
    }
}

fn fields(settings: &impl Serialize) -> Vec<String> {
    object(settings).into_iter().map(|(name, _)| name).collect()
}

/// One field as it usually is.
fn usual<T: Serialize + DeserializeOwned + Default>(settings: &mut T, name: &str) {
    let mut changed = object(settings);
    let Some(usual) = object(&T::default()).remove(name) else { return };
    changed.insert(name.into(), usual);
    *settings = serde_json::from_value(Value::Object(changed)).expect("each field is of its own type");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use labrpc::sim::{Spread, Tail};

    fn apply(edits: &[Edit], plan: &mut Plan) {
        edits.iter().for_each(|edit| edit(plan));
    }

    #[test]
    fn one_by_one_everything_becomes_usual() {
        let mut plan = Plan::new("x", 1, 3);
        plan.knobs.max_entries = Some(1);
        plan.knobs.noop = false;
        plan.knobs.election = Spread::millis(150, 300);
        plan.net.drop = 7;
        plan.net.tails = vec![Tail { ppm: 1, delay: Spread::ZERO }; 2];
        plan.disk.tear = 3;
        plan.finale.core = Some(crate::plan::Selector::All);
        apply(&knobs()[1..], &mut plan);
        assert_eq!(plan.knobs, Knobs::default());
        apply(&weather()[2..], &mut plan);
        assert_eq!((&plan.net, &plan.disk), (&NetWeather::default(), &DiskWeather::default()));
        apply(&finale()[1..], &mut plan);
        assert_eq!((plan.finale.core, plan.finale.converge, plan.finale.serve), (None, false, false));
    }

    #[test]
    fn one_edit_changes_one_field() {
        let mut plan = Plan::new("x", 1, 3);
        plan.knobs.max_entries = Some(1);
        plan.knobs.noop = false;
        let edits = knobs();
        let changed = edits[1..].iter().filter(|edit| {
            let mut edited = plan.clone();
            edit(&mut edited);
            edited != plan
        });
        assert_eq!(changed.count(), 2);
    }
}
