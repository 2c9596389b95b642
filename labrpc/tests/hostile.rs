//! What `fuzz/` holds of frames, handshakes and the log, for bytes at random.

#![cfg(feature = "net")]

#[path = "../../fuzz/src/frames.rs"]
mod frames;
#[path = "../../fuzz/src/gauge.rs"]
mod gauge;
#[path = "../../fuzz/src/handshake.rs"]
mod handshake;
#[path = "../../fuzz/src/tape.rs"]
mod tape;
#[path = "../../fuzz/src/wal.rs"]
mod wal;

use proptest::prelude::*;

fn tapes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..700)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn frames_hold(tape in tapes()) {
        frames::holds(&tape);
    }

    #[test]
    fn handshakes_hold(tape in tapes()) {
        handshake::holds(&tape);
    }

    #[test]
    fn logs_hold(tape in tapes()) {
        wal::holds(&tape);
    }
}
