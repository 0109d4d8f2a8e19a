//! Decimal digits packed four bits each, and the digits of an encrypted block.
//!
//! Invariant: nothing here branches on a digit, or is indexed by one. Source: security 4.2.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeLess};

use crate::pan::Pan;

/// Bits of one digit.
pub(super) const DIGIT_BITS: u32 = 4;
/// Digits of a block of 64 bits.
const BLOCK_DIGITS: u32 = u64::BITS / DIGIT_BITS;

/// ASCII digits, the last one lowest.
pub(super) fn packed(digits: &[u8]) -> u128 {
    digits.iter().fold(0, |packed, digit| packed << DIGIT_BITS | u128::from(digit & 0x0f))
}

/// The five decimal digits of `number`.
pub(super) fn packed_number(number: u16) -> u128 {
    [10_000, 1_000, 100, 10, 1]
        .into_iter()
        .fold(0, |packed, unit| packed << DIGIT_BITS | u128::from(number / unit % 10))
}

/// The last `count` digits of `pan` before its check digit; at most 16.
pub(super) fn before_check_digit(pan: &Pan, count: u32) -> u64 {
    let bits = count.min(BLOCK_DIGITS) * DIGIT_BITS;
    let mask = 1_u128.checked_shl(bits).map_or(u128::MAX, |limit| limit - 1);
    low_half(packed(pan.expose()) >> DIGIT_BITS & mask)
}

/// The upper 64 bits.
pub(super) fn high_half(value: u128) -> u64 {
    u64::try_from(value >> u64::BITS).unwrap_or_default()
}

/// The lower 64 bits.
pub(super) fn low_half(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default()
}

/// The 16 digits of a block, highest first; each is 0 to 15.
pub(super) fn digits_of(block: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(block.to_be_bytes()) {
        *pair = [byte >> DIGIT_BITS, byte & 0x0f];
    }
    digits
}

/// The first `N` decimal digits of `block`; where there are fewer, its letters less ten follow.
pub(super) fn decimalised<const N: usize>(block: u64) -> [u8; N] {
    let mut found = [0_u8; N];
    let mut count = 0_u8;
    for is_letter_pass in [Choice::from(0), Choice::from(1)] {
        for digit in digits_of(block) {
            let is_letter = !digit.ct_lt(&10);
            let is_wanted = is_letter.ct_eq(&is_letter_pass);
            let value = u8::conditional_select(&digit, &digit.wrapping_sub(10), is_letter);
            for (place, slot) in (0_u8..).zip(found.iter_mut()) {
                slot.conditional_assign(&value, is_wanted & count.ct_eq(&place));
            }
            count += is_wanted.unwrap_u8();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_where_digits_are_too_few() {
        for (block, digits) in [
            (0x1234_5678_9abc_def0, [1, 2, 3]),
            (0xabcd_efab_cdef_a7b9, [7, 9, 0]),
            (0xabcd_efab_cdef_abc9, [9, 0, 1]),
            (0xfedc_baff_ffff_ffff, [5, 4, 3]),
            (0xffff_ffff_ffff_f908, [9, 0, 8]),
        ] {
            assert_eq!(decimalised::<3>(block), digits, "{block:016x}");
        }
        assert_eq!(decimalised::<4>(0xabcd_efab_cdef_a7b9), [7, 9, 0, 1]);
    }

    #[test]
    fn numbers_are_packed_digit_by_digit() {
        assert_eq!(packed(b"0123456789"), 0x01_2345_6789);
        assert_eq!(packed_number(u16::MAX), 0x6_5535);
        assert_eq!(packed_number(2812), 0x0_2812);
        let pan = Pan::parse(b"4123456789012345").unwrap();
        assert_eq!(before_check_digit(&pan, 12), 0x3456_7890_1234);
        assert_eq!(before_check_digit(&pan, 11), 0x456_7890_1234);
        assert_eq!(
            digits_of(0x0123_4567_89ab_cdef),
            core::array::from_fn(|n| u8::try_from(n).unwrap())
        );
    }
}
