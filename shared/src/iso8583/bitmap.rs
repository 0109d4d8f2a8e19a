//! A set of field numbers from 1 to 192: what bit maps say, and what a reply echoes.
//!
//! Invariant: bit `(n - 1) % 64` of word `(n - 1) / 64` stands for field `n`, so that the lowest
//! field is the cheapest to find; on the wire it is the other way round, field 1 first.

use std::fmt;

/// The highest field number that three bit maps can announce.
pub const FIELD_MAX: u8 = 192;

/// A set of field numbers, 1 to 192.
#[derive(Clone, Copy, Eq, Default)]
pub struct FieldSet {
    /// Fields 1 to 64, 65 to 128, 129 to 192.
    words: [u64; 3],
}

impl FieldSet {
    pub const EMPTY: Self = Self { words: [0; 3] };

    /// The set of these numbers. Made for constants: a number outside 1 to 192 does not compile
    /// there.
    ///
    /// # Panics
    /// If a number is 0 or above 192.
    pub const fn of(numbers: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut rest = numbers;
        while let [number, tail @ ..] = rest {
            assert!(*number >= 1 && *number <= FIELD_MAX, "field numbers are 1 to 192");
            set = set.with(*number);
            rest = tail;
        }
        set
    }

    /// Whether the field is in the set; no number outside 1 to 192 is.
    #[inline]
    pub const fn contains(self, number: u8) -> bool {
        let [a, b, c] = self.words;
        let bit = number.wrapping_sub(1);
        let word = match bit / 64 {
            0 => a,
            1 => b,
            2 => c,
            _ => 0,
        };
        word >> (bit % 64) & 1 == 1
    }

    /// This set and the field; a number outside 1 to 192 adds nothing.
    #[must_use]
    pub const fn with(self, number: u8) -> Self {
        self.union(Self::only(number))
    }

    /// The fields of both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.words, other.words);
        Self { words: [a | x, b | y, c | z] }
    }

    /// The fields that both sets have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.words, other.words);
        Self { words: [a & x, b & y, c & z] }
    }

    /// The fields of this set that the other does not have.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.words, other.words);
        Self { words: [a & !x, b & !y, c & !z] }
    }

    /// The fields of this set with a number below this one.
    #[must_use]
    pub const fn below(self, number: u8) -> Self {
        let bit = number.wrapping_sub(1);
        let low = (1 << (bit % 64)) - 1;
        let mask = match bit / 64 {
            0 => [low, 0, 0],
            1 => [u64::MAX, low, 0],
            2 => [u64::MAX, u64::MAX, low],
            _ => [u64::MAX; 3],
        };
        self.intersection(Self { words: mask })
    }

    pub const fn is_empty(self) -> bool {
        let [a, b, c] = self.words;
        a | b | c == 0
    }

    /// How many fields are in the set.
    pub const fn len(self) -> u32 {
        let [a, b, c] = self.words;
        a.count_ones() + b.count_ones() + c.count_ones()
    }

    /// The lowest field number.
    pub fn first(self) -> Option<u8> {
        self.iter().next()
    }

    /// The highest field number.
    pub fn last(self) -> Option<u8> {
        self.iter().last()
    }

    /// The field numbers, ascending.
    #[inline]
    pub fn iter(self) -> Iter {
        Iter { words: self.words }
    }

    /// Three bit maps as they stand on the wire, each a big-endian number: its first field in its
    /// highest bit.
    pub(super) const fn from_bitmaps([a, b, c]: [u64; 3]) -> Self {
        Self { words: [a.reverse_bits(), b.reverse_bits(), c.reverse_bits()] }
    }

    /// The three bit maps.
    pub(super) const fn to_bitmaps(self) -> [u64; 3] {
        let [a, b, c] = self.words;
        [a.reverse_bits(), b.reverse_bits(), c.reverse_bits()]
    }

    const fn only(number: u8) -> Self {
        let bit = number.wrapping_sub(1);
        let word = 1 << (bit % 64);
        let words = match bit / 64 {
            0 => [word, 0, 0],
            1 => [0, word, 0],
            2 => [0, 0, word],
            _ => [0; 3],
        };
        Self { words }
    }
}

/// Without a branch: plans of messages are told apart by their sets.
impl PartialEq for FieldSet {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([a, b, c], [x, y, z]) = (self.words, other.words);
        (a ^ x) | (b ^ y) | (c ^ z) == 0
    }
}

impl IntoIterator for FieldSet {
    type Item = u8;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The numbers of a [`FieldSet`], ascending.
#[derive(Clone, Debug)]
pub struct Iter {
    words: [u64; 3],
}

impl Iterator for Iter {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let mut below = 1;
        for word in &mut self.words {
            if *word != 0 {
                let lowest = word.trailing_zeros();
                *word &= word.wrapping_sub(1);
                return u8::try_from(below + lowest).ok();
            }
            below += 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_has_field_1_in_the_highest_bit_of_the_first_word() {
        let check = |numbers: &[u8], bitmaps: [u64; 3]| {
            let set = FieldSet::of(numbers);
            assert_eq!(set.to_bitmaps(), bitmaps, "{set:?}");
            assert_eq!(FieldSet::from_bitmaps(bitmaps), set);
            assert_eq!(set.iter().collect::<Vec<u8>>(), numbers);
            assert_eq!(set.len() as usize, numbers.len());
            assert_eq!(
                (set.first(), set.last()),
                (numbers.first().copied(), numbers.last().copied())
            );
        };
        check(&[], [0, 0, 0]);
        check(&[1], [1 << 63, 0, 0]);
        check(&[2, 3, 4, 7, 11, 49], [0x7220_0000_0000_8000, 0, 0]);
        check(&[8, 9, 64], [0x0180_0000_0000_0001, 0, 0]);
        check(&[1, 64, 65, 70, 128], [0x8000_0000_0000_0001, 0x8400_0000_0000_0001, 0]);
        check(&[65, 129, 192], [0, 1 << 63, 0x8000_0000_0000_0001]);
    }

    #[test]
    fn numbers_that_are_no_field_are_in_no_set() {
        let all = FieldSet::from_bitmaps([u64::MAX; 3]);
        assert_eq!(all.len(), 192);
        for number in [0, 193, 255] {
            assert!(!all.contains(number));
            assert_eq!(FieldSet::EMPTY.with(number), FieldSet::EMPTY);
            assert_eq!(all.below(number), all);
        }
    }

    #[test]
    fn sets_combine() {
        let (a, b) = (FieldSet::of(&[2, 3, 70, 130]), FieldSet::of(&[3, 4, 128, 130]));
        assert_eq!(a.union(b), FieldSet::of(&[2, 3, 4, 70, 128, 130]));
        assert_eq!(a.intersection(b), FieldSet::of(&[3, 130]));
        assert_eq!(a.difference(b), FieldSet::of(&[2, 70]));
        assert_eq!(b.below(128), FieldSet::of(&[3, 4]));
        assert_eq!(b.below(129), FieldSet::of(&[3, 4, 128]));
        assert_eq!(b.below(131), b);
        assert_eq!(b.below(1), FieldSet::EMPTY);
        assert!(a.contains(70) && !a.contains(4) && FieldSet::EMPTY.is_empty());
    }
}
