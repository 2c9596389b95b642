//! Where the search has been in vain.
//!
//! A place is (operations carried out, state). Of the operations that must be carried out only a window is written
//! down, from the first that is still missing to the last that may be there already: the rest follows from it. A place
//! with operations of unknown outcome is hopeless too if it was so with fewer of them: whoever has carried out less
//! can do all the others can.

use super::table::{Table, of_words};

/// How many places that differ only in operations of unknown outcome are compared.
const COMPARED: usize = 8;

/// Places that were searched.
#[derive(Default)]
pub struct Memo {
    /// Each place: how many words are of its first part, how many of its second, then the words.
    words: Vec<u64>,
    exact: Table,
    /// By the first part alone.
    related: Table,
}

impl Memo {
    /// Whether this place, or one that is no worse, was here before. If not, it is now.
    ///
    /// `main` tells everything but the operations of unknown outcome, which are the bits of `unknown`.
    pub fn seen(&mut self, main: &[u64], unknown: &[u64]) -> bool {
        let of_main = of_words(main);
        let of_all = unknown.iter().fold(of_main, |hash, word| of_words(&[hash, *word]));
        if self.exact.find(of_all, |at| self.place(at) == (main, unknown)).is_some() {
            return true;
        }
        let mut compared = 0;
        if !unknown.is_empty() {
            let no_worse = |at| {
                let (there, fewer) = self.place(at);
                if there != main {
                    return false;
                }
                compared += 1;
                compared > COMPARED || fewer.iter().zip(unknown).all(|(fewer, more)| fewer & !more == 0)
            };
            if self.related.find(of_main, no_worse).is_some() && compared <= COMPARED {
                return true;
            }
        }
        let Ok(at) = u32::try_from(self.words.len() / 2) else { return false };
        self.words.push((main.len() as u64) << 32 | unknown.len() as u64);
        self.words.extend_from_slice(main);
        self.words.extend_from_slice(unknown);
        if self.words.len() % 2 == 1 {
            self.words.push(0);
        }
        self.exact.insert(of_all, at);
        if !unknown.is_empty() && compared < COMPARED {
            self.related.insert(of_main, at);
        }
        false
    }

    fn place(&self, at: u32) -> (&[u64], &[u64]) {
        let at = at as usize * 2;
        let (main, unknown) = (self.words[at] >> 32, self.words[at] & 0xffff_ffff);
        self.words[at + 1..at + 1 + (main + unknown) as usize].split_at(main as usize)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.words.clear();
        self.words.shrink_to(1 << 16);
        self.exact.clear();
        self.related.clear();
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>() + self.exact.bytes() + self.related.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_seen_again_and_so_is_a_worse_one_but_not_a_better() {
        let mut memo = Memo::default();
        assert!(!memo.seen(&[1, 2], &[0b0110]));
        assert!(memo.seen(&[1, 2], &[0b0110]));
        assert!(memo.seen(&[1, 2], &[0b1110]), "one more of unknown outcome is spent");
        assert!(!memo.seen(&[1, 2], &[0b1010]), "another one is spent");
        assert!(!memo.seen(&[1, 2], &[0b0100]), "fewer are spent");
        assert!(!memo.seen(&[1, 3], &[0b0110]), "it is somewhere else");
        memo.clear();
        assert!(!memo.seen(&[1, 2], &[0b0110]));
    }

    #[test]
    fn more_relatives_than_are_compared_are_told_apart_all_the_same() {
        let mut memo = Memo::default();
        assert!((0..32).all(|bit| !memo.seen(&[1], &[1 << bit])));
        assert!((0..32).all(|bit| memo.seen(&[1], &[1 << bit])));
    }
}
