//! What clients asked for and were told, in the one order in which it happened here. Pure.

use history::{At, Call, History, OpId, Outcome, Reply};

/// Writes a history down while it happens.
#[derive(Default)]
pub struct Recorder {
    history: History,
    /// How many events there were. Whoever has the recorder gives out the next number: so an operation that was over before another
    /// began has the smaller ones.
    events: u64,
}

/// What is known of an operation that is over.
pub enum Known {
    /// It was done.
    Reply(Reply),
    /// It surely was not executed.
    Nothing,
    /// Nobody knows.
    Unknown,
}

impl Recorder {
    /// A client asks for something.
    pub fn invoke(&mut self, process: u32, call: Call, nanos: u64) -> OpId {
        let at = self.at(nanos);
        self.history.invoke(process, call, at)
    }

    /// It knows what came of it.
    pub fn ret(&mut self, op: OpId, known: Known, nanos: u64) {
        let at = self.at(nanos);
        let outcome = match known {
            Known::Reply(reply) => Outcome::Ok { reply, at },
            Known::Nothing => Outcome::Fail { at },
            Known::Unknown => Outcome::Unknown,
        };
        self.history.ret(op, outcome);
    }

    /// All of it. What is under way has an unknown outcome.
    pub fn finish(self) -> History {
        self.history
    }

    fn at(&mut self, nanos: u64) -> At {
        self.events += 1;
        At { nth: self.events - 1, nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use history::Vocabulary;

    #[test]
    fn what_was_over_before_stands_before_and_it_can_be_read_again() {
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"1.1 "));
        let mut recorder = Recorder::default();
        let put = recorder.invoke(1, Call::Put { key: key.clone(), value: value.clone() }, 10);
        let lost = recorder.invoke(2, Call::Put { key: key.clone(), value: key.clone() }, 10);
        // The clock has not moved on: the order is told nevertheless.
        recorder.ret(put, Known::Reply(Reply::Written { version: 1 }), 10);
        let get = recorder.invoke(1, Call::Get { key: key.clone() }, 10);
        recorder.ret(lost, Known::Unknown, 20);
        recorder.ret(get, Known::Nothing, 30);
        let history = recorder.finish();
        let [first, _, second] = &*history.operations else { panic!("three operations") };
        assert!(first.returned().unwrap() < second.invoked);
        assert_eq!(History::parse(&history.to_lines(), Vocabulary::Kv).unwrap().operations.len(), 3);
    }
}
