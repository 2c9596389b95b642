//! What a node says has happened: into the log, and counted.

use crate::event::{Event, ShardChange};
use crate::id::NodeId;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// How often each sort of event was seen.
#[derive(Default)]
pub(crate) struct Observer {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Observer {
    pub fn see(&self, node: NodeId, event: &Event) {
        *self.counts.lock().expect("nobody panics while holding it").entry(event.name()).or_default() += 1;
        // The level of a line is a constant of the place that writes it, hence four places.
        macro_rules! say {
            ($say:ident) => {
                tracing::$say!(target: "shardlab::event", %node, event = event.name(), "{}", event.words(size))
            };
        }
        match event {
            Event::Halted { .. } => say!(error),
            Event::ConfigRefused { .. }
            | Event::ShardMissing { .. }
            | Event::Shard { change: ShardChange::Unreadable { .. }, .. } => say!(warn),
            Event::Role { .. } => say!(info),
            _ => say!(debug),
        }
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().expect("nobody panics while holding it").clone()
    }
}

/// A log says no more of a command: it may be anybody's secret.
fn size(command: &[u8]) -> String {
    format!(" {} bytes", command.len())
}
