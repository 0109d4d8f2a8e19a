//! How a link writes what every message is made of: digits, text, lengths, bit maps.
//!
//! Invariant: a character that has no form in an encoding is never replaced by another. EBCDIC is
//! code page 037 and only its printable ASCII part, so that each byte means one character and each
//! character is one byte.

use serde::Deserialize;

/// How each kind of element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// The four digits of the message type.
    pub mti: DigitEncoding,
    pub bitmap: BitmapEncoding,
    /// The digits of length in front of a field of variable length.
    pub length: DigitEncoding,
    /// Content of the classes `n`, `z` and the digits of `x+n`.
    pub digits: DigitEncoding,
    /// Content of the classes `a`, `an`, `anp` and `ans`, and the hex digits of a bit map.
    pub text: TextEncoding,
}

/// How digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigitEncoding {
    /// One byte a digit, 30 to 39 hex.
    Ascii,
    /// Two digits a byte.
    Bcd,
    /// One byte a digit, F0 to F9 hex.
    Ebcdic,
}

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextEncoding {
    Ascii,
    Ebcdic,
}

/// How bit maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BitmapEncoding {
    /// Eight raw bytes.
    Binary,
    /// Sixteen hex digits, capital letters.
    Hex,
}

/// What fills the half byte that an odd number of digits leaves, where two digits share a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Padding {
    /// Fields of fixed length.
    pub fixed: Pad,
    /// Fields with a length in front.
    pub variable: Pad,
    /// Tracks, whatever their length.
    pub track: Pad,
}

/// One half byte of padding: on which side, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Pad {
    /// In front of the digits, 0.
    #[serde(rename = "left-0")]
    Left0,
    /// Behind them, 0.
    #[serde(rename = "right-0")]
    Right0,
    /// Behind them, F.
    #[serde(rename = "right-f")]
    RightF,
}

impl Padding {
    /// What most links do.
    pub const USUAL: Self = Self { fixed: Pad::Left0, variable: Pad::Left0, track: Pad::RightF };
}

impl DigitEncoding {
    /// The bytes that this many digits take.
    pub const fn bytes_of(self, digits: u16) -> u16 {
        match self {
            Self::Ascii | Self::Ebcdic => digits,
            Self::Bcd => digits.div_ceil(2),
        }
    }

    /// The value of a few digits, such as a length; `None` if one of them is none.
    #[inline]
    pub(super) fn value(self, bytes: &[u8]) -> Option<u16> {
        match self {
            Self::Ascii => sum(bytes, b'0'),
            Self::Ebcdic => sum(bytes, 0xF0),
            Self::Bcd => bytes.iter().try_fold(0_u16, |sum, byte| {
                let (high, low) = (u16::from(byte >> 4), u16::from(byte & 0x0F));
                let both = (high <= 9 && low <= 9).then_some(high * 10 + low)?;
                sum.checked_mul(100)?.checked_add(both)
            }),
        }
    }

    /// Appends ASCII digits in this encoding; an odd number of them has a zero in front in BCD.
    pub(super) fn write(self, digits: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Ascii => out.extend_from_slice(digits),
            Self::Ebcdic => out.extend(digits.iter().map(|digit| digit | 0xF0)),
            Self::Bcd => {
                let odd = digits.len() % 2;
                let (first, pairs) = digits.split_at_checked(odd).unwrap_or_default();
                out.extend(first.iter().map(|digit| digit & 0x0F));
                let (pairs, _) = pairs.as_chunks::<2>();
                out.extend(pairs.iter().map(|[high, low]| high << 4 | low & 0x0F));
            }
        }
    }
}

impl TextEncoding {
    /// The ASCII character of a byte; 0 if it has none that is printable.
    #[inline]
    pub(super) fn to_ascii(self, byte: u8) -> u8 {
        match self {
            Self::Ascii => byte,
            Self::Ebcdic => ebcdic_to_ascii(byte),
        }
    }

    /// The byte of a printable ASCII character.
    #[inline]
    pub(super) fn of_ascii(self, character: u8) -> u8 {
        match self {
            Self::Ascii => character,
            Self::Ebcdic => ascii_to_ebcdic(character),
        }
    }
}

/// 0 for a byte that is no printable ASCII character.
#[inline]
pub(super) fn ebcdic_to_ascii(byte: u8) -> u8 {
    let row = ASCII_OF_EBCDIC.get(usize::from(byte >> 4));
    row.and_then(|row| row.get(usize::from(byte & 0x0F))).copied().unwrap_or(0)
}

/// 0 for a character that is not printable ASCII.
#[inline]
pub(super) fn ascii_to_ebcdic(character: u8) -> u8 {
    let place = usize::from(character).checked_sub(0x20);
    place.and_then(|place| EBCDIC_OF_ASCII.get(place)).copied().unwrap_or(0)
}

#[inline]
fn sum(digits: &[u8], zero: u8) -> Option<u16> {
    let mut sum: u16 = 0;
    for digit in digits {
        let value = digit.wrapping_sub(zero);
        if value > 9 {
            return None;
        }
        sum = sum.checked_mul(10)?.checked_add(u16::from(value))?;
    }
    Some(sum)
}

/// Code page 037, a row for each high half byte; 0 where there is no printable ASCII character.
const ASCII_OF_EBCDIC: [[u8; 16]; 16] = [
    [0; 16],
    [0; 16],
    [0; 16],
    [0; 16],
    *b" \0\0\0\0\0\0\0\0\0\0.<(+|",
    *b"&\0\0\0\0\0\0\0\0\0!$*);\0",
    *b"-/\0\0\0\0\0\0\0\0\0,%_>?",
    *b"\0\0\0\0\0\0\0\0\0`:#@'=\"",
    *b"\0abcdefghi\0\0\0\0\0\0",
    *b"\0jklmnopqr\0\0\0\0\0\0",
    *b"\0~stuvwxyz\0\0\0\0\0\0",
    *b"^\0\0\0\0\0\0\0\0\0[]\0\0\0\0",
    *b"{ABCDEFGHI\0\0\0\0\0\0",
    *b"}JKLMNOPQR\0\0\0\0\0\0",
    *b"\\\0STUVWXYZ\0\0\0\0\0\0",
    *b"0123456789\0\0\0\0\0\0",
];

/// From the space on.
#[rustfmt::skip] // sixteen a row
const EBCDIC_OF_ASCII: [u8; 95] = [
    0x40, 0x5A, 0x7F, 0x7B, 0x5B, 0x6C, 0x50, 0x7D, 0x4D, 0x5D, 0x5C, 0x4E, 0x6B, 0x60, 0x4B, 0x61,
    0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0x7A, 0x5E, 0x4C, 0x7E, 0x6E, 0x6F,
    0x7C, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6,
    0xD7, 0xD8, 0xD9, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xBA, 0xE0, 0xBB, 0xB0, 0x6D,
    0x79, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xC0, 0x4F, 0xD0, 0xA1,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ebcdic_has_each_printable_character_once() {
        for character in 0x20..=0x7E {
            assert_eq!(ebcdic_to_ascii(ascii_to_ebcdic(character)), character);
        }
        assert_eq!((0..=255).filter(|byte| ebcdic_to_ascii(*byte) != 0).count(), 95);
        // By hand, code page 037: space ! ^ [ | = 0 9 A Z a z.
        let table = [(b' ', 0x40), (b'!', 0x5A), (b'^', 0xB0), (b'[', 0xBA), (b'|', 0x4F)];
        let letters = [(b'=', 0x7E), (b'0', 0xF0), (b'9', 0xF9), (b'A', 0xC1), (b'Z', 0xE9)];
        let more = [(b'a', 0x81), (b'z', 0xA9), (0x1F, 0), (0x7F, 0), (0xFF, 0)];
        for (character, byte) in table.into_iter().chain(letters).chain(more) {
            assert_eq!(ascii_to_ebcdic(character), byte, "{character:02X}");
        }
    }

    #[test]
    fn digits_have_a_value_in_each_encoding() {
        let check = |encoding: DigitEncoding, bytes: &[u8], value| {
            assert_eq!(encoding.value(bytes), value, "{encoding:?} {bytes:02X?}");
        };
        check(DigitEncoding::Ascii, b"037", Some(37));
        check(DigitEncoding::Ascii, b"03 ", None);
        check(DigitEncoding::Ebcdic, &[0xF0, 0xF3, 0xF7], Some(37));
        check(DigitEncoding::Ebcdic, b"037", None);
        check(DigitEncoding::Bcd, &[0x37], Some(37));
        check(DigitEncoding::Bcd, &[0x09, 0x99], Some(999));
        check(DigitEncoding::Bcd, &[0x99, 0x99], Some(9999));
        check(DigitEncoding::Bcd, &[0x99; 3], None);
        check(DigitEncoding::Bcd, &[0x0A], None);
        check(DigitEncoding::Bcd, &[0xA0], None);
        for encoding in [DigitEncoding::Ascii, DigitEncoding::Bcd, DigitEncoding::Ebcdic] {
            for (digits, value) in [(&b"47"[..], 47), (b"047", 47), (b"9", 9)] {
                let mut bytes = Vec::new();
                encoding.write(digits, &mut bytes);
                assert_eq!(encoding.value(&bytes), Some(value), "{encoding:?}");
                let count = u16::try_from(digits.len()).unwrap();
                assert_eq!(usize::from(encoding.bytes_of(count)), bytes.len());
            }
        }
    }
}
