//! PIN blocks of ISO 9564-1 formats 0 and 4 under the keys of a zone.
//!
//! Invariants: opening a block takes the same steps whatever is in it, and what is wrong with it
//! is told as one bit; the prepared keys wipe themselves. Source: security 4.2.

use aes::Aes128;
use des::TdesEde2;
use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater, ConstantTimeLess};
use zeroize::Zeroizing;

use super::packed::{DIGIT_BITS, before_check_digit, digits_of, high_half, packed};
use super::{PIN_DIGITS_MAX, PIN_DIGITS_MIN, Pin, PinBlock};
use crate::pan::Pan;

/// What a format says of its PIN field: the first digit, and the one that fills it up.
struct Format {
    control: u8,
    fill: u8,
}

const ISO_0: Format = Format { control: 0, fill: 0xf };
const ISO_4: Format = Format { control: 4, fill: 0xa };

/// Digits of the number that a format 0 block is tied to, its check digit left out.
const ISO_0_PAN_DIGITS: u32 = 12;
/// Digits of a number whose length format 4 counts as 0.
const ISO_4_PAN_DIGITS_MIN: usize = 12;
/// Digits that a format 4 PAN field has for the number, behind its length.
const ISO_4_PAN_FIELD_DIGITS: usize = 31;

/// The PIN keys that a zone shares with its processor, prepared.
pub struct ZoneKeys {
    iso0: TdesEde2,
    iso4: Aes128,
}

/// What was in a block.
pub(super) struct Opened {
    /// The first four digits of the PIN, packed; any bits where the block is not well-formed.
    pub(super) leading: Zeroizing<u16>,
    pub(super) is_well_formed: Choice,
}

impl ZoneKeys {
    /// Prepares a triple DES key for format 0 and an AES-128 key for format 4.
    #[must_use]
    pub fn new(tdes: &[u8; 16], aes: &[u8; 16]) -> Self {
        Self { iso0: TdesEde2::new(tdes.into()), iso4: Aes128::new(aes.into()) }
    }

    /// A format 0 block, as a terminal or processor makes it.
    #[must_use]
    pub fn seal_iso0(&self, pin: &Pin, pan: &Pan) -> PinBlock {
        let field = pin_field(&ISO_0, pin);
        let clear = *field ^ before_check_digit(pan, ISO_0_PAN_DIGITS);
        let mut block = Array(clear.to_be_bytes());
        self.iso0.encrypt_block(&mut block);
        PinBlock::Iso0(block.0)
    }

    /// A format 4 block, as a terminal or processor makes it; `padding` is drawn at random.
    #[must_use]
    pub fn seal_iso4(&self, pin: &Pin, pan: &Pan, padding: [u8; 8]) -> PinBlock {
        let padding = u128::from(u64::from_be_bytes(padding));
        let clear = Zeroizing::new(u128::from(*pin_field(&ISO_4, pin)) << u64::BITS | padding);
        let mut block = Array(clear.to_be_bytes());
        self.iso4.encrypt_block(&mut block);
        let mut block = Array((u128::from_be_bytes(block.0) ^ *pan_field(pan)).to_be_bytes());
        self.iso4.encrypt_block(&mut block);
        PinBlock::Iso4(block.0)
    }

    pub(super) fn open(&self, block: &PinBlock, pan: &Pan) -> Opened {
        match block {
            PinBlock::Iso0(bytes) => {
                let mut block = Array(*bytes);
                self.iso0.decrypt_block(&mut block);
                let clear = u64::from_be_bytes(block.0);
                read(&ISO_0, clear ^ before_check_digit(pan, ISO_0_PAN_DIGITS))
            }
            PinBlock::Iso4(bytes) => {
                let mut block = Array(*bytes);
                self.iso4.decrypt_block(&mut block);
                let tied = u128::from_be_bytes(block.0) ^ *pan_field(pan);
                let mut block = Array(tied.to_be_bytes());
                self.iso4.decrypt_block(&mut block);
                read(&ISO_4, high_half(u128::from_be_bytes(block.0)))
            }
        }
    }
}

/// The digits (ASCII) in a clear block of format 0, which comes inside another encryption; `None`
/// where it is none of this card.
#[must_use]
pub fn clear_iso0(block: &Zeroizing<u64>, pan: &Pan) -> Option<Zeroizing<Vec<u8>>> {
    let field = Zeroizing::new(**block ^ before_check_digit(pan, ISO_0_PAN_DIGITS));
    let opened = read(&ISO_0, *field);
    let digits = Zeroizing::new(digits_of(*field));
    let [_control, length, body @ ..] = &*digits;
    let pin = body.iter().take(usize::from(*length)).map(|digit| b'0' | digit);
    let pin = Zeroizing::new(pin.collect());
    bool::from(opened.is_well_formed).then_some(pin)
}

/// Control digit, length, digits of the PIN, filled up to 16 digits.
fn pin_field(format: &Format, pin: &Pin) -> Zeroizing<u64> {
    let digits = pin.expose().iter().map(|digit| digit & 0x0f);
    let filled = [format.control, pin.length]
        .into_iter()
        .chain(digits)
        .chain(core::iter::repeat(format.fill))
        .take(16);
    Zeroizing::new(filled.fold(0, |field, digit| field << DIGIT_BITS | u64::from(digit)))
}

/// How many digits the number has more than 12, then the number, padded with zeros.
fn pan_field(pan: &Pan) -> Zeroizing<u128> {
    let digits = pan.expose();
    let surplus = digits.len().saturating_sub(ISO_4_PAN_DIGITS_MIN);
    let surplus = u128::try_from(surplus).unwrap_or_default() << (u128::BITS - DIGIT_BITS);
    let padding = ISO_4_PAN_FIELD_DIGITS.saturating_sub(digits.len());
    let padding = u32::try_from(padding).unwrap_or_default() * DIGIT_BITS;
    Zeroizing::new(surplus | packed(digits) << padding)
}

/// Checks all 16 digits of a PIN field, whatever the first ones say.
fn read(format: &Format, field: u64) -> Opened {
    let digits = Zeroizing::new(digits_of(field));
    let [control, length, body @ ..] = *digits;
    let mut is_well_formed = control.ct_eq(&format.control);
    is_well_formed &= !length.ct_lt(&PIN_DIGITS_MIN) & !length.ct_gt(&PIN_DIGITS_MAX);
    for (place, digit) in (0_u8..).zip(body) {
        let is_pin = place.ct_lt(&length);
        is_well_formed &= (is_pin & digit.ct_lt(&10)) | (!is_pin & digit.ct_eq(&format.fill));
    }
    let leading = field >> (10 * DIGIT_BITS) & u64::from(u16::MAX);
    Opened { leading: Zeroizing::new(u16::try_from(leading).unwrap_or_default()), is_well_formed }
}
