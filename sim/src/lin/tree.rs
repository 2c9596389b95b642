//! What was seen of a key as a tree: every value that somebody saw, and what it was while it was put together.
//!
//! A value is the work of one write that puts something there and of appends after it. Taking apart the values that
//! were seen by what was ever written tells which contents of the key matter: only those that are on the way to a
//! value that was seen. All others are one and the same, for nobody can tell them apart. And where a value can be
//! taken apart in one way only, and only one operation wrote a piece of it, it tells what that operation found and left.

use super::content::{ABSENT, Content};
use super::table::{Table, mix, of_bytes};

/// No content at all.
pub const NOWHERE: Content = u32::MAX;

/// What no operation can leave, since clients saw what excludes one another.
pub const IMPOSSIBLE: Content = u32::MAX - 1;

/// A version that there never is.
pub const CONTRADICTION: u64 = u64::MAX;

/// How often it is asked at most whether something that was written is part of a value that was seen.
const LOOKS: usize = 4 << 20;

/// What is written, by whom.
#[derive(Clone, Debug)]
struct Token<'h> {
    /// What.
    bytes: &'h [u8],
    /// How many operations write it where it may be the beginning of a value, and one of them.
    starts: (u32, u32),
    /// How many of these append it, and one of them.
    appends: (u32, u32),
    /// Whether it begins a value on the way to one that was seen.
    begins_seen: bool,
    /// Whether it is any piece of such a value.
    part_of_seen: bool,
}

/// A content on the way to what somebody saw, or expects.
#[derive(Clone, Debug)]
struct Node<'h> {
    bytes: &'h [u8],
    /// Of how few and how many pieces it may consist.
    pieces: (u64, u64),
    /// The content that it began as, if that is made by one certain operation, in all histories; else `NOWHERE`.
    root: Content,
    /// Whether it surely was there, and was made by one certain operation, so that it was there only once.
    once: bool,
    /// If it was there only once: what it was before.
    before: Content,
    /// The longest value that surely was seen and goes on from here, if it is there only once.
    goal: Content,
    /// Of one that something began as: the version that it had before, if known.
    base: Option<u64>,
    /// Those who saw just this.
    observers: Vec<u32>,
}

/// A value that somebody saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'h> {
    /// The value.
    pub bytes: &'h [u8],
    /// Whether it surely was there, and is not only expected.
    pub sure: bool,
}

/// The contents of a key that matter. Their numbers are those of [`Content`]; those below the first are no nodes.
pub struct Tree<'h> {
    nodes: Vec<Node<'h>>,
    tokens: Vec<Token<'h>>,
    by_token: Table,
    /// What becomes of a content by a token: content, token, content.
    edges: Vec<(Content, u32, Content)>,
    by_edge: Table,
    /// The nodes of the values that were seen.
    of_seen: Vec<Content>,
    /// What operations leave that were told apart: operation, content.
    fates: Vec<(u32, Content)>,
}

/// The first numbers of contents are taken.
const FIRST: u32 = 2;

/// A piece of a value: from, to, token.
type Piece = (usize, usize, u32);

impl<'h> Tree<'h> {
    /// The tree of these values. Writes are: the operation, what it writes, whether it appends.
    /// `None` if it would take too long, or what is written does not tell where one piece ends.
    pub fn grow(writes: &[(u32, &'h [u8], bool)], seen: &[Seen<'h>]) -> Option<Tree<'h>> {
        let mut tree = Tree {
            nodes: Vec::new(),
            tokens: Vec::new(),
            by_token: Table::default(),
            edges: Vec::new(),
            by_edge: Table::default(),
            of_seen: Vec::new(),
            fates: Vec::new(),
        };
        for (op, bytes, appends) in writes {
            if bytes.is_empty() {
                return None;
            }
            tree.token_for(*op, bytes, *appends);
        }
        let mut lengths: Vec<usize> = tree.tokens.iter().map(|token| token.bytes.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut looks = LOOKS;
        for value in seen {
            let pieces = tree.pieces(value.bytes, &lengths, &mut looks)?;
            let node = tree.plant(value, &pieces);
            tree.of_seen.push(node);
        }
        tree.fates.sort_unstable();
        tree.fates.dedup();
        Some(tree)
    }

    fn token_for(&mut self, op: u32, bytes: &'h [u8], appends: bool) {
        let id = self.token(bytes).unwrap_or_else(|| {
            let id = self.tokens.len() as u32;
            let none = (0, NOWHERE);
            let (begins_seen, part_of_seen) = (false, false);
            self.tokens.push(Token { bytes, starts: none, appends: none, begins_seen, part_of_seen });
            self.by_token.insert(of_bytes(bytes), id);
            id
        });
        let token = &mut self.tokens[id as usize];
        token.starts = (token.starts.0 + 1, op);
        if appends {
            token.appends = (token.appends.0 + 1, op);
        }
    }

    fn token(&self, bytes: &[u8]) -> Option<u32> {
        self.by_token.find(of_bytes(bytes), |id| self.tokens[id as usize].bytes == bytes)
    }

    /// All pieces that are part of some way to take the value apart, by where they begin.
    fn pieces(&self, value: &[u8], lengths: &[usize], looks: &mut usize) -> Option<Vec<Piece>> {
        let mut reached = vec![false; value.len() + 1];
        reached[0] = true;
        let mut pieces = Vec::new();
        for from in 0..value.len() {
            if !reached[from] {
                continue;
            }
            for len in lengths.iter().take_while(|len| from + **len <= value.len()) {
                *looks = looks.checked_sub(1)?;
                let to = from + len;
                if let Some(token) = self.token(&value[from..to])
                    && (from == 0 || self.tokens[token as usize].appends.0 > 0)
                {
                    pieces.push((from, to, token));
                    reached[to] = true;
                }
            }
        }
        let mut leads = vec![false; value.len() + 1];
        leads[value.len()] = !value.is_empty();
        for (from, to, _) in pieces.iter().rev() {
            leads[*from] |= leads[*to];
        }
        pieces.retain(|(_, to, _)| leads[*to]);
        Some(pieces)
    }

    /// Adds what lies on the way to a value.
    ///
    /// The ways to a beginning of a value depend on nothing but that beginning. So wherever it is met, the first piece
    /// that comes to it comes from the same content, and equal bytes are the same node.
    fn plant(&mut self, value: &Seen<'h>, pieces: &[Piece]) -> Content {
        let mut at = vec![NOWHERE; value.bytes.len() + 1];
        at[0] = ABSENT;
        for (from, to, token) in pieces {
            let before = at[*from];
            let known = self.edge(before, *token);
            if at[*to] == NOWHERE {
                at[*to] = known.unwrap_or_else(|| self.node(&value.bytes[..*to]));
            }
            if known.is_none() {
                self.link(before, *token, at[*to]);
            }
            let one = self.tokens.get_mut(*token as usize).expect("it was found there");
            one.part_of_seen = true;
            one.begins_seen |= *from == 0;
        }
        let node = if value.bytes.is_empty() { NOWHERE } else { at[value.bytes.len()] };
        if value.sure && node != NOWHERE {
            self.tell_fates(pieces, &at, node);
        }
        node
    }

    fn node(&mut self, bytes: &'h [u8]) -> Content {
        self.nodes.push(Node {
            bytes,
            pieces: (u64::MAX, 0),
            root: NOWHERE,
            once: false,
            before: NOWHERE,
            goal: NOWHERE,
            base: None,
            observers: Vec::new(),
        });
        FIRST + self.nodes.len() as u32 - 1
    }

    fn link(&mut self, before: Content, token: u32, after: Content) {
        let (few, many) = if before == ABSENT { (0, 0) } else { self.at(before).pieces };
        let pieces = &mut self.nodes[(after - FIRST) as usize].pieces;
        *pieces = (pieces.0.min(few + 1), pieces.1.max(many + 1));
        let hash = mix(u64::from(before) << 32 | u64::from(token));
        self.by_edge.insert(hash, self.edges.len() as u32);
        self.edges.push((before, token, after));
    }

    fn edge(&self, before: Content, token: u32) -> Option<Content> {
        let hash = mix(u64::from(before) << 32 | u64::from(token));
        let is_it = |id: u32| (self.edges[id as usize].0, self.edges[id as usize].1) == (before, token);
        self.by_edge.find(hash, is_it).map(|id| self.edges[id as usize].2)
    }

    /// What a value says that surely was there.
    ///
    /// A piece that no other one overlaps is part of every way to take the value apart. If only one operation can
    /// have been it, that operation took effect, and left just the beginning that ends with the piece: nothing else
    /// makes that beginning, and an operation takes effect at most once, so it was there once, until the next write.
    /// That write must be on the way to the value, for it cannot be come by again.
    fn tell_fates(&mut self, pieces: &[Piece], at: &[Content], node: Content) {
        let mut root = NOWHERE;
        let mut end = 0;
        for (nth, (from, to, token)) in pieces.iter().enumerate() {
            let overlapped = end > *from || pieces.get(nth + 1).is_some_and(|(next, ..)| next < to);
            end = end.max(*to);
            let token = &self.tokens[*token as usize];
            let (writers, op) = if *from == 0 { token.starts } else { token.appends };
            if !overlapped && writers == 1 {
                let here = at[*to];
                self.fates.push((op, here));
                if *from == 0 {
                    root = here;
                }
                let len = self.len(node);
                let further = |goal: Content| goal == NOWHERE || self.len(goal) < len;
                let goes_on = here != node && further(self.at(here).goal);
                let one = &mut self.nodes[(here - FIRST) as usize];
                one.once = true;
                one.before = at[*from];
                if goes_on {
                    one.goal = node;
                }
            }
            if root != NOWHERE {
                self.nodes[(at[*to] - FIRST) as usize].root = root;
            }
        }
    }

    /// What this operation leaves; `NOWHERE` if that is not known.
    pub fn fate(&self, op: u32) -> Content {
        let first = self.fates.partition_point(|(other, _)| *other < op);
        let mut fates = self.fates[first..].iter().take_while(|(other, _)| *other == op);
        match (fates.next(), fates.next()) {
            (None, _) => NOWHERE,
            (Some((_, fate)), None) => *fate,
            (Some(_), Some(_)) => IMPOSSIBLE,
        }
    }

    /// Somebody saw this, or made it, at this version. Of contents that began as something that was there only once,
    /// the versions follow from one another.
    pub fn tell_version(&mut self, content: Content, version: u64) {
        let Some(root) = self.counted_from(content) else { return };
        let base = version.checked_sub(self.at(content).pieces.0).unwrap_or(CONTRADICTION);
        let known = &mut self.nodes[(root - FIRST) as usize].base;
        *known = Some(if known.is_none_or(|known| known == base) { base } else { CONTRADICTION });
    }

    /// The version that this content had the one time that it was there. 0 if that is not known.
    pub fn version(&self, content: Content) -> u64 {
        let base = self.counted_from(content).and_then(|root| self.at(root).base);
        base.map_or(0, |base| base.saturating_add(self.at(content).pieces.0))
    }

    fn counted_from(&self, content: Content) -> Option<Content> {
        let node = self.get(content)?;
        (node.root != NOWHERE && node.pieces.0 == node.pieces.1).then_some(node.root)
    }

    /// This operation saw this.
    pub fn tell_observer(&mut self, content: Content, op: u32) {
        if let Some(node) = content.checked_sub(FIRST).and_then(|node| self.nodes.get_mut(node as usize)) {
            node.observers.push(op);
        }
    }

    /// Those who must have seen this content before it goes away, as it does not come again. Last those that came
    /// last.
    pub fn observers(&self, content: Content) -> &[u32] {
        self.get(content).filter(|node| node.once).map_or(&[], |node| &node.observers)
    }

    /// Whether this content can become that one, if it must still become what clients saw.
    pub fn may_become(&self, before: Content, after: Content) -> bool {
        let Some(goal) = self.get(before).map(|node| node.goal).filter(|goal| *goal != NOWHERE) else {
            return true;
        };
        self.is_further(before, after) && (after == goal || self.is_further(after, goal))
    }

    /// Whether one is a true beginning of the other.
    pub fn is_further(&self, before: Content, after: Content) -> bool {
        let (Some(one), Some(other)) = (self.get(before), self.get(after)) else { return false };
        one.bytes.len() < other.bytes.len() && other.bytes.starts_with(one.bytes)
    }

    /// Whether this content matters.
    pub fn has(&self, content: Content) -> bool {
        self.get(content).is_some()
    }

    /// Of how few and how many pieces a content may consist.
    pub fn pieces_of(&self, content: Content) -> (u64, u64) {
        self.get(content).map_or((0, 0), |node| node.pieces)
    }

    /// The content that a value that was seen is; `NOWHERE` if nobody can have put it together.
    pub fn of_seen(&self, seen: u32) -> Content {
        self.of_seen.get(seen as usize).copied().unwrap_or(NOWHERE)
    }

    /// What a content becomes by this. `None` if that is nothing that matters.
    pub fn with(&self, before: Content, bytes: &[u8]) -> Option<Content> {
        self.token(bytes).and_then(|token| self.edge(before, token))
    }

    /// Whether this is a piece of what was seen: its beginning, or if it is appended, any.
    pub fn is_piece(&self, bytes: &[u8], appended: bool) -> bool {
        self.token(bytes).is_some_and(|token| {
            let token = &self.tokens[token as usize];
            if appended { token.part_of_seen } else { token.begins_seen }
        })
    }

    /// What was there before this content, if that was there only once; else `NOWHERE`.
    pub fn before(&self, after: Content) -> Content {
        self.get(after).map_or(NOWHERE, |node| node.before)
    }

    /// How long a content is.
    pub fn len(&self, content: Content) -> usize {
        self.get(content).map_or(0, |node| node.bytes.len())
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node<'_>>()
            + self.tokens.len() * size_of::<Token<'_>>()
            + self.edges.len() * size_of::<(u32, u32, u32)>()
            + self.by_edge.bytes()
            + self.by_token.bytes()
    }

    fn at(&self, content: Content) -> &Node<'h> {
        self.get(content).expect("it is a node")
    }

    fn get(&self, content: Content) -> Option<&Node<'h>> {
        content.checked_sub(FIRST).and_then(|node| self.nodes.get(node as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: bool = false;
    const APPEND: bool = true;

    fn sure(bytes: &'static str) -> Seen<'static> {
        Seen { bytes: bytes.as_bytes(), sure: true }
    }

    #[test]
    fn a_value_tells_what_the_only_ones_left_that_can_have_written_it() {
        let writes: [(u32, &[u8], bool); 4] =
            [(0, b"1;", PUT), (1, b"2;", APPEND), (2, b"3;", APPEND), (3, b"4;", PUT)];
        let mut tree = Tree::grow(&writes, &[sure("1;2;"), sure("1;2;3;"), sure("9;")]).expect("it is not much");
        let (two, three) = (tree.of_seen(0), tree.of_seen(1));
        let one = tree.with(ABSENT, b"1;").expect("it is how both begin");
        assert_eq!((tree.fate(0), tree.fate(1), tree.fate(2), tree.fate(3)), (one, two, three, NOWHERE));
        assert_eq!((tree.with(one, b"2;"), tree.with(one, b"3;"), tree.of_seen(2)), (Some(two), None, NOWHERE));
        assert!(tree.may_become(one, two) && !tree.may_become(one, ABSENT));
        assert!(tree.may_become(three, ABSENT), "no more was seen of it");
        assert!(tree.is_piece(b"3;", APPEND) && !tree.is_piece(b"3;", PUT) && !tree.is_piece(b"4;", PUT));
        tree.tell_version(three, 7);
        assert_eq!((tree.version(one), tree.version(two)), (5, 6));
        tree.tell_version(two, 7);
        assert_eq!(tree.version(one), CONTRADICTION);
    }

    #[test]
    fn a_value_that_can_be_taken_apart_in_two_ways_tells_nothing_where_they_differ() {
        let writes: [(u32, &[u8], bool); 4] =
            [(0, b"x", PUT), (1, b"ab", APPEND), (2, b"a", APPEND), (3, b"b", APPEND)];
        let mut tree = Tree::grow(&writes, &[sure("xab")]).expect("it is not much");
        let end = tree.of_seen(0);
        assert_eq!((tree.fate(1), tree.fate(2), tree.fate(3)), (NOWHERE, NOWHERE, NOWHERE));
        assert_eq!((Some(tree.fate(0)), tree.pieces_of(end)), (tree.with(ABSENT, b"x"), (2, 3)));
        tree.tell_version(end, 3);
        assert_eq!(tree.version(tree.fate(0)), 0, "nobody knows how many there were in between");
    }

    #[test]
    fn whoever_left_two_different_things_left_neither() {
        let writes: [(u32, &[u8], bool); 3] = [(0, b"1;", PUT), (1, b"2;", PUT), (2, b"3;", APPEND)];
        let tree = Tree::grow(&writes, &[sure("1;3;"), sure("2;3;")]).expect("it is not much");
        assert_eq!(tree.fate(2), IMPOSSIBLE);
    }
}
