//! That groups work side by side, and that a shard moves as fast as the network allows: in virtual time, where both are exact.

#[path = "common/scale.rs"]
mod scale;

#[test]
fn eight_groups_do_seven_times_as_much_as_one() {
    let (one, eight) = (scale::rate(1), scale::rate(8));
    assert!(eight >= 7.0 * one, "{one} operations a second with one group, {eight} with eight");
}

#[test]
fn a_shard_moves_in_three_round_trips_and_keeps_nobody_waiting() {
    let moved = scale::move_of(10_000);
    assert!(moved.took <= moved.aim(), "{:?} for {} bytes; at most {:?}", moved.took, moved.bytes, moved.aim());
    assert!(moved.meanwhile.len() > 10, "others work meanwhile");
    assert!(moved.worst() <= 2.0, "others take {} times as long", moved.worst());
}
