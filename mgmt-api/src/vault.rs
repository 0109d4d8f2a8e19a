//! Card numbers and personal data at rest: drawing numbers, sealing bytes, tokens, fingerprints.
//!
//! Invariants: what is sealed is bound to its purpose and its row, so that no row can stand in for
//! another; card numbers leave only as [`Pan`], tokens or sealed bytes. Source: security 4.2.

use std::path::Path;

use anyhow::Context;
use aws_lc_rs::aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use shared::card::YearMonth;
use shared::credential::software::SoftwareKeys;
use shared::credential::{KeyProvider, Pin, Pvv, Unavailable, next_cvv2_generation};
use shared::key_file::KeyFile;
use shared::pan::{Pan, PanToken, TokenKey, check_digit};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret_file;

/// Layout of sealed bytes: version, nonce, ciphertext, tag.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + aead::NONCE_LEN;
/// Digits of a card number that we issue. Source: requirements #24.
const ISSUED_DIGITS: usize = 16;

/// What sealed bytes are for; each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Card numbers.
    CardNumber,
    /// Names, addresses, identity papers, images.
    PersonalData,
    /// What a request has drawn before it acts, and the answer it got.
    Idempotency,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::CardNumber => "pointsman card-number v1",
            Self::PersonalData => "pointsman personal-data v1",
            Self::Idempotency => "pointsman idempotency v1",
        }
    }
}

/// Why the vault did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random,
    /// Other key, other row, or bytes changed.
    #[error("sealed bytes do not open")]
    Unsealing,
    /// The program's BIN leaves no room for a number.
    #[error("the BIN is not one of 6 to 12 digits")]
    Bin,
    /// The credential keys could not be asked.
    #[error(transparent)]
    Keys(#[from] Unavailable),
}

/// Makes the value that is printed on a card from number, expiry and generation.
pub type PrintedValue =
    fn(&dyn KeyProvider, &Pan, YearMonth, u16) -> Result<Zeroizing<String>, Unavailable>;

/// The keys, ready for use.
pub struct Vault {
    token_key: TokenKey,
    card_number: LessSafeKey,
    personal_data: LessSafeKey,
    idempotency: LessSafeKey,
    fingerprint: hmac::Key,
    credential_keys: Box<dyn KeyProvider>,
    printed: PrintedValue,
}

/// Draws a new key file and writes it with mode 0600; an error where one is there.
pub fn generate_keys(path: &Path) -> anyhow::Result<()> {
    secret_file::create(path, draw_keys()?.render().as_bytes())
}

/// The same, keeping a key file that is there.
pub fn generate_keys_if_absent(path: &Path) -> anyhow::Result<bool> {
    secret_file::create_if_absent(path, draw_keys()?.render().as_bytes())
}

/// Fills `bytes` from the system's generator.
pub fn draw(bytes: &mut [u8]) -> Result<(), VaultError> {
    rand::fill(bytes).map_err(|_unspecified| VaultError::Random)
}

/// A card number of 16 digits inside `bin`, with its check digit.
pub fn draw_pan(bin: &str) -> Result<Pan, VaultError> {
    if !(6..=12).contains(&bin.len()) || !bin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VaultError::Bin);
    }
    let mut random = Zeroizing::new([0_u8; 8]);
    draw(&mut *random)?;
    let mut rest = u64::from_be_bytes(*random);
    let mut digits = Zeroizing::new(Vec::with_capacity(ISSUED_DIGITS));
    digits.extend_from_slice(bin.as_bytes());
    while digits.len() < ISSUED_DIGITS - 1 {
        digits.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
    }
    let check = check_digit(&digits);
    digits.push(check);
    Pan::parse(&digits).ok_or(VaultError::Bin)
}

fn printed_value(
    keys: &dyn KeyProvider,
    pan: &Pan,
    expiry: YearMonth,
    generation: u16,
) -> Result<Zeroizing<String>, Unavailable> {
    let value = keys.cvv2(pan, expiry, generation)?;
    Ok(Zeroizing::new(String::from_utf8_lossy(value.expose()).into_owned()))
}

fn draw_keys() -> anyhow::Result<KeyFile> {
    let mut bytes = Zeroizing::new([0_u8; KeyFile::BYTES]);
    draw(&mut *bytes)?;
    Ok(KeyFile::from_bytes(&bytes))
}

impl Vault {
    /// Reads the key file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = secret_file::read(path)?;
        let keys = KeyFile::parse(&text).with_context(|| format!("{}", path.display()))?;
        Ok(Self::new(&keys))
    }

    /// Derives a key for each purpose.
    #[must_use]
    pub fn new(keys: &KeyFile) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &keys.pan_encryption);
        let cipher = |purpose: Purpose| {
            let derived = hmac::sign(&root, purpose.label().as_bytes());
            let key = UnboundKey::new(&AES_256_GCM, derived.as_ref())
                .expect("an HMAC-SHA-256 tag has the length of an AES-256 key");
            LessSafeKey::new(key)
        };
        let fingerprint = hmac::sign(&root, b"pointsman fingerprint v1");
        Self {
            token_key: TokenKey::new(&keys.pan_token),
            card_number: cipher(Purpose::CardNumber),
            personal_data: cipher(Purpose::PersonalData),
            idempotency: cipher(Purpose::Idempotency),
            fingerprint: hmac::Key::new(hmac::HMAC_SHA256, fingerprint.as_ref()),
            credential_keys: Box::new(SoftwareKeys::new(keys)),
            printed: printed_value,
        }
    }

    /// With another way to make the printed value: a search for leaks needs one that is longer
    /// than three digits.
    #[must_use]
    pub fn printing(self, printed: PrintedValue) -> Self {
        Self { printed, ..self }
    }

    /// The token that the switch knows a card by.
    #[must_use]
    pub fn token(&self, pan: &Pan) -> PanToken {
        self.token_key.token(pan)
    }

    /// The three digits printed on a card of this credential generation.
    pub fn cvc2(
        &self,
        pan: &Pan,
        expiry: YearMonth,
        generation: u16,
    ) -> Result<Zeroizing<String>, VaultError> {
        Ok((self.printed)(&*self.credential_keys, pan, expiry, generation)?)
    }

    /// The generation after `current` whose printed value is another one; `None` at the end.
    pub fn next_generation(
        &self,
        pan: &Pan,
        expiry: YearMonth,
        current: u16,
    ) -> Result<Option<u16>, VaultError> {
        Ok(next_cvv2_generation(&*self.credential_keys, pan, expiry, current)?)
    }

    /// What a PIN of this card is verified against.
    pub fn pvv(&self, pan: &Pan, pin: &Pin) -> Result<Pvv, VaultError> {
        Ok(self.credential_keys.pvv(pan, pin)?)
    }

    /// Seals `plain` for the row named by `row`.
    pub fn seal(&self, purpose: Purpose, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = self.key(purpose);
        let mut nonce = [0; aead::NONCE_LEN];
        draw(&mut nonce)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + key.algorithm().tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_header, body) = sealed.split_at_mut(HEADER_BYTES);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(row), body)
            .map_err(|_unspecified| VaultError::Unsealing)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] made for the same purpose and row.
    pub fn unseal(
        &self,
        purpose: Purpose,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, body) =
            sealed.split_first_chunk::<HEADER_BYTES>().ok_or(VaultError::Unsealing)?;
        let [version, nonce @ ..] = *header;
        if version != VERSION {
            return Err(VaultError::Unsealing);
        }
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .key(purpose)
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(row), &mut plain)
            .map_err(|_unspecified| VaultError::Unsealing)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// A keyed hash over `parts`, each with its length, so that no two lists collide.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.fingerprint);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        out
    }

    fn key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::CardNumber => &self.card_number,
            Purpose::PersonalData => &self.personal_data,
            Purpose::Idempotency => &self.idempotency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::new(&KeyFile::from_bytes(&[7; KeyFile::BYTES]))
    }

    #[test]
    fn sealed_bytes_open_for_their_row_and_purpose_only() {
        let vault = vault();
        let sealed = vault.seal(Purpose::CardNumber, b"row 1", b"9999998412345678").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"9999"));
        let open = |purpose, row: &[u8], bytes: &[u8]| vault.unseal(purpose, row, bytes);
        assert_eq!(**open(Purpose::CardNumber, b"row 1", &sealed).unwrap(), *b"9999998412345678");
        assert!(open(Purpose::CardNumber, b"row 2", &sealed).is_err());
        assert!(open(Purpose::PersonalData, b"row 1", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(Purpose::CardNumber, b"row 1", &changed).is_err(), "byte {place}");
            assert!(open(Purpose::CardNumber, b"row 1", &sealed[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn a_drawn_number_lies_inside_its_bin_and_ends_with_its_check_digit() {
        let one = draw_pan("99999984").unwrap();
        let other = draw_pan("99999984").unwrap();
        assert_eq!(one.expose().len(), 16);
        assert!(one.expose().starts_with(b"99999984") && one.has_valid_check_digit());
        assert_ne!(one.expose(), other.expose());
        for bad in ["99999", "9999999999999", "9999998x", ""] {
            assert!(draw_pan(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_tell_lists_apart() {
        let vault = vault();
        assert_eq!(vault.fingerprint(&[b"ab", b"c"]), vault.fingerprint(&[b"ab", b"c"]));
        assert_ne!(vault.fingerprint(&[b"ab", b"c"]), vault.fingerprint(&[b"a", b"bc"]));
    }

    #[test]
    fn the_printed_value_is_the_published_one() {
        // Source: security 4.3.
        let mut keys = KeyFile::from_bytes(&[7; KeyFile::BYTES]);
        keys.cvk_cvc2 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        let pan = Pan::parse(b"4123456789012345").unwrap();
        let expiry = YearMonth { year: 2028, month: 12 };
        assert_eq!(*Vault::new(&keys).cvc2(&pan, expiry, 0).unwrap(), "431");
    }

    #[test]
    fn a_key_file_is_drawn_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        generate_keys(&path).unwrap();
        assert!(generate_keys(&path).is_err());
        assert!(!generate_keys_if_absent(&path).unwrap());
        Vault::open(&path).unwrap();
    }
}
