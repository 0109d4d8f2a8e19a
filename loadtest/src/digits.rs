//! Decimal digits in place: what changes from message to message is written over a template.
//!
//! Invariant: a number that is wider than its place loses its high digits, as a counter does.

/// How digits stand on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One ASCII byte each.
    #[default]
    Ascii,
    /// Two in a byte, the place filled from the right.
    Packed,
}

impl Form {
    /// Writes `value` right-aligned and zero-filled over all of `to`.
    pub fn put(self, to: &mut [u8], mut value: u64) {
        let mut next = || {
            let digit = u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
            digit
        };
        for byte in to.iter_mut().rev() {
            *byte = match self {
                Self::Ascii => b'0' + next(),
                Self::Packed => {
                    let low = next();
                    next() << 4 | low
                }
            };
        }
    }

    /// The number that digits stand for; `None` if one of them is none.
    #[must_use]
    pub fn number(self, digits: &[u8]) -> Option<u64> {
        let appended = |sum: u64, digit: u8| sum.checked_mul(10)?.checked_add(u64::from(digit));
        digits.iter().try_fold(0_u64, |sum, byte| match (self, byte >> 4, byte & 0x0f) {
            (Self::Ascii, 3, digit @ 0..=9) => appended(sum, digit),
            (Self::Packed, high @ 0..=9, low @ 0..=9) => appended(appended(sum, high)?, low),
            (Self::Ascii | Self::Packed, _, _) => None,
        })
    }
}

/// Writes `value` in ASCII right-aligned and zero-filled over all of `to`.
pub fn put(to: &mut [u8], value: u64) {
    Form::Ascii.put(to, value);
}

/// The number that ASCII digits stand for; `None` if one of them is none.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    Form::Ascii.number(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_and_read_back() {
        let mut text = [b'x'; 6];
        put(&mut text, 1_234_567);
        assert_eq!((&text, number(&text)), (b"234567", Some(234_567)));
        put(&mut text, 7);
        assert_eq!(&text, b"000007");
        assert_eq!(number(b"00x007"), None);
    }

    #[test]
    fn packed_digits_are_two_in_a_byte() {
        let mut packed = [0xff; 3];
        Form::Packed.put(&mut packed, 1_234_567);
        assert_eq!(packed, [0x23, 0x45, 0x67]);
        assert_eq!(Form::Packed.number(&packed), Some(234_567));
        assert_eq!(Form::Packed.number(&[0x12, 0x3d]), None);
    }
}
