//! A set of field numbers from 1 to 128: what a bit map says, and what a reply echoes.
//!
//! Invariant: bit `n - 1` stands for field `n`, so that the lowest field is the cheapest to find;
//! on the wire it is the other way round, field 1 first.

use std::fmt;

/// The highest field number that two bit maps can announce.
pub const FIELD_MAX: u8 = 128;

/// A set of field numbers, 1 to 128.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FieldSet(u128);

impl FieldSet {
    pub const EMPTY: Self = Self(0);

    /// The set of these numbers. Made for constants: a number outside 1 to 128 does not compile
    /// there.
    ///
    /// # Panics
    /// If a number is 0 or above 128.
    pub const fn of(numbers: &[u8]) -> Self {
        let mut bits = 0;
        let mut rest = numbers;
        while let [number, tail @ ..] = rest {
            assert!(*number >= 1 && *number <= FIELD_MAX, "field numbers are 1 to 128");
            bits |= 1 << (*number - 1);
            rest = tail;
        }
        Self(bits)
    }

    /// Whether the field is in the set; no number outside 1 to 128 is.
    pub const fn contains(self, number: u8) -> bool {
        self.0 & Self::bit(number) != 0
    }

    /// This set and the field; a number outside 1 to 128 adds nothing.
    #[must_use]
    pub const fn with(self, number: u8) -> Self {
        Self(self.0 | Self::bit(number))
    }

    /// The fields of both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields that both sets have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The fields of this set that the other does not have.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The fields of this set with a number below this one.
    #[must_use]
    pub const fn below(self, number: u8) -> Self {
        match Self::bit(number) {
            0 => self,
            bit => Self(self.0 & (bit - 1)),
        }
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many fields are in the set.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The field numbers, ascending.
    pub fn iter(self) -> Iter {
        let [up_to_64, above] = self.halves();
        Iter { up_to_64, above }
    }

    /// Two bit maps as on the wire: 16 bytes, field 1 in the highest bit of the first.
    pub(super) const fn from_wire(bitmaps: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bitmaps).reverse_bits())
    }

    /// The 16 bytes of both bit maps; a message without fields above 64 carries only the first 8.
    pub(super) const fn to_wire(self) -> [u8; 16] {
        self.0.reverse_bits().to_be_bytes()
    }

    /// Fields 1 to 64 and 65 to 128, the lowest in the lowest bit.
    fn halves(self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0.to_le_bytes();
        [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
    }

    const fn bit(number: u8) -> u128 {
        match number {
            1..=FIELD_MAX => 1 << (number - 1),
            _ => 0,
        }
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

/// The numbers of a [`FieldSet`], ascending. In two halves, since a machine word is taken apart
/// faster than two.
#[derive(Clone, Debug)]
pub struct Iter {
    up_to_64: u64,
    above: u64,
}

impl Iterator for Iter {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if self.up_to_64 != 0 {
            return u8::try_from(1 + take_lowest(&mut self.up_to_64)).ok();
        }
        if self.above != 0 {
            return u8::try_from(65 + take_lowest(&mut self.above)).ok();
        }
        None
    }
}

#[inline]
fn take_lowest(bits: &mut u64) -> u32 {
    let lowest = bits.trailing_zeros();
    *bits &= bits.wrapping_sub(1);
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_has_field_1_in_the_highest_bit_of_the_first_byte() {
        let check = |numbers: &[u8], first: u64, second: u64| {
            let wire = (u128::from(first) << 64 | u128::from(second)).to_be_bytes();
            let set = FieldSet::of(numbers);
            assert_eq!(set.to_wire(), wire, "{set:?}");
            assert_eq!(FieldSet::from_wire(wire), set);
            assert_eq!(set.iter().collect::<Vec<u8>>(), numbers);
            assert_eq!(set.len() as usize, numbers.len());
        };
        check(&[], 0, 0);
        check(&[1], 0x8000_0000_0000_0000, 0);
        check(&[2, 3, 4, 7, 11, 49], 0x7220_0000_0000_8000, 0);
        check(&[8, 9, 64], 0x0180_0000_0000_0001, 0);
        check(&[1, 64, 65, 70, 128], 0x8000_0000_0000_0001, 0x8400_0000_0000_0001);
    }

    #[test]
    fn numbers_that_are_no_field_are_in_no_set() {
        let all = FieldSet::from_wire([0xFF; 16]);
        assert_eq!(all.len(), 128);
        for number in [0, 129, 255] {
            assert!(!all.contains(number));
            assert_eq!(FieldSet::EMPTY.with(number), FieldSet::EMPTY);
            assert_eq!(all.below(number), all);
        }
    }

    #[test]
    fn sets_combine() {
        let (a, b) = (FieldSet::of(&[2, 3, 70]), FieldSet::of(&[3, 4, 128]));
        assert_eq!(a.union(b), FieldSet::of(&[2, 3, 4, 70, 128]));
        assert_eq!(a.intersection(b), FieldSet::of(&[3]));
        assert_eq!(a.difference(b), FieldSet::of(&[2, 70]));
        assert_eq!(b.below(128), FieldSet::of(&[3, 4]));
        assert_eq!(b.below(1), FieldSet::EMPTY);
        assert!(a.contains(70) && !a.contains(4) && FieldSet::EMPTY.is_empty());
    }
}
