//! `labgob`: how values become bytes, for the wire and for the disk alike.
//!
//! The course calls its codec `labgob`; so do we. It is [serde] with [bincode] behind two functions,
//! [`encode`] and [`decode`], so that the format can be changed in one place. Bytes that come from
//! outside (a socket, a disk) are hostile until proven otherwise, hence two rules:
//!
//! * a **limit**: no value larger than [`LIMIT`] is encoded or decoded, and a false length inside the
//!   bytes makes an error and not an allocation;
//! * **nothing left over**: bytes behind the value are an error, since they mean that writer and reader
//!   disagree about the format.
//!
//! The [`frame`] module adds a length and a checksum, for media that can cut or damage bytes.
//!
//! This crate knows nothing of networks, disks, nodes or protocols.
//!
//! Two things that bincode cannot make safe and that callers must therefore not do with bytes from
//! outside: decode a collection of zero-sized values (its length is not bounded by its bytes), and decode
//! a recursive type (its depth is not bounded by the stack).

pub mod frame;

use bincode::Options;
use serde::{Deserialize, Serialize};

/// The largest encoded value, in bytes (64 MiB). What may become larger is sent in chunks.
pub const LIMIT: u64 = 64 << 20;

/// Why a value could not become bytes, or bytes not a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value takes more than [`LIMIT`] bytes.
    #[error("value too large: it would take more than {LIMIT} bytes")]
    TooLarge,
    /// The bytes are not an encoding of the type asked for: cut short, damaged, with bytes left over, or
    /// written by another version.
    #[error("malformed bytes: {0}")]
    Malformed(#[source] bincode::Error),
}

impl From<bincode::Error> for Error {
    fn from(error: bincode::Error) -> Error {
        match *error {
            bincode::ErrorKind::SizeLimit => Error::TooLarge,
            _ => Error::Malformed(error),
        }
    }
}

/// Variable-length integers, little endian, nothing left over, at most [`LIMIT`] bytes.
fn strict() -> impl Options {
    bincode::DefaultOptions::new().with_limit(LIMIT)
}

/// The bytes of `value`.
///
/// # Errors
/// [`Error::TooLarge`], or [`Error::Malformed`] for a type that serde or bincode cannot express (a sequence
/// of unknown length).
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(64);
    encode_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends the bytes of `value` to `bytes`. On an error `bytes` is as it was.
///
/// # Errors
/// As for [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    let before = bytes.len();
    // bincode measures a value that has a limit before it writes it, which doubles the work. We write
    // first and measure what was written.
    let written = bincode::DefaultOptions::new().serialize_into(&mut *bytes, value);
    let outcome = match written {
        Ok(()) if (bytes.len() - before) as u64 > LIMIT => Err(Error::TooLarge),
        Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if outcome.is_err() {
        bytes.truncate(before);
    }
    outcome
}

/// The value that `bytes` encode, all of them.
///
/// ```
/// let bytes = labgob::encode(&(7u32, "seven")).unwrap();
/// assert_eq!(labgob::decode::<(u32, String)>(&bytes).unwrap(), (7, "seven".to_string()));
/// assert!(labgob::decode::<u32>(&bytes).is_err(), "bytes left over are an error");
/// ```
///
/// The value may borrow from the bytes.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::TooLarge`]; never a panic, never an allocation beyond [`LIMIT`].
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    if bytes.len() as u64 > LIMIT {
        return Err(Error::TooLarge);
    }
    Ok(strict().deserialize(bytes)?)
}

/// The value that the first of `bytes` encode; what follows is not looked at.
///
/// For observers that want the head of a message and not its payload. A protocol uses [`decode`].
///
/// # Errors
/// As for [`decode`], except that bytes may be left over.
pub fn decode_prefix<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    if bytes.len() as u64 > LIMIT {
        return Err(Error::TooLarge);
    }
    Ok(strict().allow_trailing_bytes().deserialize(bytes)?)
}
