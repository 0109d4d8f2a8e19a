//! The definition of one field: what it may hold, and how long it is.
//!
//! Invariant: content is told here as the standard tells it, in ASCII characters and digits; what it
//! looks like on a link is for `form` alone.

use super::message::Rule;

/// One field of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// 1 to 192.
    pub number: u8,
    /// For people; never sent.
    pub name: String,
    pub content: Content,
    pub length: Length,
    /// The value must never be shown.
    pub sensitive: bool,
}

/// What a field's content may hold. Source: the attribute codes of ISO 8583:1987.
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

/// How long a field's content is: in digits where it is of digits, in characters or bytes else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    /// Always this many.
    Fixed(u16),
    /// At most this many, after two digits of length.
    Ll(u16),
    /// At most this many, after three digits of length.
    Lll(u16),
}

impl Length {
    /// The greatest length of content.
    pub const fn max(self) -> u16 {
        match self {
            Self::Fixed(length) | Self::Ll(length) | Self::Lll(length) => length,
        }
    }

    /// The digits of length in front of the content.
    pub const fn prefix_digits(self) -> u16 {
        match self {
            Self::Fixed(_) => 0,
            Self::Ll(_) => 2,
            Self::Lll(_) => 3,
        }
    }

    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// Whether a content of this many characters is of this length.
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

    /// Whether the character may stand at this position.
    #[inline]
    pub fn allows(self, character: u8, position: usize) -> bool {
        match self {
            Self::Digits => character.is_ascii_digit(),
            Self::Letters => character.is_ascii_alphabetic(),
            Self::LettersDigits => character.is_ascii_alphanumeric(),
            Self::LettersDigitsSpace => character.is_ascii_alphanumeric() || character == b' ',
            Self::Printable => matches!(character, 0x20..=0x7E),
            Self::Track => matches!(character, 0x30..=0x3F | b'D'),
            Self::SignedDigits if position == 0 => matches!(character, b'C' | b'D'),
            Self::SignedDigits => character.is_ascii_digit(),
            Self::Binary => true,
        }
    }
}
