//! Messages on a stream of bytes: a frame of [`labgob`] around a short head and the body.
//!
//! ```text
//! labgob frame ( direction (1)  call, LE (8)  hash of the kind, LE (8)  body )
//! ```
//!
//! A kind travels as its hash. Whoever knows the name compares with a constant of the same name; whoever does not
//! has no use for it.
//!
//! The codec knows no sockets. What it reads is hostile: a claim of length is judged against the limit before
//! anything is reserved, and never more than a little is reserved on the word of a claim.

use crate::message::{Direction, Kind};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use labgob::frame::{self, FrameError, HEADER};
use std::io;
use std::time::Duration;
use tokio_util::codec::{Decoder, Encoder};

/// direction (1), call (8), kind (8).
const HEAD: usize = 17;
/// Most that is reserved for bytes that are only claimed to come.
const AHEAD: usize = 64 << 10;

/// What travels over a connection. Between whom is the connection's business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Which way it goes.
    pub direction: Direction,
    /// Which call of the caller it belongs to; 0 for a one-way message.
    pub call: u64,
    /// What sort of message it is.
    pub kind: Kind,
    /// labgob bytes.
    pub body: Bytes,
}

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// They are no sound frame.
    #[error(transparent)]
    Frame(FrameError),
    /// The frame is too small for the head.
    #[error("a frame of {0} bytes, which is too short for a message")]
    Short(usize),
    /// The first byte of the head says nothing known.
    #[error("a message of direction {0}, which there is not")]
    Direction(u8),
    /// A message that does not go this way over a connection of this sort.
    #[error("a message of direction {0:?}, which does not come this way")]
    Unexpected(Direction),
    /// A message has begun, and does not come on.
    #[error("a message has begun, of which less than {} KiB have come in {patience:?}", .least >> 10)]
    Stalled {
        /// Bytes that should have come,
        least: usize,
        /// in so long.
        patience: Duration,
    },
    /// The stream itself failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes and reads messages.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// The largest body, in bytes.
    limit: usize,
}

impl Frames {
    /// A codec that takes bodies up to `limit` bytes, and in no case larger ones than labgob's limit.
    pub fn new(limit: usize) -> Frames {
        Frames { limit: limit.min(labgob::LIMIT as usize) }
    }
}

impl Encoder<Message> for Frames {
    type Error = WireError;

    fn encode(&mut self, message: Message, out: &mut BytesMut) -> Result<(), WireError> {
        let (claimed, limit) = (message.body.len(), self.limit);
        if claimed > limit {
            return Err(WireError::Frame(FrameError::TooLong { claimed, limit }));
        }
        let mut head = [0; HEAD];
        head[0] = match message.direction {
            Direction::OneWay => 0,
            Direction::Request => 1,
            Direction::Reply => 2,
        };
        head[1..9].copy_from_slice(&message.call.to_le_bytes());
        head[9..].copy_from_slice(&message.kind.hash().to_le_bytes());
        out.reserve(HEADER + HEAD + message.body.len());
        out.put_slice(&frame::header(&[&head, &message.body]));
        out.put_slice(&head);
        out.put_slice(&message.body);
        Ok(())
    }
}

impl Decoder for Frames {
    type Item = Message;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, WireError> {
        let size = match frame::parse(bytes, self.limit + HEAD) {
            Ok(frame) if frame.payload.len() < HEAD => return Err(WireError::Short(frame.payload.len())),
            Ok(frame) => frame.size,
            Err(FrameError::Incomplete { missing }) => {
                // The rest of a large frame comes in large reads; one that is only claimed costs no more than this.
                bytes.reserve(missing.min(AHEAD));
                return Ok(None);
            }
            Err(why) => return Err(WireError::Frame(why)),
        };
        let mut payload = bytes.split_to(size).freeze();
        payload.advance(HEADER);
        let direction = match payload.get_u8() {
            0 => Direction::OneWay,
            1 => Direction::Request,
            2 => Direction::Reply,
            other => return Err(WireError::Direction(other)),
        };
        let (call, kind) = (payload.get_u64_le(), Kind::of_hash(payload.get_u64_le()));
        Ok(Some(Message { direction, call, kind, body: payload }))
    }

    /// A stream may end between two messages. In the middle of one it was cut off.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, WireError> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            message => Ok(message),
        }
    }
}
