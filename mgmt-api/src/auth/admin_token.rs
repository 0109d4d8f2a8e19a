//! The admin token: one secret in a file, sent as `Authorization: Bearer`, with which an
//! installation begins before it has operators. It has every role.
//!
//! Invariant: the token itself is not kept; hashes are compared in constant time.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::{pki, secret_file, vault};

/// Characters of a token at least.
const CHARS_MIN: usize = 32;

/// What a token is checked against.
pub struct AdminToken {
    sha256: [u8; 32],
}

impl AdminToken {
    /// Reads the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = secret_file::read(path)?;
        let token = text.trim();
        anyhow::ensure!(
            token.len() >= CHARS_MIN,
            "{}: a token has {CHARS_MIN} characters at least",
            path.display()
        );
        Ok(Self { sha256: pki::sha256(token.as_bytes()) })
    }

    /// Whether it is the file's.
    #[must_use]
    pub fn admits(&self, token: &str) -> bool {
        verify_slices_are_equal(&self.sha256, &pki::sha256(token.as_bytes())).is_ok()
    }
}

/// Draws a token into a file with mode 0600 unless one is there; gives back the one that is there.
pub fn generate_if_absent(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new([0_u8; 32]);
    vault::draw(&mut *random)?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
    secret_file::create_if_absent(path, token.as_bytes())?;
    let text = secret_file::read(path)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_of_the_file_is_admitted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        let token = generate_if_absent(&path).unwrap();
        assert_eq!(generate_if_absent(&path).unwrap(), token);
        let known = AdminToken::open(&path).unwrap();
        assert!(known.admits(&token));
        for wrong in ["", &token[1..], &format!("{}x", *token), "Bearer"] {
            assert!(!known.admits(wrong), "{wrong}");
        }
    }
}
