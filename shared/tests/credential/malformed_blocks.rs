//! PIN fields that a right key opens and that no PIN pad makes.

use des::TdesEde2;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use shared::credential::{CredentialResult, KeyProvider, PinBlock};

use super::{PUBLISHED, PUBLISHED_AES, keys, pan, pin};

const CARD: &str = "4123456789012345";
/// Its twelve digits before the check digit, as format 0 has them.
const CARD_FIELD_0: u64 = 0x0000_3456_7890_1234;
/// Its length less twelve, its digits, zeros, as format 4 has them.
const CARD_FIELD_4: u128 = 0x4412_3456_7890_1234_5000_0000_0000_0000;

fn iso0(field: u64) -> PinBlock {
    let mut block = Array((field ^ CARD_FIELD_0).to_be_bytes());
    TdesEde2::new(&Array(PUBLISHED.to_be_bytes())).encrypt_block(&mut block);
    PinBlock::Iso0(block.0)
}

fn iso4(field: u64) -> PinBlock {
    let cipher = aes::Aes128::new(&Array(PUBLISHED_AES.to_be_bytes()));
    let mut block = Array((u128::from(field) << 64 | 0x0123_4567_89ab_cdef).to_be_bytes());
    cipher.encrypt_block(&mut block);
    let mut block = Array((u128::from_be_bytes(block.0) ^ CARD_FIELD_4).to_be_bytes());
    cipher.encrypt_block(&mut block);
    PinBlock::Iso4(block.0)
}

/// A way to seal a PIN field, and the digits of its format.
type Format = (fn(u64) -> PinBlock, u64, u64);

const FORMATS: [Format; 2] = [(iso0, 0x0, 0xf), (iso4, 0x4, 0xa)];

/// The PIN 1234, then `length - 4` digits more, filled up.
fn field(control: u64, length: u64, fill: u64) -> u64 {
    let body = (0..14)
        .fold(0, |body, place| body << 4 | if place < length { (place + 1) % 10 } else { fill });
    control << 60 | length << 56 | body
}

/// The field is opened as the PIN 1234 or refused; a refused one is bad even under the PVV that the
/// same digits in a well-formed field would have.
fn check(block: &PinBlock, is_well_formed: bool, what: &str) {
    let (keys, card) = (keys(), pan(CARD));
    let stored = keys.pvv(&card, &pin("1234")).unwrap();
    let expected = if is_well_formed { CredentialResult::Ok } else { CredentialResult::Bad };
    assert_eq!(keys.verify_pin(block, &card, stored), expected, "{what}");
    assert_eq!(keys.pvv_of_block(&card, block), Ok(is_well_formed.then_some(stored)), "{what}");
}

#[test]
fn only_lengths_of_four_to_twelve_are_right() {
    for (seal, control, fill) in FORMATS {
        for length in 0..16 {
            let block = seal(field(control, length, fill));
            check(&block, (4..=12).contains(&length), &format!("{control} {length}"));
        }
    }
}

#[test]
fn only_the_formats_own_control_digit_is_right() {
    for (seal, control, fill) in FORMATS {
        for other in 0..16 {
            check(&seal(field(other, 4, fill)), other == control, &format!("{control} {other}"));
        }
    }
}

#[test]
fn every_wrong_fill_and_every_letter_in_the_pin_is_bad() {
    for (seal, control, fill) in FORMATS {
        for length in 4..=12 {
            let right = field(control, length, fill);
            for place in 4..14 {
                let shift = 4 * (13 - place);
                for digit in 0..16 {
                    let changed = right & !(0xf << shift) | digit << shift;
                    let is_right = if place < length { digit < 10 } else { digit == fill };
                    check(&seal(changed), is_right, &format!("{changed:016x}"));
                }
            }
        }
    }
}

#[test]
fn a_letter_among_the_first_four_is_bad_whatever_the_pvv() {
    let (keys, card) = (keys(), pan(CARD));
    for (seal, control, fill) in FORMATS {
        for place in 0..4 {
            for letter in 0xa..=0xf {
                let shift = 4 * (13 - place);
                let changed = field(control, 4, fill) & !(0xf << shift) | letter << shift;
                assert_eq!(keys.pvv_of_block(&card, &seal(changed)), Ok(None), "{changed:016x}");
            }
        }
    }
}

#[test]
fn a_block_made_for_another_number_is_bad() {
    let (keys, card) = (keys(), pan(CARD));
    let stored = keys.pvv(&card, &pin("1234")).unwrap();
    for (seal, control, fill) in FORMATS {
        let block = seal(field(control, 4, fill));
        assert_eq!(keys.verify_pin(&block, &card, stored), CredentialResult::Ok);
        for place in 0..CARD.len() {
            let mut other = CARD.as_bytes().to_vec();
            other[place] = b'0' + (other[place] - b'0' + 1) % 10;
            let other = pan(core::str::from_utf8(&other).unwrap());
            // Format 0 is tied to the twelve digits before the check digit, and the PVV to eleven.
            let is_outside = control == 0 && !(3..15).contains(&place);
            let is_bad = keys.verify_pin(&block, &other, stored) == CredentialResult::Bad;
            assert_eq!(is_bad, !is_outside, "format {control}, digit {place}");
        }
    }
}
