//! Bytes of a stream, whatever they are: they are messages, or need more, or are an error, and cost no more memory than
//! has arrived.

#![cfg(feature = "net")]

use bytes::{Bytes, BytesMut};
use labrpc::net::frame::{Frames, Message, WireError};
use labrpc::{Direction, Kind};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tokio_util::codec::{Decoder, Encoder};

/// Notes the largest single allocation of this thread.
struct Gauge;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

#[allow(unsafe_code)] // a global allocator cannot be written without it
unsafe impl GlobalAlloc for Gauge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static GAUGE: Gauge = Gauge;

const LIMIT: usize = 1 << 20;
/// Beyond what has arrived, twice over since buffers grow by doubling.
const SMALL: usize = 200 << 10;

const KINDS: [Kind; 3] = [Kind::new("vote"), Kind::new("append"), Kind::new("put")];

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let direction = prop_oneof![Just(Direction::OneWay), Just(Direction::Request), Just(Direction::Reply)];
    let body = prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => proptest::collection::vec(any::<u8>(), 10_000..40_000),
    ];
    let message = (direction, any::<u64>(), 0..KINDS.len(), body).prop_map(|(direction, call, kind, body)| {
        Message { direction, call, kind: KINDS[kind], body: Bytes::from(body) }
    });
    proptest::collection::vec(message, 0..8)
}

fn encoded(messages: &[Message]) -> BytesMut {
    let mut bytes = BytesMut::new();
    messages.iter().for_each(|message| Frames::new(LIMIT).encode(message.clone(), &mut bytes).unwrap());
    bytes
}

/// Reads a stream that comes in pieces of these sizes, over and over; what was read, and how it ended.
fn read(stream: &[u8], pieces: &[usize]) -> (Vec<Message>, Result<(), WireError>) {
    let (mut codec, mut buffer, mut messages) = (Frames::new(LIMIT), BytesMut::new(), Vec::new());
    let (mut rest, mut sizes) = (stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        buffer.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(why) => return (messages, Err(why)),
            }
        }
    }
    (messages, codec.decode_eof(&mut buffer).map(|more| assert!(more.is_none(), "all was read before")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn what_was_written_is_read_however_it_is_cut(
        sent in messages(),
        pieces in proptest::collection::vec(1usize..3_000, 1..20),
    ) {
        let (received, end) = read(&encoded(&sent), &pieces);
        prop_assert!(end.is_ok());
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn a_stream_that_is_cut_off_ends_with_an_error_and_never_with_half_a_message(
        sent in messages(),
        cut in any::<prop::sample::Index>(),
    ) {
        let stream = encoded(&sent);
        prop_assume!(!stream.is_empty());
        let cut = cut.index(stream.len());
        let (received, end) = read(&stream[..cut], &[4_096]);
        prop_assert_eq!(&received[..], &sent[..received.len()]);
        prop_assert_eq!(end.is_ok(), encoded(&received).len() == cut);
    }

    #[test]
    fn a_flipped_bit_is_never_delivered(sent in messages(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut stream = encoded(&sent);
        prop_assume!(!stream.is_empty());
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        let (received, end) = read(&stream, &[4_096]);
        prop_assert!(end.is_err());
        prop_assert_eq!(&received[..], &sent[..received.len()]);
    }

    #[test]
    fn noise_never_panics_nor_costs_more_than_arrived(
        noise in proptest::collection::vec(any::<u8>(), 0..2_000),
        claim in any::<u32>(),
        is_framed in any::<bool>(),
    ) {
        let mut stream = noise;
        if is_framed {
            // A plausible header, so that the claim is looked at.
            let header = [&b"SL\x01\x00"[..], &[1, 2, 3, 4], &(claim % (2 * LIMIT as u32)).to_le_bytes()].concat();
            stream.splice(..0, header);
        }
        LARGEST.set(0);
        let _ = read(&stream, &[100]);
        let largest = LARGEST.get();
        prop_assert!(largest <= 2 * stream.len() + SMALL, "{largest} bytes at once for {} that arrived", stream.len());
    }
}

#[test]
fn a_claim_above_the_limit_is_refused_before_anything_is_reserved() {
    let gigabyte = [&b"SL\x01\x00"[..], &[0; 4], &(1u32 << 30).to_le_bytes()].concat();
    LARGEST.set(0);
    let (_, end) = read(&gigabyte, &[12]);
    let said = end.unwrap_err().to_string();
    assert!(said.starts_with("frame of 1073741824 bytes, but at most"), "{said}");
    assert!(LARGEST.get() < SMALL, "{} bytes at once", LARGEST.get());
}

#[test]
fn the_limit_is_the_same_for_both_ends() {
    let message = |size: usize| Message {
        direction: Direction::OneWay,
        call: 0,
        kind: KINDS[0],
        body: Bytes::from(vec![7; size]),
    };
    assert_eq!(read(&encoded(&[message(LIMIT)]), &[1 << 16]).0, [message(LIMIT)]);
    let refused = Frames::new(LIMIT).encode(message(LIMIT + 1), &mut BytesMut::new());
    assert!(matches!(refused, Err(WireError::Frame(_))), "{refused:?}");
}

#[test]
fn a_sound_frame_that_holds_no_message_is_an_error() {
    for (payload, wanted) in [(&b"short"[..], "which is too short for a message"), (&[9; 17], "direction 9")] {
        let mut stream = Vec::new();
        labgob::frame::append(&mut stream, payload);
        let said = read(&stream, &[100]).1.unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}");
    }
}
