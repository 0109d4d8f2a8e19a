//! What the holder's card and the terminal put into a message: tracks, CVC2, PIN blocks, computed
//! with the sandbox's own keys.
//!
//! Invariant: what is made here leaves inside wiping types, and nothing of it can be printed.

use std::path::Path;

use anyhow::Context;
use shared::card::YearMonth;
use shared::credential::pin_block::ZoneKeys;
use shared::credential::software::SoftwareKeys;
use shared::credential::{CvvKind, KeyProvider, Pin, Pvv, ServiceCode};
use shared::key_file::KeyFile;
use shared::pan::Pan;
use zeroize::Zeroizing;

/// International chip card, normal authorization, no restrictions.
const SERVICE_CODE: &[u8; 3] = b"201";
/// PVKI and PVV on the track: none.
const NO_PVV: &[u8; 5] = b"00000";

/// The keys of a key file, on the side of cards and terminals.
pub struct CardSide {
    issuer: SoftwareKeys,
    zone: ZoneKeys,
}

/// Where a track 2 comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// The magnetic stripe.
    Stripe,
    /// The chip, whose copy has a value of its own.
    Chip,
}

impl CardSide {
    /// Where the verification value begins, counted from the separator: behind month, service
    /// code, PVKI and PVV.
    pub const VALUE_BEHIND_SEPARATOR: usize = 1 + 4 + 3 + 5;

    /// Reads the key file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = mgmt_api::secret_file::read(path)?;
        let keys = KeyFile::parse(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(Self {
            issuer: SoftwareKeys::new(&keys),
            zone: ZoneKeys::new(&keys.zone_pin, &keys.zone_pin_aes),
        })
    }

    /// Track 2 of a card.
    pub fn track_2(
        &self,
        medium: Medium,
        pan: &Pan,
        expiry: YearMonth,
    ) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let kind = match medium {
            Medium::Stripe => {
                CvvKind::Cvv1(ServiceCode::parse(SERVICE_CODE).context("a service code")?)
            }
            Medium::Chip => CvvKind::Icvv,
        };
        let value = self.issuer.cvv(kind, pan, expiry);
        let month = format!("={:04}", expiry.yymm());
        let parts = [pan.expose(), month.as_bytes(), SERVICE_CODE, NO_PVV, value.expose(), b"0000"];
        let mut track = Zeroizing::new(Vec::with_capacity(37));
        parts.iter().for_each(|part| track.extend_from_slice(part));
        Ok(track)
    }

    /// A PIN in a block of format 0, as a terminal sends it.
    pub fn pin_block(&self, pin: &str, pan: &Pan) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let pin = Pin::parse(pin.as_bytes()).context("a PIN has 4 to 12 digits")?;
        Ok(Zeroizing::new(self.zone.seal_iso0(&pin, pan).expose().to_vec()))
    }

    /// What the switch verifies a PIN against.
    pub fn pvv(&self, pin: &str, pan: &Pan) -> anyhow::Result<Pvv> {
        let pin = Pin::parse(pin.as_bytes()).context("a PIN has 4 to 12 digits")?;
        Ok(self.issuer.pvv(pan, &pin)?)
    }
}
