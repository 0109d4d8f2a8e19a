//! A card number that cannot be printed, logged or serialized, and the keyed token that stands for
//! it everywhere else.
//!
//! Invariant: clear digits live only in a `Pan`, which wipes itself when dropped and implements
//! none of `Debug`, `Display`, `Serialize`; journal, SQL and logs see a [`PanToken`] or the last
//! four digits. Source: security 4.2, requirements #40.

use core::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Digits of a card number at least. Source: requirements #24.
pub const DIGITS_MIN: usize = 14;
/// Digits of a card number at most, as DE2 allows.
pub const DIGITS_MAX: usize = 19;

/// A card number of 14 to 19 digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pan {
    digits: [u8; DIGITS_MAX],
    length: u8,
}

impl Pan {
    /// Reads ASCII digits; `None` unless there are 14 to 19 of them and nothing else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit)
        {
            return None;
        }
        let mut digits = [0; DIGITS_MAX];
        digits.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { digits, length: u8::try_from(text.len()).ok()? })
    }

    /// The clear digits, for the wire, the vault and key functions only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.digits.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The last four digits, which may be shown.
    #[must_use]
    pub fn last_four(&self) -> [u8; 4] {
        let digits = self.expose();
        digits.last_chunk().copied().unwrap_or_default()
    }

    /// Whether the last digit is the Luhn check digit of the others.
    #[must_use]
    pub fn has_valid_check_digit(&self) -> bool {
        let digits = self.expose();
        match digits.split_last() {
            Some((last, payload)) => check_digit(payload) == *last,
            None => false,
        }
    }
}

/// The Luhn check digit (ASCII) that belongs behind `payload` (ASCII digits).
#[must_use]
pub fn check_digit(payload: &[u8]) -> u8 {
    let sum: u32 = payload
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit.wrapping_sub(b'0'));
            match (place % 2, value) {
                (0, 5..) => value * 2 - 9,
                (0, _) => value * 2,
                _ => value,
            }
        })
        .sum();
    b'0' + u8::try_from((10 - sum % 10) % 10).unwrap_or_default()
}

/// The keyed token of a card number: HMAC-SHA-256 over the digits, first 128 bits. It is what the
/// switch finds a card by. Source: security 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PanToken(pub [u8; 16]);

/// As one number: a table that is asked at every message need not go through its bytes.
impl Hash for PanToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

/// The key that turns card numbers into tokens; both servers hold the same one.
#[derive(Clone)]
pub struct TokenKey {
    keyed: Hmac<Sha256>,
}

impl TokenKey {
    /// Prepares the key once, so that a token costs two compressions.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let keyed =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// The token of `pan`.
    #[must_use]
    pub fn token(&self, pan: &Pan) -> PanToken {
        let mut keyed = self.keyed.clone();
        keyed.update(pan.expose());
        let mut token = [0; 16];
        for (to, from) in token.iter_mut().zip(keyed.finalize().into_bytes()) {
            *to = from;
        }
        PanToken(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pan(digits: &str) -> Pan {
        Pan::parse(digits.as_bytes()).unwrap()
    }

    #[test]
    fn only_fourteen_to_nineteen_digits_are_a_card_number() {
        for bad in ["", "9999991234567", "99999912345678901234", "999999123456789x"] {
            assert!(Pan::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(pan("9999991234567890123").expose(), b"9999991234567890123");
        assert_eq!(&pan("99999912345678").last_four(), b"5678");
    }

    #[test]
    fn the_luhn_digit_is_the_standard_one() {
        // The worked example of ISO/IEC 7812-1 annex B.
        assert_eq!(check_digit(b"7992739871"), b'3');
        assert!(pan("4123456789012349").has_valid_check_digit());
        assert!(!pan("4123456789012345").has_valid_check_digit());
    }

    #[test]
    fn a_token_depends_on_every_digit_and_on_the_key() {
        let key = TokenKey::new(&[7; 32]);
        let token = key.token(&pan("9999991234567890"));
        assert_eq!(token, key.token(&pan("9999991234567890")));
        assert_ne!(token, key.token(&pan("9999991234567891")));
        assert_ne!(token, TokenKey::new(&[8; 32]).token(&pan("9999991234567890")));
    }
}
