//! Clients that write what nobody else writes, and read, on a few keys; and what is known afterwards.

use crate::record::{Client, Record, Store, verdict};
use bytes::Bytes;
use labrpc::Rng;
use sim::history::{Call, Expect, Outcome, Reply};

/// So many operations of one client, one after the other.
pub async fn work<S: Store>(number: u64, store: S, operations: u32, keys: &[Bytes], record: Record) {
    let mut client = Client::new(store, &record);
    let mut rng = Rng::new(number, "load");
    let mut seen = Expect::Value(None);
    for nth in 0..operations {
        let (key, value) = (rng.pick(keys).clone(), Bytes::from(format!("{number}.{nth} ")));
        let call = match rng.below(10) {
            0..2 => Call::Put { key, value },
            2..5 => Call::Append { key, value },
            5..7 => Call::Cas { key, expect: seen.clone(), value },
            7 => Call::Delete { key },
            _ => Call::Get { key },
        };
        match client.call(call).await {
            Ok(Reply::Value { value, .. }) => seen = Expect::Value(value),
            Ok(Reply::Written { version } | Reply::CasFailed { version, .. }) => seen = Expect::Version(version),
            _ => {}
        }
    }
}

/// Whether what clients were told can be true, and whether they were told something.
pub fn judge(record: &Record, least: usize) {
    let history = record.history();
    let answered = history.operations.iter().filter(|op| matches!(op.outcome, Outcome::Ok { .. })).count();
    assert!(answered >= least, "{answered} of {} operations were answered", history.operations.len());
    if let Some(wrong) = verdict(&history) {
        panic!("{wrong}\n{}", history.to_lines());
    }
}
