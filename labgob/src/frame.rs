//! Frames: a payload with its length, its checksum and the version of the format around it.
//!
//! A value alone is enough where bytes arrive whole or not at all (our simulated network). A socket cuts a
//! stream anywhere, and a disk may keep half of a write or rot afterwards; there a payload travels in a
//! frame, so that the reader can tell *not yet*, *damaged* and *of another version* apart.
//!
//! ```text
//! magic "SL" (2)  version (1)  zero (1)  crc32 of all that follows, LE (4)  length of payload, LE (4)  payload
//! ```
//!
//! The checksum covers the length too: a damaged one is seen as damage and not believed. What stands in front of
//! the checksum is the same in every frame of this version.

/// Version of the frame format, and with it of everything inside: a reader refuses another one.
pub const VERSION: u8 = 1;
/// Bytes in front of the payload.
pub const HEADER: usize = 12;

const MAGIC: [u8; 2] = *b"SL";

/// A whole frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Frame<'a> {
    /// What was framed.
    pub payload: &'a [u8],
    /// Bytes of header and payload together: where the next frame starts.
    pub size: usize,
}

/// Why there is no frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub enum FrameError {
    /// The bytes end before the frame does: read on, if more may come.
    #[error("incomplete: at least {missing} more bytes are needed")]
    Incomplete {
        /// At least so many more bytes are needed; exact once the header is there.
        missing: usize,
    },
    /// The bytes do not start a frame.
    #[error("not a frame: it does not start with the magic number")]
    NotAFrame,
    /// A frame of another version of this program.
    #[error("frame of version {found}, but this program reads version {VERSION}")]
    Version {
        /// The version that was found.
        found: u8,
    },
    /// The header claims more than the reader accepts.
    #[error("frame of {claimed} bytes, but at most {limit} are accepted")]
    TooLong {
        /// Length in the header.
        claimed: usize,
        /// What the reader accepts.
        limit: usize,
    },
    /// Header or payload were changed since they were written.
    #[error("damaged: the checksum does not match")]
    Damaged,
}

/// Appends a frame whose payload is what `write` appends.
///
/// # Panics
/// If the payload reaches 4 GiB: callers hold payloads below [`crate::LIMIT`].
pub fn append_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(&[0; 8]);
    write(out);
    let length = u32::try_from(out.len() - start - HEADER).expect("payloads are below labgob::LIMIT");
    out[start + 8..start + HEADER].copy_from_slice(&length.to_le_bytes());
    let sum = crc32fast::hash(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
}

/// Appends a frame around `payload`.
pub fn append(out: &mut Vec<u8>, payload: &[u8]) {
    append_with(out, |out| out.extend_from_slice(payload));
}

/// The header of the frame whose payload is these parts, one behind the other: for writers that have it in pieces and
/// would have to copy it for [`append`].
///
/// # Panics
/// As [`append_with`].
pub fn header(parts: &[&[u8]]) -> [u8; HEADER] {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).expect("payloads are below labgob::LIMIT").to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    parts.iter().for_each(|part| sum.update(part));
    let mut header = [0; HEADER];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = VERSION;
    header[4..8].copy_from_slice(&sum.finalize().to_le_bytes());
    header[8..].copy_from_slice(&length);
    header
}

/// The frame at the start of `bytes`, with a payload of at most `limit` bytes.
///
/// The limit is judged before the length is believed, so a reader may use
/// [`FrameError::Incomplete`] to size a buffer.
///
/// # Errors
/// See [`FrameError`].
pub fn parse(bytes: &[u8], limit: usize) -> Result<Frame<'_>, FrameError> {
    let magic = bytes.len().min(2);
    if bytes[..magic] != MAGIC[..magic] {
        return Err(FrameError::NotAFrame);
    }
    match *bytes {
        [_, _, VERSION, 0, ..] | [_, _, VERSION] | [_, _] | [_] | [] => {}
        [_, _, VERSION, ..] => return Err(FrameError::NotAFrame),
        [_, _, found, ..] => return Err(FrameError::Version { found }),
    }
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else {
        return Err(FrameError::Incomplete { missing: HEADER - bytes.len() });
    };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let claimed = word(8) as usize;
    if claimed > limit {
        return Err(FrameError::TooLong { claimed, limit });
    }
    let Some(payload) = rest.get(..claimed) else {
        return Err(FrameError::Incomplete { missing: claimed - rest.len() });
    };
    if crc32fast::hash(&bytes[8..HEADER + claimed]) != word(4) {
        return Err(FrameError::Damaged);
    }
    Ok(Frame { payload, size: HEADER + claimed })
}

/// The checksum in the header of a frame.
pub fn checksum(frame: &[u8]) -> Option<u32> {
    let (word, _) = frame.get(4..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, payload);
        out
    }

    #[test]
    fn a_frame_is_read_back_with_its_size() {
        let mut bytes = framed(b"hello");
        append(&mut bytes, b"");
        let first = parse(&bytes, 100).unwrap();
        assert_eq!(first.payload, b"hello");
        let second = parse(&bytes[first.size..], 100).unwrap();
        assert_eq!((second.payload, first.size + second.size), (&b""[..], bytes.len()));
    }

    #[test]
    fn a_header_made_of_parts_is_that_of_the_whole() {
        for parts in [&[&b"hel"[..], b"", b"lo"][..], &[b"hello"], &[b"h", b"ello"]] {
            assert_eq!(header(parts), framed(b"hello")[..HEADER]);
        }
        assert_eq!(header(&[])[..], framed(b"")[..]);
    }

    #[test]
    fn every_cut_is_incomplete_and_says_how_much_is_missing() {
        let bytes = framed(b"hello");
        for cut in 0..bytes.len() {
            let Err(FrameError::Incomplete { missing }) = parse(&bytes[..cut], 100) else {
                panic!("a frame cut at {cut} must be incomplete");
            };
            assert!(missing > 0 && cut + missing <= bytes.len());
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = framed(b"hello");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged, 100).is_err(), "bit {bit} was flipped and nobody noticed");
        }
    }

    #[test]
    fn another_version_and_a_claim_beyond_the_limit_are_named() {
        let mut other = framed(b"x");
        other[2] = 9;
        assert_eq!(parse(&other, 100), Err(FrameError::Version { found: 9 }));
        assert_eq!(parse(&framed(&[0; 101]), 100), Err(FrameError::TooLong { claimed: 101, limit: 100 }));
    }
}
