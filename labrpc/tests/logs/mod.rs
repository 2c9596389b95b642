//! The log of one thread, kept for a test to read.

use std::fmt;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber, span};

/// Lines of a log: level, target, and what was said.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<String>>>);

impl Logs {
    /// Keeps what this thread logs, as long as the guard lives.
    pub fn keep(&self) -> DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    /// How many lines have this in them.
    pub fn count(&self, needle: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(needle)).count()
    }

    pub fn has(&self, needle: &str) -> bool {
        self.count(needle) > 0
    }

    /// The one line that has this in it.
    pub fn one(&self, needle: &str) -> String {
        let lines = self.0.lock().unwrap();
        let found: Vec<_> = lines.iter().filter(|line| line.contains(needle)).collect();
        assert_eq!(found.len(), 1, "`{needle}` once in: {lines:#?}");
        found[0].clone()
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}", self.0.lock().unwrap())
    }
}

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("shardlab::")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said(String::new());
        event.record(&mut said);
        let metadata = event.metadata();
        self.0.lock().unwrap().push(format!("{} {} {}", metadata.level(), metadata.target(), said.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
