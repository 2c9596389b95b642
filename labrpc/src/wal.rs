//! The write-ahead log as bytes: how records are framed, and what a reader may conclude from damage.
//!
//! A log is a sequence of [`labgob::frame`]s, each around one record. In front of the record stand three
//! numbers that make recovery honest:
//!
//! * the frame's own **offset**: a frame that a stray write left elsewhere is not taken for one of this place;
//! * the **mark**: up to which offset the log was known to be durable when the frame was written;
//! * the **chain**: the checksum of the frame in front. A frame that survived from before a truncation, behind
//!   one that was written after it, does not continue the log and is not taken for a part of it.
//!
//! A power failure tears the end of a log: what was written and not yet synced is there, or not, or in part.
//! Such a tail is dropped; nobody was promised it. Damage in front of a mark is another matter: those bytes
//! *were* durable, so the disk has lost what it had promised, and a node that went on as if nothing had
//! happened would break promises of its own (vote twice, forget an acknowledged entry). That is refused.
//!
//! What cannot be told apart: damage to the batch that was synced last, which no later frame has marked, looks
//! like a torn tail.
//!
//! This file is pure: bytes in, bytes out. [`crate::persister`] does the reading and writing.

use labgob::frame::{self, FrameError};
use std::ops::Range;

/// offset (8), mark (8), chain (4), all little endian.
const HEAD: usize = 20;

/// The largest record, in bytes.
pub const MAX_RECORD: usize = labgob::LIMIT as usize;

/// Where a log ends: what the next frame must say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// Bytes in the log.
    pub end: u64,
    /// Up to here it is known to be durable.
    pub mark: u64,
    chain: u32,
}

impl Tail {
    /// An empty log. Its first frame continues `salt`: logs with different salts cannot be mistaken for each
    /// other.
    pub fn new(salt: u32) -> Tail {
        Tail { end: 0, mark: 0, chain: salt }
    }

    /// Appends to `out` the frame that puts `record` at the end of the log.
    ///
    /// # Panics
    /// If the record is larger than [`MAX_RECORD`]; callers hold theirs below.
    pub fn append(&mut self, out: &mut Vec<u8>, record: &[u8]) {
        assert!(record.len() <= MAX_RECORD, "a record of {} bytes is too large for the log", record.len());
        let start = out.len();
        frame::append_with(out, |out| {
            out.extend_from_slice(&self.end.to_le_bytes());
            out.extend_from_slice(&self.mark.to_le_bytes());
            out.extend_from_slice(&self.chain.to_le_bytes());
            out.extend_from_slice(record);
        });
        self.chain = chain_after(&out[start..]);
        self.end += (out.len() - start) as u64;
    }

    /// Everything up to the end is durable now.
    pub fn synced(&mut self) {
        self.mark = self.end;
    }

    /// The next record of a log of which `self` is the tail of what was read so far; `bytes` is the whole log.
    /// `None` at its end, or where what follows does not continue it.
    ///
    /// For readers that follow a growing log.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.read(bytes).ok()
    }

    fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Broken> {
        let rest = bytes.get(self.end as usize..).unwrap_or_default();
        let frame = frame::parse(rest, MAX_RECORD + HEAD).map_err(Broken::Frame)?;
        let head = Head::of(frame.payload).ok_or(Broken::Frame(FrameError::NotAFrame))?;
        if head.offset != self.end || head.chain != self.chain {
            return Err(Broken::Chain);
        }
        self.end += frame.size as u64;
        self.mark = head.mark;
        self.chain = chain_after(rest);
        Ok(&frame.payload[HEAD..])
    }
}

/// Bytes of the frame around a record of so many.
pub(crate) const fn framed(record: usize) -> usize {
    frame::HEADER + HEAD + record
}

/// What the frame behind this one continues.
fn chain_after(frame: &[u8]) -> u32 {
    frame::checksum(frame).expect("it was just written or read")
}

struct Head {
    offset: u64,
    mark: u64,
    chain: u32,
}

impl Head {
    fn of(payload: &[u8]) -> Option<Head> {
        let (offset, rest) = payload.split_first_chunk::<8>()?;
        let (mark, rest) = rest.split_first_chunk::<8>()?;
        let (chain, _) = rest.split_first_chunk::<4>()?;
        let head = Head {
            offset: u64::from_le_bytes(*offset),
            mark: u64::from_le_bytes(*mark),
            chain: u32::from_le_bytes(*chain),
        };
        // Nothing behind a frame is durable when it is written; whoever says so is no writer of ours, and believing it would
        // refuse logs for damage to bytes that they never had.
        (head.mark <= head.offset).then_some(head)
    }
}

/// Why the bytes behind a log's good part are not a frame of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// They are no sound frame.
    #[error("{0}")]
    Frame(FrameError),
    /// They are a sound frame that belongs elsewhere or to another time.
    #[error("a frame that does not continue the one in front of it")]
    Chain,
    /// They stand behind the end of a file that had one.
    #[error("something behind what was sealed")]
    Behind,
}

/// Records, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Records {
    /// Appends the record that `write` writes.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.ranges.push(start..self.bytes.len());
    }

    /// Records that stand within a log.
    ///
    /// # Panics
    /// When one is read, if it does not.
    pub fn within(log: Vec<u8>, records: Vec<Range<usize>>) -> Records {
        Records { bytes: log, ranges: records }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Bytes in all of them.
    pub fn size(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// Each of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.ranges.iter().map(|range| &self.bytes[range.clone()])
    }
}

/// The good part of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// Where the records stand in the log, in order.
    pub records: Vec<Range<usize>>,
    /// Where the good part ends.
    pub tail: Tail,
    /// What stands behind it, if anything does: a torn tail, to be cut off before anything is appended.
    pub torn: Option<Broken>,
}

/// Damage of bytes that had been durable. The disk did not keep its promise.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("damaged at offset {offset} ({why}), below offset {durable}, up to which it was known to be durable")]
pub struct Damage {
    /// The first byte that is not sound.
    pub offset: u64,
    /// Up to here the log was known to be durable.
    pub durable: u64,
    /// What is wrong there.
    pub why: Broken,
}

/// Reads a whole log.
///
/// # Errors
/// [`Damage`] below a known-durable mark: the log must not be used.
pub fn scan(bytes: &[u8], salt: u32) -> Result<Scan, Damage> {
    let mut tail = Tail::new(salt);
    let mut records = Vec::new();
    loop {
        if tail.end as usize == bytes.len() {
            return Ok(Scan { records, tail, torn: None });
        }
        match tail.read(bytes) {
            Ok(record) => {
                let end = tail.end as usize;
                records.push(end - record.len()..end);
            }
            Err(why) => {
                let durable = largest_mark(bytes, tail.end as usize);
                if durable > tail.end {
                    return Err(Damage { offset: tail.end, durable, why });
                }
                return Ok(Scan { records, tail, torn: Some(why) });
            }
        }
    }
}

/// The largest mark in any sound frame at its own place behind `from`. Lengths there cannot be trusted, so
/// every byte may be the start of one.
fn largest_mark(bytes: &[u8], from: usize) -> u64 {
    let mut largest = 0;
    for at in from..bytes.len() {
        if let Ok(frame) = frame::parse(&bytes[at..], MAX_RECORD + HEAD)
            && let Some(head) = Head::of(frame.payload)
            && head.offset == at as u64
        {
            largest = largest.max(head.mark);
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of batches of records; each batch is synced before the next is written.
    fn log(batches: &[&[&str]]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut tail, mut ends) = (Vec::new(), Tail::new(7), Vec::new());
        for batch in batches {
            for record in *batch {
                tail.append(&mut bytes, record.as_bytes());
            }
            tail.synced();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn texts(bytes: &[u8], scan: &Scan) -> Vec<String> {
        let text = |range: &Range<usize>| String::from_utf8(bytes[range.clone()].to_vec()).unwrap();
        scan.records.iter().map(text).collect()
    }

    #[test]
    fn a_log_is_read_back_and_can_be_continued() {
        let (mut bytes, _) = log(&[&["a", "b"], &["c"]]);
        let scanned = scan(&bytes, 7).unwrap();
        assert_eq!((texts(&bytes, &scanned).concat(), scanned.torn), ("abc".into(), None));
        let mut tail = scanned.tail;
        tail.append(&mut bytes, b"d");
        assert_eq!(texts(&bytes, &scan(&bytes, 7).unwrap()), ["a", "b", "c", "d"]);
        assert!(scan(&bytes, 8).is_err(), "the log of another salt is not this one");
    }

    #[test]
    fn a_follower_reads_what_is_there_and_goes_on_later() {
        let (bytes, ends) = log(&[&["a", "b"], &["c"]]);
        let mut tail = Tail::new(7);
        let mut seen = Vec::new();
        while let Some(record) = tail.next(&bytes[..ends[0]]) {
            seen.push(record.to_vec());
        }
        assert_eq!(seen, [b"a", b"b"]);
        assert_eq!(tail.next(&bytes), Some(&b"c"[..]));
    }

    #[test]
    fn every_cut_of_the_last_batch_is_a_torn_tail() {
        let (bytes, ends) = log(&[&["a", "b"], &["c", "d"]]);
        for cut in ends[0]..bytes.len() {
            let scanned = scan(&bytes[..cut], 7).unwrap();
            assert!(texts(&bytes, &scanned).starts_with(&["a".into(), "b".into()]));
            assert_eq!(scanned.torn.is_some(), cut as u64 != scanned.tail.end);
        }
    }

    #[test]
    fn a_flip_anywhere_is_a_torn_tail_in_the_last_batch_and_refused_in_front_of_it() {
        let (bytes, ends) = log(&[&["aaaa", "b"], &["c"], &["d", "e"]]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            let outcome = scan(&damaged, 7);
            if at < ends[1] {
                let damage = outcome.expect_err("durable bytes changed");
                assert!(damage.offset <= at as u64 && damage.durable == ends[1] as u64, "{damage}");
            } else {
                assert!(outcome.unwrap().torn.is_some(), "byte {at} changed and nobody noticed");
            }
        }
    }

    #[test]
    fn frames_from_before_a_truncation_do_not_come_back() {
        // "b" and "c" were written, not synced, and cut off again; then "B" of the same size took the place
        // of "b", and the power failed so that the cut was lost: "c" still stands behind "B".
        let (mut old, mut tail) = (Vec::new(), Tail::new(7));
        tail.append(&mut old, b"a");
        tail.synced();
        let mut new = old.clone();
        let mut other = tail;
        tail.append(&mut old, b"b");
        tail.append(&mut old, b"c");
        other.append(&mut new, b"B");
        new.extend_from_slice(&old[new.len()..]);
        let scanned = scan(&new, 7).unwrap();
        assert_eq!((texts(&new, &scanned).concat(), scanned.torn), ("aB".into(), Some(Broken::Chain)));
    }

    #[test]
    fn a_frame_that_says_more_is_durable_than_there_was_is_none_of_ours() {
        let (mut bytes, ends) = log(&[&["a"]]);
        let (end, chain) = (ends[0] as u64, frame::checksum(&bytes).unwrap());
        for mark in [end + 1, u64::MAX] {
            let head = [&end.to_le_bytes()[..], &mark.to_le_bytes(), &chain.to_le_bytes()].concat();
            bytes.truncate(ends[0]);
            frame::append(&mut bytes, &head);
            let scanned = scan(&bytes, 7).unwrap();
            assert_eq!((texts(&bytes, &scanned).concat(), scanned.tail.mark), ("a".into(), 0), "{scanned:?}");
            assert!(scanned.torn.is_some());
        }
    }

    #[test]
    fn zeros_behind_the_end_are_a_torn_tail() {
        let (mut bytes, _) = log(&[&["a"]]);
        bytes.extend_from_slice(&[0; 700]);
        let scanned = scan(&bytes, 7).unwrap();
        assert_eq!(texts(&bytes, &scanned), ["a"]);
        assert!(scanned.torn.is_some());
    }
}
