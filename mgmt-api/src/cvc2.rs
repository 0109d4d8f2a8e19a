//! The card verification value by the standard algorithm, and CVC2 with service code 000.
//!
//! Invariant: a value is computed when it is asked for and never stored. Source: security 4.2.

use des::Des;
use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use shared::card::YearMonth;
use shared::pan::Pan;
use zeroize::Zeroizing;

/// Service code of the printed value.
const SERVICE_CODE: [u8; 3] = *b"000";
/// Digits that are encrypted.
const INPUT_DIGITS: usize = 32;

/// The three digits that are printed on a card.
#[must_use]
pub fn cvc2(key: &[u8; 16], pan: &Pan, expiry: YearMonth) -> Zeroizing<String> {
    let expiry = format!("{:04}", expiry.yymm());
    verification_value(key, pan, expiry.as_bytes(), SERVICE_CODE)
}

/// Digits of number, expiry (YYMM) and service code, padded with zeros to two blocks; the first
/// is encrypted under key A, the second chained under A, B, A; the first three decimal digits of
/// the result, then its letters less ten.
fn verification_value(
    key: &[u8; 16],
    pan: &Pan,
    expiry: &[u8],
    service: [u8; 3],
) -> Zeroizing<String> {
    let mut digits = Zeroizing::new([b'0'; INPUT_DIGITS]);
    let input = pan.expose().iter().chain(expiry).chain(&service);
    for (to, from) in digits.iter_mut().zip(input) {
        *to = *from;
    }
    let mut blocks = Zeroizing::new([0_u8; INPUT_DIGITS / 2]);
    for (to, [high, low]) in blocks.iter_mut().zip(digits.as_chunks::<2>().0) {
        *to = (high - b'0') << 4 | (low - b'0');
    }
    let (first, second) = halves(&blocks);
    let (key_a, key_b) = halves(key);
    let (des_a, des_b) = (Des::new(&Array(key_a)), Des::new(&Array(key_b)));

    let mut block = Array(first);
    des_a.encrypt_block(&mut block);
    for (to, from) in block.iter_mut().zip(second) {
        *to ^= from;
    }
    des_a.encrypt_block(&mut block);
    des_b.decrypt_block(&mut block);
    des_a.encrypt_block(&mut block);
    decimalised(&block.0)
}

fn halves(bytes: &[u8; 16]) -> ([u8; 8], [u8; 8]) {
    let value = u128::from_be_bytes(*bytes);
    let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default();
    (u64::try_from(value >> 64).unwrap_or_default().to_be_bytes(), low.to_be_bytes())
}

fn decimalised(block: &[u8; 8]) -> Zeroizing<String> {
    let nibbles = block.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    let decimal = nibbles.clone().filter(|nibble| *nibble < 10);
    let letters = nibbles.filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
    Zeroizing::new(decimal.chain(letters).take(3).map(|digit| char::from(b'0' + digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32,
        0x10,
    ];

    #[test]
    fn the_published_vectors_come_out() {
        // Source: security 4.3. Two of the published numbers have 13 digits, which no Pan holds.
        for (pan, expiry, service, value) in [
            ("4123456789012345", "8701", b"101", "561"),
            ("4999988887777000", "9105", b"111", "245"),
            ("4666655554444111", "9206", b"120", "664"),
            ("4333322221111222", "9307", b"141", "382"),
            ("4123456789012345", "2812", b"000", "431"),
            ("4123456789012345", "2812", b"999", "863"),
            ("4123456789012345", "2812", b"201", "197"),
        ] {
            let pan = Pan::parse(pan.as_bytes()).unwrap();
            let got = verification_value(&KEY, &pan, expiry.as_bytes(), *service);
            assert_eq!(*got, value, "{expiry}");
        }
    }

    #[test]
    fn the_printed_value_has_service_code_000() {
        let pan = Pan::parse(b"4123456789012345").unwrap();
        assert_eq!(*cvc2(&KEY, &pan, YearMonth { year: 2028, month: 12 }), "431");
    }
}
