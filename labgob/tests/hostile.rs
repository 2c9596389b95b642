//! Bytes from outside: whatever they are, decoding them ends in a value or an error, within the limit.

use bytes::Bytes;
use labgob::{LIMIT, decode, decode_prefix, encode, frame};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Counts the largest single allocation of this thread, so that "never allocates beyond the limit" is
/// measured and not believed.
struct Gauge;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code)] // a global allocator cannot be written without it
unsafe impl GlobalAlloc for Gauge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static GAUGE: Gauge = Gauge;

/// Every shape that our messages are made of.
#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
enum Sample {
    Unit,
    Numbers { a: u64, b: i32, c: u8 },
    Text(String),
    Blob(Bytes),
    Many(Vec<Option<(u64, Bytes)>>),
    Table(BTreeMap<u32, String>),
}

fn samples() -> impl Strategy<Value = Sample> {
    let blob = || proptest::collection::vec(any::<u8>(), 0..80).prop_map(Bytes::from);
    prop_oneof![
        Just(Sample::Unit),
        (any::<u64>(), any::<i32>(), any::<u8>()).prop_map(|(a, b, c)| Sample::Numbers { a, b, c }),
        ".{0,40}".prop_map(Sample::Text),
        blob().prop_map(Sample::Blob),
        proptest::collection::vec(proptest::option::of((any::<u64>(), blob())), 0..20).prop_map(Sample::Many),
        proptest::collection::btree_map(any::<u32>(), ".{0,9}", 0..9).prop_map(Sample::Table),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_was_encoded_is_decoded(value in samples()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(decode::<Sample>(&bytes).unwrap(), value);
    }

    #[test]
    fn any_cut_and_anything_left_over_is_an_error(value in samples(), cut in any::<prop::sample::Index>()) {
        let mut bytes = encode(&value).unwrap();
        prop_assert!(decode::<Sample>(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(decode::<Sample>(&bytes).is_err());
        prop_assert_eq!(decode_prefix::<Sample>(&bytes).unwrap(), value);
    }

    #[test]
    fn noise_never_panics_nor_allocates_beyond_what_it_holds(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        lead in 0u8..8,
    ) {
        let mut bytes = bytes;
        bytes.insert(0, lead); // a plausible variant, so that decoding goes deep
        LARGEST.set(0);
        let _ = decode::<Sample>(&bytes);
        let _ = frame::parse(&bytes, LIMIT as usize);
        // serde itself reserves at most a megabyte on the word of a length.
        prop_assert!(LARGEST.get() <= 2 << 20, "allocated {} bytes for {} bytes of noise", LARGEST.get(), bytes.len());
    }

    #[test]
    fn a_false_length_is_not_believed(claim in any::<u64>()) {
        // Variant `Blob`, then a length of 64 bits, then nothing.
        let mut bytes = vec![3, 253];
        bytes.extend_from_slice(&claim.max(1).to_le_bytes());
        LARGEST.set(0);
        prop_assert!(decode::<Sample>(&bytes).is_err());
        prop_assert!(LARGEST.get() <= 2 << 20);
    }
}

#[test]
fn a_value_above_the_limit_is_refused_both_ways() {
    let large = vec![7u8; LIMIT as usize + 1];
    assert!(matches!(encode(&large), Err(labgob::Error::TooLarge)));
    assert!(matches!(decode::<Vec<u8>>(&large), Err(labgob::Error::TooLarge)));
    let mut bytes = b"kept".to_vec();
    assert!(labgob::encode_into(&mut bytes, &large).is_err());
    assert_eq!(bytes, b"kept", "a failed encoding leaves nothing behind");
}
