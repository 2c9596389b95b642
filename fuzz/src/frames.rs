//! Messages on a stream: frames that are sound, damaged, cut and stuck together.
//!
//! * What is delivered, encoded again, is byte for byte what the stream begins with: nothing is delivered that nobody has sent.
//! * It is the same however the stream is cut into pieces.
//! * It costs memory in proportion to what has come, and not to what is claimed: see [`bound`].

use super::gauge::cost_of;
use super::tape::Tape;
use bytes::{Bytes, BytesMut};
use labrpc::net::frame::{Frames, Message};
use labrpc::{Direction, Kind};
use tokio_util::codec::{Decoder, Encoder};

/// The largest body.
const LIMIT: usize = 1 << 20;
const KINDS: [Kind; 3] = [Kind::new("vote"), Kind::new("append"), Kind::new("put")];

/// What a stream of so many bytes may cost: what has come, in a buffer that grows by doubling and is in two places while it is moved; and
/// what is reserved for the rest of a message.
pub fn bound(bytes: usize) -> usize {
    4 * bytes + (256 << 10)
}

/// Holds for whatever tape.
pub fn holds(data: &[u8]) {
    let mut tape = Tape::new(data);
    let sent: Vec<Message> = (0..tape.below(5)).map(|_| message(&mut tape)).collect();
    let whole = encoded(&sent);
    let mut stream = whole.to_vec();
    let pieces: Vec<usize> = (0..1 + tape.below(4)).map(|_| 1 + tape.below(2_000)).collect();
    match tape.below(5) {
        0 => stream.extend(tape.all()),
        // A sound frame around anything.
        2 => {
            let mut frame = Vec::new();
            labgob::frame::append(&mut frame, &tape.bytes(100));
            stream.extend(frame);
        }
        // A header in front of anything, so that its claim is looked at.
        1 => stream.extend([&b"SL\x01\x00"[..], &tape.all()].concat()),
        _ => tape.damage(&mut stream, &whole),
    }
    let ((received, end), cost) = cost_of(|| read(&stream, &[stream.len()]));
    assert!(cost <= bound(stream.len()), "a stream of {} bytes costs {cost}", stream.len());
    let again = encoded(&received);
    assert!(stream.starts_with(&again), "what was delivered is not what has come: {received:?}");
    assert_eq!(end.is_none(), again.len() == stream.len(), "a stream ends well behind a message: {end:?}");
    if stream[..] == whole[..] {
        assert_eq!(received, sent);
    }
    assert_eq!(read(&stream, &pieces), (received, end), "in pieces of {pieces:?}");
}

fn message(tape: &mut Tape<'_>) -> Message {
    let direction = [Direction::OneWay, Direction::Request, Direction::Reply][tape.below(3)];
    let (call, kind) = (tape.number(), KINDS[tape.below(KINDS.len())]);
    let body = match tape.below(4) {
        0 => vec![tape.byte(); tape.below(60_000)],
        _ => tape.bytes(300),
    };
    Message { direction, call, kind, body: Bytes::from(body) }
}

fn encoded(messages: &[Message]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for message in messages {
        Frames::new(LIMIT).encode(message.clone(), &mut bytes).expect("bodies are below the limit");
    }
    bytes
}

/// What a stream delivers that comes in pieces of these sizes, over and over, and why it has ended if not well.
fn read(stream: &[u8], pieces: &[usize]) -> (Vec<Message>, Option<String>) {
    let (mut codec, mut buffer, mut messages) = (Frames::new(LIMIT), BytesMut::new(), Vec::new());
    let (mut rest, mut sizes) = (stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (piece, others) = rest.split_at(size);
        buffer.extend_from_slice(piece);
        rest = others;
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(why) => return (messages, Some(why.to_string())),
            }
        }
    }
    let end = codec.decode_eof(&mut buffer);
    (messages, end.map(|more| assert!(more.is_none(), "all was read before")).err().map(|why| why.to_string()))
}
