//! Where all nodes are to be reached. Each node has a copy, and they tell each other what is new.
//!
//! A layout says whom a node knows when it starts. Groups that come later, and nodes that have moved, are heard of from others:
//! every now and then a node asks another one for its book, and gives it its own. An entry is changed by the node that it
//! is about, at its start, and the number of that start says which of two entries is the later one; and by whoever says that it is a node
//! no more, which is behind every start. So books that are put together in
//! whatever order become the same.

use super::desk::{self, Answer, Ask};
use super::layout::{Gone, Layout, Member, Part};
use crate::shardmaster::GroupId;
use labrpc::net::{FIRST_CLIENT, Host};
use labrpc::{Env, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// Between two questions for other books.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two looks whether somebody could not be sent something because nobody knows where they are.
const LOOK: Duration = Duration::from_millis(50);
/// For an answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most entries that are kept: what others say is not to fill the memory.
const MOST: usize = 1 << 12;

/// What is known of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// Where it is reached, as `host:port`.
    pub address: String,
    /// Where its directory is on its machine; empty if it has not said.
    pub home: String,
    /// The number of the start at which it has said so; 0: somebody else said so, in a layout; [`Entry::GONE`]: it is a node no
    /// more.
    pub boot: u32,
}

impl Entry {
    /// Whether it is one. What comes over the network may be anything, and is shown on terminals.
    fn is_sound(&self) -> bool {
        let texts = [(&self.name, 64), (&self.address, 300), (&self.home, 4_096)];
        let is_node = (1..FIRST_CLIENT).contains(&self.id.0);
        is_node && texts.iter().all(|(text, most)| text.len() <= *most && !text.contains(char::is_control))
    }

    /// Behind every start: whoever is gone does not come back.
    pub const GONE: u32 = u32::MAX;

    /// Whether it is a node no more.
    pub const fn is_gone(&self) -> bool {
        self.boot == Entry::GONE
    }

    fn of_gone(id: NodeId, gone: &Gone) -> Entry {
        let Gone { name, part, .. } = gone.clone();
        Entry { id, name, part, address: String::new(), home: String::new(), boot: Entry::GONE }
    }

    /// All that a layout says.
    pub fn all_of(layout: &Layout) -> Vec<Entry> {
        let gone = layout.gone.iter().map(|(id, gone)| Entry::of_gone(*id, gone));
        layout.nodes.values().map(Entry::of).chain(gone).collect()
    }

    /// What a layout says.
    pub fn of(member: &Member) -> Entry {
        let Member { id, part, ref name, ref address, .. } = *member;
        Entry { id, name: name.clone(), part, address: address.clone(), home: String::new(), boot: 0 }
    }
}

/// What is known of all nodes. Clones are the same book.
#[derive(Clone, Debug, Default)]
pub struct Book(Arc<Mutex<BTreeMap<NodeId, Entry>>>);

impl Book {
    /// What a layout says.
    pub fn of(layout: &Layout) -> Book {
        let book = Book::default();
        book.merge(Entry::all_of(layout));
        book
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Entry>> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// Takes over what is news. Returns the entries of nodes that are not where they were thought to be.
    pub fn merge(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut book = self.lock();
        let mut moved = Vec::new();
        for entry in entries {
            let known = book.get(&entry.id);
            let is_news = known.is_none_or(|known| known.boot < entry.boot);
            let has_room = book.len() < MOST || known.is_some();
            if is_news && has_room && entry.is_sound() {
                if !entry.is_gone() && known.is_none_or(|known| known.address != entry.address) {
                    moved.push(entry.clone());
                }
                book.insert(entry.id, entry);
            }
        }
        moved
    }

    /// All entries, of those that are gone too.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// The nodes.
    pub fn nodes(&self) -> Vec<Entry> {
        self.lock().values().filter(|entry| !entry.is_gone()).cloned().collect()
    }

    /// The servers of a part.
    pub fn of_part(&self, part: Part) -> Vec<NodeId> {
        self.lock().values().filter(|entry| entry.part == part && !entry.is_gone()).map(|entry| entry.id).collect()
    }

    /// The servers of a group.
    pub fn of_group(&self, group: GroupId) -> Vec<NodeId> {
        self.of_part(Part::Group(group))
    }

    /// The node with that name, or at that address.
    pub fn find(&self, node: &str) -> Option<Entry> {
        let is_it = |entry: &&Entry| !entry.is_gone() && (entry.name == node || entry.address == node);
        self.lock().values().find(is_it).cloned()
    }

    /// Puts the news of others into the book, and tells the host who is elsewhere. (Who is where it was keeps its connection.)
    pub(super) fn learn(&self, host: &Host, entries: Vec<Entry>) {
        for Entry { id, address, .. } in self.merge(entries) {
            host.set_peer(id, address);
        }
    }

    /// Asks that node for its book, and tells it ours. Whether it has answered.
    pub(super) async fn exchange(&self, host: &Host, with: NodeId, ours: Vec<Entry>) -> bool {
        let env = host.env();
        match desk::ask(&env, with, &Ask::Book(ours), env.now() + PATIENCE).await {
            Some(Answer::Book(theirs)) => {
                self.learn(host, theirs);
                true
            }
            _ => false,
        }
    }

    /// Keeps the book up to date as long as the host is there, by asking one node after the other; at once if something was to be sent to a node that
    /// it does not have. `tells`: whether to tell what is in it, as nodes do and clients do not.
    pub(super) async fn keep(self, host: Weak<Host>, env: Env, tells: bool) {
        let mut unknown = 0;
        // One after the other, each node beginning with another one.
        let mut turn = env.id().0 as usize;
        loop {
            let next = env.now() + PERIOD;
            while env.now() < next {
                env.sleep(LOOK).await;
                let Some(host) = host.upgrade() else { return };
                let now = host.without_address();
                if std::mem::replace(&mut unknown, now) != now {
                    break;
                }
            }
            turn += 1;
            if let Some(with) = self.other(&env, turn)
                && let Some(host) = host.upgrade()
            {
                let ours = if tells { self.entries() } else { Vec::new() };
                self.exchange(&host, with, ours).await;
            }
        }
    }

    /// Some other node.
    fn other(&self, env: &Env, turn: usize) -> Option<NodeId> {
        let book = self.lock();
        let others = book.values().filter(|entry| entry.id != env.id() && !entry.is_gone());
        let others: Vec<NodeId> = others.map(|entry| entry.id).collect();
        others.get(turn.checked_rem(others.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, boot: u32, address: &str) -> Entry {
        let part = Part::Group(GroupId(1));
        Entry { id: NodeId(id), name: format!("g1-{id}"), part, address: address.into(), home: String::new(), boot }
    }

    #[test]
    fn the_later_start_counts_in_whatever_order_they_are_heard_of() {
        let said =
            [entry(1, 0, "a:1"), entry(1, 1, "a:2"), entry(1, 3, "a:4"), entry(1, 2, "a:3"), entry(2, 1, "b:1")];
        for first in 0..said.len() {
            let book = Book::default();
            let mut order = said.to_vec();
            order.rotate_left(first);
            order.into_iter().for_each(|entry| _ = book.merge(vec![entry]));
            assert_eq!(book.entries(), [entry(1, 3, "a:4"), entry(2, 1, "b:1")]);
            assert!(book.merge(said.to_vec()).is_empty(), "nothing of it is news");
            assert!(book.merge(vec![entry(1, 4, "a:4")]).is_empty(), "it was started again where it was");
            book.merge(vec![entry(1, Entry::GONE, "")]);
            assert!(book.merge(vec![entry(1, 5, "a:5")]).is_empty(), "whoever is gone does not come back");
            assert_eq!((book.nodes(), book.find("a:4")), (vec![entry(2, 1, "b:1")], None));
        }
    }

    #[test]
    fn a_book_has_bounds_and_no_clients() {
        let book = Book::default();
        let unsound = [
            entry(0, 1, "a:1"),
            entry(FIRST_CLIENT, 1, "a:1"),
            entry(1, 1, "\x1b[2J"),
            entry(1, 1, &"a".repeat(301)),
        ];
        assert!(book.merge(unsound.to_vec()).is_empty() && book.entries().is_empty());
        book.merge((1..=MOST as u32 + 5).map(|id| entry(id, 1, "a:1")).collect());
        assert_eq!(book.entries().len(), MOST);
        assert_eq!(book.merge(vec![entry(1, 2, "a:2")]), [entry(1, 2, "a:2")], "whom it knows may move");
    }
}
