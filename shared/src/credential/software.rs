//! The key provider whose keys come from a key file.
//!
//! Invariants: keys are prepared once and wipe themselves; every answer is there at once, so that
//! nothing is ever unavailable. Source: security 4.2.

use subtle::{Choice, ConstantTimeEq};

use super::packed::DIGIT_BITS;
use super::pin_block::ZoneKeys;
use super::pvv::{PIN_DIGITS, PvkPair};
use super::verification_value::CvkPair;
use super::{
    CredentialResult, Cvv, CvvKind, KeyProvider, PVKI_MIN, Pin, PinBlock, Pvv, ServiceCode,
    Unavailable,
};
use crate::card::YearMonth;
use crate::key_file::KeyFile;
use crate::pan::Pan;

/// The PVKI of values that are made here: the key file has one pair of PIN verification keys.
const PVKI: u8 = PVKI_MIN;

/// Keys of a [`KeyFile`], prepared. Values made with any PVKI are checked with its one pair.
pub struct SoftwareKeys {
    cvk: CvkPair,
    cvk_printed: CvkPair,
    pvk: PvkPair,
    zone: ZoneKeys,
}

impl SoftwareKeys {
    /// Prepares the keys once.
    #[must_use]
    pub fn new(keys: &KeyFile) -> Self {
        Self {
            cvk: CvkPair::new(&keys.cvk),
            cvk_printed: CvkPair::new(&keys.cvk_cvc2),
            pvk: PvkPair::new(&keys.pvk),
            zone: ZoneKeys::new(&keys.zone_pin, &keys.zone_pin_aes),
        }
    }

    /// The value of `kind`, for whoever makes the card.
    #[must_use]
    pub fn cvv(&self, kind: CvvKind, pan: &Pan, expiry: YearMonth) -> Cvv {
        let (keys, service, generation) = match kind {
            CvvKind::Cvv1(service) => (&self.cvk, service, 0),
            CvvKind::Icvv => (&self.cvk, ServiceCode::CHIP, 0),
            CvvKind::Cvv2 { generation } => (&self.cvk_printed, ServiceCode::PRINTED, generation),
        };
        keys.value(pan.expose(), expiry.yymm(), service, generation)
    }

    /// The value of a PIN under any PVKI; `None` unless it is 1 to 6.
    #[must_use]
    pub fn pvv_under(&self, pvki: u8, pan: &Pan, pin: &Pin) -> Option<Pvv> {
        let digits = pin.expose().iter().take(PIN_DIGITS);
        let leading =
            digits.fold(0, |packed, digit| packed << DIGIT_BITS | u16::from(digit & 0x0f));
        Pvv::try_from((pvki, self.pvk.value(pan, pvki, leading))).ok()
    }
}

impl KeyProvider for SoftwareKeys {
    fn verify_cvv(
        &self,
        cvv: &Cvv,
        kind: CvvKind,
        pan: &Pan,
        expiry: YearMonth,
    ) -> CredentialResult {
        let is_allowed = match kind {
            CvvKind::Cvv1(service) => service.is_for_stripes(),
            CvvKind::Icvv | CvvKind::Cvv2 { .. } => Choice::from(1),
        };
        CredentialResult::of(self.cvv(kind, pan, expiry).0.ct_eq(&cvv.0) & is_allowed)
    }

    fn verify_pin(&self, block: &PinBlock, pan: &Pan, pvv: Pvv) -> CredentialResult {
        let opened = self.zone.open(block, pan);
        let value = self.pvk.value(pan, pvv.pvki, *opened.leading);
        CredentialResult::of(value.ct_eq(&pvv.value) & opened.is_well_formed)
    }

    fn cvv2(&self, pan: &Pan, expiry: YearMonth, generation: u16) -> Result<Cvv, Unavailable> {
        Ok(self.cvv(CvvKind::Cvv2 { generation }, pan, expiry))
    }

    fn pvv(&self, pan: &Pan, pin: &Pin) -> Result<Pvv, Unavailable> {
        self.pvv_under(PVKI, pan, pin).ok_or(Unavailable)
    }

    fn pvv_of_block(&self, pan: &Pan, block: &PinBlock) -> Result<Option<Pvv>, Unavailable> {
        let opened = self.zone.open(block, pan);
        let value = self.pvk.value(pan, PVKI, *opened.leading);
        let is_well_formed: bool = opened.is_well_formed.into();
        Ok(is_well_formed.then_some(Pvv { pvki: PVKI, value }))
    }
}
