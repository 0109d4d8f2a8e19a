//! Credentials of a card: verification values and PINs, and the provider that checks them.
//!
//! Invariants: a [`Cvv`], [`Pin`], [`PinBlock`], [`track::Track`] or key cannot be printed or
//! serialized and wipes itself; values are compared in constant time; the core sees and journals a
//! [`CredentialResult`] and a [`Pvv`], nothing else. Source: security 4.2, authorization 2.
//!
//! **The same path for every card.** The caller checks before the core decides and always computes:
//! for a card that is not known, or that has no PIN, it checks against what [`Stored::NONE`] has,
//! under the month that the message states, else under the card's own. The cost depends on neither
//! card nor result, and the core answers by its own order of checks, so that a wrong value and an
//! unknown number take the same time. What remains is what the ciphers do: DES here looks its
//! S-boxes up in tables of 256 bytes, which a process on the same core could watch.

mod packed;
pub mod pin_block;
mod pvv;
pub mod software;
pub mod track;
mod verification_value;

use core::fmt;

use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::card::YearMonth;
use crate::pan::Pan;

/// What the credentials of a card are verified against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its PIN's value.
    pub pvv: Pvv,
    /// The generation of its CVC2.
    pub cvv2_generation: u16,
    /// Its last month, under which a CVC2 is verified where the message states none.
    pub expiry: YearMonth,
}

impl Stored {
    /// Of no card.
    pub const NONE: Self =
        Self { pvv: Pvv::NONE, cvv2_generation: 0, expiry: YearMonth { year: 2000, month: 1 } };
}

/// Digits of a PIN at least. Source: ISO 9564-1.
pub const PIN_DIGITS_MIN: u8 = 4;
/// Digits of a PIN at most. Source: ISO 9564-1.
pub const PIN_DIGITS_MAX: u8 = 12;
/// The same, for arrays.
const PIN_PLACES: usize = 12;
/// The first PVKI that stands for a key; 0 on a track says that there is no PVV.
pub const PVKI_MIN: u8 = 1;
/// The last PVKI that stands for a key.
pub const PVKI_MAX: u8 = 6;

/// What a check of one credential came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialResult {
    /// The message carries none.
    #[default]
    Absent,
    /// It is the card's.
    Ok,
    /// It is not the card's, or not well-formed.
    Bad,
    /// The keys could not be asked; nothing is known about it, and nothing is counted.
    Unavailable,
}

impl CredentialResult {
    fn of(is_right: Choice) -> Self {
        if is_right.into() { Self::Ok } else { Self::Bad }
    }
}

/// The keys could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the key provider is not available")]
pub struct Unavailable;

/// Checks credentials with keys that only it knows.
///
/// Every call is synchronous. Software keys answer in microseconds and are called on the path; the
/// provider of a network HSM waits for milliseconds, so that its caller asks it off the path, on
/// threads of its own with a deadline, and submits the command when the result is there.
pub trait KeyProvider: Send + Sync {
    /// Whether `cvv` is the value of `kind` for `pan` and `expiry`; never [`CredentialResult::Absent`].
    fn verify_cvv(
        &self,
        cvv: &Cvv,
        kind: CvvKind,
        pan: &Pan,
        expiry: YearMonth,
    ) -> CredentialResult;

    /// Whether the PIN in `block` has the value `pvv`; never [`CredentialResult::Absent`]. A block
    /// that is not well-formed, or made for another number, is bad.
    fn verify_pin(&self, block: &PinBlock, pan: &Pan, pvv: Pvv) -> CredentialResult;

    /// The printed value (CVV2) of a generation; 0 is the standard one.
    fn cvv2(&self, pan: &Pan, expiry: YearMonth, generation: u16) -> Result<Cvv, Unavailable>;

    /// The value that a PIN is checked by from now on.
    fn pvv(&self, pan: &Pan, pin: &Pin) -> Result<Pvv, Unavailable>;

    /// The same for a PIN that comes as a block, which an HSM opens inside; `None` where the block
    /// is not well-formed.
    fn pvv_of_block(&self, pan: &Pan, block: &PinBlock) -> Result<Option<Pvv>, Unavailable>;
}

/// The next generation after `current` whose printed value differs from the current one, so that
/// a reset always changes what is printed; `None` where there is no further generation.
pub fn next_cvv2_generation(
    keys: &dyn KeyProvider,
    pan: &Pan,
    expiry: YearMonth,
    current: u16,
) -> Result<Option<u16>, Unavailable> {
    let printed = keys.cvv2(pan, expiry, current)?;
    let mut generation = current;
    while let Some(next) = generation.checked_add(1) {
        if !printed.is(&keys.cvv2(pan, expiry, next)?) {
            return Ok(Some(next));
        }
        generation = next;
    }
    Ok(None)
}

/// Three digits that say what a magnetic stripe or chip may be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceCode {
    /// One digit in four bits.
    packed: u16,
}

impl ServiceCode {
    /// The one that makes a value the printed one.
    const PRINTED: Self = Self { packed: 0x000 };
    /// The one that makes a value the chip's.
    const CHIP: Self = Self { packed: 0x999 };

    /// Reads three ASCII digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: &[u8; 3] = text.try_into().ok()?;
        let pack = |packed, digit: &u8| packed << 4 | u16::from(digit & 0x0f);
        let packed = digits.iter().fold(0, pack);
        digits.iter().all(u8::is_ascii_digit).then_some(Self { packed })
    }

    /// Whether a stripe may carry it. A stripe with one of the other two would let the chip's or
    /// the printed value, which are easier to come by, pass for the stripe's own.
    fn is_for_stripes(self) -> Choice {
        !(self.packed.ct_eq(&Self::PRINTED.packed) | self.packed.ct_eq(&Self::CHIP.packed))
    }
}

/// Which verification value is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CvvKind {
    /// The stripe's (CVV, CVC1), under the service code that the track carries. Service codes 000
    /// and 999 are never right here.
    Cvv1(ServiceCode),
    /// The chip's image of the stripe (iCVV, chip CVC), under service code 999.
    Icvv,
    /// The printed one (CVV2, CVC2), under keys of its own and service code 000.
    Cvv2 {
        /// How many resets the card has had, with those that were skipped.
        generation: u16,
    },
}

/// A card verification value: three digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Cvv([u8; 3]);

impl Cvv {
    /// Reads three ASCII digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 3] = text.try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self(digits))
    }

    /// The clear digits (ASCII), for the holder's encrypted answer and the wire only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A PIN of 4 to 12 digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pin {
    digits: [u8; PIN_PLACES],
    length: u8,
}

impl Pin {
    /// Reads ASCII digits; `None` unless there are 4 to 12 of them and nothing else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let length = u8::try_from(text.len()).ok()?;
        if !(PIN_DIGITS_MIN..=PIN_DIGITS_MAX).contains(&length)
            || !text.iter().all(u8::is_ascii_digit)
        {
            return None;
        }
        let mut digits = [0; PIN_PLACES];
        digits.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { digits, length })
    }

    fn expose(&self) -> &[u8] {
        self.digits.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// A PIN block as it came over the wire, encrypted under a zone PIN key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub enum PinBlock {
    /// ISO 9564-1 format 0, under a triple DES key.
    Iso0([u8; 8]),
    /// ISO 9564-1 format 4, under an AES key.
    Iso4([u8; 16]),
}

impl PinBlock {
    /// Reads the bytes of DE52 (or its private twin): 8 are format 0, 16 are format 4; `None` for
    /// any other length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let iso0 = bytes.try_into().map(Self::Iso0);
        iso0.or_else(|_other_length| bytes.try_into().map(Self::Iso4)).ok()
    }

    /// The encrypted bytes, for the wire only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Iso0(bytes) => bytes,
            Self::Iso4(bytes) => bytes,
        }
    }
}

/// A PIN verification value of four digits and the index of the key it was made with (PVKI). It is
/// what the core keeps in place of a PIN; `Debug` tells nothing of it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "(u8, u16)", into = "(u8, u16)")]
pub struct Pvv {
    pvki: u8,
    /// The digits as a number, or [`NO_VALUE`].
    value: u16,
}

/// Outside the four digits.
const NO_VALUE: u16 = u16::MAX;

/// Numbers that are no [`Pvv`]: stored bytes were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no PVV: it has four digits and a PVKI of 1 to 6")]
pub struct NoPvv;

impl Pvv {
    /// Of a card that has no PIN, and of no card at all: every PIN is bad against it, at the cost
    /// of a check.
    pub const NONE: Self = Self { pvki: 0, value: NO_VALUE };

    /// Reads a PVKI and four digits, all ASCII; `None` unless the PVKI is 1 to 6.
    #[must_use]
    pub fn parse(pvki: u8, digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 4] = digits.try_into().ok()?;
        let number = |value, digit: &u8| value * 10 + u16::from(digit & 0x0f);
        let value = digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, number))?;
        Self::try_from((pvki.checked_sub(b'0')?, value)).ok().filter(|pvv| pvv.value != NO_VALUE)
    }

    /// Whether the card has a PIN.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.value != NO_VALUE
    }
}

impl TryFrom<(u8, u16)> for Pvv {
    type Error = NoPvv;

    fn try_from((pvki, value): (u8, u16)) -> Result<Self, NoPvv> {
        let is_value = (PVKI_MIN..=PVKI_MAX).contains(&pvki) && value <= 9_999;
        let is_none = pvki == Self::NONE.pvki && value == NO_VALUE;
        if is_value || is_none { Ok(Self { pvki, value }) } else { Err(NoPvv) }
    }
}

impl From<Pvv> for (u8, u16) {
    fn from(pvv: Pvv) -> Self {
        (pvv.pvki, pvv.value)
    }
}

impl Default for Pvv {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Pvv {
    fn eq(&self, other: &Self) -> bool {
        (self.pvki.ct_eq(&other.pvki) & self.value.ct_eq(&other.value)).into()
    }
}

impl Eq for Pvv {}

impl fmt::Debug for Pvv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pvv")
    }
}
