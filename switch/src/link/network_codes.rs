//! What the codes of network management messages mean on a link, and which field they stand in.
//!
//! Invariant: pure; a code has one meaning at most, and every meaning has a code.
//! Source: iso8583 4.10.

use shared::iso8583::mti::Version;

/// Digits of a code, in DE70 and in DE24.
const DIGITS: usize = 3;

/// What a network management message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMeaning {
    /// The sender begins.
    SignOn,
    /// The sender ends.
    SignOff,
    /// Are you there?
    Echo,
    /// A new key comes.
    KeyChange,
    /// The business day changes.
    CutOver,
}

/// A link's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkCodes {
    field: u8,
    codes: [[u8; DIGITS]; NetworkMeaning::ALL.len()],
}

/// A table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkCodesError {
    /// A code of the wrong form.
    #[error("{key} = {code:?}: a code has three digits")]
    NotThreeDigits {
        /// Its name in the table.
        key: &'static str,
        /// What stands there.
        code: String,
    },
    /// A code with two meanings.
    #[error("{one} and {other} have the same code")]
    Twice {
        /// The first by order of meanings.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
    /// A field that cannot hold a code.
    #[error("field = {0}: a data element from 2 to 128")]
    Field(u8),
}

impl NetworkMeaning {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::SignOn, Self::SignOff, Self::Echo, Self::KeyChange, Self::CutOver];

    /// Its name in a link's table.
    #[must_use]
    pub fn table_key(self) -> &'static str {
        match self {
            Self::SignOn => "sign_on",
            Self::SignOff => "sign_off",
            Self::Echo => "echo",
            Self::KeyChange => "key_change",
            Self::CutOver => "cut_over",
        }
    }
}

impl NetworkCodes {
    /// Those of an edition: DE70 in 1987, DE24 from 1993 on.
    #[must_use]
    pub const fn of(version: Version) -> Self {
        match version {
            Version::V1987 => {
                Self { field: 70, codes: [*b"001", *b"002", *b"301", *b"101", *b"201"] }
            }
            Version::V1993 | Version::V2003 => {
                Self { field: 24, codes: [*b"801", *b"802", *b"831", *b"811", *b"821"] }
            }
        }
    }

    /// With a link's own field and codes.
    ///
    /// # Errors
    /// A code that is not of three digits, one that then has two meanings, a field that is none.
    pub fn replaced<'a>(
        mut self,
        field: Option<u8>,
        own: impl IntoIterator<Item = (NetworkMeaning, &'a str)>,
    ) -> Result<Self, NetworkCodesError> {
        if let Some(field) = field {
            if !(2..=128).contains(&field) {
                return Err(NetworkCodesError::Field(field));
            }
            self.field = field;
        }
        for (meaning, code) in own {
            let key = meaning.table_key();
            let wrong = || NetworkCodesError::NotThreeDigits { key, code: code.to_owned() };
            let digits: [u8; DIGITS] = code.as_bytes().try_into().or(Err(wrong()))?;
            if !digits.iter().all(u8::is_ascii_digit) {
                return Err(wrong());
            }
            for (known, place) in NetworkMeaning::ALL.iter().zip(&mut self.codes) {
                if *known == meaning {
                    *place = digits;
                }
            }
        }
        for (place, (one, code)) in self.pairs().enumerate() {
            if let Some((other, _)) = self.pairs().skip(place + 1).find(|(_, next)| *next == code) {
                let (one, other) = (one.table_key(), other.table_key());
                return Err(NetworkCodesError::Twice { one, other });
            }
        }
        Ok(self)
    }

    /// The field that the codes stand in.
    #[must_use]
    pub fn field(&self) -> u8 {
        self.field
    }

    /// What a received code means; `None` for one that the link does not know.
    #[must_use]
    pub fn meaning(&self, code: &[u8]) -> Option<NetworkMeaning> {
        self.pairs().find(|(_, known)| known == code).map(|(meaning, _)| meaning)
    }

    /// The code that says this.
    #[must_use]
    pub fn code(&self, meaning: NetworkMeaning) -> [u8; DIGITS] {
        self.pairs().find(|(known, _)| *known == meaning).map_or([b'0'; DIGITS], |(_, code)| code)
    }

    fn pairs(&self) -> impl Iterator<Item = (NetworkMeaning, [u8; DIGITS])> + use<> {
        NetworkMeaning::ALL.into_iter().zip(self.codes)
    }
}

#[cfg(test)]
mod tests {
    use super::NetworkMeaning::{CutOver, Echo, KeyChange, SignOff, SignOn};
    use super::*;

    #[test]
    fn each_edition_says_it_in_its_own_field_and_numbers() {
        let check = |version, field, expected: [(&[u8], NetworkMeaning); 5], foreign: &[u8]| {
            let codes = NetworkCodes::of(version);
            assert_eq!(codes.field(), field);
            for (code, meaning) in expected {
                assert_eq!(codes.meaning(code), Some(meaning), "{version:?}");
                assert_eq!(codes.code(meaning), code);
            }
            for unknown in [foreign, b"", b"00", b"0011", b"999"] {
                assert_eq!(codes.meaning(unknown), None, "{version:?} {unknown:?}");
            }
        };
        let old: [(&[u8], _); 5] = [
            (b"001", SignOn),
            (b"002", SignOff),
            (b"301", Echo),
            (b"101", KeyChange),
            (b"201", CutOver),
        ];
        let new: [(&[u8], _); 5] = [
            (b"801", SignOn),
            (b"802", SignOff),
            (b"831", Echo),
            (b"811", KeyChange),
            (b"821", CutOver),
        ];
        check(Version::V1987, 70, old, b"801");
        check(Version::V1993, 24, new, b"001");
        check(Version::V2003, 24, new, b"001");
    }

    #[test]
    fn a_link_replaces_single_codes_and_the_field() {
        let own = [(SignOn, "061"), (SignOff, "062"), (Echo, "270")];
        let codes = NetworkCodes::of(Version::V1987).replaced(Some(48), own).unwrap();
        assert_eq!(codes.field(), 48);
        assert_eq!((codes.meaning(b"061"), codes.meaning(b"001")), (Some(SignOn), None));
        assert_eq!((codes.meaning(b"101"), &codes.code(Echo)), (Some(KeyChange), b"270"));
        // Two codes may change places.
        let swapped = [(SignOn, "002"), (SignOff, "001")];
        let codes = NetworkCodes::of(Version::V1987).replaced(None, swapped).unwrap();
        assert_eq!(codes.meaning(b"002"), Some(SignOn));
    }

    #[test]
    fn a_table_that_cannot_be_used_says_why() {
        let refused = |field, own: &[(NetworkMeaning, &'static str)]| {
            let replaced = NetworkCodes::of(Version::V1987).replaced(field, own.iter().copied());
            replaced.unwrap_err().to_string()
        };
        for code in ["", "1", "0001", "0a1", "\u{661}1"] {
            assert_eq!(
                refused(None, &[(CutOver, code)]),
                format!("cut_over = {code:?}: a code has three digits")
            );
        }
        assert_eq!(refused(None, &[(Echo, "001")]), "sign_on and echo have the same code");
        for field in [0, 1, 129] {
            assert!(refused(Some(field), &[]).contains(&format!("field = {field}:")));
        }
    }
}
