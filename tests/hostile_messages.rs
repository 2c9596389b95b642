//! What `fuzz/` holds of the messages of protocols and services, for bytes at random.

#[path = "../fuzz/src/draw.rs"]
mod draw;
#[path = "../fuzz/src/gauge.rs"]
mod gauge;
#[path = "../fuzz/src/messages.rs"]
mod messages;
#[path = "../fuzz/src/tape.rs"]
mod tape;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn messages_hold(tape in proptest::collection::vec(any::<u8>(), 0..400)) {
        messages::holds(&tape);
    }
}

/// A megabyte of the smallest entries there are, which cost the most for their bytes: the bound is near, and holds.
#[test]
fn the_bound_on_memory_holds_where_it_is_nearest() {
    let entries = vec![(bytes::Bytes::new(), bytes::Bytes::new()); 1 << 19];
    let answer = shardlab::kvraft::Answer::Entries { items: entries, more: false };
    let bytes = labgob::encode(&answer).unwrap();
    let (decoded, cost) = gauge::cost_of(|| labgob::decode::<shardlab::kvraft::Answer>(&bytes));
    assert_eq!(decoded.unwrap(), answer);
    assert!(cost <= messages::bound(bytes.len()), "{} bytes cost {cost}", bytes.len());
    assert!(cost > messages::bound(bytes.len()) / 4, "the bound is far above what {cost} bytes need");
}
