//! Decisions read off bytes: bytes of which a little is changed make decisions of which a little is changed, which is what a fuzzer
//! works with.

/// What is left of the bytes. When there is none left, every decision is zero.
pub struct Tape<'a> {
    rest: &'a [u8],
}

impl<'a> Tape<'a> {
    /// All of these bytes.
    pub fn new(bytes: &'a [u8]) -> Tape<'a> {
        Tape { rest: bytes }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number below that one, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = usize::from(self.byte()) | if bound > 256 { usize::from(self.byte()) << 8 } else { 0 };
        wide % bound
    }

    /// A number: mostly small, sometimes of any size.
    pub fn number(&mut self) -> u64 {
        let width = [1, 1, 1, 2, 4, 8][self.below(6)];
        (0..width).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// At most so many bytes.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let (taken, rest) = self.rest.split_at(self.below(most + 1).min(self.rest.len()));
        self.rest = rest;
        taken.into()
    }

    /// All that is left.
    pub fn all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest).into()
    }

    /// Damages some bytes, up to three times: bits flip, the end or a stretch is lost, a length lies, and something else comes
    /// in between.
    pub fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + self.below(40)).min(bytes.len()))),
                3 => {
                    let claim = (self.number() as u32).to_le_bytes();
                    let end = (at + claim.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&claim[..end - at]);
                }
                _ => {
                    let start = self.below(other.len() + 1);
                    let end = (start + self.below(300)).min(other.len());
                    drop(bytes.splice(at..at, other[start..end].iter().copied()));
                }
            }
        }
    }
}
