//! The write-ahead log as bytes: sound, torn, damaged, and with what is left of an older one.
//!
//! * A log that nobody has touched is read as it was written.
//! * Of any other, damaged or forged, a good part is read that is sound by itself and can be continued, or it is refused.
//! * A bit that flips in front of the last mark is refused.
//! * Reading costs memory in proportion to the log: see [`bound`].

use super::gauge::cost_of;
use super::tape::Tape;
use labgob::frame;
use labrpc::wal::{Scan, Tail, scan};

/// What it may cost to read so many bytes. A record is 32 bytes or more, and where it stands takes 16, in a vector that grows by doubling.
pub fn bound(bytes: usize) -> usize {
    2 * bytes + 4_096
}

/// Holds for whatever tape.
pub fn holds(data: &[u8]) {
    let mut tape = Tape::new(data);
    let salt = u32::from(tape.byte());
    let log = Log::write(&mut tape, salt);
    let mut bytes = log.bytes.clone();
    match tape.below(6) {
        0 => bytes.extend(tape.all()),
        2 => log.forge(&mut tape, salt, &mut bytes),
        1 => return log.notices_a_flip(&mut tape, salt),
        _ => {
            let older = Log::write(&mut tape, salt).bytes;
            tape.damage(&mut bytes, &older);
        }
    }
    let (read, cost) = cost_of(|| scan(&bytes, salt));
    assert!(cost <= bound(bytes.len()), "a log of {} bytes costs {cost}", bytes.len());
    match read {
        Ok(scan) => is_sound(&bytes, salt, &scan),
        Err(damage) => {
            assert!(damage.offset < damage.durable && damage.offset <= bytes.len() as u64, "{damage:?}");
            assert!(bytes != log.bytes, "nobody has touched it: {damage}");
        }
    }
    if bytes == log.bytes {
        let scan = scan(&bytes, salt).expect("nobody has touched it");
        assert_eq!((records(&bytes, &scan), scan.torn), (log.records.clone(), None));
    }
}

/// A log as it was written.
struct Log {
    bytes: Vec<u8>,
    records: Vec<Vec<u8>>,
    /// Where its last frame begins.
    last: Option<usize>,
    /// Up to where the last frame says that it was durable.
    mark: usize,
}

impl Log {
    fn write(tape: &mut Tape<'_>, salt: u32) -> Log {
        let mut tail = Tail::new(salt);
        let mut log = Log { bytes: Vec::new(), records: Vec::new(), last: None, mark: 0 };
        for _ in 0..tape.below(8) {
            if tape.below(2) == 1 {
                tail.synced();
            }
            let record = tape.bytes(100);
            (log.last, log.mark) = (Some(log.bytes.len()), tail.mark as usize);
            tail.append(&mut log.bytes, &record);
            log.records.push(record);
        }
        log
    }

    /// Appends a sound frame that is at its place in the chain, and says anything of what is durable.
    fn forge(&self, tape: &mut Tape<'_>, salt: u32, bytes: &mut Vec<u8>) {
        let end = self.bytes.len() as u64;
        let chain = self.last.map_or(salt, |last| frame::checksum(&self.bytes[last..]).expect("it is a frame"));
        let mark = if tape.below(2) == 1 { tape.number() } else { end + tape.number() };
        let head = [&end.to_le_bytes()[..], &mark.to_le_bytes(), &chain.to_le_bytes()].concat();
        frame::append(bytes, &[head, tape.bytes(20)].concat());
    }

    fn notices_a_flip(&self, tape: &mut Tape<'_>, salt: u32) {
        if self.bytes.is_empty() {
            return;
        }
        let mut bytes = self.bytes.clone();
        let at = tape.below(bytes.len());
        bytes[at] ^= 1 << tape.below(8);
        match scan(&bytes, salt) {
            Ok(scan) => {
                assert!(at >= self.mark, "byte {at} was durable up to {}, and nobody noticed", self.mark);
                assert!(scan.torn.is_some() && scan.tail.end <= at as u64, "byte {at}: {scan:?}");
                is_sound(&bytes, salt, &scan);
            }
            Err(damage) => assert!(damage.offset <= at as u64 && at < self.mark, "byte {at}: {damage:?}"),
        }
    }
}

fn records(bytes: &[u8], scan: &Scan) -> Vec<Vec<u8>> {
    scan.records.iter().map(|range| bytes[range.clone()].to_vec()).collect()
}

/// The good part of a log is a log.
fn is_sound(bytes: &[u8], salt: u32, found: &Scan) {
    let end = found.tail.end as usize;
    assert_eq!(found.torn.is_some(), end < bytes.len(), "{found:?} of {} bytes", bytes.len());
    assert!(found.tail.mark <= found.tail.end, "what is not there cannot be durable: {found:?}");
    let ascends = found.records.windows(2).all(|pair| pair[0].end <= pair[1].start);
    assert!(ascends && found.records.last().is_none_or(|last| last.end == end), "{found:?}");
    let good = &bytes[..end];
    assert_eq!(scan(good, salt), Ok(Scan { torn: None, ..found.clone() }));
    // Who follows it as it grows reads the same.
    let (mut tail, mut followed) = (Tail::new(salt), Vec::new());
    while let Some(record) = tail.next(bytes) {
        followed.push(record.to_vec());
    }
    assert_eq!((followed, tail), (records(bytes, found), found.tail));
    // And it can be continued.
    let (mut longer, mut tail) = (good.to_vec(), found.tail);
    tail.append(&mut longer, b"next");
    let continued = scan(&longer, salt).expect("it was sound");
    assert_eq!((continued.tail, continued.torn), (tail, None));
    assert_eq!(records(&longer, &continued).split_last(), Some((&b"next".to_vec(), &records(bytes, found)[..])));
}
