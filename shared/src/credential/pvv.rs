//! The PIN verification value by the Visa algorithm.
//!
//! Invariant: nothing branches on a digit of the PIN; the prepared keys wipe themselves. The first
//! four digits of a PIN count, as the algorithm has it: a program that allows longer PINs still
//! checks four. Source: security 4.2.

use des::TdesEde2;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use super::packed::{DIGIT_BITS, before_check_digit, decimalised};
use crate::pan::Pan;

/// Digits of the number that go in, its check digit left out.
const PAN_DIGITS: u32 = 11;
/// Digits of the PIN that go in.
pub(super) const PIN_DIGITS: usize = 4;
/// Their bits.
const PIN_BITS: u32 = 4 * DIGIT_BITS;

/// PIN verification keys A and B, prepared.
pub(super) struct PvkPair(TdesEde2);

impl PvkPair {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        Self(TdesEde2::new(key.into()))
    }

    /// The four digits, as a number, for the first four digits of a PIN, packed.
    pub(super) fn value(&self, pan: &Pan, pvki: u8, pin: u16) -> u16 {
        let mut input = Zeroizing::new(before_check_digit(pan, PAN_DIGITS));
        *input = *input << DIGIT_BITS | u64::from(pvki & 0x0f);
        *input = *input << PIN_BITS | u64::from(pin);
        let mut block = Array(input.to_be_bytes());
        self.0.encrypt_block(&mut block);
        let digits = decimalised::<4>(u64::from_be_bytes(block.0));
        digits.into_iter().fold(0, |value, digit| value * 10 + u16::from(digit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_come_out() {
        // Source: security 4.3.
        let keys = PvkPair::new(&0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes());
        for (number, pin, pvki, value) in [
            ("4123456789012345", 0x1234, 1, 1894),
            ("4123456789012345", 0x0000, 2, 7937),
            ("4123456789012345", 0x9999, 6, 4505),
            ("1122334455667788", 0x4524, 3, 4021),
        ] {
            let pan = Pan::parse(number.as_bytes()).unwrap();
            assert_eq!(keys.value(&pan, pvki, pin), value, "{number} {pvki}");
        }
    }
}
