//! What stands on a card and what its holder knows: tracks, CVC2, PIN blocks, under the keys that
//! the switch has.

use shared::credential::pin_block::ZoneKeys;
use shared::credential::software::SoftwareKeys;
use shared::credential::{Cvv, CvvKind, KeyProvider, Pin, Pvv, ServiceCode};
use shared::key_file::KeyFile;
use shared::pan::Pan;

use super::issuer::{EXPIRY, PAN_TOKEN, pan};

/// The keys of every switch here: no two bytes of a key alike.
pub(crate) fn key_file() -> KeyFile {
    let mut bytes = [0; KeyFile::BYTES];
    for (byte, value) in bytes.iter_mut().zip(3_u8..) {
        *byte = value.wrapping_mul(157);
    }
    bytes[..32].copy_from_slice(&PAN_TOKEN);
    KeyFile::from_bytes(&bytes)
}

/// Where a track is read from.
#[derive(Clone, Copy)]
pub(crate) enum Medium {
    Stripe,
    Chip,
}

/// A card in the hand of its holder.
pub(crate) struct Plastic {
    pan: Pan,
    keys: SoftwareKeys,
    zone: ZoneKeys,
}

impl Plastic {
    pub(crate) fn of(card: u64) -> Self {
        let file = key_file();
        Self {
            pan: Pan::parse(pan(card).as_bytes()).unwrap(),
            keys: SoftwareKeys::new(&file),
            zone: ZoneKeys::new(&file.zone_pin, &file.zone_pin_aes),
        }
    }

    /// DE35.
    pub(crate) fn track_2(&self, medium: Medium) -> String {
        let pan = String::from_utf8(self.pan.expose().to_vec()).unwrap();
        format!("{pan}={}", self.discretionary(medium))
    }

    /// DE45.
    pub(crate) fn track_1(&self, medium: Medium) -> String {
        let pan = String::from_utf8(self.pan.expose().to_vec()).unwrap();
        format!("B{pan}^HOLDER/A CARD^{}", self.discretionary(medium))
    }

    /// Month, service code, PVKI and PVV, verification value.
    fn discretionary(&self, medium: Medium) -> String {
        let kind = match medium {
            Medium::Stripe => CvvKind::Cvv1(ServiceCode::parse(b"201").unwrap()),
            Medium::Chip => CvvKind::Icvv,
        };
        let value = self.keys.cvv(kind, &self.pan, EXPIRY);
        format!("{:04}20112345{}", EXPIRY.yymm(), digits(&value))
    }

    /// The printed value of this generation.
    pub(crate) fn cvc2(&self, generation: u16) -> String {
        digits(&self.keys.cvv(CvvKind::Cvv2 { generation }, &self.pan, EXPIRY))
    }

    /// What the switch stores of a PIN.
    pub(crate) fn pvv(&self, pin: &str) -> Pvv {
        self.keys.pvv(&self.pan, &Pin::parse(pin.as_bytes()).unwrap()).unwrap()
    }

    /// DE52 of eight bytes.
    pub(crate) fn iso0(&self, pin: &str) -> Vec<u8> {
        let pin = Pin::parse(pin.as_bytes()).unwrap();
        self.zone.seal_iso0(&pin, &self.pan).expose().to_vec()
    }

    /// DE52 of sixteen bytes, never twice the same.
    pub(crate) fn iso4(&self, pin: &str) -> Vec<u8> {
        let pin = Pin::parse(pin.as_bytes()).unwrap();
        let padding = fastrand::u64(..).to_be_bytes();
        self.zone.seal_iso4(&pin, &self.pan, padding).expose().to_vec()
    }
}

fn digits(value: &Cvv) -> String {
    String::from_utf8(value.expose().to_vec()).unwrap()
}

/// The same digits, the last one another: never the right value.
pub(crate) fn wrong(value: &str) -> String {
    let (head, last) = value.split_at(value.len() - 1);
    let last = (last.parse::<u8>().unwrap() + 1) % 10;
    format!("{head}{last}")
}
