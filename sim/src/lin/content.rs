//! Values as chains of what was put together to make them, so that a state is a number.
//!
//! Of a key that is only ever appended to, every value that was read must be a beginning of the longest one. As long
//! as it is no longer than that, a value is then told by its length alone.

use super::table::{Table, mix, of_bytes};
use super::tree::Tree;

/// A value, or that there is none. Equal numbers are equal values; of two different numbers the values may be equal
/// too if they were put together in different ways.
pub type Content = u32;

/// There is no value.
pub const ABSENT: Content = 0;

/// Some value that nobody ever saw, nor a longer one that it is a part of. Which one makes no difference.
pub const UNSEEN: Content = 1;

/// Set in values that are told by their length.
const ALONG: u32 = 1 << 31;
const NONE: u32 = u32::MAX;

struct Piece<'h> {
    /// What comes before it.
    before: u32,
    bytes: &'h [u8],
    /// Of the whole value.
    len: usize,
    /// The observed value that it is, once that is known.
    is: u32,
}

/// The values of one key.
pub struct Contents<'h> {
    pieces: Vec<Piece<'h>>,
    by_piece: Table,
    observed: Vec<&'h [u8]>,
    by_bytes: Table,
    /// The longest value of a key that is only appended to.
    chain: Option<&'h [u8]>,
    /// What was seen, taken apart. Contents are then its nodes.
    tree: Option<Tree<'h>>,
}

impl Default for Contents<'_> {
    fn default() -> Self {
        let absent = Piece { before: NONE, bytes: &[], len: 0, is: NONE };
        // It is longer than all that was seen.
        let unseen = Piece { before: NONE, bytes: &[], len: usize::MAX, is: NONE };
        Contents {
            pieces: vec![absent, unseen],
            by_piece: Table::default(),
            observed: Vec::new(),
            by_bytes: Table::default(),
            chain: None,
            tree: None,
        }
    }
}

impl<'h> Contents<'h> {
    /// The key is only appended to, and this is the longest value that was read.
    pub fn follow(&mut self, chain: &'h [u8]) {
        self.chain = (chain.len() < ALONG as usize).then_some(chain);
    }

    /// From now on, contents are told by how what was seen was put together. Nothing must have been written yet.
    pub fn take_apart(&mut self, tree: Tree<'h>) {
        self.tree = Some(tree);
    }

    /// What was seen, if it was taken apart.
    pub fn tree(&self) -> Option<&Tree<'h>> {
        self.tree.as_ref()
    }

    /// The values that somebody saw, by their numbers; not those along a chain.
    pub fn observed(&self) -> &[&'h [u8]] {
        &self.observed
    }

    /// A number for a value that somebody saw.
    pub fn observe(&mut self, value: &'h [u8]) -> u32 {
        if let Some(chain) = self.chain {
            // Its length says which it is; one that does not lie along the chain was never there.
            return if chain.starts_with(value) { value.len() as u32 } else { NONE };
        }
        let hash = of_bytes(value);
        let known = self.by_bytes.find(hash, |id| self.observed[id as usize] == value);
        known.unwrap_or_else(|| {
            let id = self.observed.len() as u32;
            self.observed.push(value);
            self.by_bytes.insert(hash, id);
            id
        })
    }

    /// The value that is just this, or one that nobody saw.
    pub fn put(&mut self, bytes: Option<&'h [u8]>) -> Content {
        let Some(bytes) = bytes else { return UNSEEN };
        match &self.tree {
            Some(tree) => tree.with(ABSENT, bytes).unwrap_or(UNSEEN),
            None => self.piece(NONE, bytes),
        }
    }

    /// The value with this at its end, or with what nobody saw. `None` if what was read later excludes it.
    pub fn append(&mut self, before: Content, bytes: Option<&'h [u8]>) -> Option<Content> {
        let (true, Some(bytes)) = (before != UNSEEN, bytes) else {
            let to_be_read = self.chain.is_some_and(|chain| before != UNSEEN && self.len(before) < chain.len());
            return (!to_be_read).then_some(UNSEEN);
        };
        if let Some(tree) = &self.tree {
            return Some(tree.with(before, bytes).unwrap_or(UNSEEN));
        }
        let Some(chain) = self.chain else {
            return Some(self.piece(if before == ABSENT { NONE } else { before }, bytes));
        };
        let len = self.len(before);
        let after = len + bytes.len();
        if after <= chain.len() {
            return chain[len..].starts_with(bytes).then_some(ALONG | after as u32);
        }
        // If the longest value is still to come, it would never be there.
        (len == chain.len()).then_some(UNSEEN)
    }

    fn piece(&mut self, before: u32, bytes: &'h [u8]) -> Content {
        let hash = mix(of_bytes(bytes) ^ u64::from(before));
        let is_it = |id: u32| {
            let piece = &self.pieces[id as usize];
            piece.before == before && piece.bytes == bytes
        };
        if let Some(id) = self.by_piece.find(hash, is_it) {
            return id;
        }
        let id = self.pieces.len() as u32;
        let len = if before == NONE { 0 } else { self.len(before) } + bytes.len();
        self.pieces.push(Piece { before, bytes, len, is: NONE });
        self.by_piece.insert(hash, id);
        id
    }

    /// How long the value is.
    pub fn len(&self, content: Content) -> usize {
        match &self.tree {
            _ if content & ALONG != 0 => (content & !ALONG) as usize,
            Some(tree) if content > UNSEEN => tree.len(content),
            _ => self.pieces[content as usize].len,
        }
    }

    /// Whether it is the value that somebody saw.
    pub fn is(&mut self, content: Content, observed: u32) -> bool {
        if self.chain.is_some() {
            // One that was read is never longer than the chain.
            return content & ALONG != 0 && content & !ALONG == observed;
        }
        if content <= UNSEEN || observed == NONE {
            return false;
        }
        if let Some(tree) = &self.tree {
            return tree.of_seen(observed) == content;
        }
        let piece = &self.pieces[content as usize];
        if piece.is != NONE {
            return piece.is == observed;
        }
        let value = self.observed[observed as usize];
        let same = piece.len == value.len() && self.ends_as(content, value);
        if same {
            self.pieces[content as usize].is = observed;
        }
        same
    }

    /// Whether somebody saw a value that this is a part of.
    pub fn is_part_of_seen(&self, bytes: &[u8]) -> bool {
        let is_part = |value: &[u8]| bytes.is_empty() || value.windows(bytes.len()).any(|part| part == bytes);
        self.chain.is_some_and(is_part) || self.observed.iter().any(|value| is_part(value))
    }

    /// How long all values are together that somebody saw.
    pub fn seen_bytes(&self) -> usize {
        self.chain.map_or(0, <[u8]>::len) + self.observed.iter().map(|value| value.len()).sum::<usize>()
    }

    /// Compares from the end, until it comes to something that was compared before.
    fn ends_as(&self, content: Content, value: &[u8]) -> bool {
        let mut rest = value;
        let mut at = content;
        loop {
            let piece = &self.pieces[at as usize];
            if piece.is != NONE {
                return self.observed[piece.is as usize] == rest;
            }
            let Some(shorter) = rest.strip_suffix(piece.bytes) else { return false };
            rest = shorter;
            if piece.before == NONE {
                return rest.is_empty();
            }
            at = piece.before;
        }
    }

    /// How many bytes it has come to hold.
    pub fn bytes(&self) -> usize {
        let tree = self.tree.as_ref().map_or(0, Tree::bytes);
        self.pieces.len() * size_of::<Piece<'_>>() + self.by_piece.bytes() + tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_was_put_together() {
        let mut contents = Contents::default();
        let (ab, abc, b) = (contents.observe(b"ab"), contents.observe(b"abc"), contents.observe(b"b"));
        let a = contents.append(ABSENT, Some(b"a")).expect("nothing excludes it");
        let once = contents.append(a, Some(b"b")).expect("nothing excludes it");
        assert_eq!(contents.append(a, Some(b"b")), Some(once));
        assert!(contents.is(once, ab) && !contents.is(once, abc) && !contents.is(once, b));
        let twice = contents.append(once, Some(b"c")).expect("nothing excludes it");
        assert!(contents.is(twice, abc) && !contents.is(twice, ab));
        let put = contents.put(Some(b"b"));
        assert!(contents.is(put, b) && !contents.is(ABSENT, b));
    }

    #[test]
    fn along_a_chain_only_what_was_read_can_be_appended() {
        let mut contents = Contents::default();
        contents.follow(b"abc");
        let (ab, other) = (contents.observe(b"ab"), contents.observe(b"b"));
        assert_eq!(contents.append(ABSENT, Some(b"b")), None);
        let a = contents.append(ABSENT, Some(b"a")).expect("it is how the chain begins");
        assert_eq!(contents.append(a, Some(b"c")), None);
        assert_eq!(contents.append(a, Some(b"bcd")), None, "the chain itself would never be there");
        let two = contents.append(a, Some(b"b")).expect("it goes on so");
        assert!(contents.is(two, ab) && !contents.is(two, other) && !contents.is(a, ab));
        let three = contents.append(two, Some(b"c")).expect("it ends so");
        let four = contents.append(three, Some(b"x")).expect("what comes later was not read");
        assert_eq!((four, contents.append(four, Some(b"y"))), (UNSEEN, Some(UNSEEN)));
        assert!(!contents.is(four, ab));
    }
}
