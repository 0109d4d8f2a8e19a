//! The text of `keys.toml`: the software key provider's seven keys, which both servers read.
//!
//! Invariants: nothing here reads files or draws randomness; a [`KeyFile`] wipes itself when
//! dropped and implements none of `Debug`, `Display`, `Serialize`; an error names the key and the
//! line, never a value.

use core::fmt::Write as _;

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The keys of the software provider.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct KeyFile {
    /// Makes card numbers into tokens; both servers need the same one.
    pub pan_token: [u8; 32],
    /// Encrypts card numbers and personal data at rest; the management API's own.
    pub pan_encryption: [u8; 32],
    /// Card verification keys A and B for magnetic stripe and chip values.
    pub cvk: [u8; 16],
    /// Card verification keys A and B for the printed value (CVC2).
    pub cvk_cvc2: [u8; 16],
    /// PIN verification keys A and B.
    pub pvk: [u8; 16],
    /// Triple DES key of the zone that PIN blocks of ISO 9564-1 format 0 come from.
    pub zone_pin: [u8; 16],
    /// AES-128 key of the zone that PIN blocks of ISO 9564-1 format 4 come from.
    pub zone_pin_aes: [u8; 16],
}

/// Why a text is not a key file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// Neither `name = "hex"` nor a comment.
    #[error("line {line} is not of the form name = \"hexadecimal digits\"")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// A name that no key has.
    #[error("line {line} names a key that is not known")]
    Unknown {
        /// Counted from 1.
        line: usize,
    },
    /// The same name twice.
    #[error("key {name} stands there twice")]
    Repeated {
        /// Which.
        name: &'static str,
    },
    /// Not there.
    #[error("key {name} is missing")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// Not hexadecimal, or of another length.
    #[error("key {name} must have {digits} hexadecimal digits")]
    Value {
        /// Which.
        name: &'static str,
        /// How many it takes.
        digits: usize,
    },
}

const NAMES: [&str; 7] =
    ["pan_token", "pan_encryption", "cvk", "cvk_cvc2", "pvk", "zone_pin", "zone_pin_aes"];

impl KeyFile {
    /// Bytes that [`KeyFile::from_bytes`] takes.
    pub const BYTES: usize = 2 * 32 + 5 * 16;

    /// The keys cut from `bytes` in the order of the fields; the caller draws them at random.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut keys = Self::zeroed();
        let mut from = bytes.iter();
        for field in keys.fields_mut() {
            for (to, byte) in field.iter_mut().zip(from.by_ref()) {
                *to = *byte;
            }
        }
        keys
    }

    /// Reads the text; every key must be there once and nothing else.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut keys = Self::zeroed();
        let mut seen = [false; NAMES.len()];
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let content = raw.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (name, value) = assignment(content).ok_or(KeyFileError::Malformed { line })?;
            let mut rows = NAMES.iter().zip(seen.iter_mut()).zip(keys.fields_mut());
            let ((name, seen), field) = rows
                .find(|((known, _), _)| **known == name)
                .ok_or(KeyFileError::Unknown { line })?;
            if core::mem::replace(seen, true) {
                return Err(KeyFileError::Repeated { name });
            }
            let digits = field.len() * 2;
            read_hex(value, field).ok_or(KeyFileError::Value { name, digits })?;
        }
        match NAMES.iter().zip(seen).find(|(_, seen)| !seen) {
            Some((name, _)) => Err(KeyFileError::Missing { name }),
            None => Ok(keys),
        }
    }

    /// The text that [`KeyFile::parse`] reads back.
    #[must_use]
    pub fn render(&self) -> Zeroizing<String> {
        // Reserved at once, so that no half-written copy is left behind by growth.
        let mut text = Zeroizing::new(String::with_capacity(Self::BYTES * 2 + 256));
        text.push_str("# Keys of the software key provider. Readable by the servers only.\n");
        for (name, field) in NAMES.iter().zip(self.fields()) {
            text.push_str(name);
            text.push_str(" = \"");
            for byte in field {
                write!(text, "{byte:02x}").expect("a String takes every write");
            }
            text.push_str("\"\n");
        }
        text
    }

    fn zeroed() -> Self {
        Self {
            pan_token: [0; 32],
            pan_encryption: [0; 32],
            cvk: [0; 16],
            cvk_cvc2: [0; 16],
            pvk: [0; 16],
            zone_pin: [0; 16],
            zone_pin_aes: [0; 16],
        }
    }

    fn fields(&self) -> [&[u8]; NAMES.len()] {
        [
            &self.pan_token,
            &self.pan_encryption,
            &self.cvk,
            &self.cvk_cvc2,
            &self.pvk,
            &self.zone_pin,
            &self.zone_pin_aes,
        ]
    }

    fn fields_mut(&mut self) -> [&mut [u8]; NAMES.len()] {
        [
            &mut self.pan_token,
            &mut self.pan_encryption,
            &mut self.cvk,
            &mut self.cvk_cvc2,
            &mut self.pvk,
            &mut self.zone_pin,
            &mut self.zone_pin_aes,
        ]
    }
}

/// Name and quoted value of one line; a comment may follow.
fn assignment(content: &str) -> Option<(&str, &str)> {
    let (name, rest) = content.split_once('=')?;
    let (value, behind) = rest.trim().strip_prefix('"')?.split_once('"')?;
    let behind = behind.trim();
    (behind.is_empty() || behind.starts_with('#')).then_some((name.trim(), value))
}

fn read_hex(value: &str, field: &mut [u8]) -> Option<()> {
    let (pairs, rest) = value.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != field.len() {
        return None;
    }
    for (to, [high, low]) in field.iter_mut().zip(pairs) {
        *to = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> KeyFile {
        let bytes: Vec<u8> = (0..KeyFile::BYTES).map(|n| u8::try_from(n).unwrap()).collect();
        KeyFile::from_bytes(&bytes.try_into().unwrap())
    }

    /// `Debug` is withheld from the keys, so that results are compared by their error.
    fn refusal(text: &str) -> Option<KeyFileError> {
        KeyFile::parse(text).err()
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let text = keys().render();
        assert!(KeyFile::parse(&text).ok() == Some(keys()));
        assert!(text.contains("pan_token = \"000102"));
        assert!(text.contains("pvk = \"606162636465666768696a6b6c6d6e6f\""));
        assert!(text.contains("zone_pin = \"707172737475767778797a7b7c7d7e7f\""));
        assert!(text.contains("zone_pin_aes = \"808182838485868788898a8b8c8d8e8f\""));
    }

    #[test]
    fn a_comment_and_a_blank_line_are_nothing() {
        let text = format!("\n# hello\n{}", keys().render().replace("\"\n", "\" # mine\n"));
        assert!(KeyFile::parse(&text).ok() == Some(keys()));
    }

    #[test]
    fn every_fault_is_named_without_its_value() {
        let good = keys().render();
        let with = |more: &str| format!("{}{more}\n", *good);
        let cases = [
            (with("zpk = \"00\""), KeyFileError::Unknown { line: 9 }),
            (with("pvk = \"00\""), KeyFileError::Repeated { name: "pvk" }),
            (with("nonsense"), KeyFileError::Malformed { line: 9 }),
            (good.replace("pvk =", "# pvk ="), KeyFileError::Missing { name: "pvk" }),
            (good.replace("6e6f", "6e"), KeyFileError::Value { name: "pvk", digits: 32 }),
            (good.replace("6e6f", "6e6x"), KeyFileError::Value { name: "pvk", digits: 32 }),
            (
                good.replace("zone_pin_aes =", "# zone_pin_aes ="),
                KeyFileError::Missing { name: "zone_pin_aes" },
            ),
            (good.replace("7e7f", "7e"), KeyFileError::Value { name: "zone_pin", digits: 32 }),
            (String::new(), KeyFileError::Missing { name: "pan_token" }),
        ];
        for (text, expected) in cases {
            let got = refusal(&text).unwrap();
            assert_eq!(got, expected);
            assert!(!got.to_string().contains("6e"), "{got}");
        }
    }
}
