//! The definition of one field, and the check of its content.
//!
//! Invariant: the fast check of content takes sixteen bytes at a time and allows nothing that the
//! slow one, which finds the offending byte, would refuse.

use super::message::Rule;

/// How many bytes of content are checked at once.
const BLOCK: usize = 16;
/// Cut so that its first part has the length of the content: which bytes of a block count.
const COUNTED: [u8; 2 * BLOCK] = {
    let mut counted = [0; 2 * BLOCK];
    let (head, _) = counted.split_at_mut(BLOCK);
    head.copy_from_slice(&[0xFF; BLOCK]);
    counted
};

/// One field of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// 1 to 128.
    pub number: u8,
    /// For people; never sent.
    pub name: String,
    pub content: Content,
    pub length: Length,
    /// The value must never be shown.
    pub sensitive: bool,
}

/// What a field's content may hold. Source: the attribute codes of ISO 8583:1987, each as bytes of
/// ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
pub enum Content {
    /// `n`: digits.
    #[serde(rename = "n")]
    Digits,
    /// `a`: letters.
    #[serde(rename = "a")]
    Letters,
    /// `an`: letters and digits.
    #[serde(rename = "an")]
    LettersDigits,
    /// `anp`: letters, digits and the space.
    #[serde(rename = "anp")]
    LettersDigitsSpace,
    /// `ans`: printable ASCII, 20 to 7E hex.
    #[serde(rename = "ans")]
    Printable,
    /// `z`: the code set of tracks 2 and 3, 30 to 3F hex, and `D`, which many send for the
    /// separator `=`.
    #[serde(rename = "z")]
    Track,
    /// `x+n`: `C` or `D`, then digits.
    #[serde(rename = "x+n")]
    SignedDigits,
    /// `b`: raw bytes.
    #[serde(rename = "b")]
    Binary,
}

/// How many content bytes a field has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// Always this many.
    Fixed(u16),
    /// At most this many, after two digits of length.
    Ll(u16),
    /// At most this many, after three digits of length.
    Lll(u16),
}

/// Bytes from the first to `span` above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteRange {
    first: u8,
    span: u8,
}

impl Length {
    /// The greatest number of content bytes.
    pub const fn max(self) -> u16 {
        match self {
            Self::Fixed(length) | Self::Ll(length) | Self::Lll(length) => length,
        }
    }

    /// The bytes of length in front of the content.
    pub const fn prefix_len(self) -> u16 {
        match self {
            Self::Fixed(_) => 0,
            Self::Ll(_) => 2,
            Self::Lll(_) => 3,
        }
    }

    /// Whether a content of this many bytes is of this length.
    pub(super) fn check(self, length: usize) -> Result<u16, Rule> {
        let max = self.max();
        match (self, u16::try_from(length)) {
            (Self::Fixed(_), Ok(length)) if length == max => Ok(length),
            (Self::Fixed(_), _) => Err(Rule::WrongLength { expected: max }),
            (Self::Ll(_) | Self::Lll(_), Ok(length)) if length <= max => Ok(length),
            (Self::Ll(_) | Self::Lll(_), _) => Err(Rule::OverMax { max }),
        }
    }
}

impl Content {
    /// The abbreviation of the standard, as dialect files write it.
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::Digits => "n",
            Self::Letters => "a",
            Self::LettersDigits => "an",
            Self::LettersDigitsSpace => "anp",
            Self::Printable => "ans",
            Self::Track => "z",
            Self::SignedDigits => "x+n",
            Self::Binary => "b",
        }
    }

    /// A range of bytes that may stand anywhere. For most classes these are all that may stand; for
    /// the others they are the usual ones, and [`Self::first_fault`] has the last word. A signed
    /// amount has none: its first byte is unlike the rest.
    pub(super) const fn sound(self) -> Option<ByteRange> {
        match self {
            Self::Digits | Self::LettersDigits | Self::LettersDigitsSpace => {
                Some(ByteRange::new(b'0', b'9'))
            }
            Self::Letters => Some(ByteRange::new(b'A', b'Z')),
            Self::Printable => Some(ByteRange::new(0x20, 0x7E)),
            Self::Track => Some(ByteRange::new(0x30, 0x3F)),
            Self::Binary => Some(ByteRange::new(0x00, 0xFF)),
            Self::SignedDigits => None,
        }
    }

    /// The position of the first byte that may not stand where it stands.
    pub(super) fn first_fault(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Digits => bytes.iter().position(|byte| !byte.is_ascii_digit()),
            Self::Letters => bytes.iter().position(|byte| !byte.is_ascii_alphabetic()),
            Self::LettersDigits => bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()),
            Self::LettersDigitsSpace => {
                bytes.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b' ')
            }
            Self::Printable => bytes.iter().position(|byte| !matches!(byte, 0x20..=0x7E)),
            Self::Track => bytes.iter().position(|byte| !matches!(byte, 0x30..=0x3F | b'D')),
            Self::SignedDigits => match bytes {
                [b'C' | b'D', digits @ ..] => Self::Digits.first_fault(digits).map(|at| at + 1),
                _ => Some(0),
            },
            Self::Binary => None,
        }
    }
}

/// The value of ASCII digits; `None` if there are none, more than 19, or a byte is no digit.
pub(super) fn to_number(digits: &[u8]) -> Option<u64> {
    if !(1..=19).contains(&digits.len()) || Content::Digits.first_fault(digits).is_some() {
        return None;
    }
    let (words, rest) = digits.as_chunks::<8>();
    let head = words.iter().fold(0, |sum: u64, word| sum * 100_000_000 + word_to_number(*word));
    Some(rest.iter().fold(head, |sum, digit| sum * 10 + u64::from(digit & 0x0F)))
}

impl ByteRange {
    const fn new(first: u8, last: u8) -> Self {
        assert!(first <= last, "a range has a byte");
        Self { first, span: last - first }
    }

    /// Whether the first `length` bytes are in the range. What lies behind them does not matter,
    /// but if it is there, short content is checked as one block.
    #[inline]
    pub(super) fn has_all(self, bytes: &[u8], length: u16) -> bool {
        let length = usize::from(length);
        if let Some(block) = bytes.first_chunk::<BLOCK>()
            && let Some(counted) = BLOCK.checked_sub(length).and_then(|from| COUNTED.get(from..))
            && let Some(counted) = counted.first_chunk::<BLOCK>()
        {
            return self.excess(block, counted) == 0;
        }
        self.has_all_of(bytes.get(..length))
    }

    /// For content that is longer than a block, or at the end of a message.
    fn has_all_of(self, bytes: Option<&[u8]>) -> bool {
        let Some(bytes) = bytes else { return false };
        match bytes.last_chunk::<BLOCK>() {
            Some(last) => {
                let (blocks, _) = bytes.as_chunks::<BLOCK>();
                blocks.iter().chain([last]).all(|block| self.excess(block, &[0xFF; BLOCK]) == 0)
            }
            None => bytes.iter().all(|byte| byte.wrapping_sub(self.first) <= self.span),
        }
    }

    /// Not zero if a counted byte is outside the range. Without a branch, so that it becomes a
    /// handful of vector instructions.
    #[inline]
    fn excess(self, block: &[u8; BLOCK], counted: &[u8; BLOCK]) -> u8 {
        block.iter().zip(counted).fold(0, |excess, (byte, counted)| {
            excess | (byte.wrapping_sub(self.first).saturating_sub(self.span) & counted)
        })
    }
}

/// Eight digits to their value: neighbours are joined into pairs, pairs into fours, fours into the
/// whole.
#[inline]
fn word_to_number(digits: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(digits) & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Content; 8] = [
        Content::Digits,
        Content::Letters,
        Content::LettersDigits,
        Content::LettersDigitsSpace,
        Content::Printable,
        Content::Track,
        Content::SignedDigits,
        Content::Binary,
    ];

    #[test]
    fn each_class_allows_exactly_its_bytes() {
        let table: [(Content, &dyn Fn(u8) -> bool); 6] = [
            (Content::Digits, &|b| b.is_ascii_digit()),
            (Content::Letters, &|b| b.is_ascii_alphabetic()),
            (Content::LettersDigits, &|b| b.is_ascii_alphanumeric()),
            (Content::LettersDigitsSpace, &|b| b.is_ascii_alphanumeric() || b == b' '),
            (Content::Printable, &|b| b.is_ascii_graphic() || b == b' '),
            (Content::Track, &|b| b"0123456789:;<=>?D".contains(&b)),
        ];
        for (content, expected) in table {
            let filler = if content == Content::Letters { b'A' } else { b'0' };
            for length in 1..=21 {
                for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |b| (at, b))) {
                    let mut bytes = vec![filler; length];
                    bytes[at] = byte;
                    assert_eq!(allows(content, &bytes), expected(byte), "{content:?} {bytes:02X?}");
                }
            }
        }
    }

    #[test]
    fn a_signed_amount_is_a_sign_and_digits() {
        for good in ["C00000000", "D12345678", "C"] {
            assert!(allows(Content::SignedDigits, good.as_bytes()), "{good}");
        }
        for (bad, at) in [("", 0), ("000000000", 0), ("c00000000", 0), ("C0000000X", 8)] {
            assert!(!allows(Content::SignedDigits, bad.as_bytes()), "{bad}");
            assert_eq!(Content::SignedDigits.first_fault(bad.as_bytes()), Some(at), "{bad}");
        }
    }

    #[test]
    fn numbers_are_read_up_to_nineteen_digits() {
        let check = |digits: &str, value| assert_eq!(to_number(digits.as_bytes()), value);
        check("0", Some(0));
        check("000000001050", Some(1050));
        check("12345678", Some(12_345_678));
        check("9999999999999999999", Some(9_999_999_999_999_999_999));
        check("10000000000000000000", None);
        check("", None);
        check("12 4", None);
        check("1234567890123456789D", None);
    }

    /// The answer must not depend on what lies behind the content, or on whether anything does.
    fn allows(content: Content, bytes: &[u8]) -> bool {
        let length = u16::try_from(bytes.len()).unwrap();
        let sound = content.sound();
        let holds = |bytes: &[u8]| sound.is_some_and(|sound| sound.has_all(bytes, length));
        let alone = holds(bytes) || content.first_fault(bytes).is_none();
        for behind in [0x00, b'5', 0xFF] {
            let followed = [bytes, &[behind; BLOCK]].concat();
            assert_eq!(holds(&followed), holds(bytes), "{content:?} {bytes:02X?}");
        }
        alone
    }

    proptest! {
        #[test]
        fn the_fast_check_agrees_with_the_search_for_the_fault(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "[0-9C-D =A-Z]{0,40}".prop_map(String::into_bytes),
            ]
        ) {
            for content in ALL {
                prop_assert_eq!(allows(content, &bytes), content.first_fault(&bytes).is_none());
            }
        }

        #[test]
        fn a_number_reads_as_the_standard_library_reads_it(digits in "[0-9]{1,19}") {
            prop_assert_eq!(to_number(digits.as_bytes()), digits.parse().ok());
        }
    }
}
