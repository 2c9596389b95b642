//! What a write of Raft means in bytes, and what bytes mean for a server that starts.
//!
//! Pure: records in, state out. The driver and the laboratory's oracle read the same disk with the same code.

use super::ready::Write;
use super::types::{Entry, EntryId, HardState, Index, Saved, SnapshotMeta};
use labrpc::persister::SnapshotId;
use labrpc::wal::Records;
use serde::{Deserialize, Serialize};

/// One record of the log on the disk. Later ones go before earlier ones.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record<S = SnapshotMeta, E = Entry> {
    /// A snapshot replaces the log up to its last entry. If that entry is not in the log, all of it.
    Snapshot(S),
    /// Term and vote.
    Hard(HardState),
    /// What is behind this entry is cut off.
    Cut(Index),
    /// An entry; what was at its place and behind it is cut off.
    Entry(E),
}

/// A record of what the server holds in its memory.
type Held<'a> = Record<&'a SnapshotMeta, &'a Entry>;

/// A log on the disk that no writer leaves behind: an entry is missing. The state cannot be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the log on the disk has a hole: entry {found} follows {last}. Restore the directory from a copy, or give \
     this node an empty one and let it join as a new one"
)]
pub struct Hole {
    /// The last entry in front of the hole.
    pub last: EntryId,
    /// The entry behind it.
    pub found: EntryId,
}

/// Why the records of a log are not those of a Raft.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// An entry is missing.
    #[error(transparent)]
    Hole(#[from] Hole),
    /// A record with a sound checksum says nothing that this program writes.
    #[error(
        "the log on the disk is sound, but it was not written by this program, or by another version of it: is this \
         the right directory?"
    )]
    Strange,
}

/// Which file a snapshot is in.
pub fn snapshot_id(last: EntryId) -> SnapshotId {
    SnapshotId(last.index.0, last.term.0)
}

fn encoded<S: Serialize, E: Serialize>(all: impl IntoIterator<Item = Record<S, E>>) -> Records {
    let mut records = Records::default();
    for record in all {
        records.push_with(|bytes| {
            labgob::encode_into(bytes, &record).expect("commands are bounded by `MAX_COMMAND`");
        });
    }
    records
}

/// The records of a write.
///
/// The order counts: a power failure keeps some first of them. The term goes in front of all that may be of it,
/// or a server would start in a term below its own log.
pub fn records(write: &Write) -> Records {
    let (snapshot, hard, log) = parts(write);
    encoded(hard.chain(snapshot).chain(log))
}

/// The records of a write in the order of a planted bug.
pub(super) fn records_with_the_term_late(write: &Write) -> Records {
    let (snapshot, hard, log) = parts(write);
    encoded(snapshot.chain(hard).chain(log))
}

/// Snapshot, hard state and log of a write.
fn parts(
    write: &Write,
) -> (impl Iterator<Item = Held<'_>>, impl Iterator<Item = Held<'_>>, impl Iterator<Item = Held<'_>>) {
    let snapshot = write.snapshot.iter().map(|snapshot| Record::Snapshot(&snapshot.meta));
    let hard = write.hard.iter().map(|hard| Record::Hard(*hard));
    let log = write.log.iter().flat_map(|log| {
        // An entry cuts by itself; without one the cut must be said.
        let cut = log.entries.is_empty().then_some(Record::Cut(log.after));
        cut.into_iter().chain(log.entries.iter().map(Record::Entry))
    });
    (snapshot, hard, log)
}

/// The records that say all of a state, in the order of those of a write.
pub fn records_of(saved: &Saved) -> Records {
    let snapshot = saved.snapshot.iter().map(Held::Snapshot);
    let entries = saved.entries.iter().map(Record::Entry);
    encoded(std::iter::once(Record::Hard(saved.hard)).chain(snapshot).chain(entries))
}

/// A record as it was written.
///
/// # Errors
/// [`Unreadable::Strange`]: the checksum says that somebody wrote it, and not who.
pub fn decode(bytes: &[u8]) -> Result<Record, Unreadable> {
    labgob::decode(bytes).map_err(|_| Unreadable::Strange)
}

impl Saved {
    /// The last entry.
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start(), |entry| entry.id)
    }

    fn start(&self) -> EntryId {
        self.snapshot.as_ref().map_or(EntryId::ZERO, |meta| meta.last)
    }

    fn cut(&mut self, after: Index) {
        self.entries.truncate(after.0.saturating_sub(self.start().index.0) as usize);
    }

    /// Applies one record.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn replay(&mut self, record: Record) -> Result<(), Hole> {
        match record {
            Record::Hard(hard) => self.hard = hard,
            Record::Cut(after) => self.cut(after),
            Record::Entry(entry) => {
                self.cut(entry.id.index.prev());
                let last = self.last();
                if entry.id.index != last.index.next() {
                    return Err(Hole { last, found: entry.id });
                }
                self.entries.push(entry);
            }
            Record::Snapshot(meta) => {
                match self.entries.iter().position(|entry| entry.id == meta.last) {
                    Some(at) => drop(self.entries.drain(..=at)),
                    None => self.entries.clear(),
                }
                self.snapshot = Some(meta);
            }
        }
        Ok(())
    }

    /// The state that all records together say.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn recover<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Saved, Unreadable> {
        let mut saved = Saved::default();
        for record in records {
            saved.replay(decode(record)?)?;
        }
        Ok(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log::LogWrite;
    use crate::raft::ready::{Content, SnapshotWrite};
    use crate::raft::types::{Membership, Payload, Term};
    use labrpc::NodeId;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { id: EntryId::new(Term(term), Index(index)), payload: Payload::Command(vec![index as u8].into()) }
    }

    fn snapshot(index: u64, term: u64) -> SnapshotMeta {
        SnapshotMeta { last: EntryId::new(Term(term), Index(index)), membership: Membership::of([NodeId(1)]) }
    }

    fn replayed(records: Vec<Record>) -> Result<Saved, Unreadable> {
        Saved::recover(encoded(records).iter())
    }

    fn ids(saved: &Saved) -> Vec<(u64, u64)> {
        saved.entries.iter().map(|entry| (entry.id.index.0, entry.id.term.0)).collect()
    }

    #[test]
    fn an_entry_replaces_what_was_at_its_place_and_behind() {
        let records = [entry(1, 1), entry(2, 1), entry(3, 1), entry(2, 2)].map(Record::Entry);
        assert_eq!(ids(&replayed(records.to_vec()).unwrap()), [(1, 1), (2, 2)]);
    }

    #[test]
    fn a_snapshot_keeps_what_follows_its_last_entry_and_discards_a_log_without_it() {
        let log = [entry(1, 1), entry(2, 1), entry(3, 1)].map(Record::Entry);
        let with = |meta| replayed([log.to_vec(), vec![Record::Snapshot(meta)]].concat()).unwrap();
        assert_eq!(ids(&with(snapshot(2, 1))), [(3, 1)]);
        assert_eq!(ids(&with(snapshot(2, 2))), []);
        assert_eq!(with(snapshot(9, 2)).last(), EntryId::new(Term(2), Index(9)));
    }

    #[test]
    fn a_hole_is_an_error_and_not_a_shorter_log() {
        let found = replayed(vec![Record::Entry(entry(1, 1)), Record::Entry(entry(3, 1))]);
        assert_eq!(found, Err(Hole { last: entry(1, 1).id, found: entry(3, 1).id }.into()));
        assert!(replayed(vec![Record::Entry(entry(5, 1))]).is_err(), "a log that begins in mid-air");
    }

    #[test]
    fn a_record_of_another_program_is_an_error() {
        assert_eq!(Saved::recover([&b"not of Raft"[..]]), Err(Unreadable::Strange));
    }

    #[test]
    fn a_write_and_the_whole_state_say_the_same() {
        let write = Write {
            seq: 1,
            snapshot: Some(SnapshotWrite { meta: snapshot(4, 2), content: Content::FromService(Index(4)) }),
            hard: Some(HardState { term: Term(3), vote: Some(NodeId(2)) }),
            log: Some(LogWrite { after: Index(4), entries: vec![entry(5, 3), entry(6, 3)] }),
        };
        let saved = Saved::recover(records(&write).iter()).unwrap();
        assert_eq!(Saved::recover(records_of(&saved).iter()).unwrap(), saved);
        assert_eq!(ids(&saved), [(5, 3), (6, 3)]);
    }

    #[test]
    fn whatever_a_power_failure_keeps_of_a_write_the_term_is_not_below_the_log() {
        let hard = HardState { term: Term(5), vote: None };
        let before = records_of(&Saved { hard: HardState { term: Term(1), vote: None }, ..Saved::default() });
        let snapshot = Some(SnapshotWrite { meta: snapshot(10, 5), content: Content::FromService(Index(10)) });
        let log = LogWrite { after: Index(10), entries: vec![entry(11, 5), entry(12, 5)] };
        let writes = [
            Write { seq: 1, snapshot: snapshot.clone(), hard: Some(hard), log: Some(log.clone()) },
            Write { seq: 1, snapshot, hard: Some(hard), log: None },
        ];
        for write in writes {
            let written = records(&write);
            for kept in 0..=written.len() {
                let saved = Saved::recover(before.iter().chain(written.iter().take(kept))).unwrap();
                assert!(saved.last().term <= saved.hard.term, "of {write:?} {kept} records are kept");
            }
        }
        let whole = Saved { hard, snapshot: Some(self::snapshot(10, 5)), entries: log.entries };
        for kept in 0..=records_of(&whole).len() {
            let saved = Saved::recover(records_of(&whole).iter().take(kept)).unwrap();
            assert!(saved.last().term <= saved.hard.term, "of the whole state {kept} records are kept");
        }
    }

    #[test]
    fn a_cut_without_entries_is_said() {
        let log = Some(LogWrite { after: Index(1), entries: vec![] });
        let write = Write { seq: 1, snapshot: None, hard: None, log };
        let log = encoded([entry(1, 1), entry(2, 1)].map(Record::<SnapshotMeta, _>::Entry));
        let cut = records(&write);
        assert_eq!(ids(&Saved::recover(log.iter().chain(cut.iter())).unwrap()), [(1, 1)]);
    }
}
