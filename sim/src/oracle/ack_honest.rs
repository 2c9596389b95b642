//! What a client is told of its operation is what the log did with it.
//!
//! The log is executed once more, by a map of the laboratory's own. An answer names the entry that it comes from: that
//! entry must be this operation's, executed once, with this result; and a read must be of the state behind the entry
//! that it names, all keys of a scan of the same one. Together with the order of the entries that answers name, each
//! behind all that anybody was told of before it was asked for, this is linearizability with the log for a witness. The
//! search for any order at all, which knows nothing of logs, is made besides.

use super::reference::Reference;
use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use crate::history::{Call, Reply};
use crate::kv::{Entry, Told};
use labrpc::Index;
use std::collections::BTreeMap;

static CARD: Card = Card {
    id: "ack-honest",
    property: "An answer names an entry of the log that is this operation, executed once with that result; a read shows \
               the state behind an entry that is no older than anything that was acknowledged before it was asked for",
    source: "§8; thesis 6.3 and 6.4",
    lesson: "An acknowledgement is a promise about the log. Ask what the server knew of the entry when it answered: \
             that it is committed, that it is this client's, that it was executed for the first time.",
    watches: &[Sort::Executed, Sort::Asks, Sort::Told],
    when: When::Before,
    needs: Needs::Log,
};

/// An executed entry.
struct Executed {
    call: Call,
    reply: Option<Reply>,
    /// Somebody was told of it.
    told: bool,
}

/// See the card.
#[derive(Default)]
pub struct AckHonest {
    reference: Reference,
    executed: BTreeMap<Index, Executed>,
    /// Operations, by their own names, and where they were executed.
    by: BTreeMap<[u64; 2], Index>,
    /// The last entry that any client was told of.
    told: Index,
    /// That of when each client asked.
    asked: BTreeMap<u32, Index>,
}

impl Invariant for AckHonest {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        match *fact {
            Fact::Executed { index, entry } if known.explains_log => self.executes(index, entry),
            Fact::Asks { client } => {
                self.asked.insert(client, self.told);
                Ok(())
            }
            // Of a log that nobody explains nothing is known.
            Fact::Told { client, call, told } if known.explains_log => self.is_told(known, client, call, told),
            _ => Ok(()),
        }
    }
}

impl AckHonest {
    fn executes(&mut self, index: Index, Entry { by, call }: &Entry) -> Verdict {
        if let Some(first) = self.by.insert(*by, index) {
            return Err(format!("the operation that was executed at {first} is executed again at {index}"));
        }
        let reply = self.reference.execute(index, call);
        self.executed.insert(index, Executed { call: call.clone(), reply, told: false });
        Ok(())
    }

    fn is_told(&mut self, known: &Known, client: u32, call: &Call, Told { reply, index }: &Told) -> Verdict {
        let index = index.ok_or("an answer does not say which entry of the log it comes from")?;
        let floor = self.asked.get(&client).copied().unwrap_or_default();
        if index > Index(0) && known.state(index).is_none() {
            return Err(format!("client {client} is told of {index}, which no server has applied"));
        }
        match call {
            Call::Get { key } => {
                not_older(client, index, floor)?;
                let (value, version) = self.reference.get(key, index);
                let Reply::Value { value: told, version: of } = reply else { return Err(nonsense(client, call)) };
                if told.as_deref() != value || (*of != 0 && *of != version) {
                    return Err(format!("client {client} is told what its key does not hold after {index}"));
                }
            }
            Call::Scan { prefix, .. } => {
                not_older(client, index, floor)?;
                let Reply::Entries { items, more, .. } = reply else { return Err(nonsense(client, call)) };
                let mut expected = self.reference.scan(prefix, index);
                let same = items.iter().all(|(key, value, _)| expected.next() == Some((key, value)));
                if !same || *more != expected.next().is_some() {
                    return Err(format!(
                        "client {client} is told of keys that are not all as they were after {index}"
                    ));
                }
            }
            _ => return self.write_is_told(client, call, reply, index, floor),
        }
        self.told = self.told.max(index);
        Ok(())
    }

    fn write_is_told(&mut self, client: u32, call: &Call, reply: &Reply, index: Index, floor: Index) -> Verdict {
        let Some(executed) = self.executed.get_mut(&index).filter(|executed| executed.call == *call) else {
            return Err(format!(
                "client {client} is told of {index}, where something else was executed, or nothing"
            ));
        };
        if std::mem::replace(&mut executed.told, true) {
            return Err(format!("client {client} is told of {index}, which another operation was told of"));
        }
        if index <= floor {
            let why = "which somebody was told of before it asked";
            return Err(format!("client {client} is told of {index}, not behind {floor}, {why}"));
        }
        if executed.reply.as_ref() != Some(reply) {
            return Err(format!("client {client} is told {reply:?}; {index} came to {:?}", executed.reply));
        }
        self.told = self.told.max(index);
        Ok(())
    }
}

fn not_older(client: u32, index: Index, floor: Index) -> Verdict {
    if index < floor {
        let why = "which somebody was told of before it asked";
        return Err(format!("client {client} reads as of {index}, older than {floor}, {why}"));
    }
    Ok(())
}

fn nonsense(client: u32, call: &Call) -> String {
    format!("client {client} is told something else than it asked for: {call:?}")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use bytes::Bytes;

    fn append(value: &'static str) -> Call {
        Call::Append { key: "k".into(), value: value.into() }
    }

    struct Service(Story<AckHonest>);

    impl Service {
        fn new() -> Service {
            let mut story = Story::new(1, AckHonest::default());
            story.known.explains_log = true;
            Service(story)
        }

        /// An entry is executed; without a call, it does nothing.
        fn executes(&mut self, index: u64, seq: u64, call: Option<Call>) -> Verdict {
            let index = Index(index);
            let entry = call.map(|call| Entry { by: [1, seq], call });
            entry.map_or(Ok(()), |entry| self.0.tell(&Fact::Executed { index, entry: &entry }))?;
            self.0.tell(&Fact::State { node: node(1), index, digest: 0 })
        }

        fn asks(&mut self, client: u32) {
            self.0.tell(&Fact::Asks { client }).unwrap();
        }

        fn told(&mut self, client: u32, call: &Call, reply: Reply, index: u64) -> Verdict {
            let told = Told { reply, index: Some(Index(index)) };
            self.0.tell(&Fact::Told { client, call, told: &told })
        }
    }

    const WRITTEN: Reply = Reply::Written { version: 1 };

    #[test]
    fn an_operation_is_executed_once() {
        let mut service = Service::new();
        assert_eq!(service.executes(1, 1, Some(append("a"))), Ok(()));
        assert!(service.executes(2, 1, Some(append("a"))).unwrap_err().contains("again"));
    }

    #[test]
    fn a_write_is_acknowledged_for_what_it_did() {
        let mut service = Service::new();
        (1..=3).for_each(|client| service.asks(client));
        service.executes(1, 1, Some(append("a"))).unwrap();
        service.executes(2, 2, None).unwrap();
        assert!(service.told(1, &append("a"), WRITTEN, 3).unwrap_err().contains("no server"));
        assert!(service.told(1, &append("a"), WRITTEN, 2).unwrap_err().contains("nothing"));
        assert!(service.told(1, &append("b"), WRITTEN, 1).unwrap_err().contains("something else"));
        assert_eq!(service.told(1, &append("a"), WRITTEN, 1), Ok(()));
        assert!(service.told(2, &append("a"), WRITTEN, 1).unwrap_err().contains("another"));
        let mut service = Service::new();
        service.asks(1);
        service.executes(1, 1, Some(append("a"))).unwrap();
        assert!(service.told(1, &append("a"), Reply::Written { version: 2 }, 1).unwrap_err().contains("came to"));
    }

    #[test]
    fn nobody_is_told_of_what_is_older_than_what_was_told_before() {
        let mut service = Service::new();
        service.asks(1);
        service.executes(1, 1, Some(append("a"))).unwrap();
        service.executes(2, 2, Some(append("b"))).unwrap();
        assert_eq!(service.told(1, &append("b"), Reply::Written { version: 2 }, 2), Ok(()));
        service.asks(2);
        let get = Call::Get { key: "k".into() };
        let value = |value: &'static str, version| Reply::Value { value: Some(value.into()), version };
        assert!(service.told(2, &get, value("a", 1), 1).unwrap_err().contains("older"));
        assert!(service.told(2, &append("a"), WRITTEN, 1).unwrap_err().contains("not behind"));
        assert_eq!(service.told(2, &get, value("ab", 2), 2), Ok(()));
    }

    #[test]
    fn a_read_is_of_the_state_that_it_names() {
        let mut service = Service::new();
        service.asks(1);
        service.executes(1, 1, Some(append("a"))).unwrap();
        service.executes(2, 2, Some(Call::Put { key: "l".into(), value: "z".into() })).unwrap();
        let get = Call::Get { key: "k".into() };
        assert!(service.told(1, &get, Reply::Value { value: None, version: 0 }, 1).is_err());
        assert!(service.told(1, &get, Reply::Value { value: Some("a".into()), version: 2 }, 1).is_err());
        assert!(service.told(1, &get, WRITTEN, 1).unwrap_err().contains("asked for"));
        let scan = Call::Scan { prefix: Bytes::new(), limit: 10 };
        let entries = |keys: &[(&'static str, &'static str)], more| {
            let items = keys.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value), 0));
            Reply::Entries { items: items.collect(), more, index: 0 }
        };
        let all = [("k", "a"), ("l", "z")];
        assert_eq!(service.told(1, &scan, entries(&all, false), 2), Ok(()));
        assert_eq!(service.told(1, &scan, entries(&all[..1], true), 2), Ok(()));
        service.asks(3);
        assert!(service.told(3, &scan, entries(&all[..1], false), 2).is_err(), "there are more");
        assert!(service.told(3, &scan, entries(&all, true), 2).is_err(), "there are no more");
        assert!(service.told(4, &scan, entries(&all, false), 1).is_err(), "one of them is from later");
    }

    #[test]
    fn where_nobody_explains_the_log_nothing_is_said() {
        let mut service = Service::new();
        service.0.known.explains_log = false;
        service.asks(1);
        assert_eq!(service.told(1, &append("a"), WRITTEN, 9), Ok(()));
    }
}
